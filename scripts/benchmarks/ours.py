"""Worker of scripts/benchmark.py for this repository.

It runs the training step of train.py, the free running and vocoder of eval.py, and the files of export.py as they are.
"""

import functools
import itertools
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import mindspore as ms
import numpy as np
from mindspore import Tensor

from benchmarks import ceilings
from benchmarks.worker import serve
from src import runtime
from src.audio import load_wav, mel_spectrogram
from src.checkpoint import save_checkpoint
from src.cli import run as run_script
from src.config import load_config
from src.data.batches import Batch
from src.export.mindir import load_mindir
from src.export.writing import export
from src.models.factory import create_model
from src.models.sampling import item_seed, prenet_dropout_mask
from src.models.tacotron2.model import Tacotron2
from src.train.step import TrainStep
from src.train.tacotron2 import Tacotron2Task


def training(config: dict, seed: int, batch_size: int, n_frames: int, length: int) -> Callable[[], None]:
    """Prepare a training step. The first run compiles it."""
    step, make_inputs, lr = _step(config, seed, batch_size, n_frames, length)
    runs = itertools.count()

    def run() -> None:
        inputs = make_inputs()
        if next(runs) == 0:
            step.compile([inputs])
        if not step([inputs], lr).updated:
            raise ArithmeticError("the loss or the gradient is not finite")
        ms.runtime.synchronize()

    return run


def compiling(config: dict, seed: int, batch_size: int, n_frames: int, length: int) -> Callable[[], None]:
    """Prepare a training step. A run compiles it, as train.py does before its first step."""
    step, make_inputs, _ = _step(config, seed, batch_size, n_frames, length)
    return lambda: step.compile([make_inputs()])


def _step(
    config: dict, seed: int, batch_size: int, n_frames: int, length: int
) -> tuple[TrainStep, Callable[[], tuple], float]:
    """The training step of a fresh network, a function that makes the inputs of a random batch, the learning rate."""
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
        speakers=np.zeros(batch_size, np.int32),
    )
    return step, lambda: task.inputs(batch, 0), config.train.lr


def free_running(config: dict, seed: int, batch_size: int, n_frames: int, length: int) -> Callable[[], None]:
    """Prepare free running. A run speaks `n_frames` frames per text."""
    net, text, text_lengths = _speaker(config, seed, batch_size, n_frames, length)
    text, text_lengths, config = Tensor(text), Tensor(text_lengths), net.config

    def run() -> None:
        speech = net.generate(text, text_lengths, seed)
        if speech.mel.shape != (batch_size, config.audio.n_mels, n_frames):
            raise AssertionError(f"spoke {speech.mel.shape}")

    return run


def free_running_onnx(
    config: dict, seed: int, batch_size: int, n_frames: int, length: int, precision: str = "float32"
) -> Callable[[], None]:
    """Prepare free running by ONNX Runtime, as `free_running`, with weights of a precision."""
    from src.export.onnx.inference import OnnxTacotron2  # noqa: PLC0415  (needs onnxruntime)
    from src.export.onnx.quantisation import quantise  # noqa: PLC0415

    net, text, text_lengths = _speaker(config, seed, batch_size, n_frames, length)
    config = net.config
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_checkpoint(folder / "fresh.ckpt", net, config)
        export(folder / "fresh.ckpt", "ONNX", folder, verify=False)
        if precision == "int8":
            quantise(folder / "decoder_step.onnx")
        onnx = OnnxTacotron2(folder)

    def run() -> None:
        mel = onnx.generate(text, text_lengths, [item_seed(seed, i) for i in range(batch_size)]).mel
        if mel.shape != (batch_size, config.audio.n_mels, n_frames):
            raise AssertionError(f"spoke {mel.shape}")

    return run


