"""Roman numerals, acronyms, initials and single letters: all that capitals alone tell from words."""

import re

from src.text.english.counting import cardinal, ordinal, spell_out, year
from src.text.english.grammar import ends_sentence
from src.text.pronunciation import is_known, is_spelled

_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ROMAN = r"(?=[IVXL]+\b)(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?<=[IVXL])"  # 1 to 99, a whole word and never empty
_HEADINGS = str.split(
    "Act Appendix Article Book Bowl Chapter Class Figure Grade Level Mark Olympiad Part Phase Scene Section "
    "Stage Table Tier Title Type Verse Vol Volume War Canto Corps Army Division Apollo Gemini Round Category "
    "Schedule chapter part volume act scene section book phase stage type class level volume page pages "
    "appendix table figure"
)
_REIGNS = str.split(
    "Abdullah Adrian Albert Alexander Alexios Alfonso Amenhotep Anne Baldwin Benedict Boniface Callixtus Carl "
    "Catherine Celestine Charles Christian Clement Cleopatra Constantine Darius David Edward Elizabeth "
    "Emmanuel Eric Erik Ethelred Eugene Faisal Farouk Felipe Ferdinand Francis Franz Frederick George Gregory "
    "Gustav Gustaf Haakon Hadrian Harald Harold Hassan Henri Henry Honorius Hussein Innocent Isabella Ivan "
    "James Joan Johan John Joseph Juan Julius Justinian Karl Leo Leopold Louis Ludwig Margaret Margrethe Mary "
    "Matilda Maximilian Mehmed Michael Mohammed Murad Napoleon Nicholas Olaf Olav Oscar Otto Paul Pedro Peter "
    "Philip Philippe Pius Ptolemy Ramesses Ramses Rama Richard Robert Rudolf Rupert Selim Sigismund Sixtus "
    "Stephen Suleiman Theodosius Thutmose Umberto Urban Victor Victoria Vladimir Wenceslas Wilhelm Willem "
    "William Xerxes"
)
_ROYAL = "King|Queen|Pope|Emperor|Empress|Tsar|Czar|Prince|Kaiser|Sultan|Duke"
_AFTER_HEADING = re.compile(rf"\b({'|'.join(_HEADINGS)})\ ({_ROMAN})\b(?!['-]\w)")
_AFTER_CAPITALS = re.compile(
    rf"\b(ACT|APPENDIX|BOOK|CANTO|CHAPTER|PART|SCENE|SECTION|VOLUME|WAR)\ (?!L\b)({_ROMAN})\b"
    r"(?!['-]\w)(?:(?<!\ I)|(?=\s*(?:$|[.,:;)])))"  # not "THE PART I LIKE"
)
_LOWER_CASE = re.compile(rf"\b((?i:{'|'.join(_HEADINGS)})s?)\ (x{{0,3}}(?:ix|iv|v?i{{2,3}}|vi))\b")
_CENTURY = re.compile(rf"\b({_ROMAN})(?=\ (?:[Cc]entur|Olympi))")
_ROMAN_YEAR = re.compile(r"\b(?=[MDCLXVI]{5})M{1,2}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\b")
_LIST = re.compile(rf"\b({'|'.join(_HEADINGS)})s\ ({_ROMAN})(?:\ (and|to|or|through)\ |\ ?-\ ?)({_ROMAN})\b")
_AFTER_REIGN = re.compile(rf"\b({'|'.join(_REIGNS)})\ ({_ROMAN})\b")
_AFTER_ROYAL = re.compile(rf"\b((?:{_ROYAL})\ [A-Z][a-z]+)\ ({_ROMAN})\b")
_AFTER_NAME = re.compile(r"\b([A-Z][a-z]{2,})\ ((?=[IVX]{2,}\b)X{0,3}(?:IX|IV|V?I{0,3})(?<=[IVX]))\b")

