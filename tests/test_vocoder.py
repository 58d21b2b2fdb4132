"""eval.py with WaveGlow, from the command line to the files, on tiny networks; and the metric of a vocoder."""

import json
import sys
from argparse import Namespace

import numpy as np
import pytest
from mindspore import Tensor
from toy_waveglow import SETTINGS, write_wav_corpus

import eval as script
from src.audio import griffin_lim, load_wav, mel_spectrogram, save_wav
from src.checkpoint import save_checkpoint
from src.cli import run
from src.config import AudioConfig, load_config
from src.evaluation.metrics import log_spectral_distance
from src.models.factory import create_model
from src.synthesis import vocoder_flags

WIDTHS = {
    f"model.{name}_dim": 8 for name in ("encoder", "prenet", "attention_rnn", "attention", "decoder_rnn", "postnet")
}
LIMITS = {"model.max_decoder_steps": 20, "model.gate_threshold": 1.0}  # so that it never stops
AUDIO = {key: value for key, value in SETTINGS.items() if key.startswith("audio.")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Checkpoints of fresh networks (WaveGlow with a little noise in place of its zeros), a dataset, a recording."""
    np.random.seed(1)
    folder = tmp_path_factory.mktemp("vocoder")
    kinds = {
        "tacotron2": AUDIO | WIDTHS | LIMITS,
        "waveglow": SETTINGS,
        "other": SETTINGS | {"audio.fmax": 3000.0},
        "diverged": SETTINGS,
    }
    for name, overrides in kinds.items():
        config = load_config(overrides=overrides)
        net = create_model(config=config)
        if name != "tacotron2":
            for flow in net.flows:
                weight, scale = flow.wn.end.weight, np.nan if name == "diverged" else 0.1
                weight.set_data(Tensor((scale * np.random.standard_normal(weight.shape)).astype(np.float32)))
        save_checkpoint(folder / f"{name}.ckpt", net, config)
    write_wav_corpus(folder, n_train=2)
    save_wav(folder / "short.wav", 0.1 * np.ones(60), 8000)
    return folder


@pytest.fixture(scope="module")
def networks():
    return {}


@pytest.fixture
def evaluate(folder, networks, tmp_path, monkeypatch, capsys):
    """Runs eval.py in `folder`; returns exit code, stdout, stderr and the summary.

    Networks are cached, so that each is compiled once.
    """

    def create_once(checkpoint, overrides=None):
        key = (str(checkpoint), *(overrides or {}).items())
        if key not in networks:
            networks[key] = create_model(checkpoint=checkpoint, overrides=overrides)
        return networks[key]

    def call(command):
        monkeypatch.chdir(folder)
        monkeypatch.setattr("src.models.factory.create_model", create_once)
        monkeypatch.setattr(sys, "argv", ["eval.py", "--output_dir", str(tmp_path), *command.split()])
        with pytest.raises(SystemExit) as end:
            run(script.main)
        captured = capsys.readouterr()
        summary = tmp_path / "summary.json"
        return end.value.code, captured.out, captured.err, json.loads(summary.read_text()) if summary.exists() else None

    return call


def test_waveglow_speaks(evaluate, tmp_path):
    command = "--checkpoint tacotron2.ckpt --text Hello. --vocoder waveglow --vocoder_checkpoint waveglow.ckpt"
    sounds = {}
    for name, flags in {
        "first": "",
        "again": "",
        "seed": " --seed 1",
        "quiet": " --sigma 0.2",
        "clean": " --denoiser_strength 0.5",
    }.items():
        if name == "again":  # the flag's older name
            command = command.replace("--vocoder_checkpoint", "--waveglow_checkpoint")
        code, _, errors, summary = evaluate(command + flags)
        assert code == 0, errors
        assert summary["vocoder"] == "waveglow" and summary["vocoder_checkpoint"] == "waveglow.ckpt"
        assert summary["sigma"] == (0.2 if name == "quiet" else 0.8)
        assert summary["denoiser_strength"] == (0.5 if name == "clean" else 0)
        sounds[name] = load_wav(tmp_path / "0001.wav", 8000)
        assert len(sounds[name]) == 20 * 32
    np.testing.assert_array_equal(sounds["first"], sounds["again"])
    assert np.abs(sounds["first"] - sounds["seed"]).max() > 0.01
    assert np.std(sounds["quiet"]) < np.std(sounds["first"])
    assert np.abs(sounds["clean"] - sounds["first"]).max() > 0.001


def test_copy_synthesis(evaluate, tmp_path):
    distances = {}
    for vocoder, flags in {
        "waveglow": "--vocoder_checkpoint waveglow.ckpt",
        "griffinlim": "--checkpoint tacotron2.ckpt",
    }.items():
        code, output, errors, summary = evaluate(f"--copy_synthesis recordings/wavs/0.wav {flags}")
        assert code == 0, errors
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "copy_synthesis.png",
            "copy_synthesis.wav",
            "summary.json",
        ]
        recording, copy = load_wav("recordings/wavs/0.wav", 8000), load_wav(tmp_path / "copy_synthesis.wav", 8000)
        assert len(copy) == len(recording) and summary["vocoder"] == vocoder
        distances[vocoder] = summary["log_spectral_distance"]
        assert distances[vocoder] == pytest.approx(
            log_spectral_distance(copy, recording, load_config(overrides=AUDIO).audio), rel=1e-3
        )
        assert f"by {vocoder}, log-spectral distance to the recording {distances[vocoder]:.2f} dB" in output
    assert distances["griffinlim"] < distances["waveglow"]  # which is fresh


@pytest.mark.parametrize("flags", ["--vocoder_checkpoint waveglow.ckpt", "--checkpoint tacotron2.ckpt"])
def test_a_mel_from_a_file_is_spoken(evaluate, folder, tmp_path, flags):
    audio = load_config(overrides=AUDIO).audio
    mel = mel_spectrogram(load_wav(folder / "recordings/wavs/0.wav", 8000), audio)
    sounds = []
    for name, content, options in (
        ("plain", mel, ""),
        ("turned", mel.T, ""),
        ("tenth", mel / np.log(10), "--mel_scale log10"),
        ("decibels", 20 * mel / np.log(10), "--mel_scale dB"),
    ):
        np.save(tmp_path / f"{name}.npy", content)
        code, output, errors, summary = evaluate(f"--mel {tmp_path / name}.npy {options} {flags}")
        assert code == 0, errors
        assert ("read as transposed" in errors) == (name == "turned")
        assert f"{name}.wav" in output and summary["frames"] == mel.shape[1] and summary["wav"] == f"{name}.wav"
        sounds.append(load_wav(tmp_path / f"{name}.wav", 8000))
        assert len(sounds[-1]) == mel.shape[1] * 32 and (tmp_path / f"{name}.png").exists()
    assert np.array_equal(sounds[0], sounds[1])
    for sound in sounds[2:]:
        assert np.abs(sound - sounds[0]).mean() < 0.05 * np.abs(sounds[0]).mean()


def test_a_mel_of_another_scale_or_size_is_refused_in_one_line(evaluate, tmp_path):
    for name, content, message in (
        (
            "dB",
            np.linspace(-100, 20, 400).reshape(8, 50),
            "look like decibels, but the vocoder reads natural logarithms",
        ),
        ("80", np.zeros((80, 50)), "expected numbers [8, frames]"),
    ):
        np.save(tmp_path / f"{name}.npy", content)
        code, _, errors, _ = evaluate(f"--mel {tmp_path / name}.npy --vocoder_checkpoint waveglow.ckpt")
        assert code == 2 and message in errors and errors.count("\n") == 1


def test_the_likelihood_of_recordings(evaluate, tmp_path):
    code, output, errors, _ = evaluate("--checkpoint waveglow.ckpt --data_path data")
    assert code == 0, errors
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["val_loss"] == pytest.approx(metrics["z_loss"] - metrics["log_s"] - metrics["log_det"], abs=1e-5)
    assert (metrics["clips"], metrics["samples"]) == (2, 16 * 256)
    assert f"validation loss {metrics['val_loss']:.4f} over 2 clips" in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mel.png", "metrics.json", "sample.wav"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("--checkpoint tacotron2.ckpt --text a --vocoder waveglow", "--vocoder waveglow needs --vocoder_checkpoint"),
        ("--checkpoint tacotron2.ckpt --text a --vocoder_checkpoint gone.ckpt", "gone.ckpt: no such checkpoint"),
        (
            "--checkpoint tacotron2.ckpt --text a --vocoder_checkpoint tacotron2.ckpt",
            "tacotron2.ckpt: is a tacotron2, no vocoder",
        ),
        (
            "--checkpoint tacotron2.ckpt --text a --vocoder_checkpoint other.ckpt",
            "than tacotron2.ckpt: fmax is 3000.0 there, 4000.0 here",
        ),
        ("--checkpoint tacotron2.ckpt --text a --vocoder_checkpoint diverged.ckpt", "not finite"),
        (
            "--checkpoint tacotron2.ckpt --text a --vocoder_checkpoint diverged.ckpt --denoiser_strength 0.1",
            "not finite",
        ),
        (
            "--checkpoint tacotron2.ckpt --text a --vocoder_checkpoint waveglow.ckpt --sigma -0.5",
            "--sigma: is -0.5, but must be at least 0",
        ),
        ("--checkpoint tacotron2.ckpt --text a --vocoder_checkpoint waveglow.ckpt --sigma nan", "--sigma: is nan"),
        ("--checkpoint tacotron2.ckpt --text a --sigma 0.5", "are WaveGlow's; give --vocoder_checkpoint"),
        ("--checkpoint tacotron2.ckpt --text a --denoiser_strength 0.1", "are WaveGlow's; give --vocoder_checkpoint"),
        (
            "--copy_synthesis short.wav --vocoder_checkpoint waveglow.ckpt --denoiser_strength -1",
            "--denoiser_strength: is -1, but must be",
        ),
        ("--checkpoint waveglow.ckpt --text a", "waveglow.ckpt: is a waveglow, which speaks no text"),
        (
            "--vocoder_checkpoint waveglow.ckpt --text a",
            "waveglow.ckpt: was trained on other mel spectrograms than",
        ),  # of the voice
        (
            "--checkpoint tacotron2.ckpt --text a --vocoder griffinlim --vocoder_checkpoint waveglow.ckpt",
            "--vocoder griffinlim has no use for --vocoder_checkpoint",
        ),
        ("--data_path data", "--checkpoint is needed"),
        (
            "--checkpoint waveglow.ckpt --data_path data --vocoder griffinlim --sigma 1",
            "without a vocoder; leave out --vocoder, --sigma",
        ),
        (
            "--copy_synthesis recordings/wavs/0.wav",
            "--copy_synthesis needs one of --vocoder_checkpoint and --checkpoint",
        ),
        (
            "--copy_synthesis short.wav --checkpoint tacotron2.ckpt --vocoder_checkpoint waveglow.ckpt",
            "--copy_synthesis needs one of",
        ),
        ("--copy_synthesis gone.wav --vocoder_checkpoint waveglow.ckpt", "gone.wav: no such file"),
        ("--copy_synthesis short.wav --vocoder_checkpoint waveglow.ckpt", "short.wav: 60 samples are too few"),
        ("--copy_synthesis short.wav --vocoder_checkpoint waveglow.ckpt --text a", "give one of --text"),
    ],
)
def test_bad_input_is_one_line(evaluate, command, message):
    code, _, errors, summary = evaluate(command)
    assert code == 2 and message in errors and summary is None
    assert len([line for line in errors.split("\n") if line and "batch/s" not in line and "?" not in line]) == 1


def test_log_spectral_distance():
    noise = 0.1 * np.random.default_rng(0).standard_normal(22050)
    audio = AudioConfig()
    assert log_spectral_distance(noise, noise, audio) == 0
    assert log_spectral_distance(noise, noise * 10 ** (-6 / 20), audio) == pytest.approx(6, rel=1e-3)
    assert log_spectral_distance(-noise, noise[:20000], audio) < 0.1  # phases do not count; the end is another
    assert log_spectral_distance(np.zeros(22050), 1e-6 * noise, audio) == 0  # nobody hears either
    above = 0.1 * np.sin(2 * np.pi * 10_000 * np.arange(22050) / 22050)  # beyond fmax
    assert log_spectral_distance(noise + above, noise, audio) < 0.1


def test_griffin_lim_when_it_is_not_meant_takes_no_process(monkeypatch):
    beside = []
    monkeypatch.setattr(vocoder_flags.runtime, "in_child", lambda function, *first: beside.append(first) or "aside")
    assert vocoder_flags.griffin_lim_aside(Namespace(vocoder_checkpoint="w.ckpt")) is griffin_lim
    assert vocoder_flags.griffin_lim_aside(Namespace(vocoder_checkpoint=None)) == "aside"
    assert griffin_lim(*beside[0]).shape == (beside[0][0].shape[1] * beside[0][1].hop_length,)  # what it loads by
