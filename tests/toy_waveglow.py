"""A WaveGlow that compiles in seconds, and recordings for it."""

from pathlib import Path

import numpy as np
from mindspore import Tensor

from src.audio import save_wav
from src.checkpoint import save_checkpoint
from src.config import load_config
from src.data.preprocess import preprocess
from src.models.factory import create_model

SETTINGS = {
    "model.name": "waveglow",
    "audio.sample_rate": 8000,
    "audio.n_fft": 128,
    "audio.hop_length": 32,
    "audio.win_length": 128,
    "audio.n_mels": 8,
    "audio.fmax": 4000.0,
    "audio.griffinlim_iterations": 5,
    "model.n_flows": 2,
    "model.n_early_every": 1,
    "model.wn_layers": 2,
    "model.wn_channels": 8,
    "model.upsample_kernel_size": 128,
    "train.segment_length": 256,
    "train.batch_size": 3,
    "train.max_steps": 10,
    "train.lr": 0.003,
    "train.weight_decay": 0.0,
    "train.grad_clip": 1000.0,
    "train.log_every": 1,
    "train.validate_every": 5,
    "train.checkpoint_every": 4,
}
# The same as a light network (config/waveglow_light.yaml).
LIGHT = SETTINGS | {
    "model.n_group": 16,
    "model.n_flows": 3,
    "model.n_early_every": 3,
    "model.wn_dilation_base": 1,
    "model.wn_separable": True,
    "model.conditioning": "frames",
    "model.log_scale_limit": 2.0,
    "model.likelihood_weight": 0.5,
    "model.spectral_weight": 2.0,
    "model.spectral_from": 4,
    "model.audio_noise": 1e-4,
    "train.segment_length": 512,
}


def save_fresh(path: Path, overrides: dict[str, object]) -> None:
    """Write a checkpoint of a fresh network; of a WaveGlow, with a little noise where it begins with zeros."""
    config = load_config(overrides=overrides)
    net = create_model(config=config)
    for flow in net.flows if config.model.name == "waveglow" else ():
        weight = flow.wn.end.weight
        weight.set_data(Tensor((0.1 * np.random.standard_normal(weight.shape)).astype(np.float32)))
    save_checkpoint(path, net, config)


def write_recordings(folder: Path, n_clips: int) -> Path:
    """Tones that fade in noise, 0.2 to 0.4 s, in the layout of LJSpeech."""
    random = np.random.default_rng(0)
    (folder / "wavs").mkdir(parents=True)
    for clip in range(n_clips):
        seconds = np.arange(random.integers(1600, 3200)) / 8000
        wav = 0.3 * np.exp(-4 * seconds) * np.sin(2 * np.pi * random.uniform(200, 2000) * seconds)
        save_wav(folder / "wavs" / f"{clip}.wav", wav + 0.01 * random.standard_normal(len(seconds)), 8000)
    (folder / "metadata.csv").write_text("".join(f"{clip}|tone|tone\n" for clip in range(n_clips)))
    return folder


def write_wav_corpus(folder: Path, n_train: int = 8, n_val: int = 2) -> Path:
    """Recordings in `folder`, and the dataset of them, which is returned."""
    recordings = write_recordings(folder / "recordings", n_train + n_val)
    (folder / "val.txt").write_text("".join(f"{clip}\n" for clip in range(n_train, n_train + n_val)))
    preprocess(folder / "data", load_config(overrides=SETTINGS), recordings, val_ids=folder / "val.txt")
    return folder / "data"
