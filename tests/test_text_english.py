"""The cleaner english: texts as people write them, against the readings of people."""

import random
import re
from pathlib import Path

import pytest

from src.config import load_config
from src.text import SYMBOLS, alphabet_of, spoken_text, symbol_table, text_to_sequence, unknown_words
from src.text.english.capitals import roman_value
from src.text.english.counting import cardinal, ordinal, year
from src.text.english.normalise import normalise_english
from src.text.pronunciation import derive

DATA = Path(__file__).parent / "data"
CASES = [
    line.split("\t")
    for line in (DATA / "spoken_text.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
ENGLISH = load_config(overrides={"text.cleaner": "english"})


def compared(text):
    """The comparison that the header of spoken_text.tsv describes."""
    letters = re.sub(r"[^a-z ]", "", re.sub(r"[-–—/.'’]", " ", text.lower()))
    return " ".join(word for word in letters.split() if word != "and")


@pytest.mark.parametrize(("text", "readings"), CASES, ids=[text for text, _ in CASES])
def test_reading(text, readings):
    assert compared(spoken_text(text, ENGLISH)) in readings.split("|")


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("It cost €27.50.", "it cost twenty-seven euros and fifty cents."),
        ("1,2,3, go!", "one, two, three, go!"),
        ("In the U.S. He left.", "in the U S. he left."),
        ("The U.S. team.", "the U S team."),
        ("At 5 p.m. on Monday.", "at five P M on monday."),
        ("Smith et al. showed it.", "smith et al showed it."),
        ("Say {HH AH0 L OW1}, 5 times.", "say {HH AH0 L OW1}, five times."),
        ("It has *stars* and | bars.", "it has stars and bars."),
        ("WHO is here? The WHO.", "W H O is here? the W H O."),
        ("He said STOP and NO.", "he said stop and no."),
        ("10\u00a0000 people", "ten thousand people"),
        ("٣ men", "three men"),
    ],
)
def test_wording_and_pauses(text, spoken):
    assert spoken_text(text, ENGLISH) == spoken


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (999, "nine hundred ninety-nine"),
        (1_000_000, "one million"),
        (1_000_001, "one million one"),
        (-5, "minus five"),
        (10**36, " ".join(["one", *["zero"] * 36])),
    ],
)
def test_cardinals(number, words):
    assert cardinal(number) == words


def test_cardinals_agree_with_inflect():
    inflect = pytest.importorskip("inflect").engine()
    draw = random.Random(0)
    for number in [*range(1200), *(draw.randrange(10 ** draw.randint(4, 30)) for _ in range(300))]:
        assert cardinal(number) == inflect.number_to_words(number, andword="").replace(",", "")
        if number < 10**6:
            assert ordinal(number) == inflect.ordinal(inflect.number_to_words(number, andword="")).replace(",", "")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1066, "ten sixty-six"),
        (1900, "nineteen hundred"),
        (1905, "nineteen oh five"),
        (2000, "two thousand"),
        (2005, "two thousand five"),
        (2024, "twenty twenty-four"),
        (3000, "three thousand"),
    ],
)
def test_years(number, words):
    assert year(number) == words


@pytest.mark.parametrize(
    ("numeral", "value"), [("I", 1), ("IV", 4), ("VIII", 8), ("XIV", 14), ("LVIII", 58), ("XCIX", 99)]
)
def test_roman_numerals(numeral, value):
    assert roman_value(numeral) == value


def test_no_figure_is_left_out_and_none_stays():
    """Whatever figures stand beside each other: the program does not stop, and words take the place of all digits."""
    for text in mixed_pieces(3000):
        spoken = normalise_english(text)
        assert not re.search("[0-9\ue000]", spoken), text
        assert spoken or not re.search("[0-9]", text), text


