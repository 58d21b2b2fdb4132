"""The training run: corpus -> batches -> step -> log -> validate -> checkpoint."""

import dataclasses
import math
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
from mindspore import nn
from tqdm import tqdm

import src
from src import create_model, runtime
from src.checkpoint import Checkpoint, load_checkpoint, load_optimizer, load_weights, match_embedding, prune, save_checkpoint
from src.config import Config
from src.dataset import Batch, Batches, Corpus
from src.errors import InputError
from src.files import write_atomically
from src.segments import SegmentBatch, Segments
from src.train.interruption import Interruption
from src.train.log import TrainingLog
from src.train.schedule import learning_rate
from src.train.step import StepResult, TrainStep
from src.train.task import create_task


class Diverged(RuntimeError):
    """Training cannot go on: too many steps in a row whose loss or gradient was not finite."""


@dataclass
class Progress:
    """Where a run is. Saved in each checkpoint, so that a resumed run starts with the very next batch."""

    step: int = 0  # optimiser steps taken
    epoch: int = 0
    batch: int = 0  # batches of this epoch that were used
    skipped_steps: int = 0  # batches of the whole run whose loss or gradient was not finite
    bad_steps_in_a_row: int = 0
    best_val_loss: float | None = None


@dataclass
class Outcome:
    """How a run ended."""

    progress: Progress
    checkpoint: Path  # the newest
    stopped_by: signal.Signals | None = None  # None: all steps done, or the target reached


