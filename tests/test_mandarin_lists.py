"""Mandarin lists as they are downloaded: BZNSYP, AISHELL-3, and a column of pinyin."""

import csv
import json

import numpy as np
import pytest
import soundfile

from src.config import load_config
from src.data.corpus import Corpus
from src.data.file_list import read_source, rows_again
from src.errors import InputError
from src.text import symbol_table
from src.text.mandarin.align import align

TABLE = symbol_table("mandarin")
SETTINGS = {
    **{"audio.sample_rate": 8000, "audio.n_fft": 256, "audio.win_length": 256, "audio.hop_length": 64},
    **{"audio.n_mels": 8, "audio.fmax": 4000.0, "data.val_fraction": 0.25, "data.max_seconds_per_character": 1.0},
    **{"text.cleaner": "mandarin", "text.symbols": "mandarin", "model.n_symbols": len(TABLE)},
}
BZNSYP = """000001\t卡尔普#2陪外孙#1玩滑梯#4。
\tka2 er2 pu3 pei2 wai4 sun1 wan2 hua2 ti1
000002\t那儿#1有#1P图#4！
\tnar4 you2 P IY1 tu2
000003\t“我的#1银行”#4。
\two3 de5 yin2 xing2
000004\t宝马#1配挂#1跛骡鞍#3，貂蝉#1怨枕#2董翁榻#4。
\tbao2 ma3 pei4 gua4 bo3 luo2 an1 diao1 chan2 yuan4 zhen3 dong3 weng1 ta4
"""
AISHELL = [
    "SSB00050001.wav\t广 guang3 州 zhou1 女 nv3 大 da4 学 xue2 生 sheng1",
    "SSB00050002.wav\t花 hua1 儿 er5 开 kai1 了 le5",
    "SSB00090001.wav\t你 ni3 好 hao3 吗 ma5",
    "SSB00090002.wav\t绿 lv4 色 se4",
]


