"""A long text cut into pieces that the network can speak in one go."""

import re

from src.text.cleaners import ABBREVIATIONS

_GAP = re.compile(r"\{[^{}]*\}|\s+")  # matches whole braces too, so that white space inside them is never found
_END = re.compile(r"(\S*?)([.!?…]+)[\"'”’)\]]*$")
_INITIALS = re.compile(r"(?:[a-z]\.)*[a-z]")  # "J" of "J. Hidell", "U.S" and "p.m" without their last stop
_SHORT_FORMS = "ms messrs mme prof sr pres sen rep gov cmdr insp mt vs viz cf vol fig pp ch sec approx inc corp".split()  # noqa: SIM905
_NEVER_LAST = {*ABBREVIATIONS, *_SHORT_FORMS}


def split_sentences(text: str, max_length: int) -> list[str]:
    """Cut `text` at sentence ends, and sentences of more than `max_length` characters at commas, then at spaces, then anywhere.

    Stops after abbreviations and initials and inside numbers end no sentence. A long sentence is halved as evenly as its commas allow, so
    that no crumb is left over. Nothing but white space at the cuts is lost; ARPAbet in braces stays whole even if it is longer.
    """
    sentences, start = [], 0
    for gap in _gaps(text):
        if (
            _ends_sentence(text[max(start, gap.start() - 40) : gap.start()], text[gap.end() : gap.end() + 1])
            or gap[0].count("\n") > 1
        ):
            sentences.append(text[start : gap.start()])
            start = gap.end()
    sentences.append(text[start:])
    return [piece for sentence in _attach_fragments(sentences) for piece in _halve(sentence.strip(), max_length)]


def _gaps(text: str) -> list[re.Match]:
    return [match for match in _GAP.finditer(text) if match[0].isspace()]


def _ends_sentence(before: str, following: str) -> bool:
    match = _END.search(before)
    if not match:
        return False
    word, mark = match[1].lstrip("\"'“‘([").lower(), match[2]
    if mark != ".":
        return True
    return not (word in _NEVER_LAST or _INITIALS.fullmatch(word) or (word == "no" and following.isdigit()))


def _attach_fragments(sentences: list[str]) -> list[str]:
    """Join what has no letter to speak ("1.", "...") to the sentence after it, at the end to the one before."""
    joined = []
    for sentence in sentences:
        if joined and not any(map(str.isalpha, joined[-1])):
            joined[-1] += f" {sentence}"
        else:
            joined.append(sentence)
    if len(joined) > 1 and not any(map(str.isalpha, joined[-1])):
        joined[-2:] = [" ".join(joined[-2:])]
    return [sentence for sentence in joined if sentence.strip()]


def _halve(piece: str, max_length: int) -> list[str]:
    if len(piece) <= max_length:
        return [piece]
    gaps = [gap.span() for gap in _gaps(piece)]
    pauses = [gap for gap in gaps if piece[gap[0] - 1] in ",;:-–—" and len(piece) <= 4 * gap[0] <= 3 * len(piece)]
    inside_braces = {place for match in _GAP.finditer(piece) for place in range(match.start() + 1, match.end())}
    cuts = pauses or gaps or [(place, place) for place in range(1, len(piece)) if place not in inside_braces]
    if not cuts:
        return [piece]
    end, start = min(cuts, key=lambda cut: abs(cut[0] + cut[1] - len(piece)))
    return _halve(piece[:end], max_length) + _halve(piece[start:], max_length)
