"""Chinese characters to wav by a tiny network of random weights: eval.py, a voice that streams, the service."""

import io
import json
import sys

import numpy as np
import pytest
import soundfile
from live_server import ROOT, SPEECH, live, until

import eval as script
from src.audio import load_wav
from src.checkpoint import save_checkpoint
from src.cli import run
from src.config import load_config
from src.errors import InputError
from src.hub.bundle import make_bundle
from src.hub.card import check_card, verified_checkpoint
from src.models.factory import create_model
from src.synthesis import load_voice

WIDTHS = ("encoder", "prenet", "attention_rnn", "attention", "decoder_rnn", "postnet")
SETTINGS = {f"model.{name}_dim": 8 for name in WIDTHS}
SETTINGS |= {"model.max_decoder_steps": 12, "model.reduction_factor": 2, "model.gate_threshold": 1.0}
SETTINGS |= {"model.postnet_layers": 2, "audio.griffinlim_iterations": 2, "train.reduction_steps": {}}
TEXT = "今天是2024年3月5日。我去银{hang2}……你呢？「好！」他说：A股涨了3.14%；走吧"
SENTENCES = ["今天是2024年3月5日。", "我去银{hang2}……", "你呢？", "「好！」", "他说：A股涨了3.14%；", "走吧"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    np.random.seed(1)
    config = load_config(ROOT / "config/tacotron2_bznsyp_small.yaml", SETTINGS)
    path = tmp_path_factory.mktemp("mandarin") / "tiny.ckpt"
    save_checkpoint(path, create_model(config=config), config)
    return path


@pytest.fixture(scope="module")
def voice(checkpoint):
    with load_voice(checkpoint, vocoder="griffinlim") as voice:
        yield voice


def speak(monkeypatch, capsys, *flags):
    """Run eval.py; returns exit code and complaints."""
    monkeypatch.setattr(sys, "argv", ["eval.py", *map(str, flags)])
    with pytest.raises(SystemExit) as end:
        run(script.main)
    return end.value.code, capsys.readouterr().err


def test_eval_speaks_characters(checkpoint, tmp_path, monkeypatch, capsys):
    flags = ["--checkpoint", checkpoint, "--vocoder", "griffinlim", "--output_dir", tmp_path / "out"]
    code, complaints = speak(monkeypatch, capsys, *flags, "--text", TEXT)
    assert code == 0, complaints
    row = json.loads((tmp_path / "out/summary.json").read_text())["lines"][0]
    assert [sentence["text"] for sentence in row["sentences"]] == SENTENCES
    wav = load_wav(tmp_path / "out/0001.wav", 22050)
    assert len(wav) == row["frames"] * 256 and np.abs(wav).max() > 0
    code, complaints = speak(monkeypatch, capsys, *flags, "--text", "{hang9}")
    assert code == 2 and "hang9" in complaints and complaints.count("\n") == 1


def test_the_voice_streams_sentence_by_sentence(voice):
    parts = [part for part in voice.stream_parts(TEXT, seed=3) if part.symbols]
    assert [part.sentence for part in parts if part.stop_reason] == list(range(len(SENTENCES)))
    last = {part.sentence: part.symbols for part in parts}
    assert last[1] == ["^", "..."] or last[1][:5] == ["uo3", "q", "v4", "in2", "h"]


def test_the_service_speaks_characters(voice):
    with live(make_voice=lambda report: voice) as server:
        until(lambda: server.service.voice)
        answer = server.client.post(SPEECH, json={"input": TEXT, "response_format": "wav", "seed": 3})
        assert answer.status_code == 200, answer.text
        wav, rate = soundfile.read(io.BytesIO(answer.content), dtype="float32")
        expected, sample_rate = voice.speak(TEXT, seed=3)
        assert rate == sample_rate == 22050 and len(wav) == len(expected)
        np.testing.assert_allclose(wav, expected, atol=1e-4)
        assert server.client.get("/v1/models").json()["data"]
        refused = server.client.post(SPEECH, json={"input": "……", "response_format": "wav"})
        assert refused.status_code == 400 and "message" in refused.json()["error"]


def test_the_card_of_mandarin_voices(checkpoint, tmp_path):
    card = make_bundle(checkpoint, tmp_path / "dist", template=ROOT / "mandarin_voice/hub_meta.md")
    assert card == tmp_path / "dist/hub_meta.md" and check_card(card)["asset"]
    assert {"requirements.txt", "requirements-mandarin.txt", "LICENSE"} <= {path.name for path in card.parent.iterdir()}
    assert verified_checkpoint(card).read_bytes() == checkpoint.read_bytes()
    with pytest.raises(InputError, match=r"hub_meta_waveglow\.md: is a card of waveglow, but .*tiny\.ckpt is a taco"):
        make_bundle(checkpoint, tmp_path / "dist", template=ROOT / "hub_meta_waveglow.md")