def speak(path, rate=8000, seed=0):
    """Write two seconds of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(2 * rate), rate)


@pytest.fixture
def bznsyp(tmp_path):
    """The folder of BZNSYP, in its own form: Windows line ends, 48 kHz."""
    folder = tmp_path / "BZNSYP"
    (folder / "ProsodyLabeling").mkdir(parents=True)
    (folder / "ProsodyLabeling/000001-010000.txt").write_bytes(BZNSYP.replace("\n", "\r\n").encode())
    for number in range(1, 5):
        speak(folder / f"Wave/00000{number}.wav", 48000, number)
    return folder


@pytest.fixture
def aishell(tmp_path):
    """The folder of AISHELL-3 with its two speakers."""
    folder = tmp_path / "data_aishell3"
    for number, line in enumerate(AISHELL):
        speak(folder / f"train/wav/{line[:7]}/{line[:11]}.wav", 44100, number)
    (folder / "train/content.txt").write_text("\n".join(AISHELL) + "\n", encoding="utf-8")
    return folder


def make(folder, output, **arguments):
    """Preprocess a folder. Returns `stats.json`."""
    from src.data.preprocess import preprocess  # noqa: PLC0415

    overrides = arguments.pop("overrides", {})
    return preprocess(output, load_config(overrides=SETTINGS | overrides), data_path=folder, **arguments)[0]


def texts_of(dataset, table=TABLE):
    """The symbols of every clip, by id."""
    found = {}
    for split in ("train", "val"):
        corpus = Corpus(dataset, split)
        rows = corpus.read(range(len(corpus))).create_tuple_iterator(num_epochs=1, output_numpy=True)
        found |= {str(id): " ".join(table[each] for each in text) for id, text, _ in rows}
    return found


def test_bznsyp_as_downloaded(bznsyp, tmp_path, capsys):
    make(bznsyp, tmp_path / "data")
    out = capsys.readouterr().out
    assert "4 rows, two lines for each recording as of BZNSYP, columns id|path|text|pinyin" in out
    assert "the cleaner differs in 2 of 32 syllables, in 2 of 4 texts; see" in out and "readings.csv" in out
    texts = texts_of(tmp_path / "data")
    assert texts["000001"] == "k a2 er2 p u3 p ei2 uai4 s uen1 uan2 h ua2 t i1 ."
    assert texts["000002"] == "n a4 rr iou2 @P @IY1 t u2 !"  # as the list says, though "you3 tu2" is right
    assert texts["000003"] == "uo3 d e5 in2 x ing2 ."
    assert texts["000004"].endswith("an1 , d iao1 ch an2 van4 zh en3 d ong3 ueng1 t a4 .")
    with (tmp_path / "data/readings.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["line"], row["id"], row["written"], row["list"], row["cleaner"]) for row in rows] == [
        ("3", "000002", "有", "you2", "you3"),
        ("5", "000003", "行", "xing2", "hang2"),
    ]
    stats = json.loads((tmp_path / "data/stats.json").read_text())
    assert [row.pinyin[:8] for row in rows_again(stats)] == ["ka2 er2 ", "nar4 you", "wo3 de5 ", "bao2 ma3"]


def test_prosody_marks_are_read_by_a_table_that_has_them(bznsyp, tmp_path):
    table = symbol_table("mandarin_prosody")
    make(bznsyp, tmp_path / "data", overrides={"text.symbols": "mandarin_prosody", "model.n_symbols": len(table)})
    texts = texts_of(tmp_path / "data", table)
    assert texts["000001"] == "k a2 er2 p u3 #2 p ei2 uai4 s uen1 #1 uan2 h ua2 t i1 #4 ."
    assert texts["000003"] == "uo3 d e5 #1 in2 x ing2 #4 ."


def test_aishell_as_downloaded(aishell, tmp_path, capsys):
    stats = make(aishell, tmp_path / "data")
    assert stats["speakers"] == ["SSB0005", "SSB0009"]
    out = capsys.readouterr().out
    assert "characters and pinyin in turn as of AISHELL-3" in out
    assert "2 speakers, never read aloud: SSB0005, SSB0009" in out
    texts = texts_of(tmp_path / "data")
    assert texts["SSB00050001"] == "g uang3 zh ou1 n v3 d a4 x ve2 sh eng1"
    assert texts["SSB00050002"] == "h ua1 er5 k ai1 l e5" and texts["SSB00090001"] == "n i3 h ao3 m a5"
    assert read_source(aishell / "train", None).rows == read_source(aishell, None).rows
    assert read_source(None, aishell / "train/content.txt").rows == read_source(aishell, None).rows


def test_a_column_of_pinyin(tmp_path):
    folder = tmp_path / "own"
    for name in ("a", "b", "c"):
        speak(folder / f"wavs/{name}.wav")
    lines = ["a|你好，世界！|ni2 hao3 shi4 jie4", "b|银行|yin2 hang2", "c|女儿|nü3 er2"]
    (folder / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    source = read_source(folder, None)
    assert source.roles == ["id", "text", "pinyin"] and source.rows[2].pinyin == "nü3 er2"
    make(folder, tmp_path / "data")
    assert texts_of(tmp_path / "data") == {"a": "n i2 h ao3 , sh iii4 j ie4 !", "b": "in2 h ang2", "c": "n v3 er2"}
    # A network whose symbols are syllables reads the column itself.
    own = ["_", " ", "ni2", "hao3", "shi4", "jie4", "yin2", "hang2", "nü3", "er2"]
    overrides = {"text.cleaner": "basic_cleaners", "text.symbols": own, "model.n_symbols": len(own)}
    make(folder, tmp_path / "syllables", overrides=overrides)
    assert texts_of(tmp_path / "syllables", own)["a"] == "ni2   hao3   shi4   jie4"


def test_damaged_lines_are_bad_rows_and_name_themselves(bznsyp):
    labels = bznsyp / "ProsodyLabeling/000001-010000.txt"
    lines = BZNSYP.splitlines()
    labels.write_text("\n".join([*lines[:3], *lines[4:], "000009"]) + "\n", encoding="utf-8")
    source = read_source(bznsyp, None)
    assert [(row.line, row.reason) for row in source.bad] == [
        (3, "has no line of pinyin below it"),
        (8, "has no text, expected id<tab>text"),
    ]
    labels.write_text(BZNSYP.replace("xing2", "xing9").replace("ka2", "kax2"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        make(bznsyp, bznsyp.parent / "data")
    assert "2 bad rows" in str(caught.value)


def test_readings_that_do_not_fit_are_read_without_the_text():
    whole = align("我们走#4。", "wo3 men5")
    assert whole.text == "{wo3 men5}。" and whole.problem == "has 2 readings for 3 characters"
    assert align("2个", "liang3 ge5").text == "{liang3}{ge5}" and not align("2个", "liang3 ge5").differences
    assert align("玩儿", "wanr2").text == "{wanr2}" and align("玩儿", "wan2 er5").text == "{wan2}{er5}"


def test_other_lists_are_read_as_before(tmp_path):
    for name in ("x", "y"):
        speak(tmp_path / f"wavs/{name}.wav")
    (tmp_path / "metadata.csv").write_text("x|I AM A4\ny|so s1\n")
    assert read_source(tmp_path, None).roles == ["id", "text"]
    (tmp_path / "metadata.csv").write_text("x|some words here|an1\ny|some more of them|li2\n")
    assert read_source(tmp_path, None).roles == ["id", "text", "speaker"]
