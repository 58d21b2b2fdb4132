"""The training run: corpus -> batches -> step -> log -> validate -> checkpoint."""

import contextlib
import dataclasses
import itertools
import math
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import mindspore as ms
from mindspore import nn
from tqdm import tqdm

import src
from src import runtime
from src.checkpoint import (
    Checkpoint,
    content_sha256,
    load_checkpoint,
    load_optimizer,
    load_weights,
    match_embedding,
    network_parameters,
    save_checkpoint,
    snapshot,
)
from src.config import Config
from src.data.batches import Batch
from src.data.corpus import Corpus, DataLost
from src.data.segments import SegmentBatch
from src.errors import InputError
from src.files import claim_folder, write_atomically
from src.models.factory import create_model
from src.runtime.interruption import Interruption
from src.train.log import TrainingLog
from src.train.progress import Outcome, Progress, Speed
from src.train.reduction import reduced, with_reduction_factor
from src.train.run_folder import prune
from src.train.schedule import learning_rate
from src.train.step import StepResult, TrainStep
from src.train.task import create_task

RANK_LOGS = "logs"  # where the launcher keeps what the ranks print, in the output folder


class Diverged(RuntimeError):
    """Training cannot go on: too many steps in a row whose loss or gradient was not finite."""


class Training:
    """A run that trains a network into `output_dir`: `config.yaml`, `log.jsonl`, pictures and checkpoints.

    With several ranks each of them makes one of these; rank 0 alone prints and writes.

    Args:
        config: with the reduction factor that the run begins with.
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
        self.writes = runtime.rank() == 0
        self.log = TrainingLog(self.output_dir / "log.jsonl", config.train.tensorboard)
        if (
            self.writes
            and resume is None
            and self.output_dir.is_dir()
            and any(path.name != RANK_LOGS for path in self.output_dir.iterdir())
        ):
            raise InputError(
                f"{output_dir}: is not empty; go on with the run in it by --resume {output_dir}, or choose another --output_dir"
            )
        self.corpus, self.val_corpus = Corpus(data_path, "train"), Corpus(data_path, "val")
        self.corpus.check(config)
        self.progress = Progress.restore(resume) if resume else Progress()
        self.progress.scale_losses(config.train)
        device = self._build(resume)
        if resume and resume.extra.get("order") != self.batches.order:
            self._say("the data or its batches are not those of the checkpoint; going on with a fresh epoch")
            self.progress.begin_epoch()
        self._restore_best(resume)
        if not resume:
            self.task.initialise(self.net, self.corpus)
        warm = self._warm_start(warm_start, ignore_layers) if warm_start and not resume else None
        weights = {name: weight.asnumpy() for name, weight in network_parameters(self.net).items()}
        runtime.assert_equal(content_sha256(weights, {}), "initial weights")

        self.claim = claim_folder(self.output_dir) if self.writes else contextlib.nullcontext()
        if self.writes:
            write_atomically(self.output_dir / "config.yaml", config.to_yaml().encode())
            self.log.cut(self.progress.step, self.progress.skipped_steps)
        if warm:
            self._log(**warm)
        # A first checkpoint shows at once whether there is room for it, and from then on every run can be resumed.
        self.newest = resume.path if resume else self._save_numbered()
        n_parameters = sum(weight.size for weight in self.net.trainable_params())
        ranks = f" x {runtime.world_size()}" if runtime.world_size() > 1 else ""
        self._say(
            f"{config.model.name} {src.__version__}, MindSpore {ms.__version__}, {device}{ranks}, precision {config.train.amp}: "
            f"{n_parameters / 1e6:.2f} M parameters; {self.batches}, {len(self.val_corpus)} to validate; from step {self.progress.step}"
        )

    def run(self, target_val_loss: float | None = None) -> Outcome:
        """Train until `train.max_steps`, until a validation loss is not above `target_val_loss`, for `train.max_hours`, or until
        SIGINT or SIGTERM.

        In all cases a checkpoint is written at the end.

        Raises:
            Diverged: `train.max_bad_steps` steps in a row were not finite.
            InputError: a file cannot be written (disk full), or the data cannot be read any more.
        """
        settings, progress = self.config.train, self.progress
        if progress.step >= settings.max_steps:
            self._say(f"all {settings.max_steps} steps are done; raise train.max_steps to train on")
            return Outcome(progress, self.newest)
        deadline = time.monotonic() + 3600 * (settings.max_hours or math.inf)
        self._compile()
        speed, reached = Speed(), False
        with self.claim, self._resumable(), Interruption() as interruption, self._progress_bar() as bar:
            for batches in self._steps():
                speed.got_data()
                lr = learning_rate(progress.step, settings)
                inputs = [self.task.inputs(batch, progress.step) for batch in batches]
                result = self.step(inputs, lr, progress.loss_scale or 1.0)
                speed.count(sum(batch.frames for batch in batches))
                if result.updated:
                    self._advance(result, lr, speed, bar)
                else:
                    self._skip(batches)

                done = progress.step >= settings.max_steps
                if result.updated and (progress.step % settings.log_every == 0 or progress.step == 1 or done):
                    self._log_step(result, lr, speed)
                if done or self._is_due(settings.validate_every, result.updated):
                    reached = self._validate() <= (-math.inf if target_val_loss is None else target_val_loss)
                interrupted, terminated, out_of_time = runtime.total(
                    interruption.signal == signal.SIGINT,
                    interruption.signal == signal.SIGTERM,
                    time.monotonic() > deadline,
                )
                stop = done or reached or interrupted or terminated or out_of_time
                if stop or self._is_due(settings.checkpoint_every, result.updated):
                    self.newest = self._save_numbered()
                if stop:
                    runtime.total(0.0)  # a rank that left now would have the launcher end the one that still writes
                    stopped_by = signal.SIGTERM if terminated else signal.SIGINT if interrupted else None
                    finished = done or reached
                    return Outcome(progress, self.newest, finished, None if finished else stopped_by)
                speed.resume()
        raise AssertionError("there is always another batch")

    @contextlib.contextmanager
    def _resumable(self) -> Iterator[None]:
        """Let errors say how to go on. When the data is lost, what one rank has learnt since the last checkpoint is not; several ranks
        would have to agree on a step first."""
        try:
            yield
        except InputError as error:
            if isinstance(error, DataLost) and runtime.world_size() == 1:
                self.newest = self._save_numbered()
            raise InputError(
                f"{error}; once that is mended, --resume {self.output_dir} goes on from {self.newest.name}"
            ) from error

    def _build(self, checkpoint: Checkpoint | None) -> str:
        """Make network, optimiser, batches and validation as they are at this step, with the state of `checkpoint` or afresh.

        Returns the device's name.
        """
        settings, progress = self.config.train, self.progress
        # The step is part of the seed, or a resumed run would draw the dropout of its first steps once more.
        device = runtime.setup(settings.seed + progress.step)
        self.config_now = reduced(self.config, progress.step)
        self.task = create_task(self.config_now)
        self.batches = self.task.batches(self.corpus)
        self.net = create_model(config=self.config_now)
        runtime.seed_dropout(settings.seed + progress.step)
        self.step = TrainStep(self.net, self.task.forward(self.net), settings)
        self.validate = self.task.validator(self.net, self.val_corpus)
        if checkpoint:
            checkpoint = with_reduction_factor(checkpoint, self.config_now)
            load_weights(self.net, checkpoint)
            load_optimizer(self.step.optimizer, checkpoint)
        return device

    def _steps(self) -> Iterator[list[Batch | SegmentBatch]]:
        """What each optimiser step trains on, epoch after epoch, from where `progress` is; counts in it what was handed out.

        Between two steps, the network is made anew when its reduction factor falls.
        """
        progress = self.progress
        while True:
            left = self.batches.epoch(progress.epoch, progress.batch)
            while batches := list(itertools.islice(left, self.config.train.accumulate)):
                progress.batch += len(batches)
                yield batches
                if self._reduce():
                    left = self.batches.epoch(progress.epoch, progress.batch)
            progress.begin_epoch()

    def _reduce(self) -> bool:
        """Go on with the reduction factor that this step asks for; returns whether it is another one."""
        config = reduced(self.config, self.progress.step)
        if config == self.config_now:
            return False
        factor = config.model.reduction_factor
        before = self.config_now.model.reduction_factor
        self._say(
            f"step {self.progress.step}: the reduction factor falls from {before} to {factor}, and a new epoch begins"
        )
        self._log(reduction_factor=factor)
        self.progress.begin_epoch()  # its batches have other lengths
        self._build(snapshot(self.net, self.step.optimizer, self.config_now))
        self._compile()
        return True

    def _compile(self) -> None:
        """Make the step's graphs for all batch shapes, which costs the same now as later and less memory."""
        examples = [self.task.inputs(batch, 0) for batch in self.batches.examples()]
        shapes = [[list(value.shape) for value in inputs if value.shape] for inputs in examples]
        sizes = ", ".join(" ".join("x".join(map(str, shape)) for shape in batch) for batch in shapes)
        self._say(f"compiling graphs for batches of {sizes}")
        began = time.perf_counter()
        self.step.compile(examples)
        seconds = time.perf_counter() - began
        self._say(f"compiled in {seconds:.1f} s")
        self._log(compiled=shapes, compile_s=seconds)

    def _say(self, text: str) -> None:
        if self.writes:
            tqdm.write(text)
            sys.stdout.flush()

    def _log(self, **row: object) -> None:
        if self.writes:
            self.log.write(**self._where(), **row)

    def _advance(self, result: StepResult, lr: float, speed: Speed, bar: tqdm) -> None:
        self.progress.count_good()
        bar.update()
        bar.set_postfix(loss=f"{result.loss:.4f}", lr=f"{lr:.1e}", step_time=f"{speed.step_time:.2f}s", refresh=False)

    def _warm_start(self, path: str | Path, ignore_layers: Sequence[str]) -> dict[str, str | list[str]]:
        """Begin with the weights of another run, whose symbols may be others, and return a row for the log that says what is fresh."""
        trained = with_reduction_factor(load_checkpoint(path), self.config_now)
        checkpoint, fresh_symbols, unused_symbols = match_embedding(self.net, self.config, trained)
        fresh = load_weights(self.net, checkpoint, ignore_layers)
        self._say(f"warm start from {path}; freshly initialised: {', '.join(fresh) or 'nothing'}")
        if "embedding" in fresh:
            fresh_symbols = unused_symbols = []
        elif checkpoint.symbols != self.config.text.symbols:
            self._say(
                "its symbols are others, so embeddings are copied symbol by symbol; "
                f"freshly initialised: {' '.join(fresh_symbols) or 'none'}; not used: {' '.join(unused_symbols) or 'none'}"
            )
        return {
            "warm_start": str(path),
            "fresh": fresh,
            "fresh_symbols": fresh_symbols,
            "unused_symbols": unused_symbols,
        }

    def _restore_best(self, resume: Checkpoint | None) -> None:
        """`best.ckpt` may be newer than the checkpoint that is resumed from; a worse one must not take its place."""
        if resume and (self.output_dir / "best.ckpt").exists():
            try:
                best = load_checkpoint(self.output_dir / "best.ckpt").extra["best_val_loss"]
            except InputError as error:
                warnings.warn(f"{error}; the next validation writes it anew", stacklevel=2)
                self.progress.best_val_loss = None
            else:
                self.progress.best_val_loss = min(best, self.progress.best_val_loss or best)

    def _is_due(self, every: int, updated: bool) -> bool:
        if every == 0:
            return self.progress.batch == len(self.batches)
        return updated and self.progress.step % every == 0

    def _where(self) -> dict[str, int]:
        return {"step": self.progress.step, "epoch": self.progress.epoch, "skipped_steps": self.progress.skipped_steps}

    def _log_step(self, result: StepResult, lr: float, speed: Speed) -> None:
        measured = {**dict(zip(self.task.losses, result.losses, strict=True)), "grad_norm": result.grad_norm, "lr": lr}
        if self.progress.loss_scale is not None:
            measured["loss_scale"] = self.progress.loss_scale
        (speed.frames,) = runtime.total(speed.frames)
        self._log(
            **measured, step_time_s=speed.step_time, data_wait_s=speed.data_wait, frames_per_s=speed.frames_per_second
        )
        speed.reset()

    def _skip(self, batches: list[Batch | SegmentBatch]) -> None:
        progress, limit = self.progress, self.config.train.max_bad_steps
        counts = progress.count_bad()
        skipped = runtime.gather([index for batch in batches for index in batch.indices])
        self._log(skipped_clips=[self.corpus.ids[int(index)] for index in skipped])
        self._say(f"after step {progress.step}: loss or gradient is not finite; the step is skipped ({counts})")
        if progress.bad_steps_in_a_row >= limit:
            raise Diverged(
                f"stopped after step {progress.step}: loss or gradient was not finite in {limit} batches in a row (train.max_bad_steps); "
                f"try a lower train.lr or train.grad_clip; newest checkpoint: {self.newest}"
            )

    def _validate(self) -> float:
        progress, validation = self.progress, self.validate()
        self._log(**validation.numbers)
        self._say(f"step {progress.step}: {validation}")
        if self.writes:
            self.log.show(self.task.save_example(validation, self.output_dir, progress.step), progress.step)
        if math.isfinite(validation.loss) and (
            progress.best_val_loss is None or validation.loss < progress.best_val_loss
        ):
            progress.best_val_loss = validation.loss
            self._save("best.ckpt")
        return validation.loss

    def _save_numbered(self) -> Path:
        path = self._save(f"{self.config.model.name}-{self.progress.step}.ckpt", self.step.optimizer)
        if self.writes:
            prune(self.output_dir, self.config.train.keep_checkpoints)
        return path

    def _save(self, name: str, optimizer: nn.Optimizer | None = None) -> Path:
        if self.writes:
            extra = {**dataclasses.asdict(self.progress), "order": self.batches.order, "data_path": str(self.data_path)}
            step, epoch = extra.pop("step"), extra.pop("epoch")
            save_checkpoint(self.output_dir / name, self.net, self.config_now, step, epoch, optimizer, extra)
        return self.output_dir / name

    def _progress_bar(self) -> tqdm:
        # A file instead of a terminal gets a line now and then.
        interval = 0.2 if sys.stderr.isatty() else 30.0
        return tqdm(
            total=self.config.train.max_steps,
            initial=self.progress.step,
            unit="step",
            dynamic_ncols=True,
            mininterval=interval,
            maxinterval=2 * interval,
            disable=not self.writes,
        )