def exported(config: dict, seed: int, n_frames: int, length: int, file_format: str) -> Callable[[], None]:
    """Prepare files of export.py. A run speaks the text of `free_running` at batch size 1 with them."""
    net, text, text_lengths = _speaker(config, seed, 1, n_frames, length)
    config = net.config
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_checkpoint(folder / "fresh.ckpt", net, config)
        max_symbols = length if file_format == "MINDIR" else None
        files = export(folder / "fresh.ckpt", file_format, folder, max_symbols=max_symbols, verify=False)
        if file_format == "MINDIR":
            cell = load_mindir(files[0][0])
        else:
            from src.export.onnx.inference import OnnxTacotron2  # noqa: PLC0415  (needs onnxruntime)

            onnx = OnnxTacotron2(folder)

    def run() -> None:
        if file_format == "MINDIR":
            dropout_mask = prenet_dropout_mask(config.model, [item_seed(seed, 0)], n_frames)
            inputs = (text, text_lengths, dropout_mask) if config.model.prenet_dropout else (text, text_lengths)
            mel = cell(*map(Tensor, inputs))[0].asnumpy()
        else:
            mel = onnx.generate(text, text_lengths, [item_seed(seed, 0)]).mel
        if mel.shape != (1, config.audio.n_mels, n_frames):
            raise AssertionError(f"spoke {mel.shape}")

    return run


def _speaker(
    config: dict, seed: int, batch_size: int, n_frames: int, length: int
) -> tuple[Tacotron2, np.ndarray, np.ndarray]:
    """A fresh network that speaks `n_frames` frames of every text, and texts for it.

    No fresh gate is as sure as the threshold, and the attention's stop rule needs more frames than there are.
    """
    limits = {
        "model.gate_threshold": 0.999999,
        "model.attention_stop_frames": n_frames + 1,
        "model.max_decoder_steps": n_frames,
    }
    config = load_config(config, limits)
    runtime.setup(seed)
    text = np.random.default_rng(seed).integers(1, config.model.n_symbols, (batch_size, length), np.int32)
    return create_model(config=config), text, np.full(batch_size, length, np.int32)


def vocoding(config: dict, seed: int, n_frames: int, by_onnx: bool = False) -> Callable[[], None]:
    """Prepare WaveGlow. A run turns `n_frames` frames into sound; without ONNX Runtime, the first run compiles."""
    config = load_config(config)
    runtime.setup(seed)
    net = create_model(config=config)
    if by_onnx:
        from src.export.onnx.inference import OnnxWaveGlow  # noqa: PLC0415  (needs onnxruntime)

        with tempfile.TemporaryDirectory() as name:
            save_checkpoint(Path(name, "fresh.ckpt"), net, config)
            export(Path(name, "fresh.ckpt"), "ONNX", Path(name), verify=False)
            net = OnnxWaveGlow(Path(name))
    net.remove_weight_norm()
    mel = np.random.default_rng(seed).standard_normal((1, config.audio.n_mels, n_frames), np.float32)

    def run() -> None:
        audio = net.infer(mel, seed=seed)
        if audio.shape != (1, n_frames * config.audio.hop_length):
            raise AssertionError(f"made {audio.shape}")

    return run


def mel(folder: str, config: dict) -> Callable[[], None]:
    """Prepare preprocessing. A run reads each wav of `folder` and makes its mel, as a process of preprocess.py does."""
    audio = load_config(config).audio
    paths = sorted(Path(folder).glob("*.wav"))

    def run() -> None:
        for path in paths:
            mel_spectrogram(load_wav(path, audio.sample_rate), audio)

    return run


def main() -> None:
    """Answer requests, with free running by the runtime that is chosen."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", choices=["mindspore", "onnx"], default="mindspore")
    parser.add_argument("--precision", choices=["float32", "int8"], default="float32")
    arguments = parser.parse_args()
    by_onnx = functools.partial(free_running_onnx, precision=arguments.precision)
    tasks = {
        "training": training,
        "compiling": compiling,
        "free_running": by_onnx if arguments.runtime == "onnx" else free_running,
        "exported": exported,
        "vocoding": functools.partial(vocoding, by_onnx=arguments.runtime == "onnx"),
        "mel": mel,
        "reading": ceilings.reading,
        "limits": ceilings.limits,
    }
    serve(tasks)


if __name__ == "__main__":
    run_script(main)
