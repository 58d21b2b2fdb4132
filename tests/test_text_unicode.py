"""Composed characters, typographic signs, scripts, braces and symbols of several characters."""

import unicodedata
import warnings

import pytest

from src.config import load_config
from src.errors import InputError
from src.text import SYMBOLS, alphabet_of, can_be_spoken, prepare_input_sequence, spoken_text, text_to_sequence
from src.text.characters import script
from src.text.mismatch import rewritten_signs
from src.text.registry import CLEANERS


def alphabet(symbols, end_symbol=""):
    overrides = {"text.symbols": symbols, "model.n_symbols": len(symbols), "text.end_symbol": end_symbol}
    return alphabet_of(load_config(overrides=overrides).text)


@pytest.fixture
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.usefixtures("no_warnings")
@pytest.mark.parametrize("cleaner", list(CLEANERS))
@pytest.mark.parametrize(
    ("typographic", "typed"),
    [
        ("“don’t” – he said — yes…", '"don\'t" - he said -- yes...'),
        ("one\u00a0two\u2009three", "one two three"),
        ("o\u200bn\u00ade two\ufeff", "one two"),
        ("«so» ‹it› „is‟ `now`", "so it is now"),
        ("ﬁve oﬀ", "five off"),
        ("twenty\u2011one", "twenty-one"),
    ],
)
def test_typographic_signs_are_what_one_types_in_their_place(typographic, typed, cleaner):
    assert text_to_sequence(typographic, cleaner) == text_to_sequence(typed, cleaner)


@pytest.mark.parametrize("sign", list("“’…–—«\u200d\u00ad"), ids=lambda sign: f"U+{ord(sign):04X}")
def test_a_network_that_has_the_sign_reads_it(sign):
    assert text_to_sequence(f"a{sign}a", "basic_cleaners", alphabet(["_", "a", sign])) == [1, 2, 1]


def test_decomposed_text_and_symbols_are_composed():
    decomposed = unicodedata.normalize("NFD", "é")
    ours = alphabet(["_", " ", "e", decomposed])
    assert text_to_sequence("é", "basic_cleaners", ours) == text_to_sequence(decomposed, "basic_cleaners", ours) == [3]
    assert text_to_sequence(unicodedata.normalize("NFD", "naïve")) == text_to_sequence("naive")


def test_symbols_of_several_characters_are_matched_longest_first():
    ours = alphabet(["_", " ", "s", "c", "h", "sc", "sch", "ts͡", "t", "<pad>", "ni3", "hao3"])
    assert text_to_sequence("schsch scs", "basic_cleaners", ours) == [6, 6, 1, 5, 2]
    assert text_to_sequence("ts͡t", "basic_cleaners", ours) == [7, 8]
    assert text_to_sequence("{ni3 hao3}", "basic_cleaners", ours) == [10, 11]
    assert text_to_sequence("Ni3 hao3", "basic_cleaners", ours) == [10, 1, 11]
    with pytest.warns(UserWarning, match=r"'<' .*'p' "):
        assert 9 not in text_to_sequence("t<pad>", "basic_cleaners", ours)
    with pytest.raises(InputError, match="'ni4'"):
        text_to_sequence("{ni4}", "basic_cleaners", ours)


def test_a_symbol_may_hold_a_sign_that_is_plain_elsewhere():
    ours = alphabet(["_", " ", "'", "k", "kʼ", "t͡ʃ", "ɑ̃", "ɑ"])
    assert text_to_sequence("kʼ k' t͡ʃɑ̃ɑ", "basic_cleaners", ours) == [4, 1, 3, 2, 1, 5, 6, 7]


@pytest.mark.usefixtures("no_warnings")
def test_characters_are_read_as_their_parts_by_a_network_of_parts():
    vietnamese = alphabet(["_", "e", "\u0302", "\u0323"])
    assert text_to_sequence("ệ", "basic_cleaners", vietnamese) == [1, 3, 2]
    korean = alphabet(["_", "\u1112", "\u1161", "\u11ab"])
    assert text_to_sequence("한", "basic_cleaners", korean) == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Der Bär schläft.", {"letters outside ASCII": "'Bär' as 'bar'"}),
        ("ni3 hao3 ma5", {"tone digits": "'ni3 hao3' as 'nithree haothree'"}),
        ("Das macht 3,50 Euro.", {"decimal commas": "'3,50' as 'three hundred fifty'"}),
        ("It cost 3,500 dollars in 1,234,567 cases, 1,2,3 go.", {}),
        ("A café.", {"letters outside ASCII": "'café.' as 'cafe.'"}),
        ("Chapter b2, “quoted” – and a {HH AH0 L OW1} at 3 o'clock.", {}),
    ],
)
def test_spelling_of_another_language_is_found(text, found):
    assert rewritten_signs(text, "english_cleaners") == found
    assert rewritten_signs(text, "basic_cleaners") == {}


