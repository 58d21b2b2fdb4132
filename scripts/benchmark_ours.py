"""Worker of scripts/benchmark.py for this repository: the training step of train.py, free running and vocoder of eval.py, as they are."""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mindspore as ms
import numpy as np
from benchmark_worker import serve
from mindspore import Tensor

from src import create_model, runtime
from src.config import load_config
from src.dataset import Batch
from src.train.step import TrainStep
from src.train.tacotron2 import Tacotron2Task


def training(config: dict, seed: int, batch_size: int, n_frames: int, length: int) -> Callable[[], None]:
    """A run is one optimiser step; the first one compiles."""
    config = load_config(config)
    runtime.setup(seed)
    net = create_model(config=config)
    task = Tacotron2Task(config)
    step = TrainStep(net, task.forward(net), config.train)
    random = np.random.default_rng(seed)
    batch = Batch(
        text=random.integers(1, config.model.n_symbols, (batch_size, length), np.int32),
        text_lengths=np.full(batch_size, length, np.int32),
        mel=random.standard_normal((batch_size, config.audio.n_mels, n_frames), np.float32),
        mel_lengths=np.full(batch_size, n_frames, np.int32),
        indices=np.arange(batch_size, dtype=np.int32),
    )

    def run() -> None:
        if not step(task.inputs(batch, 0), config.train.lr).updated:
            raise ArithmeticError("the loss or the gradient is not finite")
        ms.runtime.synchronize()

    return run


def free_running(config: dict, seed: int, batch_size: int, n_frames: int, length: int) -> Callable[[], None]:
    """A run speaks `n_frames` frames per text: no fresh gate is as sure, and the attention's rule needs more frames than there are."""
    limits = {"model.gate_threshold": 0.999999, "model.attention_stop_frames": n_frames + 1, "model.max_decoder_steps": n_frames}
    config = load_config(config, limits)
    runtime.setup(seed)
    net = create_model(config=config)
    text = Tensor(np.random.default_rng(seed).integers(1, config.model.n_symbols, (batch_size, length), np.int32))
    text_lengths = Tensor(np.full(batch_size, length, np.int32))

    def run() -> None:
        speech = net.generate(text, text_lengths, seed)
        if speech.mel.shape != (batch_size, config.audio.n_mels, n_frames):
            raise AssertionError(f"spoke {speech.mel.shape}")

    return run


def vocoding(config: dict, seed: int, n_frames: int) -> Callable[[], None]:
    """A run turns `n_frames` frames into sound; the first one compiles."""
    config = load_config(config)
    runtime.setup(seed)
    net = create_model(config=config)
    net.remove_weight_norm()
    mel = Tensor(np.random.default_rng(seed).standard_normal((1, config.audio.n_mels, n_frames), np.float32))

    def run() -> None:
        audio = net.infer(mel, seed=seed)
        if audio.shape != (1, n_frames * config.audio.hop_length):
            raise AssertionError(f"made {audio.shape}")

    return run


if __name__ == "__main__":
    serve({"training": training, "free_running": free_running, "vocoding": vocoding})
