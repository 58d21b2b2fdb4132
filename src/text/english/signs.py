"""Mathematical and typographic signs in words."""

import html
import re

_BETWEEN = {  # what stands between two words or numbers
    ">=": "is at least",
    "<=": "is at most",
    "!=": "is not equal to",
    "->": "to",
    "=>": "to",
    "==": "equals",
    "&&": "and",
    "&": "and",
    "+": "plus",
    "=": "equals",
    "×": "times",
    "÷": "divided by",
    "±": "plus or minus",
    "≤": "is at most",
    "≥": "is at least",
    "≠": "is not equal to",
    "≈": "is about",
    "<": "is less than",
    ">": "is greater than",
    "→": "to",
    "@": "at",
    "∞": "infinity",
    "√": "the square root of",
    "%": "percent",
    "°": "degrees",
    "§": "section",
    "№": "number",
    "©": "copyright",
    "^": "to the power of",
}
ORNAMENTS = "®™℠†‡*_|\\•·▪■●◦¶¬"  # ornaments, which nobody reads aloud
_GREEK = dict(
    pair.split(":")
    for pair in str.split(
        "α:alpha β:beta γ:gamma δ:delta ε:epsilon ζ:zeta η:eta θ:theta ι:iota κ:kappa λ:lambda μ:mu ν:nu ξ:xi "
        "π:pi ρ:rho σ:sigma τ:tau υ:upsilon φ:phi χ:chi ψ:psi ω:omega Γ:gamma Δ:delta Θ:theta Λ:lambda Ξ:xi Π:pi "
        "Σ:sigma Φ:phi Ψ:psi Ω:omega µ:mu"
    )
)
_LETTER = re.compile(r"(?<![^\W\d_])[α-ωΑ-Ωµ](?![^\W\d_²³])")
_TAG = re.compile(
    r"</?(?:a|b|br|code|div|em|h[1-6]|i|li|ol|p|pre|small|span|strong|sub|sup|u|ul)(?:\ [a-z-]+=\"[^\"<>]*\")*\ ?/?>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp);")
_SLASH = re.compile(r"(?<!\s)\s*/\s*")
_ABOUT = re.compile(r"(?<!\w)~\ ?(?=\d)")
_OR = {
    "he/she": "he or she",
    "his/her": "his or her",
    "him/her": "him or her",
    "she/he": "she or he",
    "s/he": "she or he",
}


def drop_markup(text: str) -> str:
    """Take HTML's tags and names of characters out: "<b>bold</b> &amp; thin" is "bold & thin"."""
    return _ENTITY.sub(lambda match: html.unescape(match[0]).replace("\u00a0", " "), _TAG.sub("", text))


def speak_tilde(text: str) -> str:
    """Replace "~5" by "about 5"."""
    return _ABOUT.sub("about ", text)


def speak_signs(text: str) -> str:
    """Replace signs by words: "AT&T", "2 + 2 = 4", "π", "and/or". Ornaments such as bullets are left out."""
    for written, words in _OR.items():
        text = re.sub(rf"(?<!\w){written}(?!\w)", words, text, flags=re.IGNORECASE)
    text = _LETTER.sub(lambda match: _GREEK.get(match[0], match[0]), text)
    text = re.sub(r"(?<![^\W_])([A-Ga-g])#(?!\w)", r"\1 sharp", text)
    text = re.sub(r"(?<![\w.])\.(?=[A-Za-z]{2,}\b)", "dot ", text)  # .NET
    text = _SLASH.sub(" ", text)
    text = re.sub(r"(?<![^\W_])(?<![)\]])\^", " ", text)  # ^_^
    for sign, word in _BETWEEN.items():
        text = text.replace(sign, f" {word} ")
    return text.translate(str.maketrans(dict.fromkeys(ORNAMENTS, " ")))
