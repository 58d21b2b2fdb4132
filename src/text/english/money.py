"""Amounts of money in words."""

import re

from src.text.english.counting import NUMBER, amount, is_one, plural_of_number, spell_out
from src.text.english.grammar import follows_article

# Sign or code: singular and plural, then those of the hundredth, which are empty where prices have none in practice.
_DOLLAR = ("dollar", "dollars", "cent", "cents")
_FRANC = ("franc", "francs", "centime", "centimes")
_CROWN = ("krona", "kronor", "", "")
_YEN = ("yen", "yen", "", "")
_YUAN = ("yuan", "yuan", "", "")
_EURO = ("euro", "euros", "cent", "cents")
_POUND = ("pound", "pounds", "penny", "pence")
_RUPEE = ("rupee", "rupees", "paisa", "paise")
_SIGNS = {
    "$": _DOLLAR,
    "€": _EURO,
    "£": _POUND,
    "¥": _YEN,
    "₹": _RUPEE,
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
    "₩": ("won", "won", "", ""),
    "₺": ("lira", "lira", "", ""),
    "₪": ("shekel", "shekels", "", ""),
    "₴": ("hryvnia", "hryvnias", "", ""),
    "₫": ("dong", "dong", "", ""),
    "฿": ("baht", "baht", "", ""),
    "₱": ("peso", "pesos", "centavo", "centavos"),
    "₦": ("naira", "naira", "", ""),
    "₿": ("bitcoin", "bitcoins", "", ""),
    "₵": ("cedi", "cedis", "", ""),
    "₸": ("tenge", "tenge", "", ""),
    "₡": ("colon", "colones", "", ""),
    "zł": ("zloty", "zlotys", "", ""),
    "Kč": ("koruna", "korunas", "", ""),
    "kr": _CROWN,
    "¢": ("cent", "cents", "", ""),
}
_CODES = {
    "USD": ("U S dollar", "U S dollars", "cent", "cents"),
    "EUR": _EURO,
    "GBP": ("British pound", "British pounds", "penny", "pence"),
    "JPY": ("Japanese yen", "Japanese yen", "", ""),
    "CNY": ("Chinese yuan", "Chinese yuan", "", ""),
    "RMB": ("renminbi", "renminbi", "", ""),
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "NZD": ("New Zealand dollar", "New Zealand dollars", "cent", "cents"),
    "HKD": ("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
    "SGD": ("Singapore dollar", "Singapore dollars", "cent", "cents"),
    "SEK": ("Swedish krona", "Swedish kronor", "", ""),
    "NOK": ("Norwegian krone", "Norwegian kroner", "", ""),
    "DKK": ("Danish krone", "Danish kroner", "", ""),
    "ISK": ("Icelandic krona", "Icelandic kronur", "", ""),
    "PLN": ("Polish zloty", "Polish zlotys", "", ""),
    "CZK": ("Czech koruna", "Czech korunas", "", ""),
    "HUF": ("Hungarian forint", "Hungarian forints", "", ""),
    "RUB": ("Russian ruble", "Russian rubles", "kopeck", "kopecks"),
    "UAH": ("Ukrainian hryvnia", "Ukrainian hryvnias", "", ""),
    "TRY": ("Turkish lira", "Turkish lira", "", ""),
    "ILS": ("Israeli shekel", "Israeli shekels", "", ""),
    "INR": ("Indian rupee", "Indian rupees", "paisa", "paise"),
    "PKR": ("Pakistani rupee", "Pakistani rupees", "paisa", "paise"),
    "KRW": ("South Korean won", "South Korean won", "", ""),
    "THB": ("Thai baht", "Thai baht", "", ""),
    "BRL": ("Brazilian real", "Brazilian reais", "centavo", "centavos"),
    "MXN": ("Mexican peso", "Mexican pesos", "centavo", "centavos"),
    "ZAR": ("South African rand", "South African rand", "cent", "cents"),
    "BTC": ("bitcoin", "bitcoins", "", ""),
}
_PREFIXED = {  # before the dollar sign
    "US": "U S ",
    "U.S.": "U S ",
    "C": "Canadian ",
    "CA": "Canadian ",
    "A": "Australian ",
    "AU": "Australian ",
    "NZ": "New Zealand ",
    "HK": "Hong Kong ",
    "S": "Singapore ",
    "R": "",
    "": "",
}
_MAGNITUDES = {
    "k": "thousand",
    "K": "thousand",
    "m": "million",
    "M": "million",
    "mn": "million",
    "Mio": "million",
    "Mio.": "million",
    "mm": "million",
    "MM": "million",
    "b": "billion",
    "B": "billion",
    "bn": "billion",
    "Bn": "billion",
    "BN": "billion",
    "t": "trillion",
    "T": "trillion",
    "tn": "trillion",
    "trn": "trillion",
}
_WORDS = "hundred|thousand|million|billion|trillion|lakh|crore"
_LETTERS = "|".join(sorted((name for name in _MAGNITUDES if name.isalpha()), key=len, reverse=True))
_MAGNITUDE = (
    rf"(?:[ -]?(?P<word>{_WORDS})\b|(?P<letter>{_LETTERS})(?![A-Za-z])"
    r"|\ (?P<spaced>[MB]|m|mn|bn|tn|Mio\.?)(?![A-Za-z/]))?"
)
_SIGN = "|".join(re.escape(sign) for sign in _SIGNS if sign not in ("¢", "zł", "Kč", "kr"))
_VALUE = rf"(?P<value>{NUMBER}|\.\d+)(?:(?P<scale>{_LETTERS})?(?P<to>\ ?-\ ?|\ to\ )(?:{_SIGN})?(?P<upper>{NUMBER}))?"
_CODE = "|".join(_CODES)
_NAMED = "US|U\\.S\\.|CA|C|AU|A|NZ|HK|S|R"
_AMOUNT_AFTER_SIGN = re.compile(
    rf"(?P<minus>(?<![\w.])[-+])?(?<![A-Za-z])(?:(?P<country>{_NAMED})(?=\$)|(?P<before>US|U\.S\.|NZ|HK)\ (?=\$))?"
    rf"(?P<sign>{_SIGN})\ ?{_VALUE}{_MAGNITUDE}"
    rf"(?:\ (?P<code>{_CODE})\b)?"
)
_AMOUNT_BEFORE_SIGN = re.compile(
    rf"(?<![\w.]){_VALUE}{_MAGNITUDE}\ ?(?P<sign>{_SIGN}|¢|zł(?!\w)|Kč(?!\w)|kr(?!\w)|(?:{_CODE})\b)"
)
_AMOUNT_AFTER_CODE = re.compile(rf"(?<![\w/])(?P<sign>{_CODE})\ ?{_VALUE}{_MAGNITUDE}")
_CONTINENTAL = re.compile(r"(?<![\d,.])(\d{1,3}(?:\.\d{3})+)(?=(?:,\d\d)?\ ?(?:€|EUR\b))")  # 1.000,50 €
_DECIMAL_COMMA = re.compile(r"(?<![\d.])(\d+(?:,\d{3})*),(\d\d)(?=\ ?(?:€|zł|(?:EUR|PLN|CZK|SEK|NOK|DKK)\b))")
_PENCE = re.compile(r"(?<![\w.,])(\d{1,2})p(?!\w)")
_PER = re.compile(r"(?<=[a-z])\ ?/\ ?(hour|day|week|month|year|night|person|head|share|barrel|unit|piece|page|word)\b")
_MIL = re.compile(r"([$€£]\d[\d.,]*)\ ?([mb])il\b(?:\.(?=,|\ [a-z]))?")  # $5 mil.
_CASH = re.compile(r"\ (?:bank)?(?:note|bill|coin|cheque|voucher)s?\b")  # ten £50 notes
_LONE = {sign: names[1] for sign, names in _SIGNS.items()}


def speak_money(text: str) -> str:
    """Replace amounts of money by words: "$5M", "€27.50", "30 CHF", "£5-10", "50p", "US$3.2 billion".

    An amount before the noun it describes is singular: "a £5 note" is a five pound note. A currency sign without an
    amount becomes the currency's name.
    """
    text = _CONTINENTAL.sub(lambda match: match[1].replace(".", ","), text)
    text = _DECIMAL_COMMA.sub(r"\1.\2", text)
    text = re.sub(r"\bRs\.?\ ?(?=\d)", "₹", text)
    text = re.sub(r"\$(\d+)s\b", lambda match: plural_of_number(amount(match[1])), text)  # banknotes
    text = re.sub(r"(?<=\d)\ ?[x×]\ ?(?=[$€£]\d)", " times ", text)
    text = re.sub(r"\$(?=[A-Z]{2,5}\b(?!\ ?\d))", "", text)  # a company's sign on the stock exchange, $AAPL
    text = _MIL.sub(lambda match: f"{match[1]} {match[2]}illion", text)
    for pattern in (_AMOUNT_AFTER_SIGN, _AMOUNT_BEFORE_SIGN, _AMOUNT_AFTER_CODE):
        text = pattern.sub(_speak, text)
    text = _PENCE.sub(lambda match: f"{amount(match[1])} {'penny' if match[1] == '1' else 'pence'}", text)
    text = _PER.sub(r" per \1", text)
    return re.sub(rf"{_SIGN}|¢", lambda match: f" {_LONE[match[0]]} ", text)


def _speak(match: re.Match) -> str:
    found = match.groupdict()
    value, upper = found["value"], found["upper"]
    one, many, hundredth, hundredths = _currency(found)
    magnitude = found["word"] or _MAGNITUDES.get(found["letter"] or found["spaced"] or "", "")
    words = {"-": "minus ", "+": "plus "}.get(found.get("minus") or "", "")
    whole, _, fraction = value.partition(".")
    if upper:
        scale = _MAGNITUDES.get(found["scale"] or "", "")
        value_words = f"{amount(value)}{f' {scale}' if scale not in ('', magnitude) else ''} to {amount(upper)}"
    elif len(fraction) == 2 and hundredth and not magnitude:
        return words + _with_hundredths(whole or "0", fraction, (one, many, hundredth, hundredths))
    else:
        value_words = amount(value if value[0] != "." else f"0{value}")
    singular = (
        (is_one(value) and not magnitude and not upper)
        or follows_article(match)
        or bool(_CASH.match(match.string, match.end()))
    )
    return f"{words}{value_words}{f' {magnitude}' if magnitude else ''} {one if singular else many}"


def _currency(found: dict[str, str | None]) -> tuple[str, str, str, str]:
    sign = found.get("code") or found["sign"]
    if sign in _CODES:
        one, many, *hundredths = _CODES[sign]
    elif found.get("country") == "R":
        one, many, *hundredths = "real", "reais", "centavo", "centavos"
    else:
        prefix = _PREFIXED[found.get("country") or found.get("before") or ""]
        one, many, *hundredths = _SIGNS[sign]
        one, many = prefix + one, prefix + many
    one, many = (re.sub(r"\bU S\b", spell_out("us"), name) for name in (one, many))
    return one, many, *hundredths


def _with_hundredths(whole: str, fraction: str, names: tuple[str, str, str, str]) -> str:
    one, many, hundredth, hundredths = names
    parts = []
    if whole.strip("0,") or not fraction.strip("0"):
        parts.append(f"{amount(whole)} {one if is_one(whole) else many}")
    if fraction.strip("0"):
        parts.append(f"{amount(str(int(fraction)))} {hundredth if is_one(fraction) else hundredths}")
    return " and ".join(parts)