# Capitals that are read letter by letter though the dictionary has a word of these letters.
_SPELLED = frozenset(
    str.split(
        "AAA ADA ADD COO DEA EST ERA ETA FYI GDP GED GPS IDE IRA JFK LED LOL MIA NGO POW SAP SAT SEC SOS UPS VAT "
        "WHO EEG ECG EKG PSA PTA RAF"
    )
)
_WORD_ACRONYMS = frozenset(  # words, but their capitals make no headline of the words around them
    str.split(
        "AIDS ANSI ASCII ASEAN AWOL CERN DARPA FEMA FIFA LAN MIDI NAFTA NASA NASDAQ NATO NOAA OPEC OSHA PETA "
        "RADAR RAM ROM SARS SCUBA SONAR SWAT UNESCO UNICEF WAN"
    )
)
_SAID = {  # capitals that are read as words though the dictionary lacks them
    "BRICS": "brics",
    "CAPTCHA": "captcha",
    "COVID": "covid",
    "CRISPR": "crisper",
    "FOMO": "fomo",
    "GIF": "gif",
    "JPEG": "jay peg",
    "LIDAR": "lidar",
    "NIMBY": "nimby",
    "OLED": "oh led",
    "TASER": "taser",
    "YAML": "yamel",
    "YOLO": "yolo",
    "WWI": "world war one",
    "WWII": "world war two",
}
_TWO_LETTER_WORDS = frozenset(
    str.split("AH AN AS AT BE BY DO GO HA HE HI HO IF IN IS ME MY NO OF OH ON OR SO TO UP WE")
)
_BEFORE_LETTER = str.split(
    "appendix area bay block box building category channel class company deck division drive exhibit factor "
    "figure flat gate grade group hall hepatitis influenza item key league letter level lot model option page "
    "part plan platform point room route schedule section series set side size step strain studio table team "
    "terminal type unit variant version vitamin wing zone"
)
_LETTER_A = re.compile(
    rf"(?i:\b({'|'.join(_BEFORE_LETTER)})(?:\ |-))A\b(?!\.?[A-Z])"  # Plan A
    r"|\b(?:an|An)\ A\b"  # an A
    r"|(?<=[a-z,;]\ )A(?=\s*$|[.,;:!?)\"']|\ (?:and|or|to|is|was|in|for|from|at|on|with)\b)"  # from A to B
    r"|\bA(?=-[a-z]|/[A-Z]\b)"  # A-level, A/C
    r"|\bA(?=[+-](?!\w))"  # A+
    r"|(?<=\b[A-Z]/)A\b"  # N/A
)
_INITIALS = re.compile(r"\b(?:[A-Za-z]\.){2,}|\b(?:[A-Z]\.[ -]?)*[A-Z]\.(?=[ -]?(?:[A-Z][a-z']|[A-Z]\b))")
_DOTTED_DEGREE = re.compile(r"(?<![\w.])(Ph|LL|[BMD])\.\ ?(D|B|M|Sc|Ed|Eng|Litt|Mus)\.(?!\w\.)")
_SPECIES = re.compile(r"\b([A-HJ-Z])\.(?=\ [a-z])")  # E. coli
_CAPITALS = re.compile(r"\b[A-Z]{1,4}(?:\ ?&\ ?[A-Z]{1,4})+s?\b|\b[A-Z]{2,}\b(?:'s\b)?|\b[A-Z]{2,}s\b")
_RUN = re.compile(r"\b[A-Z][A-Z']+(?:[\s,;:!?.\"()-]+(?:[A-Z][A-Z']+|[AI])\b)+")
_DEGREES = {
    "PhD": "phd",
    "DPhil": "",
    "BSc": "bsc",
    "MSc": "msc",
    "kB": "kb",
    "mRNA": "mrna",
    "tRNA": "trna",
    "pH": "ph",
    "eV": "ev",
}
_MIXED = re.compile(rf"\b({'|'.join(sorted(name for name, letters in _DEGREES.items() if letters))})(s?)\b")
_VOWELS = re.compile(r"[AEIOUY]")
_LONG_WORD = 6  # capitals that the dictionary lacks, with vowels among them, are a name from this length on


def speak_roman_numerals(text: str) -> str:
    """Replace Roman numerals behind a heading or a name by words: "Chapter IV" is four, "Henry VIII" the eighth.

    A single I, V or X is a numeral behind a heading; behind a ruler's name only where it cannot be the pronoun "I" or
    an initial.
    """
    text = _CENTURY.sub(lambda match: ordinal(roman_value(match[1])), text)
    text = _ROMAN_YEAR.sub(lambda match: year(roman_value(match[0])), text)
    text = _LIST.sub(lambda match: f"{match[1]}s {_number(match[2])} {match[3] or 'to'} {_number(match[4])}", text)
    text = _AFTER_HEADING.sub(lambda match: f"{match[1]} {_number(match[2])}" if match[2] != "L" else match[0], text)
    text = _AFTER_CAPITALS.sub(lambda match: f"{match[1]} {_number(match[2])}", text)
    text = _LOWER_CASE.sub(lambda match: f"{match[1]} {_number(match[2].upper())}", text)
    text = _AFTER_ROYAL.sub(_speak_reign, text)
    text = _AFTER_REIGN.sub(_speak_reign, text)
    return _AFTER_NAME.sub(lambda match: f"{match[1]} {_number(match[2])}", text)


