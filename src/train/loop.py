"""The training loop: batches -> step -> log -> validation -> checkpoint."""

import contextlib
import dataclasses
import itertools
import math
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mindspore import nn

from src import runtime
from src.checkpoint import Checkpoint, load_optimizer, load_weights, save_checkpoint, snapshot
from src.config import Config
from src.data.batches import Batch
from src.data.corpus import DataLost
from src.data.segments import SegmentBatch
from src.errors import InputError
from src.files import claim_folder, write_atomically
from src.models.factory import create_model
from src.runtime.interruption import Interruption
from src.train.divergence import skip_step, watch_step
from src.train.log import TrainingLog
from src.train.progress import Outcome, Progress, Speed
from src.train.reduction import reduced, with_reduction_factor
from src.train.report import Report
from src.train.resume import accept_changes, match_optimizer, restore_best, shown
from src.train.run_folder import prune
from src.train.schedule import learning_rate
from src.train.speaking import speak_sentences
from src.train.start import (
    assert_equal_weights,
    compile_step,
    introduction,
    open_corpora,
    refuse_used_folder,
    with_speakers,
)
from src.train.step import StepResult, TrainStep
from src.train.task import create_task
from src.train.warm_start import warm_start


class Training:
    """A run that trains a network into `output_dir`: `config.yaml`, `log.jsonl`, pictures and checkpoints.

    With several ranks, each of them makes one of these; only rank 0 prints and writes.

    Args:
        config: with the reduction factor of the first step.
        data_path: folder made by scripts/preprocess.py.
        resume: the checkpoint of `output_dir` to continue from.
        warm_start: checkpoint whose weights to begin with; optimiser and step start afresh. Ignored when resuming.
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
        self.output_dir, self.data_path = Path(output_dir), Path(data_path).resolve()
        self.progress = Progress.restore(resume) if resume else Progress()
        log = TrainingLog(self.output_dir / "log.jsonl", config.train.tensorboard)
        self.report = Report(log, self.progress)
        if self.report.writes and not resume:
            refuse_used_folder(self.output_dir)
        step = self.progress.step
        self.changes = accept_changes(resume, reduced(config, step), self.data_path, self.report) if resume else {}
        self.corpus, self.val_corpus = open_corpora(data_path, config, self.report)
        self.config = config = with_speakers(config, self.corpus, self.report)
        self.progress.scale_losses(config.train, afresh="train.loss_scale" in self.changes)

        device = self._build(resume)
        if resume:
            fresh = None
            self._restore_position(resume)
        else:
            fresh = self._initialise(warm_start, ignore_layers)
        self._claim_folder()
        if fresh:
            self.report.row(**fresh)
        if self.changes:
            self.report.row(changed={key: shown(values) for key, values in self.changes.items()})
        # The first checkpoint shows at once whether the disk has room, and every run can be resumed from then on.
        self.newest = resume.path if resume else self._save_numbered()
        clips = f"{self.batches}, {len(self.val_corpus) if self.val_corpus else 'none'} to validate"
        self.report.say(introduction(config, self.net, device, clips, self.progress.step))

    def run(self, target_val_loss: float | None = None) -> Outcome:
        """Train to `train.max_steps`, `target_val_loss`, `train.max_hours`, SIGINT or SIGTERM, whichever comes first.

        A checkpoint is written at the end.

        Raises:
            Diverged: `train.max_bad_steps` steps in a row were not finite, or `train.max_wild_steps` far beyond the usual.
            InputError: a file cannot be written (disk full), the data cannot be read any more, or there are no clips to
                measure a `target_val_loss` on.
        """
        settings, progress = self.config.train, self.progress
        if progress.step >= settings.max_steps:
            self.report.say(f"all {settings.max_steps} steps are done; raise train.max_steps to train on")
            return Outcome(progress, self.newest)
        target = -math.inf if target_val_loss is None else target_val_loss
        if target_val_loss is not None and not self.val_corpus:
            raise InputError(f"{self.data_path}: has no clips to validate on, so --target_val_loss is never reached")
        deadline = time.monotonic() + 3600 * (settings.max_hours or math.inf)
        self._compile()
        speed, bar = Speed(), self.report.progress_bar(settings.max_steps)
        with self.claim, self._resumable(), Interruption() as interruption, bar:
            for batches in self._batches():
                speed.got_data()
                lr = learning_rate(progress.step, settings)
                result = self._take_step(batches, lr)
                speed.count(sum(batch.frames for batch in batches))
                if result.updated:
                    progress.count_good()
                    watch_step(progress, self.report, settings, result, self.newest)
                    self.report.advance(bar, result, lr, speed)
                else:
                    self._skip(batches)
                done = progress.step >= settings.max_steps
                if result.updated and (done or progress.step == 1 or progress.step % settings.log_every == 0):
                    self.report.step(result, self.task.losses, lr, speed)
                validates = done or self._is_due(settings.validate_every, result.updated)
                reached = validates and self._validate() <= target
                asked, stopped_by = _asked_to_stop(interruption, deadline)
                finished = done or reached
                due = not progress.wild_steps and self._is_due(settings.checkpoint_every, result.updated)
                if finished or asked or due:
                    self.newest = self._save_numbered()
                if finished or asked:
                    runtime.total(0.0)  # if a rank left now, the launcher would end rank 0, which is still writing
                    return Outcome(progress, self.newest, finished, None if finished else stopped_by)
                speed.resume()
        raise AssertionError("there is always another batch")

    def _build(self, checkpoint: Checkpoint | None) -> str:
        """Make network, optimiser, batches and validation for the current step, afresh or as in `checkpoint`.

        Returns the device's name.
        """
        settings, step = self.config.train, self.progress.step
        # The step is part of the seed; otherwise a resumed run would draw the dropout of its first steps again.
        device = runtime.setup(settings.seed + step)
        self.config_now = reduced(self.config, step)
        self.task = create_task(self.config_now)
        self.batches = self.task.batches(self.corpus)
        self.net = create_model(config=self.config_now)
        runtime.seed_dropout(settings.seed + step)
        self.step = TrainStep(self.net, self.task.forward(self.net), settings)
        self.validate = self.task.validator(self.net, self.val_corpus) if self.val_corpus else None
        if checkpoint:
            checkpoint = with_reduction_factor(checkpoint, self.config_now)
            if "train.freeze" in self.changes:
                checkpoint = match_optimizer(checkpoint, self.step.optimizer)
            load_weights(self.net, checkpoint)
            load_optimizer(self.step.optimizer, checkpoint)
        return device

    def _restore_position(self, resume: Checkpoint) -> None:
        """Continue within the epoch if the batches are still the same, and with the best validation loss so far."""
        if resume.extra.get("order") != self.batches.order:
            self.report.say("the data or its batches differ from those of the checkpoint; a fresh epoch begins")
            self.progress.begin_epoch()
            self.progress.forget_usual()
        restore_best(self.progress, self.output_dir / "best.ckpt")

    def _initialise(
        self, checkpoint: str | Path | None, ignore_layers: Sequence[str]
    ) -> dict[str, str | list[str]] | None:
        """Initialise the network from the data, then from the checkpoint of a warm start. Returns a row for the log."""
        self.task.initialise(self.net, self.corpus)
        return warm_start(self.net, self.config_now, checkpoint, ignore_layers, self.report) if checkpoint else None

    def _claim_folder(self) -> None:
        """Begin to write, once all ranks have the same weights."""
        assert_equal_weights(self.net)
        self.claim = claim_folder(self.output_dir) if self.report.writes else contextlib.nullcontext()
        if self.report.writes:
            write_atomically(self.output_dir / "config.yaml", self.config.to_yaml().encode())
            self.report.log.cut(self.progress.step, self.progress.skipped_steps)

    def _compile(self) -> None:
        compile_step(self.step, self.task, self.batches, self.report)

    @contextlib.contextmanager
    def _resumable(self) -> Iterator[None]:
        """Let errors say how to continue; when the data is lost, save what was learnt since the last checkpoint.

        Several ranks cannot save then, as they would have to agree on a step first.
        """
        try:
            yield
        except InputError as error:
            if isinstance(error, DataLost) and runtime.world_size() == 1:
                self.newest = self._save_numbered()
            raise InputError(
                f"{error}; once that is mended, --resume {self.output_dir} goes on from {self.newest.name}"
            ) from error

    def _batches(self) -> Iterator[list[Batch | SegmentBatch]]:
        """The batches of each optimiser step, epoch after epoch, from where `progress` is; `progress` counts them.

        Between two steps, the network is built anew if its reduction factor falls.
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
        """Continue with the reduction factor of the current step. Returns whether it has changed."""
        config = reduced(self.config, self.progress.step)
        if config == self.config_now:
            return False
        before, factor = self.config_now.model.reduction_factor, config.model.reduction_factor
        self.report.say(
            f"step {self.progress.step}: the reduction factor falls from {before} to {factor}, and a new epoch begins"
        )
        self.report.row(reduction_factor=factor)
        self.progress.begin_epoch()  # its batches have other lengths
        self.progress.forget_usual()
        self._build(snapshot(self.net, self.step.optimizer, self.config_now))
        self._compile()
        return True

    def _take_step(self, batches: list[Batch | SegmentBatch], lr: float) -> StepResult:
        inputs = [self.task.inputs(batch, self.progress.step) for batch in batches]
        return self.step(inputs, lr, self.progress.loss_scale or 1.0)

    def _skip(self, batches: list[Batch | SegmentBatch]) -> None:
        skipped = runtime.gather([index for batch in batches for index in batch.indices])
        clips = [self.corpus.ids[int(index)] for index in skipped]
        skip_step(self.progress, self.report, self.config.train, clips, self.newest)

    def _is_due(self, every: int, updated: bool) -> bool:
        """Return whether something that happens every so many steps, or for 0 after each epoch, happens now."""
        if every == 0:
            return self.progress.batch == len(self.batches)
        return updated and self.progress.step % every == 0

    def _validate(self) -> float:
        """Measure, log, draw and speak; save the network if it is the best so far.

        Returns the validation loss, infinite without clips to validate on.
        """
        speak_sentences(self.net, self.output_dir, self.report)
        if not self.validate:
            return math.inf
        progress, validation = self.progress, self.validate()
        self.report.row(**validation.numbers)
        self.report.say(f"step {progress.step}: {validation}")
        if self.report.writes:
            self.report.picture(self.task.save_example(validation, self.output_dir, progress.step))
        best = progress.best_val_loss
        if math.isfinite(validation.loss) and (best is None or validation.loss < best):
            progress.best_val_loss = validation.loss
            self._save("best.ckpt")
        return validation.loss

    def _save_numbered(self) -> Path:
        path = self._save(f"{self.config.model.name}-{self.progress.step}.ckpt", self.step.optimizer)
        if self.report.writes:
            prune(self.output_dir, self.config.train.keep_checkpoints)
        return path

    def _save(self, name: str, optimizer: nn.Optimizer | None = None) -> Path:
        if self.report.writes:
            extra = {**dataclasses.asdict(self.progress), "order": self.batches.order, "data_path": str(self.data_path)}
            step, epoch = extra.pop("step"), extra.pop("epoch")
            save_checkpoint(self.output_dir / name, self.net, self.config_now, step, epoch, optimizer, extra)
        return self.output_dir / name


def _asked_to_stop(interruption: Interruption, deadline: float) -> tuple[bool, signal.Signals | None]:
    """Return whether any rank was asked to stop, and by which signal; by none if the time is up."""
    interrupted, terminated, out_of_time = runtime.total(
        interruption.signal == signal.SIGINT, interruption.signal == signal.SIGTERM, time.monotonic() > deadline
    )
    stopped_by = signal.SIGTERM if terminated else signal.SIGINT if interrupted else None
    return bool(interrupted or terminated or out_of_time), stopped_by