@pytest.mark.parametrize("text", ["on {HH AH0 street", "on HH} street", "{a{b}", "}{"])
def test_a_brace_without_its_partner_is_named_with_its_line(text):
    with pytest.raises(InputError, match=r"^line 4: the brace in '.*' (is not closed|has no \{ before it)"):
        text_to_sequence(text, where="line 4")
    with pytest.raises(InputError, match=r"^the brace in "):
        spoken_text(text, load_config())


def test_signs_that_are_read_by_their_likeness_are_named():
    with pytest.warns(UserWarning, match=r"'£' \(U\+00A3\) as 'ps'"):
        assert text_to_sequence("£5") == text_to_sequence("ps five".replace(" ", ""))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert text_to_sequence("£5", "english") == text_to_sequence("five pounds", "english")


@pytest.mark.parametrize("cleaner", [name for name, cleaner in CLEANERS.items() if not cleaner.symbols])
def test_an_unknown_sign_is_named_and_not_turned_into_another(cleaner):
    with pytest.warns(UserWarning, match=r"dropped: '☃' \(U\+2603\) in line 2$"):
        ids = text_to_sequence("qz ☃ xk", cleaner, where="line 2")
    space = SYMBOLS.index(" ")
    assert [each for each in ids if each != space] == [SYMBOLS.index(letter) for letter in "qzxk"]


@pytest.mark.usefixtures("no_warnings")
def test_ornaments_have_no_reading_in_english():
    assert text_to_sequence("• *one* ™", "english") == text_to_sequence(" one ", "english")


@pytest.mark.parametrize(
    ("character", "name"),
    [("a", "LATIN"), ("é", "LATIN"), ("Ж", "CYRILLIC"), ("你", "CJK"), ("π", "GREEK"), ("µ", None), ("5", None)],
)
def test_scripts(character, name):
    assert script(character) == name


@pytest.mark.parametrize(
    ("text", "name"), [("Привет", "Cyrillic"), ("say 你好", "Chinese characters"), ("λόγος", "Greek")]
)
@pytest.mark.parametrize("cleaner", ["english_cleaners", "english_phonemes", "english"])
def test_a_foreign_script_is_refused(text, name, cleaner):
    with pytest.raises(InputError, match=rf"^line 2: .* is written in {name}, which this voice does not read"):
        text_to_sequence(text, cleaner, where="line 2")


@pytest.mark.parametrize(("text", "latin"), [("Привет Anna", "Privet Anna"), ("Say 你好!", "Say Ni Hao!")])
def test_a_foreign_script_is_transliterated_with_a_warning(text, latin):
    with pytest.warns(UserWarning, match=r"transliterated: '.+' as '(Privet|Ni Hao)' in line 2$"):
        ids = text_to_sequence(text, foreign_script="transliterate", where="line 2")
    assert ids == text_to_sequence(latin)


def test_the_configuration_chooses():
    config = load_config()
    config.text.foreign_script = "transliterate"
    with pytest.warns(UserWarning, match="'Привет' as 'Privet'"):
        prepare_input_sequence(["Привет"], config)
    assert can_be_spoken("Привет", config.text) and spoken_text("Привет", config) == "privet"
    config.text.foreign_script = "refuse"
    with pytest.raises(InputError, match="Cyrillic"):
        can_be_spoken("Привет", config.text)


def test_a_network_reads_the_script_of_its_own_symbols():
    ours = alphabet(["_", " ", *"абвгдежзий"])
    assert text_to_sequence("Где", "basic_cleaners", ours) == [5, 6, 7]
    with pytest.raises(InputError, match="Latin"):
        text_to_sequence("hello", "basic_cleaners", ours)


def test_a_lone_greek_letter_is_a_sign():
    assert spoken_text("π is 3.", load_config(overrides={"text.cleaner": "english"})) == "pi is three."
