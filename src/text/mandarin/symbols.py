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
register_symbol_table("mandarin", _MANDARIN)
register_symbol_table("mandarin_prosody", (*_MANDARIN, *PROSODY_MARKS))
