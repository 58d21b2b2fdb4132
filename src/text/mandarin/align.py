"""The pinyin of a list of recordings laid on its characters: it is read in place of what the converter says."""

from src.text.aligned import Aligned, Difference
from src.text.mandarin.characters import CONVERT, is_han
from src.text.mandarin.convert import tokens_of
from src.text.mandarin.normalise import normalise
from src.text.mandarin.readings import Readings
from src.text.mandarin.syllables import is_syllable, spell
from src.text.symbols import ARPABET


def align(text: str, pinyin: str, traditional: str = CONVERT, readings: Readings | None = None) -> Aligned:
    """Join a text with its syllables, as a list has them.

    Every syllable replaces the character that it reads, or two with erhua (点儿 dianr3); punctuation, prosody marks and
    Latin words stay between them. ARPAbet among the syllables, as BZNSYP has it, replaces Latin letters. If they do not
    fit, the syllables alone are read, with the mark at the end of the text.

    Raises:
        InputError: a reading that is neither a syllable nor ARPAbet; refused traditional characters.
    """
    given = [part if part in ARPABET else spell(part) for part in pinyin.split()]
    spoken = normalise(text, traditional)
    tokens = tokens_of(spoken, readings or {})
    joined: list[str] = []
    rest, differences = list(given), []
    for token in tokens:
        if token.kind in ("syllable", "unknown"):
            written = token.syllable.written if token.syllable else token.text
            readings_here = _take(rest, written)
            if readings_here is None:
                return _unaligned(text, given)
            if token.kind == "syllable" and readings_here != [token.text]:
                differences.append(Difference(written, " ".join(readings_here), token.text))
            joined += [f"{{{reading}}}" for reading in readings_here]
        elif token.kind == "latin" and rest and not is_syllable(rest[0]):
            phonemes = []
            while rest and not is_syllable(rest[0]):
                phonemes.append(rest.pop(0))
            joined.append(f"{{{' '.join(phonemes)}}}")
        else:
            joined.append(f"{{{token.text}}}" if token.kind == "phonemes" else token.text)
    if rest:
        return _unaligned(text, given)
    return Aligned("".join(joined), len(given), tuple(differences))


def _take(rest: list[str], written: str) -> list[str] | None:
    """Take the readings of a character, or of two with 儿 at the end, from the list's; None if they are others."""
    if not rest or not is_syllable(rest[0]):
        return None
    taken = [rest.pop(0)]
    if len(written) == 2 and taken[0][-2] != "r" and rest and rest[0][:-1] == "er":
        taken.append(rest.pop(0))  # the list reads 儿 as a syllable of its own
    return taken


def _unaligned(text: str, given: list[str]) -> Aligned:
    end = next((character for character in reversed(text.rstrip('#1234 \t"”’」』）)')) if not character.isspace()), "")
    mark = "" if is_han(end) or end.isalnum() else end
    problem = f"has {len(given)} readings for {sum(map(is_han, text))} characters"
    return Aligned(f"{{{' '.join(given)}}}{mark}", len(given), problem=problem)
