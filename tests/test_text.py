"""Text front end: the ids that public checkpoints were trained with, and what happens to text they never saw."""

import json
import warnings
from pathlib import Path

import pytest

from src.config import Config, load_config
from src.errors import InputError
from src.text import SYMBOLS, can_be_spoken, prepare_input_sequence, text_to_sequence
from src.text.cleaners import english_cleaners

DATA = Path(__file__).parent / "data"
PARITY = json.loads((DATA / "text_to_sequence.json").read_text(encoding="utf-8"))


def test_symbols_are_those_of_the_public_checkpoints():
    assert json.loads((DATA / "symbols_148.json").read_text()) == SYMBOLS


@pytest.mark.filterwarnings("ignore:no symbol covers", "ignore:english_cleaners reads signs")
@pytest.mark.parametrize("entry", PARITY, ids=[entry["text"][:30] for entry in PARITY])
def test_ids_of_the_public_front_end(entry):
    assert text_to_sequence(entry["text"]) == entry["ids"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$2.5 million, $.50 and $1", "two point five million dollars, fifty cents and one dollar"),
        ("$0 and $1.01", "zero dollars and one dollar, one cent"),
        ("3.05 and 3.14159", "three point zero five and three point one four one five nine"),
        (
            "1000, 1001, 2010, 2999, 3000",
            "one thousand, ten oh one, twenty ten, twenty-nine ninety-nine, three thousand",
        ),
        ("1" * 34, " ".join(["one"] * 34)),
    ],
)
def test_numbers_the_public_front_end_reads_wrongly_or_at_its_edges(text, words):
    assert english_cleaners(text) == words


def test_basic_cleaners_leave_numbers_and_abbreviations():
    ids = text_to_sequence("Mr.  Brown", "basic_cleaners")
    assert "".join(SYMBOLS[index] for index in ids) == "mr. brown"


def test_dropped_characters_give_one_warning_that_names_them_as_typed():
    with pytest.warns(
        UserWarning, match=r"dropped: '#' \(U\+0023\), '\\x00' \(U\+0000\), '_' .*, '~' .*, '😀' \(U\+1F600\)$"
    ) as caught:
        ids = text_to_sequence("“one 😀 _two~ #\0")
    assert len(caught) == 1
    assert "".join(SYMBOLS[index] for index in ids) == "one two "


def test_accents_transliterate_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert text_to_sequence("cafe\u0301 \u00fcber") == text_to_sequence("cafe uber")


def test_pad_and_end_never_come_from_text():
    with pytest.warns(UserWarning, match=r"'_' \(U\+005F\), '~' \(U\+007E\)$"):
        assert 0 not in text_to_sequence("a_b~c")
    with pytest.raises(InputError, match=r"'_'"):
        text_to_sequence("{_}")


def test_unknown_phoneme_is_named_with_its_text():
    with pytest.raises(InputError, match=r"'QQ' in \{HH QQ\}.*'on \{HH QQ\} street'"):
        text_to_sequence("on {HH QQ} street")


def test_unknown_cleaner():
    with pytest.raises(InputError, match="english_cleaners, basic_cleaners"):
        text_to_sequence("x", "polish")


def test_batch_is_padded_and_in_input_order():
    texts = ["Hi.", "A much longer one.", "{AH0}"]
    ids, lengths = prepare_input_sequence(texts, Config())
    assert (str(ids.dtype), str(lengths.dtype)) == ("Int32", "Int32")
    assert ids.shape == (3, 18)
    for row, length, text in zip(ids.asnumpy(), lengths.asnumpy(), texts, strict=True):
        assert row[:length].tolist() == text_to_sequence(text)
        assert not row[length:].any()


def test_batch_takes_the_cleaner_from_the_config():
    _, lengths = prepare_input_sequence(["mr."], load_config(overrides={"text.cleaner": "basic_cleaners"}))
    assert lengths.asnumpy().tolist() == [3]


def with_symbols(symbols, **text):
    return load_config(
        overrides={
            "text.symbols": symbols,
            "model.n_symbols": len(symbols),
            **{f"text.{k}": v for k, v in text.items()},
        }
    )


def ids_of(text, config):
    ids, lengths = prepare_input_sequence([text], config)
    assert lengths.asnumpy().tolist() == [ids.shape[1]]
    return ids.asnumpy()[0].tolist()


