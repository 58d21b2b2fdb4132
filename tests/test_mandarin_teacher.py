"""espeak-ng as a teacher of Mandarin, and a tiny network that learns from it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.audio import load_wav
from src.data.speech_programs import Espeak
from src.data.spoken_corpus import make_corpus, read_sentences
from src.errors import InputError

ROOT = Path(__file__).parents[1]
STAND_IN = f"""#!{sys.executable}
import math, struct, sys, wave
if "--voices=cmn" in sys.argv:
    print(" 5  VOICE --/M Chinese sit/cmn")
    sys.exit()
path, text = sys.argv[sys.argv.index("-w") + 1], sys.argv[-1]
with open("LOG", "a", encoding="utf-8") as log:
    print(text, file=log)
tone = [int(9000 * math.sin(k / 5)) for k in range(3000 * len(text.split()))]
with wave.open(path, "wb") as file:
    file.setparams((1, 2, 22050, 0, "NONE", ""))
    file.writeframes(struct.pack(f"<{{len(tone)}}h", *tone))
"""
PLACES = str.split("北京 上海 学校 银行 公园 医院 商店 车站 图书馆 老家")
PEOPLE = str.split("我 你 他 我们 妈妈 老师 朋友 孩子")
DEEDS = str.split("去 来 喜欢 看见 想去 走到 离开 回到")
TIMES = str.split("今天 明天 早上 晚上 现在")
needs_espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="apt install espeak-ng")


@pytest.fixture
def espeak(tmp_path, monkeypatch):
    """`install(voice)` puts an `espeak-ng` on the search path."""

    def install(voice="cmn-latn-pinyin"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        program = STAND_IN.replace("VOICE", voice).replace("LOG", str(tmp_path / "log"))
        (tmp_path / "bin/espeak-ng").write_text(program)
        (tmp_path / "bin/espeak-ng").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        return tmp_path

    return install


def test_it_is_given_pinyin_as_spoken(espeak):
    folder = espeak()
    (folder / "list.txt").write_text("a|你好，银行。\nb|一个女儿！\n", encoding="utf-8")
    seconds = make_corpus(read_sentences(folder / "list.txt"), folder / "corpus", 16000, Espeak(), 1)
    assert (folder / "log").read_text(encoding="utf-8").splitlines() == ["ni2 hao3, yin2 hang2.", "yi2 ge5 nv3 er2!"]
    assert seconds > 0.3 and len(load_wav(folder / "corpus/wavs/a.wav", 16000)) > 1000
    with pytest.raises(InputError, match="'G P U' cannot be written in pinyin"):
        Espeak().speak("GPU很快", folder / "x.wav")


def test_it_is_missing_or_reads_no_pinyin(espeak, tmp_path, monkeypatch):
    espeak(voice="cmn")
    with pytest.raises(InputError, match="has no voice cmn-latn-pinyin"):
        Espeak()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt install espeak-ng"):
        Espeak()


def run(*arguments):
    """Run a script of this repository."""
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_espeak
@pytest.mark.slow
def test_a_tiny_network_learns_espeak_to_an_alignment(tmp_path, steps=400):
    draw = np.random.default_rng(0)
    lines = dict.fromkeys("".join(map(draw.choice, (TIMES, PEOPLE, DEEDS, PLACES))) + "。" for _ in range(240))
    (tmp_path / "lines.txt").write_text("\n".join(lines), encoding="utf-8")
    make = ["--program", "espeak-mandarin", "--audio.sample_rate", 16000, "--workers", 2]
    run("scripts/make_demo_corpus.py", "--sentences", tmp_path / "lines.txt", "--output_dir", tmp_path / "wavs", *make)
    tiny = {"encoder_dim": 64, "prenet_dim": 32, "attention_rnn_dim": 96, "attention_dim": 32, "decoder_rnn_dim": 96}
    tiny |= {"postnet_dim": 32, "postnet_layers": 2, "location_filters": 8, "reduction_factor": 5}
    tiny |= {"encoder_dropout": 0.1, "postnet_dropout": 0.1}
    flags = ["--config", "config/tacotron2_bznsyp_small.yaml", "--audio.sample_rate", 16000]
    flags += [part for key, value in tiny.items() for part in (f"--model.{key}", value)]
    flags += ["--train.reduction_steps", "{}", "--train.batch_size", 16, "--train.max_steps", steps]
    flags += ["--train.validate_every", steps, "--train.checkpoint_every", steps, "--data.n_buckets", 1]
    # So small a network needs a stronger guide than usual to find the alignment in so few steps.
    flags += ["--train.lr", 0.002, "--train.guided_attention", 2, "--train.guided_attention_sigma", 0.2]
    flags += ["--train.guided_attention_decay_steps", 400]
    run(
        "scripts/preprocess.py",
        "--data_path",
        tmp_path / "wavs",
        "--output_dir",
        tmp_path / "data",
        "--workers",
        1,
        *flags,
    )
    run("train.py", "--data_path", tmp_path / "data", "--output_dir", tmp_path / "out", *flags)
    rows = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    losses = [row["mel_loss"] for row in rows if "mel_loss" in row and "val_loss" not in row]
    validation = [row for row in rows if "val_loss" in row][-1]
    assert losses[-1] < 0.5 * losses[0]
    assert validation["alignment_score"] > 0.5  # 1 is a sharp one; without one it is about 1 / 15 symbols
    speak = ["--checkpoint", tmp_path / f"out/tacotron2-{steps}.ckpt", "--vocoder", "griffinlim"]
    run("eval.py", *speak, "--text", "今天我去银行。", "--output_dir", tmp_path / "speech")
    assert len(load_wav(tmp_path / "speech/0001.wav", 16000)) > 4000
