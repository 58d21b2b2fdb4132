"""Lists of recordings, and their division into training and validation."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from toy_recordings import TEXTS, config, sound, stored, write_ljspeech

from src.data.audio_checks import read_csv
from src.data.corpus import Corpus
from src.data.file_list import BadRowsError, rows_again
from src.data.preprocess import preprocess
from src.errors import InputError


@pytest.fixture
def recordings(tmp_path):
    return write_ljspeech(tmp_path / "LJSpeech")


def test_file_list_of_paths_and_texts(recordings, tmp_path):
    (recordings / "list.txt").write_bytes(
        "\ufeffwavs/clip-0.wav|Printing, in the only sense.\r\nwavs/clip-1.wav|In being modern.\r\n\r\n".encode()
    )
    preprocess(tmp_path / "beside the list", config(data__val_fraction=0.0), file_list=recordings / "list.txt")
    (tmp_path / "list.txt").write_text((recordings / "list.txt").read_text(encoding="utf-8-sig"))
    preprocess(tmp_path / "elsewhere", config(data__val_fraction=0.0), recordings, tmp_path / "list.txt")
    for folder in ("beside the list", "elsewhere"):
        assert list(stored(tmp_path / folder, "train")) == ["wavs/clip-0", "wavs/clip-1"]
        with pytest.raises(InputError, match="no split 'val'"):
            Corpus(tmp_path / folder, "val")


def test_id_lists_decide_the_split(recordings, tmp_path, capsys):
    (tmp_path / "val.txt").write_text("\ufeffclip-3\nclip-1\n\nclip-99\n", encoding="utf-8")
    (tmp_path / "train.txt").write_text("clip-0\r\nclip-5\r\n")
    (recordings / "wavs/clip-7.wav").unlink()  # in neither list, so it is not needed
    stats, _ = preprocess(
        tmp_path / "both", config(), recordings, val_ids=tmp_path / "val.txt", train_ids=tmp_path / "train.txt"
    )
    assert Corpus(tmp_path / "both").ids == ["clip-0", "clip-5"]
    assert Corpus(tmp_path / "both", "val").ids == ["clip-1", "clip-3"]
    assert stats["left_out"] == 4
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "ids are" in line]
    assert said == f"{tmp_path / 'val.txt'}: 1 of 3 ids are of no row, such as clip-99"
    stats, _ = preprocess(tmp_path / "rest", config(), recordings, val_ids=tmp_path / "val.txt", skip_bad=True)
    assert Corpus(tmp_path / "rest").ids == [f"clip-{i}" for i in (0, 2, 4, 5, 6)]
    assert (stats["left_out"], stats["skipped"]) == (0, 1)


@pytest.mark.parametrize(
    ("val", "train", "message"),
    [
        ("clip-1", "clip-1\nclip-2", "1 ids are in --val_ids and in --train_ids, such as clip-1"),
        ("LJ1", None, "none of the 8 usable rows is in the val split"),
        ("clip-1", "LJ1", "none of the 8 usable rows is in the train split"),
        (None, "clip-1", "--train_ids needs --val_ids"),
        ("\n", None, "has no ids"),
    ],
)
def test_contradicting_id_lists(recordings, tmp_path, val, train, message):
    paths = {}
    for name, content in (("val_ids", val), ("train_ids", train)):
        if content is not None:
            paths[name] = tmp_path / name
            paths[name].write_text(content)
    with pytest.raises(InputError, match=message):
        preprocess(tmp_path / "data", config(), recordings, **paths)
    assert not (tmp_path / "data").exists()


def test_split_by_fraction_follows_the_seed_not_the_order(recordings, tmp_path):
    preprocess(tmp_path / "a", config(), recordings)
    lines = (recordings / "metadata.csv").read_text().splitlines()
    (recordings / "metadata.csv").write_text("\n".join(reversed(lines)))
    preprocess(tmp_path / "b", config(), recordings)
    preprocess(tmp_path / "c", config(train__seed=5), recordings)
    a, b, c = (set(Corpus(tmp_path / name, "val").ids) for name in "abc")
    assert a == b != c and len(a) == len(c) == 2


def test_speakers_and_a_second_list_for_validation(recordings, tmp_path, capsys):
    """As NVIDIA's lists come: one for training, one for validation, under a folder DUMMY."""
    rows = [f"DUMMY/clip-{i}.wav|{text}|{10 - i}\n" for i, text in enumerate(TEXTS)]
    (recordings / "train.txt").write_text("".join(rows[:6]))
    (recordings / "val.txt").write_text("".join(rows[5:]))  # one of them is in both
    lists = {"file_list": recordings / "train.txt", "val_file_list": recordings / "val.txt"}
    with pytest.raises(BadRowsError) as error:
        preprocess(tmp_path / "data", config(), **lists)
    assert error.value.lines == [f"{recordings}/val.txt:1: DUMMY/clip-5: is in {recordings}/train.txt too"]
    said = capsys.readouterr().out
    assert "train.txt: 6 rows, separated by |, columns path|text|speaker" in said
    assert "6 speakers, never read aloud: 5, 6, 7, 8, 9 and 1 more" in said
    assert "recordings without DUMMY/, from wavs/" in said
    assert f"  wavs/clip-0.wav, speaker 10: '{TEXTS[0]}'" in said
    stats, _ = preprocess(tmp_path / "data", config(), **lists, skip_bad=True)
    train, val = Corpus(tmp_path / "data"), Corpus(tmp_path / "data", "val")
    assert train.speaker_names == stats["speakers"] == ["3", "4", "5", "6", "7", "8", "9", "10"]
    assert train.speakers.tolist() == [7, 6, 5, 4, 3, 2] and val.speakers.tolist() == [1, 0]
    assert val.ids == ["DUMMY/clip-6", "DUMMY/clip-7"]
    assert preprocess(tmp_path / "data", config(), **lists, skip_bad=True)[1]  # nothing has changed
    again = rows_again(stats)
    assert [row.id for row in again if row.id in val.ids] == val.ids and len(again) == 9
    with pytest.raises(InputError, match=r"other settings \(columns\)"):
        preprocess(tmp_path / "data", config(), **lists, columns="path,text,-")