def speak_capitals(text: str) -> str:
    """Spell acronyms and single letters: "the GPU", "AT&T", "U.S.", "Ph.D.", "J. R. R. Tolkien", "Plan A".

    Capitals that the dictionary has as a word are read as one (NASA, and "STOP" in a sign), except for a list of
    acronyms that look like words (US, IT, WHO). Among three or more words in capitals, most of which are ordinary
    words, nothing is an acronym for its capitals
    alone: that is a headline.
    """
    text = _RUN.sub(_lower_headline, text)
    text = _MIXED.sub(lambda match: _spelled(_DEGREES[match[1]] or match[1], match[2]), text)
    text = _DOTTED_DEGREE.sub(lambda match: spell_out(f"{match[1]}{match[2]}") + _stop(match), text)
    text = _INITIALS.sub(_speak_initials, text)
    text = _SPECIES.sub(lambda match: spell_out(match[1]), text)
    text = _LETTER_A.sub(lambda match: match[0][:-1] + spell_out("a"), text)
    text = _CAPITALS.sub(_speak_capitals, text)
    return re.sub(r"(?<![\w'])([B-HJ-Z])(?!\w|'(?!s\b)\w)", lambda match: spell_out(match[1]), text)


def roman_value(numeral: str) -> int:
    """Return the value of a Roman numeral in capitals."""
    values = [_ROMAN_VALUES[letter] for letter in numeral]
    return sum(-value if value < max(values[i:]) else value for i, value in enumerate(values))


def _number(numeral: str) -> str:
    return cardinal(roman_value(numeral))


def _speak_reign(match: re.Match) -> str:
    name, numeral = match.groups()
    after = match.string[match.end() :]
    ruler = " " in name or re.search(rf"\b(?:{_ROYAL})\ (?:[A-Z]\w+\ )*$", match.string[: match.start()])
    if numeral == "L" or (len(numeral) == 1 and re.match(r"\.\ ?[A-Z]", after)):
        return match[0]  # an initial
    if numeral == "I" and not ruler and not re.match(r"\s*(?:$|[,;:.)\"']|of\b|and\ [A-Z])", after):
        return match[0]
    if numeral == "I" and ruler and re.match(r"\ (?:am|have|had|would|will|think|know)\b", after):
        return match[0]
    return f"{name} the {ordinal(roman_value(numeral))}"


def _lower_headline(match: re.Match) -> str:
    words = re.findall(r"[A-Z][A-Z']+", match[0])
    ordinary = [word for word in words if _is_ordinary(word)]
    if len(words) < 3 or 2 * len(ordinary) <= len(words):
        return match[0]
    return re.sub(
        r"[A-Z][A-Z']+|\bA\b",
        lambda word: word[0].lower() if is_known(word[0].lower()) and not _is_letters(word[0]) else word[0],
        match[0],
    )


def _is_letters(word: str) -> bool:
    return len(word) > 1 and is_spelled(word.lower())


def _is_ordinary(word: str) -> bool:
    return is_known(word.lower()) and not _is_letters(word) and word not in _SPELLED | _WORD_ACRONYMS


def _speak_initials(match: re.Match) -> str:
    text, after = match[0], match.string[match.end() :]
    if re.fullmatch(r"I\.", text) and not re.match(r"\ ?[A-Z][a-z]", after):
        return text
    space = " " if after[:1].isalpha() else ""
    return spell_out(re.sub(r"[^A-Za-z]", "", text)) + _stop(match) + space


def _stop(match: re.Match) -> str:
    return "." if match[0].endswith(".") and ends_sentence(match) else ""


def _speak_capitals(match: re.Match) -> str:
    text = match[0]
    if "&" in text:
        return " and ".join(spell_out(letters) for letters in re.findall("[A-Z]+", text)) + (
            "'s" if text[-1] == "s" else ""
        )
    word, ending = text, ""
    if text.endswith("'s"):
        word, ending = text[:-2], "'s"
    elif text.endswith("s"):
        word, ending = text[:-1], "s"
    if word in _SAID:
        return _SAID[word] + ending
    if not _is_acronym(word):
        return word.lower() + ending
    return _spelled(word, ending)


def _spelled(letters: str, ending: str) -> str:
    return spell_out(letters) + (
        "'s" if ending else ""
    )  # the dictionary has "u's", which sounds like the plural of a letter


def _is_acronym(word: str) -> bool:
    if len(word) == 2:
        return word not in _TWO_LETTER_WORDS
    if word in _SPELLED or not _VOWELS.search(word):
        return True
    if is_known(word.lower()):
        return is_spelled(word.lower())
    return len(word) < _LONG_WORD or bool(re.search(r"[BCDFGHJKLMNPQRSTVWXZ]{4}", word))