class Training:
    """A run that trains a network into `output_dir`: `config.yaml`, `log.jsonl`, pictures and checkpoints.

    Args:
        data_path: folder made by scripts/preprocess.py.
        resume: the checkpoint of `output_dir` to go on from.
        warm_start: checkpoint whose weights to begin with; optimiser and step start afresh. Without effect when resuming.
        ignore_layers: parameters that `warm_start` leaves freshly initialised; see `src.checkpoint.load_weights`.

    Raises:
        InputError: data, folder or checkpoint that cannot be used.
    """

    def __init__(
        self,
        config: Config,
        data_path: str | Path,
        output_dir: str | Path,
        resume: Checkpoint | None = None,
        warm_start: str | Path | None = None,
        ignore_layers: Sequence[str] = (),
    ):
        self.config, self.output_dir, self.data_path = config, Path(output_dir), Path(data_path).resolve()
        settings, self.task = config.train, create_task(config)
        if resume is None and self.output_dir.is_dir() and any(self.output_dir.iterdir()):
            raise InputError(
                f"{output_dir}: is not empty; go on with the run in it by --resume {output_dir}, or choose another --output_dir"
            )
        self.corpus, val_corpus = Corpus(data_path, "train"), Corpus(data_path, "val")
        self.corpus.check(config)
        self.batches = self.task.batches(self.corpus)
        self.progress = _restore_progress(resume, self.batches) if resume else Progress()

        # The step is part of the seed, or a resumed run would draw the dropout of its first steps once more.
        device = runtime.setup(settings.seed + self.progress.step)
        self.net = create_model(config=config)
        self.step = TrainStep(self.net, self.task.forward(self.net), settings)
        self.validate = self.task.validator(self.net, val_corpus)
        if resume:
            load_weights(self.net, resume)
            load_optimizer(self.step.optimizer, resume)
            self._restore_best()
        warm = self._warm_start(warm_start, ignore_layers) if warm_start and not resume else None

        _make_output_dir(self.output_dir, config)
        self.log = TrainingLog(self.output_dir / "log.jsonl")
        self.log.cut(self.progress.step, self.progress.skipped_steps)
        if warm:
            self.log.write(**self._where(), **warm)
        # A first checkpoint shows at once whether there is room for it, and from then on every run can be resumed.
        self.newest = resume.path if resume else self._save_numbered()
        n_parameters = sum(weight.size for weight in self.net.trainable_params())
        print(
            f"{config.model.name} {src.__version__}, MindSpore {ms.__version__}, {device}: {n_parameters / 1e6:.2f} M parameters; "
            f"{self.batches}, {len(val_corpus)} to validate; from step {self.progress.step}",
            flush=True,
        )

    def run(self, target_val_loss: float | None = None) -> Outcome:
        """Train until `train.max_steps`, until a validation loss is not above `target_val_loss`, or until SIGINT or SIGTERM.

        In all three cases a checkpoint is written at the end.

        Raises:
            Diverged: `train.max_bad_steps` steps in a row were not finite.
            InputError: a file cannot be written (disk full).
        """
        settings, progress = self.config.train, self.progress
        if progress.step >= settings.max_steps:
            print(f"all {settings.max_steps} steps are done; raise train.max_steps to train on")
            return Outcome(progress, self.newest)
        speed, reached = Speed(), False
        with Interruption() as interruption, _progress_bar(progress.step, settings.max_steps) as bar:
            for batch in _all_batches(self.batches, progress):
                lr = learning_rate(progress.step, settings)
                result = self.step(self.task.inputs(batch, progress.step), lr)
                speed.count(batch.frames)
                if result.updated:
                    progress.step += 1
                    progress.bad_steps_in_a_row = 0
                    bar.update()
                    bar.set_postfix(loss=f"{result.loss:.4f}", lr=f"{lr:.1e}", step_time=f"{speed.step_time:.2f}s", refresh=False)
                else:
                    self._skip(batch, bar)

                done = progress.step >= settings.max_steps
                if result.updated and (progress.step % settings.log_every == 0 or progress.step == 1 or done):
                    self._log_step(result, lr, speed)
                if done or self._is_due(settings.validate_every, result.updated):
                    reached = self._validate(bar) <= (-math.inf if target_val_loss is None else target_val_loss)
                stop = done or reached or interruption.signal is not None
                if stop or self._is_due(settings.checkpoint_every, result.updated):
                    self.newest = self._save_numbered()
                    prune(self.output_dir, settings.keep_checkpoints)
                if stop:
                    return Outcome(progress, self.newest, None if done or reached else interruption.signal)
                speed.resume()
        raise AssertionError("there is always another batch")

    def _warm_start(self, path: str | Path, ignore_layers: Sequence[str]) -> dict[str, str | list[str]]:
        """Begin with the weights of another run, whose symbols may be others, and return a row for the log that says what is fresh."""
        checkpoint, fresh_symbols, unused_symbols = match_embedding(self.net, self.config, load_checkpoint(path))
        fresh = load_weights(self.net, checkpoint, ignore_layers)
        print(f"warm start from {path}; freshly initialised: {', '.join(fresh) or 'nothing'}")
        if "embedding" in fresh:
            fresh_symbols = unused_symbols = []
        elif checkpoint.symbols != self.config.text.symbols:
            print(
                "its symbols are others, so embeddings are copied symbol by symbol; "
                f"freshly initialised: {' '.join(fresh_symbols) or 'none'}; not used: {' '.join(unused_symbols) or 'none'}"
            )
        return {"warm_start": str(path), "fresh": fresh, "fresh_symbols": fresh_symbols, "unused_symbols": unused_symbols}

    def _restore_best(self) -> None:
        """`best.ckpt` may be newer than the checkpoint that is resumed from; a worse one must not take its place."""
        if (self.output_dir / "best.ckpt").exists():
            best = load_checkpoint(self.output_dir / "best.ckpt").extra["best_val_loss"]
            self.progress.best_val_loss = min(best, self.progress.best_val_loss or best)

    def _is_due(self, every: int, updated: bool) -> bool:
        if every == 0:
            return self.progress.batch == len(self.batches)
        return updated and self.progress.step % every == 0

    def _where(self) -> dict[str, int]:
        return {"step": self.progress.step, "epoch": self.progress.epoch, "skipped_steps": self.progress.skipped_steps}

    def _log_step(self, result: StepResult, lr: float, speed: "Speed") -> None:
        measured = {**dict(zip(self.task.losses, result.losses, strict=True)), "grad_norm": result.grad_norm, "lr": lr}
        self.log.write(**self._where(), **measured, step_time_s=speed.step_time, frames_per_s=speed.frames_per_second)
        speed.reset()

    def _skip(self, batch: Batch | SegmentBatch, bar: tqdm) -> None:
        progress, limit = self.progress, self.config.train.max_bad_steps
        progress.skipped_steps += 1
        progress.bad_steps_in_a_row += 1
        self.log.write(**self._where(), skipped_clips=[self.corpus.ids[index] for index in batch.indices])
        counts = f"{progress.skipped_steps} in this run, {progress.bad_steps_in_a_row} in a row"
        bar.write(f"after step {progress.step}: loss or gradient is not finite; the batch is skipped ({counts})")
        if progress.bad_steps_in_a_row >= limit:
            raise Diverged(
                f"stopped after step {progress.step}: loss or gradient was not finite in {limit} batches in a row (train.max_bad_steps); "
                f"try a lower train.lr or train.grad_clip; newest checkpoint: {self.newest}"
            )

    def _validate(self, bar: tqdm) -> float:
        progress, validation = self.progress, self.validate()
        self.log.write(**self._where(), **validation.numbers)
        bar.write(f"step {progress.step}: {validation}")
        self.task.save_example(validation, self.output_dir, progress.step)
        if math.isfinite(validation.loss) and (progress.best_val_loss is None or validation.loss < progress.best_val_loss):
            progress.best_val_loss = validation.loss
            self._save("best.ckpt")
        return validation.loss

    def _save_numbered(self) -> Path:
        return self._save(f"{self.config.model.name}-{self.progress.step}.ckpt", self.step.optimizer)

    def _save(self, name: str, optimizer: nn.Optimizer | None = None) -> Path:
        extra = {**dataclasses.asdict(self.progress), "order": self.batches.order, "data_path": str(self.data_path)}
        save_checkpoint(self.output_dir / name, self.net, self.config, extra.pop("step"), extra.pop("epoch"), optimizer, extra)
        return self.output_dir / name