def test_recordings_are_checked_and_long_ones_left_out(recordings, tmp_path, capsys):
    long = np.concatenate([sound(3), np.zeros(4000)])
    soundfile.write(recordings / "wavs/clip-0.wav", long, 8000)
    shutil.copy(recordings / "wavs/clip-1.wav", recordings / "wavs/clip-2.wav")
    settings = {"data__max_seconds": 2.9, "data__trim_db": 40.0, "data__max_seconds_per_character": 9.0}
    stats, _ = preprocess(tmp_path / "data", config(**settings), recordings)
    assert stats["too_long"] == ["clip-0"] and stats["skipped"] == 0
    assert sum(split["clips"] for split in stats["splits"].values()) == 7
    said = capsys.readouterr().out
    assert "longer than data.max_seconds (2.9), left out      1  clip-0 (3.1 s)" in said
    assert "the same samples as another clip" in said and "clip-2 (= clip-1)" in said
    rows = read_csv(tmp_path / "data/audio.csv")
    assert [row["id"] for row in rows] == [f"clip-{i}" for i in range(8)] and rows[0]["file_seconds"] == 3.5
    for key, value in (("data__trim_db", 30.0), ("data__max_seconds", 2.0)):
        with pytest.raises(InputError, match=rf"other settings \({key[6:]}\)"):
            preprocess(tmp_path / "data", config(**settings | {key: value}), recordings)


def test_a_dataset_of_an_earlier_version_is_still_the_same(recordings, tmp_path):
    preprocess(tmp_path / "data", config(), recordings)
    stats = json.loads((tmp_path / "data/stats.json").read_text())
    for key in ("trim_db", "max_seconds", "columns"):
        del stats[key]
    (tmp_path / "data/stats.json").write_text(json.dumps(stats))
    assert preprocess(tmp_path / "data", config(), recordings)[1]
    with pytest.raises(InputError, match=r"other settings \(max_seconds\)"):
        preprocess(tmp_path / "data", config(data__max_seconds=1.0), recordings)


def test_recordings_that_are_nowhere_are_one_line(recordings, tmp_path):
    shutil.rmtree(recordings / "wavs")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(InputError, match=r"none of its 8 recordings is there, such as wavs/clip-0\.wav; .*--data_path"):
        preprocess(tmp_path / "data", config(), recordings)


def test_a_cleaner_for_another_language_is_warned_of(recordings, tmp_path, capsys):
    lines = [f"clip-{i}|Vi{'é' * (i < 2)} {text}" for i, text in enumerate(TEXTS)]
    (recordings / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    preprocess(tmp_path / "data", config(), recordings)
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert (
        "2 of 8 texts have letters outside ASCII, which the cleaner english_cleaners rewrites: 'Vié' as 'vie'" in said
    )