def test_the_end_symbol_is_put_behind_each_text():
    config = with_symbols([*SYMBOLS, "~"], end_symbol="~")
    assert ids_of("Hi.", config) == [*text_to_sequence("hi."), 148]
    with pytest.warns(UserWarning, match=r"dropped: '~' \(U\+007E\)$"):  # it cannot be typed
        assert ids_of("a~b", config) == [*text_to_sequence("ab"), 148]
    with pytest.raises(InputError, match="can be spoken"):
        prepare_input_sequence([" "], config)


def test_an_alphabet_of_letters():
    config = with_symbols(list("_-!'(),.:;? abcdefghijklmnopqrstuvwxyz"))
    assert ids_of("Abc?", config) == [12, 13, 14, 10]
    for text in ("{HH AH0}", "{B}"):
        with pytest.raises(InputError, match="none of this network's symbols"):
            prepare_input_sequence([text], config)
    with pytest.warns(UserWarning, match=r"dropped: 'c' .*, 'd' \(U\+0064\)$"):
        assert ids_of("a cd b", with_symbols(["_", " ", "b", "a"])) == [3, 1, 1, 2]


def test_an_alphabet_of_phonemes():
    """As torchaudio writes it: B is the phoneme, for there are no letters."""
    config = with_symbols(["_", ".", " ", "AH", "AH0", "B", "HH"])
    assert ids_of("{HH AH0} {B AH}.", config) == [6, 4, 2, 5, 3, 1]
    assert can_be_spoken("{B}", config.text) and not can_be_spoken("...", config.text)
    with pytest.warns(UserWarning, match=r"dropped: 'b' \(U\+0062\)$"):
        assert ids_of("b.{B}", config) == [1, 5]


def test_letters_of_another_language_can_be_spoken():
    config = with_symbols(["_", " ", "ж"], cleaner="basic_cleaners")
    assert can_be_spoken("Ж!", config.text) and not can_be_spoken("!", config.text)


def test_batch_warns_once():
    with pytest.warns(
        UserWarning, match=r"dropped: '#' \(U\+0023\) in line 3, line 7, '@' \(U\+0040\) in line 7$"
    ) as caught:
        prepare_input_sequence(["one #", "two @#"], Config(), lines=[3, 7])
    assert len(caught) == 1


def test_errors_name_the_line_too():
    for text in ("on {HH QQ} street", "on {HH street", "Привет"):
        with pytest.raises(InputError, match=r"^line 7: "):
            prepare_input_sequence(["fine", text], Config(), lines=[3, 7])
    with pytest.raises(InputError, match=r"^line 7: nothing of the text"):
        prepare_input_sequence(["fine", "..!"[:0]], Config(), lines=[3, 7])


@pytest.mark.filterwarnings("ignore:no symbol covers")
@pytest.mark.parametrize("text", ["", "  ", "$", "😀 #", "{}"])
def test_text_with_nothing_left_is_quoted(text):
    with pytest.raises(InputError) as error:
        prepare_input_sequence(["fine", text], Config())
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("texts", [[], "a bare string"])
def test_batch_wants_a_list(texts):
    with pytest.raises(InputError, match="list"):
        prepare_input_sequence(texts, Config())


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("Don't stop.", "@D @OW1 @N @T _ @S @T @AA1 @P ."),
        ("the qzx, 2", "@DH @AH0 _ q z x , _ @T @UW1"),
        ("dogs' {HH AH0}", "@D @AO1 @G @Z _ @HH @AH0"),
        ("a-b!", "@AH0 - @B @IY1 !"),
        ("aalborg", "@AO1 @L @B @AO0 @R @G"),  # whose line of the dictionary ends with a remark
    ],
)
def test_words_of_the_dictionary_become_phonemes(text, symbols):
    found = [SYMBOLS[index] for index in text_to_sequence(text, "english_phonemes")]
    assert found == [" " if symbol == "_" else symbol for symbol in symbols.split()]


def test_phonemes_need_symbols():
    config = load_config(
        overrides={"text.cleaner": "english_phonemes", "text.symbols": ["_", "a", "b"], "model.n_symbols": 3}
    )
    with pytest.raises(InputError, match=r"'AH0' in \{AH0\} is none of this network's symbols"):
        can_be_spoken("a", config.text)