class Speed:
    """Time and frames of the steps since the last row of the log, without validations and checkpoints."""

    def __init__(self):
        self.reset()
        self.resume()

    def reset(self) -> None:
        """Begin a new row of the log."""
        self.seconds, self.frames, self.steps = 0.0, 0, 0

    def resume(self) -> None:
        """The clock runs from here."""
        self.began = time.perf_counter()

    def count(self, frames: int) -> None:
        """A step over `frames` mel frames is over."""
        self.seconds += time.perf_counter() - self.began
        self.frames, self.steps = self.frames + frames, self.steps + 1

    @property
    def step_time(self) -> float:
        """Mean seconds of a step, waiting for data included."""
        return self.seconds / self.steps

    @property
    def frames_per_second(self) -> float:
        """Real mel frames trained on per second."""
        return self.frames / self.seconds


def _all_batches(batches: Batches | Segments, progress: Progress) -> Iterator[Batch | SegmentBatch]:
    """Batch after batch, epoch after epoch, from where `progress` is; counts in it what was handed out."""
    while True:
        for batch in batches.epoch(progress.epoch, progress.batch):
            progress.batch += 1
            yield batch
        progress.epoch, progress.batch = progress.epoch + 1, 0


def _restore_progress(checkpoint: Checkpoint, batches: Batches | Segments) -> Progress:
    state = {"step": checkpoint.step, "epoch": checkpoint.epoch, **checkpoint.extra}
    progress = Progress(**{field.name: state[field.name] for field in dataclasses.fields(Progress) if field.name in state})
    if state.get("order") != batches.order:
        print("the data or its batches are not those of the checkpoint; going on with a fresh epoch")
        progress.epoch, progress.batch = progress.epoch + 1, 0
    return progress


def _make_output_dir(output_dir: Path, config: Config) -> None:
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output_dir}: cannot be made ({error.strerror})") from error
    write_atomically(output_dir / "config.yaml", config.to_yaml().encode())


def _progress_bar(step: int, max_steps: int) -> tqdm:
    # A file instead of a terminal gets a line now and then.
    interval = 0.2 if sys.stderr.isatty() else 30.0
    return tqdm(total=max_steps, initial=step, unit="step", dynamic_ncols=True, mininterval=interval, maxinterval=2 * interval)
