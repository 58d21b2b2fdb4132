"""Guesses about the words around a number that decide between singular and plural."""

import re

from src.text.sentences import STARTERS

_ARTICLE = re.compile(r"\b(?:an?|another|each|every)\ (?:[a-z]+\ )?$", re.IGNORECASE)
_NOT_A_NOUN = frozenset(
    str.split(
        "a an and apart are as at away because before below but by can could deep did do does down each ever "
        "every extra for from had has have high if in into is it later less long lower may might more must no nor "
        "not now of off on once only or out over per plus see should since so tall than that the then there they "
        "thick thin this to too under until up was we went were when where which while who wide will with within "
        "would you"
    )
)


def ends_sentence(match: re.Match) -> bool:
    """Return whether a sentence ends behind an abbreviation, so that its full stop has to stay."""
    after = match.string[match.end() :]
    if not after.strip("\"'”’) "):
        return True
    word = re.match(r"[\"'”’)]*\s+[\"'“‘(]?([A-Z][\w']*)", after)
    return bool(word and word[1].partition("'")[0] in STARTERS)  # "It's" as "It"


def follows_article(match: re.Match) -> bool:
    """Return whether a quantity stands between an article and a noun, as in "a £5 note": such a unit is singular."""
    return bool(_ARTICLE.search(match.string[max(0, match.start() - 24) : match.start()])) and precedes_noun(match)


def precedes_noun(match: re.Match) -> bool:
    """Return whether the next word may be a noun that the match describes."""
    noun = re.match(r"[ -]([a-z]+)", match.string[match.end() :])
    return bool(noun) and noun[1] not in _NOT_A_NOUN
