"""The symbols of Mandarin: initials, finals with tone, erhua, prosody marks, punctuation, and English phonemes."""

from src.text.symbols import ARPABET, PAD, PUNCTUATION, register_symbol_table

INITIALS = str.split("b p m f d t n l g k h j q x zh ch sh r z c s")
FINALS = str.split(
    "a o e ai ei ao ou an en ang eng ong er i ia io ie iao iou ian in iang ing iong "
    "u ua uo uai uei uan uen uang ueng v ve van vn ii iii"  # ii after z c s, iii after zh ch sh r
)
TONES = "12345"  # 5: neutral
ERHUA = "rr"  # behind the final whose end is curled: hua1 rr
PROSODY_MARKS = ("#1", "#2", "#3", "#4")  # prosodic word, prosodic phrase, intonational phrase, end of the sentence

_MANDARIN = (
    PAD,
    *PUNCTUATION,
    *INITIALS,
    *(final + tone for final in FINALS for tone in TONES),
    ERHUA,
    *(f"@{phoneme}" for phoneme in ARPABET),
)
# The phoneme of English that sounds nearest, at which a network that spoke English may begin: initials, and the vowel
# of finals, whose tone is to be learnt.
_NEAREST = {
    "B": "b", "P": "p", "M": "m", "F": "f", "D": "d", "T": "t", "N": "n", "L": "l", "G": "g", "K": "k", "HH": "h",
    "JH": "j zh", "CH": "q ch", "SH": "x sh", "R": "r rr", "Z": "z", "S": "c s",
    "AA": "a an ang ia iang ua uan uang", "AO": "o uo io", "AH": "e en eng uen ueng", "AY": "ai uai", "EY": "ei uei",
    "AW": "ao iao", "OW": "ou iou ong", "UH": "iong", "ER": "er iii", "IY": "i v", "EH": "ie ian ve van",
    "IH": "in ing vn ii", "UW": "u",
}  # fmt: skip
NEAREST = {
    f"{symbol}{tone}": f"@{phoneme}{('0' if tone == '5' else '1') if tone else ''}"
    for phoneme, symbols in _NEAREST.items()
    for symbol in symbols.split()
    for tone in (TONES if symbol in FINALS else ("",))
}
register_symbol_table("mandarin", _MANDARIN)
register_symbol_table("mandarin_prosody", (*_MANDARIN, *PROSODY_MARKS))
