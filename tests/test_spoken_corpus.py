"""The corpus spoken by a program, with a stand-in for flite that plays a tone as long as the text."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from toy_programs import install_flite, listed

from src.audio import load_wav
from src.data.speech_programs import Flite
from src.data.spoken_corpus import make_corpus, read_sentences
from src.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder, with a stand-in for flite on the search path."""
    return install_flite(tmp_path, monkeypatch)


def test_layout_trimming_and_rate(folder):
    sentences = read_sentences(listed(folder, "a plain line\n\nX-1|Mr. Fox.\nX-2|In 1900.|In nineteen hundred.\n"))
    seconds = make_corpus(sentences, folder / "corpus", 8000, Flite(), 2)
    assert (folder / "corpus/metadata.csv").read_text().splitlines() == [
        "line-00001|a plain line|a plain line",
        "X-1|Mr. Fox.|Mr. Fox.",
        "X-2|In 1900.|In nineteen hundred.",
    ]
    wavs = {path.stem: load_wav(path, 8000) for path in (folder / "corpus/wavs").iterdir()}
    assert set(wavs) == {"line-00001", "X-1", "X-2"}
    assert soundfile.info(folder / "corpus/wavs/X-1.wav").samplerate == 8000
    assert 0 <= len(wavs["X-2"]) - 17 * 200 < 800  # 17 letters; trimming leaves part of a window of silence
    assert sum(map(len, wavs.values())) / 8000 == seconds
    assert sorted(path.name for path in folder.iterdir()) == ["bin", "corpus", "list.txt"]


def test_its_own_list_makes_the_same_bytes_again(folder):
    corpus = folder / "corpus"
    make_corpus(read_sentences(listed(folder, "one\nX-2|two|two two\nthree|three\n")), corpus, 16000, Flite(), 2)

    def content():
        return {path.relative_to(corpus): path.read_bytes() for path in corpus.rglob("*") if path.is_file()}

    before = content()
    make_corpus(read_sentences(corpus / "sentences.txt"), corpus, 16000, Flite(), 1)
    assert content() == before


def test_ids_select(folder):
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


def test_sentence_without_words_makes_no_corpus(folder):
    with pytest.raises(InputError, match=r"list\.txt:2: nothing to say for '\.\.\.'"):
        make_corpus(read_sentences(listed(folder, "one\n...\n")), folder / "corpus", 16000, Flite(), 1)
    assert not (folder / "corpus").exists() and (folder / ".corpus.partial/wavs/line-00001.wav").exists()
    make_corpus(read_sentences(listed(folder, "one\n")), folder / "corpus", 16000, Flite(), 1)
    assert sorted(path.name for path in folder.iterdir()) == ["bin", "corpus", "list.txt"]


def test_other_peoples_folders_are_not_replaced(folder):
    real = folder / "recordings"
    (real / "wavs").mkdir(parents=True)
    (real / "metadata.csv").write_text("a|one|one\n")
    with pytest.raises(InputError, match="something other"):
        make_corpus(read_sentences(real / "metadata.csv"), real, 16000, Flite(), 1)
    assert (real / "metadata.csv").read_text() == "a|one|one\n"


def test_an_interrupted_corpus_goes_on(folder):
    sentences = read_sentences(listed(folder, "one\ntwo\nthree\n"))

    class Failing(Flite):
        spoken = 0

        def speak(self, text, path):
            Failing.spoken += 1
            if Failing.spoken == 3:
                raise KeyboardInterrupt
            super().speak(text, path)

    with pytest.raises(KeyboardInterrupt):
        make_corpus(sentences, folder / "corpus", 16000, Failing(), 1)
    assert Failing.spoken == 3 and not (folder / "corpus").exists()
    make_corpus(sentences, folder / "corpus", 16000, Failing(), 1)
    assert Failing.spoken == 4  # "one" and "two" were there
    assert len(list((folder / "corpus/wavs").iterdir())) == 3 and not (folder / ".corpus.partial").exists()


class Counting(Flite):
    """Flite, which notes what it speaks."""

    def __init__(self, voice="slt"):
        super().__init__()
        self.voice, self.spoken = voice, []

    def speak(self, text, path):
        self.spoken.append(text)
        Flite().speak(text, path)


def test_a_list_that_grows_is_not_spoken_anew(folder):
    program = Counting()

    def spoken(text, program, rate=16000):
        begun = len(program.spoken)
        make_corpus(read_sentences(listed(folder, text)), folder / "corpus", rate, program, 1)
        names = {path.stem for path in (folder / "corpus/wavs").iterdir()}
        assert names == {line.split("|")[0] for line in text.split()}
        return program.spoken[begun:]

    assert spoken("a|one\nb|two\n", program) == ["one", "two"]
    assert spoken("c|three\na|one\nb|two\n", program) == ["three"]
    assert spoken("a|one\nb|other\n", program) == ["other"]
    assert spoken("a|one\n", program, rate=8000) == ["one"]
    assert spoken("a|one\n", Counting("another"), rate=8000) == ["one"]


def test_script_speaks_a_list_at_the_rate_of_the_config(folder):
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
    assert soundfile.info(folder / "corpus/wavs/line-00001.wav").samplerate == 12000
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
