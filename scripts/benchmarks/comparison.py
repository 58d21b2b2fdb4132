"""The measurements of scripts/benchmark.py, row by row."""

import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import start
from benchmarks.limits import Limits
from benchmarks.process import (
    COMPILED,
    INT8,
    MEL,
    ONNX,
    OURS,
    PEER,
    PLAIN,
    Worker,
    alternate,
    commands,
    prepare,
)
from benchmarks.report import Row
from src.config import Config, WaveGlowConfig, load_config
from src.errors import InputError
from src.hub.card import shipped_voice

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / "config/tacotron2_small.yaml"
LIGHT_WAVEGLOW = ROOT / "config/waveglow_light.yaml"
FORMATS = {"MINDIR": "MINDIR", "ONNX Runtime": "ONNX"}
NAMES = {OURS: "", ONNX: "onnx", INT8: "int8", PEER: "", COMPILED: "against_compiled"}
READING = "reading and FFT"
QUICK_ROWS = ("training", "free_running", "vocoding", "preprocessing")
ROWS = (*QUICK_ROWS, "light_vocoding", "compilation", "start", "exported")


class Benchmark:
    """The measurements, row by row."""

    def __init__(self, arguments: Namespace, config: dict[str, Any]):
        self.commands = commands(arguments)
        self.arguments, self.config = arguments, config
        self.limits: Limits | None = None

    def measure_limits(self) -> Limits:
        """Measure what binds on this machine; each later row has its fraction of its limit."""
        batch_size, n_frames, _ = self.arguments.shapes[-1]
        task = {"config": self.config, "seed": self.config["train"]["seed"]}
        with Worker(self.commands[OURS]) as worker:
            worker.ask("prepare", task="limits", arguments={**task, "batch_size": batch_size, "n_frames": n_frames})
            self.limits = Limits(worker.ask("run")["limits"], load_config(self.config))
        return self.limits

    def versions(self) -> dict[str, str]:
        """Versions of both sides. Fails early if the peer cannot run, or a package for a later row is missing."""
        ours = {}
        if set(self.arguments.rows or ()) & {"light_vocoding", "start", "exported"} or not self.arguments.quick:
            shipped_voice()
            try:
                ours = {name: import_module(name).__version__ for name in ("onnx", "onnxruntime")}
            except ImportError as error:
                raise InputError(f"{error.name} is missing here: pip install -r requirements-onnx.txt") from error
        with Worker(self.commands[PEER]) as worker:
            peer = worker.ask("versions")["versions"]
        return {"mindspore": version("mindspore"), **ours, **peer}

    def rows(self) -> Iterator[Row]:
        """Measure the comparisons that `arguments.rows` chooses."""
        wanted = self.arguments.rows or (QUICK_ROWS if self.arguments.quick else ROWS)
        for name in wanted:
            yield from getattr(self, f"_{name}")()

    def _training(self) -> Iterator[Row]:
        for shape in self.arguments.shapes:
            yield from self._training_step(*shape, memory=shape == self.arguments.shapes[-1])

    def _training_step(self, batch_size: int, n_frames: int, length: int, memory: bool) -> Iterator[Row]:
        size, name = f"B {batch_size}, T {n_frames}, L {length}", f"b{batch_size}_t{n_frames}_l{length}"
        title, limit = f"training step, {size}", self.limits and self.limits.training(batch_size, n_frames, length)
        peers = [PEER] if self.arguments.quick or memory else [PEER, COMPILED]  # compilation takes memory and minutes
        with ExitStack() as stack:
            sides = {side: (side, batch_size, n_frames, length) for side in (OURS, *peers)}
            workers = prepare(stack, self.commands, "training", self.config, sides)
            samples = alternate(workers, self.arguments.repeats, title)
            for peer in peers:
                pair = {side: samples[side] for side in (OURS, peer)}
                yield Row("_".join(filter(None, ("training_step", name, NAMES[peer]))), title, "s", pair, limit)
            if memory:  # these processes have done nothing but this
                peaks = {side: [worker.ask("peak_memory")["gib"]] for side, worker in workers.items()}
                yield Row(f"training_peak_memory_{name}", f"peak memory, {size}", "GiB", peaks)

    def _free_running(self) -> Iterator[Row]:
        n_frames, length, repeats = (
            self.arguments.frames,
            self.arguments.text_length,
            self.arguments.free_running_repeats,
        )
        runners = [OURS, PEER] if self.arguments.quick else [OURS, ONNX, INT8, PEER, COMPILED]
        sides = {f"{side}, batch {n}": (side, n, n_frames, length) for n in (1, 8) for side in runners}
        with ExitStack() as stack:
            workers = prepare(stack, self.commands, "free_running", self.config, sides)
            samples = alternate(workers, repeats, "free running")
        # Milliseconds for a frame of one text.
        frame = {label: [1e3 * seconds / (n_frames * sides[label][1]) for seconds in samples[label]] for label in sides}

        def row(ours: str, n_ours: int, peer: str, n_peer: int) -> Row:
            name = "_".join(filter(None, ("free_running", NAMES[ours], f"batch_{n_ours}", NAMES[peer])))
            name += f"_against_batch_{n_peer}" if n_peer != n_ours else ""
            pair = {label: frame[label] for label in (f"{ours}, batch {n_ours}", f"{peer}, batch {n_peer}")}
            limit = self.limits and self.limits.free_running(n_ours, 1 if ours == INT8 else 4)
            return Row(name, f"free running, {n_frames} frames, a frame", "ms", pair, limit)

        for n_ours, n_peer in ((1, 1), (8, 1), (8, 8)):
            yield row(OURS, n_ours, PEER, n_peer)
        for peer in runners[3:]:
            for ours in (ONNX, INT8):
                yield from (row(ours, n, peer, n) for n in (1, 8))

    def _compilation(self) -> Iterator[Row]:
        """Compile the training step in new processes, at two lengths; the largest batch shows growth best."""
        length, batch_size = self.arguments.text_length, self.arguments.shapes[-1][0]
        frames = sorted(self.arguments.compile_frames, reverse=True)
        sides = {f"{OURS}, T {n_frames}": (OURS, batch_size, n_frames, length) for n_frames in frames}
        samples: dict[str, list[float]] = {label: [] for label in sides}
        for _ in tqdm(range(self.arguments.compile_repeats), desc="compilation", leave=False):
            with ExitStack() as stack:
                for label, worker in prepare(stack, self.commands, "compiling", self.config, sides).items():
                    samples[label].append(worker.ask("run")["seconds"])
        yield Row("compile_time", f"compiling the training step, B {batch_size}, L {length}", "s", samples)

    def _vocoding(self) -> Iterator[Row]:
        """WaveGlow with fresh weights, without weight norm, on one mel spectrogram; per second of sound."""
        n_frames, config = self.arguments.vocoder_frames, Config(model=WaveGlowConfig())
        task = {"config": config.to_dict(), "seed": config.train.seed, "n_frames": n_frames}
        request = {"task": "vocoding", "arguments": task}
        with ExitStack() as stack:
            workers = {side: stack.enter_context(Worker(self.commands[side])) for side in (OURS, PLAIN)}
            for worker in workers.values():
                worker.ask("prepare", **request)
            samples = alternate(workers, self.arguments.vocoder_repeats, "vocoder")
        seconds = n_frames * config.audio.hop_length / config.audio.sample_rate
        samples = {side: [sample / seconds for sample in samples[side]] for side in workers}
        limit = self.limits and self.limits.vocoding(config, n_frames)
        title = f"WaveGlow, {n_frames} frames, a second of sound"
        yield Row(f"waveglow_{n_frames}_frames", title, "s", samples, limit)

    def _light_vocoding(self) -> Iterator[Row]:
        """The light WaveGlow with fresh weights on one mel, by its graph and by its ONNX file; per second of sound."""
        n_frames, config = self.arguments.vocoder_frames, load_config(LIGHT_WAVEGLOW)
        task = {"config": config.to_dict(), "seed": config.train.seed, "n_frames": n_frames}
        with ExitStack() as stack:
            workers = {side: stack.enter_context(Worker(self.commands[side])) for side in (OURS, ONNX)}
            for worker in workers.values():
                worker.ask("prepare", task="vocoding", arguments=task)
            samples = alternate(workers, self.arguments.free_running_repeats, "light vocoder")
        seconds = n_frames * config.audio.hop_length / config.audio.sample_rate
        samples = {side: [sample / seconds for sample in samples[side]] for side in workers}
        limit = self.limits and self.limits.vocoding(config, n_frames)
        yield Row(
            f"light_waveglow_{n_frames}_frames",
            f"light WaveGlow, {n_frames} frames, a second of sound",
            "s",
            samples,
            limit,
        )

    def _preprocessing(self) -> Iterator[Row]:
        """Make mel spectrograms of wavs, in one process on one thread."""
        config = load_config(SMALL)
        folder, audio = str(ROOT / "demo_corpus/wavs"), config.audio
        sizes = {name: getattr(audio, name) for name in ("n_fft", "hop_length", "win_length", "n_mels")}
        arguments = {OURS: {"config": config.to_dict()}, MEL: sizes}
        with ExitStack() as stack:
            one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            workers = {side: stack.enter_context(Worker(self.commands[side], **one_thread)) for side in arguments}
            for side, worker in workers.items():
                worker.ask("prepare", task="mel", arguments={"folder": folder, **arguments[side]})
            if self.limits:
                least = workers[READING] = stack.enter_context(Worker(self.commands[OURS], **one_thread))
                least.ask("prepare", task="reading", arguments={"folder": folder, **arguments[OURS]})
            samples = alternate(workers, self.arguments.free_running_repeats, "preprocessing")
        limit = self.limits and self.limits.preprocessing(samples.pop(READING))
        n_clips = len(list(Path(folder).glob("*.wav")))
        yield Row("preprocessing", f"mel spectrograms of {n_clips} clips, one core", "s", samples, limit)

    def _start(self) -> Iterator[Row]:
        """Start eval.py and wait for its first wav: with an empty graph cache, and with what that start has cached."""
        samples: dict[str, list[float]] = {"second start": [], "first start": []}
        for _ in tqdm(range(self.arguments.compile_repeats), desc="start of eval.py", leave=False):
            with tempfile.TemporaryDirectory() as folder:
                for side in ("first start", "second start"):
                    samples[side].append(start.seconds_to_wav(Path(folder, "cache"), Path(folder, side)))
        yield Row("start", "eval.py, start to first wav", "s", samples)

    def _exported(self) -> Iterator[Row]:
        """Compare the files of export.py with the graph that they were made from, on the same sentence."""
        n_frames, length = self.arguments.frames, self.arguments.text_length
        request = {"config": self.config, "seed": self.config["train"]["seed"], "n_frames": n_frames, "length": length}
        with ExitStack() as stack:
            workers = {side: stack.enter_context(Worker(self.commands[OURS])) for side in (OURS, *FORMATS)}
            workers[OURS].ask("prepare", task="free_running", arguments={**request, "batch_size": 1})
            for side, file_format in FORMATS.items():
                workers[side].ask("prepare", task="exported", arguments={**request, "file_format": file_format})
            samples = alternate(workers, self.arguments.free_running_repeats, "exported files")
        frame = {side: [1e3 * seconds / n_frames for seconds in samples[side]] for side in samples}
        for side, file_format in FORMATS.items():
            title = f"{file_format} file, {n_frames} frames, a frame"
            yield Row(
                f"exported_{file_format.lower()}", title, "ms", {side: frame[side], f"{OURS}, graph": frame[OURS]}
            )