def mixed_pieces(count):
    pieces = str.split(
        "$ € £ 5 10 1,234 3.5 / - : . , km kg am p.m. A IV Henry Chapter May 12 1999 ' \" s th st % ° C x × = + No. "
        "St. Main M bn # @ example.com www. ( ) ½ ² 0 00 & AT US ^ ~ -- II I e.g. Mr. the 000 \ue000 { }"
    )
    draw = random.Random(0)
    for _ in range(count):
        yield draw.choice(["", " "]).join(draw.choices([*pieces, " "], k=draw.randint(1, 9)))


def symbols_of(text, table=SYMBOLS):
    config = load_config(overrides={"text.cleaner": "english", "text.symbols": table, "model.n_symbols": len(table)})
    return [table[index] for index in text_to_sequence(text, "english", alphabet_of(config.text))]


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("a GPU", "@AH0 _ @JH @IY1 _ @P @IY1 _ @Y @UW1"),
        ("Plan A", "@P @L @AE1 @N _ @EY1"),
        ("CDs", "@S @IY1 _ @D @IY1 @Z"),
        ("the qzx", "@DH @AH0 _ q z x"),
        ("wheelhouse", "@W @IY1 @L @HH @AW1 @S"),
        ("googled", "@G @UW1 @G @AH0 @L @D"),
    ],
)
def test_phonemes(text, symbols):
    assert symbols_of(text) == [" " if symbol == "_" else symbol for symbol in symbols.split()]


def test_a_network_of_letters_gets_letters():
    table = list("_-!'(),.:;? abcdefghijklmnopqrstuvwxyz")
    assert "".join(symbols_of("Plan A costs $5, GPUs.", table)) == "plan a costs five dollars, g p u's."


def test_a_network_of_phonemes_alone_has_unknown_words_spelled():
    table = [symbol for symbol in SYMBOLS if not (len(symbol) == 1 and symbol.isalpha())]
    assert symbols_of("qzx", table) == ["@K", "@Y", "@UW1", "@Z", "@IY1", "@EH1", "@K", "@S"]


@pytest.mark.parametrize(
    ("word", "phonemes"),
    [
        ("wheelhouse", "W IY1 L HH AW1 S"),
        ("blogged", "B L AO1 G D"),
        ("faxes", "F AE1 K S IH0 Z"),
        ("rebook", "R IY0 B UH1 K"),
        ("qzx", ""),
    ],
)
def test_words_from_their_parts(word, phonemes):
    assert derive(word) == phonemes


def test_unknown_words_are_named_once_and_as_spoken():
    text = "Lwazi Mkhize and Mkhize's dog saw 5 wheelhouses of the GPU."
    assert unknown_words(text, ENGLISH) == ["lwazi", "mkhize"]
    letters = list("_ abcdefghijklmnopqrstuvwxyz")
    config = load_config(
        overrides={"text.cleaner": "english", "text.symbols": letters, "model.n_symbols": len(letters)}
    )
    assert unknown_words(text, config) == []  # which looks no word up
    assert unknown_words("the qzx {HH AH0}", load_config(overrides={"text.cleaner": "english_phonemes"})) == ["qzx"]
    assert unknown_words("the qzx", load_config()) == []


def test_named_table():
    assert symbol_table("english_148") == SYMBOLS


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Edward Lee and Henry Vogel met Charles Xavier.", "edward lee and henry vogel met charles xavier."),
        ("Part Lemon, Act Xylophone.", "part lemon, act xylophone."),
        ("Chapter XXV of Louis XIV.", "chapter twenty-five of louis the fourteenth."),
    ],
)
def test_a_name_is_no_roman_numeral_for_its_first_letter(text, spoken):
    assert spoken_text(text, load_config(overrides={"text.cleaner": "english"})) == spoken


def test_no_word_of_names_is_read_as_the_number_zero():
    names = ("Edward", "Henry", "George", "Chapter", "World War", "Alice", "King James")
    words = ("IIII", "Ivy", "Ix", "Lucas", "Victor", "Xu", "VX", "Irene", "Liv")
    config = load_config(overrides={"text.cleaner": "english"})
    assert [f"{a} {b}" for a in names for b in words if "zero" in spoken_text(f"{a} {b}", config)] == []
