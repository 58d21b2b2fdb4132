"""Lists of recordings, and their division into training and validation."""

import pytest
from toy_recordings import config, stored, write_ljspeech

from src.data.corpus import Corpus
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
