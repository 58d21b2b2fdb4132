"""A network that compiles in a second, a corpus of a few clips, and train.py on this network (`main`).

The environment variables KILL_AT_STEP, TERMINATE_AT_STEP and INTERRUPT_AT_STEP make the process send itself SIGKILL,
SIGTERM or SIGINT in that step.
"""

import dataclasses
import json
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from tqdm import tqdm

import train
from src import runtime
from src.audio import mel_signature
from src.cli import run
from src.config import Config, load_config
from src.data.corpus import FORMAT, write_split
from src.models.layers import BatchNorm, Linear, sync_batch_norm, uniform
from src.models.ops import length_mask
from src.train import loop
from src.train.step import TrainStep

ROOT = Path(__file__).resolve().parents[1]
N_MELS = 4
SETTINGS = {
    "audio.n_mels": N_MELS,
    "model.encoder_dim": 8,
    "data.n_buckets": 2,
    "train.batch_size": 3,
    "train.max_steps": 10,
    "train.lr": 0.01,
    "train.log_every": 1,
    "train.validate_every": 5,
    "train.checkpoint_every": 4,
}

# The real network, tiny and without dropout.
PARTS = ("encoder", "prenet", "attention_rnn", "attention", "decoder_rnn", "postnet")
TINY = {f"model__{part}_dim": 8 for part in PARTS}
TINY |= {f"model__{part}_dropout": 0.0 for part in ("encoder", "prenet", "attention", "decoder", "postnet")}


class ToyNetwork(nn.Cell):
    """Inputs and outputs of Tacotron 2 with r = 1, without recurrence and dropout."""

    def __init__(self, config: Config):
        super().__init__()
        width, n_mels = config.model.encoder_dim, config.audio.n_mels
        self.config = config
        self.embedding = Parameter(uniform((config.model.n_symbols, width), 1.0), name="embedding")
        # No bias: batch norm would remove it, and Adam would amplify the rounding of its gradient.
        self.encoder = Linear(n_mels, width, bias=False)
        self.norm = BatchNorm(width)
        self.decoder = Linear(width, n_mels + 1)

    def construct(self, text: Tensor, text_lengths: Tensor, mel_target: Tensor, mel_lengths: Tensor):
        mask = length_mask(mel_lengths, mel_target.shape[2]).expand_dims(2)  # (B, T, 1)
        hidden = ops.tanh(self.norm(self.encoder(mel_target.swapaxes(1, 2)) * mask, mask))  # (B, T, W)
        energies = ops.matmul(hidden, ops.gather(self.embedding, text, 0).swapaxes(1, 2))  # (B, T, L)
        text_mask = length_mask(text_lengths, text.shape[1]).expand_dims(1)
        alignments = ops.softmax(energies - 1e4 * (1 - text_mask), -1)
        context = ops.matmul(alignments, ops.gather(self.embedding, text, 0))
        outputs = self.decoder(hidden + context).swapaxes(1, 2)  # (B, n_mels + 1, T)
        n_mels = outputs.shape[1] - 1
        return outputs[:, :n_mels], outputs[:, :n_mels] * 1.0, outputs[:, n_mels], alignments


def create_toy_network(config: Config) -> ToyNetwork:
    runtime.setup()
    net = ToyNetwork(config)
    sync_batch_norm(net, runtime.all_reduce())
    return net


def toy_config(**overrides) -> Config:
    return load_config(overrides=SETTINGS | {key.replace("__", "."): value for key, value in overrides.items()})


def write_corpus(folder: Path, n_train: int = 8, n_val: int = 5, spoiled: tuple[int, ...] = (), **audio) -> Path:
    """Clips of 5 to 60 frames; those of `train` with the numbers `spoiled` hold a NaN."""
    folder.mkdir(parents=True)
    files = {}
    for seed, (split, n_clips) in enumerate({"train": n_train, "val": n_val}.items()):
        random = np.random.default_rng(seed)
        texts = [random.integers(1, 148, n).tolist() for n in random.integers(3, 20, n_clips)]
        mels = [random.standard_normal((n, N_MELS)).astype(np.float32) for n in random.integers(5, 60, n_clips)]
        for clip in spoiled if split == "train" else ():
            mels[clip][2, 1] = np.nan
        ids = [f"{split}-{i}" for i in range(n_clips)]
        files[split] = {"files": write_split(folder, split, ids, ids, texts, mels, 1)[0]}
    signature = mel_signature(dataclasses.replace(toy_config().audio, **audio))
    stats = {
        "format": FORMAT,
        "mel_signature": signature,
        "cleaner": "english_cleaners",
        "n_symbols": 148,
        "splits": files,
    }
    (folder / "stats.json").write_text(json.dumps(stats))
    return folder


def read_log(output_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (output_dir / "log.jsonl").read_text().splitlines()]


def without_times(rows: list[dict]) -> list[dict]:
    """Rows of a log without times, which differ from run to run."""
    times = ("step_time_s", "data_wait_s", "frames_per_s")
    return [{key: value for key, value in row.items() if key not in times} for row in rows if "compiled" not in row]


def flags(**overrides) -> list[str]:
    """SETTINGS and `overrides` as command-line flags."""
    settings = SETTINGS | {key.replace("__", "."): value for key, value in overrides.items()}
    return [text for key, value in settings.items() for text in (f"--{key}", str(value))]


class SignallingStep(TrainStep):
    """Sends its own process a signal just before the step that an environment variable names."""

    calls = 0

    def __call__(self, *arguments):
        self.calls += 1
        for name, number in (("KILL", signal.SIGKILL), ("TERMINATE", signal.SIGTERM), ("INTERRUPT", signal.SIGINT)):
            if os.environ.get(f"{name}_AT_STEP") == str(self.calls):
                os.kill(os.getpid(), number)
        return super().__call__(*arguments)


def main() -> None:
    """Run train.py on the toy network.

    Call it by `python -c`: MindSpore looks for a network's functions in an importable module.
    """
    loop.create_model = create_toy_network
    loop.TrainStep = SignallingStep
    run(train.main)


def start(*arguments: object, output: Path, watched: Path | None = None) -> tuple[BaseProcess, Connection]:
    """Run `main` in a process forked from one that has imported everything, which saves seconds.

    Args:
        output: file for its output.
        watched: a folder; before the process opens, renames or deletes a file there, it says so and waits.

    Returns:
        The process, and the pipe for these messages.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "matplotlib.backends.backend_agg"])
    here, there = context.Pipe()
    process = context.Process(target=_forked, args=(list(map(str, arguments)), output, watched and str(watched), there))
    process.start()
    there.close()
    return process, here


def _forked(arguments: list[str], output: Path, watched: str | None, pipe: Connection) -> None:
    def tell(event: str, details: tuple) -> None:
        if event in ("open", "os.rename", "os.remove") and watched in str(details[0]):
            pipe.send(event)
            pipe.recv()

    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["train.py", *arguments]
    tqdm.set_lock(threading.RLock())  # its default is a semaphore of the system, which outlives a killed process
    if watched:
        sys.addaudithook(tell)
    main()
