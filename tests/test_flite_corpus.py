"""The corpus spoken by flite, with a stand-in for flite that plays a tone as long as its text."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.audio import load_wav
from src.data.flite_corpus import make_corpus, read_sentences
from src.errors import InputError

ROOT = Path(__file__).parents[1]
FLITE = f"""#!{sys.executable}
import math, struct, sys, wave
if "-lv" in sys.argv:
    print("Voices available: kal VOICE")
    sys.exit()
text, path = sys.argv[sys.argv.index("-t") + 1], sys.argv[sys.argv.index("-o") + 1]
tone = [int(9000 * math.sin(k / 5)) for k in range(400 * sum(map(str.isalpha, text)))]
with wave.open(path, "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    file.writeframes(struct.pack(f"<{{len(tone) + 6400}}h", *[0] * 3200, *tone, *[0] * 3200))
"""


@pytest.fixture
def flite(tmp_path, monkeypatch):
    """`install(voice)` puts a `flite` on the search path. Returns a folder for the test."""

    def install(voice="slt"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin/flite").write_text(FLITE.replace("VOICE", voice))
        (tmp_path / "bin/flite").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        return tmp_path

    return install


def listed(folder, text, name="list.txt"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_layout_trimming_and_rate(flite):
    folder = flite()
    sentences = read_sentences(listed(folder, "a plain line\n\nX-1|Mr. Fox.\nX-2|In 1900.|In nineteen hundred.\n"))
    seconds = make_corpus(sentences, folder / "corpus", 8000, workers=2)
    assert (folder / "corpus/metadata.csv").read_text().splitlines() == [
        "slt-00001|a plain line|a plain line",
        "X-1|Mr. Fox.|Mr. Fox.",
        "X-2|In 1900.|In nineteen hundred.",
    ]
    wavs = {path.stem: load_wav(path, 8000) for path in (folder / "corpus/wavs").iterdir()}
    assert set(wavs) == {"slt-00001", "X-1", "X-2"}
    assert soundfile.info(folder / "corpus/wavs/X-1.wav").samplerate == 8000
    assert 0 <= len(wavs["X-2"]) - 17 * 200 < 800  # 17 letters; trimming leaves part of a window of silence
    assert sum(map(len, wavs.values())) / 8000 == seconds
    assert sorted(path.name for path in folder.iterdir()) == ["bin", "corpus", "list.txt"]


def test_its_own_list_makes_the_same_bytes_again(flite):
    folder = flite()
    corpus = folder / "corpus"
    make_corpus(read_sentences(listed(folder, "one\nX-2|two|two two\nthree|three\n")), corpus, 16000, workers=2)

    def content():
        return {path.relative_to(corpus): path.read_bytes() for path in corpus.rglob("*") if path.is_file()}

    before = content()
    make_corpus(read_sentences(corpus / "sentences.txt"), corpus, 16000, workers=1)
    assert content() == before


def test_ids_select(flite):
    folder = flite()
    lines = listed(folder, "a|one\nb|two\nc|three\n")
    assert [sentence.id for sentence in read_sentences(lines, listed(folder, "c\na\n", "ids.txt"))] == ["a", "c"]
    with pytest.raises(InputError, match=r"ids\.txt: 1 ids are not in .*list\.txt, such as 'z'"):
        read_sentences(lines, listed(folder, "a\nz\n", "ids.txt"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no sentence"),
        ("a|one\nb|\n", "list.txt:2: expected text"),
        ("a|b|c|d\n", "list.txt:1: expected text"),
        ("../a|one\n", "list.txt:1: '../a' cannot be an id"),
        ("a|one\na|two\n", "list.txt:2: the id 'a' was used in .*list.txt:1 already"),
    ],
)
def test_bad_lists(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_sentences(listed(tmp_path, text))


def test_sentence_without_words_leaves_nothing_behind(flite):
    folder = flite()
    with pytest.raises(InputError, match=r"list\.txt:2: flite has nothing to say for '\.\.\.'"):
        make_corpus(read_sentences(listed(folder, "one\n...\n")), folder / "corpus", 16000, workers=1)
    assert sorted(path.name for path in folder.iterdir()) == ["bin", "list.txt"]


def test_other_peoples_folders_are_not_replaced(flite):
    folder = flite()
    real = folder / "recordings"
    (real / "wavs").mkdir(parents=True)
    (real / "metadata.csv").write_text("a|one|one\n")
    with pytest.raises(InputError, match="something other"):
        make_corpus(read_sentences(real / "metadata.csv"), real, 16000, workers=1)
    assert (real / "metadata.csv").read_text() == "a|one|one\n"


def test_flite_is_missing_or_lacks_the_voice(flite, monkeypatch):
    sentences = read_sentences(listed(flite("rms"), "one\n"))
    with pytest.raises(InputError, match="no voice slt"):
        make_corpus(sentences, Path("corpus"), 16000, workers=1)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="apt install flite"):
        make_corpus(sentences, Path("corpus"), 16000, workers=1)


def test_script_speaks_a_list_at_the_rate_of_the_config(flite):
    folder = flite()
    config = listed(folder, "audio: {sample_rate: 12000, fmax: 6000}\n", "config.yaml")
    command = [
        sys.executable,
        ROOT / "scripts/make_demo_corpus.py",
        "--sentences",
        listed(folder, "one two\n"),
        "--output_dir",
        folder / "corpus",
    ]
    done = subprocess.run([*command, "--config", config], capture_output=True, text=True, check=True)
    assert "1 clips" in done.stdout
    assert soundfile.info(folder / "corpus/wavs/slt-00001.wav").samplerate == 12000
    missing = subprocess.run([*command, "--ids", folder / "none.txt"], capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    assert "none.txt: cannot be read" in missing.stderr


def test_demo_corpus_that_ships():
    sentences = read_sentences(ROOT / "demo_corpus/sentences.txt")
    rows = (ROOT / "demo_corpus/metadata.csv").read_text().splitlines()
    assert rows == ["|".join(sentence[1:]) for sentence in sentences]
    for sentence in sentences:
        wav = load_wav(ROOT / f"demo_corpus/wavs/{sentence.id}.wav", 16000)
        assert 1 < len(wav) / 16000 < 3
        assert np.abs(wav).max() > 0.1
    assert sum(path.stat().st_size for path in (ROOT / "demo_corpus").rglob("*") if path.is_file()) < 3_000_000
