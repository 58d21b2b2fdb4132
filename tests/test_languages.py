"""Languages beside English and Mandarin: German in one file, and a warm start from a voice with other symbols."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from src.checkpoint.weights import match_embedding, network_parameters
from src.config import load_config
from src.errors import InputError
from src.text import SYMBOLS, encode_texts, split_sentences, spoken_text, symbol_table
from src.text.mandarin.symbols import NEAREST

GERMAN = {"text.cleaner": "german", "text.symbols": "german", "model.n_symbols": 42}


@pytest.fixture
def config():
    """The settings of a German network."""
    return load_config(overrides=GERMAN)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Am 3. Mai 1998 kam er.", "am dritten mai neunzehnhundertachtundneunzig kam er."),
        (
            "3,50 € bzw. 1.234,56 €",
            "drei euro fünfzig beziehungsweise eintausendzweihundertvierunddreißig euro sechsundfünfzig",
        ),
        ("€ 7", "sieben euro"),
        ("Um 14:30 Uhr, z.B. bei -5 °C.", "um vierzehn uhr dreißig, zum beispiel bei minus fünf grad celsius."),
        ("Bahnhofstr. 12 & 50%", "bahnhofstraße zwölf und fünfzig prozent"),
        ("3,14", "drei komma eins vier"),
    ],
)
def test_german_figures_in_words(config, written, spoken):
    pytest.importorskip("num2words")
    assert spoken_text(written, config) == spoken


def test_german_symbols_and_sentences(config):
    ids, _ = encode_texts(["Äpfel, Größe!"], config)
    assert "".join(symbol_table("german")[each] for each in ids[0]) == "äpfel, größe!"
    assert split_sentences("Am 3. Mai kam Dr. Müller. Er blieb. „Gut.“ Danach z. B. so.", config) == [
        "Am 3. Mai kam Dr. Müller.",
        "Er blieb.",
        "„Gut.“",
        "Danach z. B. so.",
    ]


def test_without_num2words_one_line_says_so(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "num2words", None)
    assert spoken_text("Ohne Zahl", config) == "ohne zahl"
    with pytest.raises(InputError, match=r"^German figures need .* pip install -r requirements-german\.txt$"):
        encode_texts(["5"], config)


@pytest.mark.parametrize("table", ["german", "mandarin"])
def test_a_warm_start_takes_the_rows_of_shared_symbols(table):
    from src.checkpoint import Checkpoint  # noqa: PLC0415
    from src.models.factory import create_model  # noqa: PLC0415
    from tests.toy_training import toy_config  # noqa: PLC0415

    symbols = symbol_table(table)
    ours = toy_config(**{"text__cleaner": table, "text__symbols": symbols, "model__n_symbols": len(symbols)})
    net = create_model("tacotron2", config=ours)
    before = network_parameters(net)["embedding"].asnumpy().copy()
    trained = np.arange(148 * before.shape[1], dtype=np.float32).reshape(148, -1)
    weights = {"embedding": trained}
    english = Checkpoint(Path("x.ckpt"), toy_config(), SYMBOLS, {}, 0, 0, weights, optimizer={}, extra={})
    matched, fresh, unused = match_embedding(net, ours, english)
    nearest = {"b": "@B", "ang2": "@AA1", "iou5": "@OW0", "rr": "@R"} if table == "mandarin" else {}
    for row, symbol in enumerate(symbols):
        source = nearest.get(symbol, NEAREST.get(symbol) if table == "mandarin" else None) or symbol
        expected = trained[SYMBOLS.index(source)] if source in SYMBOLS else before[row]
        np.testing.assert_array_equal(matched.weights["embedding"][row], expected)
    assert ("ä" in fresh) == (table == "german") and set(NEAREST) <= set(symbol_table("mandarin"))
    assert table == "german" or not fresh  # each sound begins at one of English
    same = dataclasses.replace(english, config=ours)
    assert ("b" in match_embedding(net, ours, same)[1]) == ("b" not in SYMBOLS)  # of the same cleaner: by name
    assert "A" in unused and ("@AH0" in unused) == (table == "german")
