"""A text in characters to the syllables that are spoken."""

import re
from typing import NamedTuple

from src.errors import InputError, quote
from src.text.mandarin.characters import CONVERT, HAN
from src.text.mandarin.normalise import normalise
from src.text.mandarin.readings import UNKNOWN, Readings, read_run
from src.text.mandarin.sandhi import Syllable, Word, apply_sandhi
from src.text.mandarin.syllables import is_syllable
from src.text.pronunciation import unknown_words_in
from src.text.symbols import ARPABET

_TOKEN = re.compile(
    rf"\{{(?P<forced>[^{{}}]*)\}}|(?P<mark>#[1-4](?!\d))|(?P<han>[{HAN}]+)|"
    r"(?P<latin>[A-Za-z]+(?:['&.-]?[A-Za-z]+)*'?(?: +[A-Za-z]+(?:['&.-]?[A-Za-z]+)*'?)*)|(?P<other>.)",
    re.DOTALL,
)
_WORD_MARK = "#1"  # no pause: sandhi goes on over it, and over no other mark (怨枕#2董翁榻 is zhen3 dong3 in BZNSYP)


class Token(NamedTuple):
    """A part of a spoken text.

    Attributes:
        kind: "syllable", "phonemes" (ARPAbet of braces), "mark", "latin", "unknown" (a character without a reading) or
            "other" (punctuation and space).
        text: as spoken or written: hao3, HH AH0, #1, GPU.
        syllable: of a syllable, with what it reads.
        begins: whether it is the first of its word.
    """

    kind: str
    text: str
    syllable: Syllable | None = None
    begins: bool = True


def to_pinyin(text: str, readings: Readings | None = None, traditional: str = CONVERT) -> list[str]:
    """Return the syllables of a text as they are spoken: sandhi done, tone 5 for neutral, ü written v.

    Latin words and letters stand among them as they are spoken ("GPU" gives G, P and U); punctuation is left out.

    Args:
        readings: those of words that go before all others, as `src.text.mandarin.dictionary` reads them.
        traditional: "convert" or "refuse" traditional characters.

    Raises:
        InputError: braces that hold no syllables, refused traditional characters, a missing package.
    """
    spoken: list[str] = []
    for token in tokens_of(normalise(text, traditional), readings or {}):
        if token.kind == "latin":
            spoken += token.text.split()
        elif token.kind == "phonemes":
            spoken.append(f"{{{token.text}}}")
        elif token.kind == "syllable":
            spoken.append(token.text)
    return spoken


def pinyin_text(text: str, join_words: bool = False) -> str:
    """Return a text as its spoken syllables with its punctuation between them, for programs that read pinyin.

    Args:
        join_words: write the syllables of a word without a space: yin2hang2.

    Raises:
        InputError: Latin words or ARPAbet, which are no pinyin; and as `to_pinyin`.
    """
    written = ""
    for token in tokens_of(normalise(text), {}):
        if token.kind in ("latin", "phonemes"):
            raise InputError(f"{quote(token.text)} cannot be written in pinyin")
        if token.kind == "syllable":
            written += token.text if join_words and not token.begins else f" {token.text}"
        elif token.kind == "other" and token.text in ",.;:!?":
            written += token.text
    return written.strip()


def tokens_of(spoken: str, readings: Readings) -> list[Token]:
    """Cut a text that `normalise` made into syllables and the rest, in order.

    Raises:
        InputError: braces that hold neither syllables nor ARPAbet; a missing package.
    """
    tokens: list[Token] = []
    phrase: list[Word] = []
    for match in _TOKEN.finditer(spoken):
        kind, text = match.lastgroup, match[match.lastgroup]
        if kind == "han":
            words = read_run(text, readings)
            phrase += words
            tokens += [_token_of(syllable, index == 0) for word in words for index, syllable in enumerate(word)]
        elif kind == "forced":
            forced = _forced(text)
            phrase += [[token.syllable] for token in forced if token.syllable]
            tokens += forced
        else:
            if not (kind == "mark" and text == _WORD_MARK):
                apply_sandhi(phrase)
                phrase = []
            tokens.append(Token(kind, text))
    apply_sandhi(phrase)
    return [token._replace(text=str(token.syllable)) if token.kind == "syllable" else token for token in tokens]


def _token_of(syllable: Syllable, begins: bool) -> Token:
    if syllable.base == UNKNOWN:
        return Token("unknown", syllable.written)
    return Token("syllable", "", syllable, begins)


def _forced(content: str) -> list[Token]:
    tokens = []
    for part in content.split():
        plain = part.replace("ü", "v").replace("u:", "v")
        if part in ARPABET:
            before = f"{tokens.pop().text} " if tokens and tokens[-1].kind == "phonemes" else ""
            tokens.append(Token("phonemes", before + part))
        elif is_syllable(plain):
            tokens.append(Token("syllable", "", Syllable("", plain[:-1], int(plain[-1]), fixed=True)))
        else:
            raise InputError(
                f"{quote(part)} in {{{content}}} is neither a syllable of pinyin with a tone from 1 to 5, such as "
                "hao3, nor an ARPAbet phoneme such as AH0"
            )
    return tokens


def unknown_words(spoken: str) -> list[str]:
    """Return the characters and Latin words of a spoken text that no dictionary has, once each."""
    found: list[str] = []
    for token in tokens_of(spoken, {}):
        if token.kind == "unknown":
            found.append(token.text)
        elif token.kind == "latin":
            found += unknown_words_in(token.text)
    return list(dict.fromkeys(found))
