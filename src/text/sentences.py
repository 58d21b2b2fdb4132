"""Sentences of a text, and pieces of sentences that are too long for the network to speak in one go."""

import re

_GAP = re.compile(r"\{[^{}]*\}|\s+")  # matches whole braces too, so that white space inside them is never found
_END = re.compile(r"(\S*?)([.!?…]+)([\"'”’)\]»]*)$")
_WIDE_COMMAS = "，、；："
_WIDE_COMMA = re.compile(f"[{_WIDE_COMMAS}](?!$)")  # in Chinese and Japanese no space follows
_OPENING = "\"'“‘«([¿¡"
_INITIALS = re.compile(r"(?:[a-z]\.)*[a-z]")  # "J" of "J. Hidell", "U.S" and "p.m" without their last stop

# Their full stop ends no sentence, as a name, a number or an explanation follows them.
_NEVER_LAST = frozenset(
    str.split(
        "mr mrs ms messrs mme mlle dr drs prof sr sra pres sen rep reps gov gen adm amb brig atty lt col cmdr "
        "capt maj sgt insp rev hon fr mt supt vs viz cf approx esp incl e.g i.e ca sq rs"
    )
)
# Theirs ends none before a number.
_BEFORE_NUMBER = frozenset(
    str.split(
        "p pp fig figs vol vols ch chap sec sect art app eq para pt ext no nos apt rm ste op jan feb mar apr jun "
        "jul aug sep sept oct nov dec ref refs tel par cl fn op tue tues thu thur thurs fri"
    )
)
# Theirs may end a sentence: it does if the next word is one that sentences begin with.
_MAYBE_LAST = _BEFORE_NUMBER - {"no"} | frozenset(
    str.split(
        "st ave rd blvd co inc corp ltd llc bros jr esq et al etc ph.d m.d b.a m.a b.sc m.sc d.phil dept est univ "
        "assn calif conn mass"
    )
)
_UNITS = frozenset(str.split("min max hr hrs sec lb lbs oz ft in yd yds mi"))
STARTERS = frozenset(
    str.split(
        "The A An This That These Those He She It They We You I His Her Its Their Our My Your There Here Then Now "
        "But And Or So Yet If When While After Before Since As At In On For From With Without What Who Where Why "
        "How Which Some Many Most All No Not Yes One Two However Meanwhile Later Today Yesterday Tomorrow "
        "Although Because Once Only Even Still Be Do Did Does Is Are Was Were Can Could Will Would"
    )
)
_AFTER_INITIAL = STARTERS - set(str.split("A An I In On Be Do So Will Once No As At"))  # these may be names
_TAG = re.compile(  # "Go!" John said.
    r"(?:[A-Z][\w'’.-]*\s+){1,2}"
    r"(?:said|says|asked|replied|cried|shouted|answered|whispered|added|exclaimed|called|told|wrote)\b"
)
_SHOUTED_NAMES = re.compile(r"(?:Yahoo!$|Jeopardy!$|Wham!$|Oklahoma!$)")
_AFTER_SHOUTED_NAME = re.compile(
    r"(?:Inc|News|Finance|Mail|Japan|Sports|Answers|Groups|Messenger|Search|Music|and|the)\b"
)


def find_sentences(text: str) -> list[str]:
    """Cut a text at sentence ends; nothing but the white space there is lost, and ARPAbet in braces stays whole.

    A full stop behind an abbreviation or initials ends no sentence unless a word follows that sentences begin with ("at
    5 p.m. Then"). A mark before a word in lower case ends none ("Yahoo! is", '"Stop!" he said'), except in a text
    without capitals. A blank line always ends one. A part without letters ("1.", "...") goes with the sentence after
    it, at the end with the one before.
    """
    sentences, start, cased = [], 0, text != text.lower()
    for gap in _gaps(text):
        before, after = text[max(start, gap.start() - 40) : gap.start()], text[gap.end() : gap.end() + 60]
        if gap[0].count("\n") > 1 or _ends_sentence(before, after, cased):
            sentences.append(text[start : gap.start()])
            start = gap.end()
    sentences.append(text[start:])
    return [sentence.strip() for sentence in _attach_fragments(sentences)]


def cut_sentence(sentence: str, max_length: int) -> list[str]:
    """Cut a sentence of more than `max_length` characters at commas, then at spaces, then anywhere.

    It is halved as evenly as its commas allow, so that no crumb is left over. ARPAbet in braces stays whole even if it
    is longer.
    """
    if len(sentence) <= max_length:
        return [sentence]
    gaps = [gap.span() for gap in _gaps(sentence)] + [
        (mark.end(), mark.end()) for mark in _WIDE_COMMA.finditer(sentence)
    ]
    length = len(sentence)
    pauses = [
        gap for gap in gaps if sentence[gap[0] - 1] in f",;:-–—{_WIDE_COMMAS}" and length <= 4 * gap[0] <= 3 * length
    ]
    inside_braces = {place for match in _GAP.finditer(sentence) for place in range(match.start() + 1, match.end())}
    cuts = pauses or gaps or [(place, place) for place in range(1, length) if place not in inside_braces]
    if not cuts:
        return [sentence]
    end, start = min(cuts, key=lambda cut: abs(cut[0] + cut[1] - length))
    return cut_sentence(sentence[:end], max_length) + cut_sentence(sentence[start:], max_length)


def _gaps(text: str) -> list[re.Match]:
    return [match for match in _GAP.finditer(text) if match[0].isspace()]


def _ends_sentence(before: str, after: str, cased: bool) -> bool:
    match = _END.search(before)
    if not match:
        return False
    word, mark, closing = match[1].lstrip(_OPENING), match[2], match[3]
    following = after.lstrip(_OPENING)
    if cased and following[:1].islower() and not re.match(r"[a-z]+[A-Z]", following):
        return False
    if closing and _TAG.match(following) and mark != ".":
        return False
    if mark == "!" and not closing and _SHOUTED_NAMES.search(before):
        return not _AFTER_SHOUTED_NAME.match(following)
    return mark != "." or bool(closing) or _full_stop_ends(word, following, cased)


def _full_stop_ends(word: str, following: str, cased: bool) -> bool:
    lower = word.lower()
    next_word = re.match(r"\w*", following)[0]  # "It" of "It's" too
    if lower in _NEVER_LAST or word == "Ft":
        return False
    if lower in _BEFORE_NUMBER and re.match(r"\d|[IVXL]{2,}\b|[IVXL]-", following):
        return False
    if _INITIALS.fullmatch(lower):
        return cased and next_word in (STARTERS if "." in word else _AFTER_INITIAL)
    if word in _UNITS:
        return not following[:1].isdigit()
    if lower in _MAYBE_LAST:
        return cased and next_word in STARTERS
    return True


def _attach_fragments(sentences: list[str]) -> list[str]:
    joined = []
    for sentence in sentences:
        if joined and not any(map(str.isalpha, joined[-1])):
            joined[-1] += f" {sentence}"
        else:
            joined.append(sentence)
    if len(joined) > 1 and not any(map(str.isalpha, joined[-1])):
        joined[-2:] = [" ".join(joined[-2:])]
    return [sentence for sentence in joined if sentence.strip()]
