"""Progress of a training run: its position, its speed and its end."""

import dataclasses
import math
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from src.checkpoint import Checkpoint
from src.config import TrainConfig

# Without an overflow (Micikevicius et al. 2018, sec. 3.2, "dynamic loss scaling" in their code).
STEPS_UNTIL_LARGER_SCALE = 2000
LARGEST_SCALE = 2.0**24  # devices that saturate instead of overflowing would let it grow for ever
# A step is wild if its loss is this many times the usual loss above it, or its gradient norm this many times the usual.
WILD_LOSS, WILD_NORM = 10.0, 100.0
SMALL_LOSS, SMALL_NORM = 1.0, 1e-6  # the usual ones count as at least this, since a loss may be near 0, or negative
USUAL_STEPS = 100  # that the usual values are means over, about


@dataclass
class Progress:
    """Position of a run, saved in each checkpoint so that a resumed run starts with the very next batch."""

    step: int = 0  # optimiser steps taken
    epoch: int = 0
    batch: int = 0  # number of batches of this epoch that were used
    skipped_steps: int = 0  # steps of the whole run whose loss or gradient was not finite
    bad_steps_in_a_row: int = 0  # not counting those that a smaller loss scale may mend
    best_val_loss: float | None = None
    loss_scale: float | None = None  # None in float32
    good_steps: int = 0  # since the last change of the loss scale
    usual_loss: float | None = None  # running mean over steps that were not wild
    usual_norm: float | None = None  # of the gradient; a geometric mean
    wild_steps: int = 0  # in a row; see `watch`

    @classmethod
    def restore(cls, checkpoint: Checkpoint) -> "Progress":
        """The progress saved in `checkpoint`."""
        state = {"step": checkpoint.step, "epoch": checkpoint.epoch, **checkpoint.extra}
        return cls(**{field.name: state[field.name] for field in dataclasses.fields(cls) if field.name in state})

    def scale_losses(self, config: TrainConfig, afresh: bool = False) -> None:
        """Set the loss scale that the precision needs: none in float32, else the restored or configured one.

        Args:
            afresh: take the configured one although another was restored.
        """
        if config.amp == "O0":
            self.loss_scale = None
        elif self.loss_scale is None or afresh:
            self.loss_scale, self.good_steps = config.loss_scale, 0

    def begin_epoch(self) -> None:
        """Begin a new epoch with the next batch."""
        self.epoch, self.batch = self.epoch + 1, 0

    def count_good(self) -> None:
        """Count a step that was taken; the loss scale doubles after many of them in a row."""
        self.step += 1
        self.bad_steps_in_a_row = 0
        self.good_steps += 1
        if self.loss_scale is not None and self.good_steps >= STEPS_UNTIL_LARGER_SCALE:
            self.loss_scale, self.good_steps = min(2 * self.loss_scale, LARGEST_SCALE), 0

    def watch(self, loss: float, grad_norm: float) -> None:
        """Count a step as wild if its finite loss or gradient norm is far beyond the usual; otherwise learn from it."""
        if self.usual_loss is None or self.usual_norm is None:
            self.usual_loss, self.usual_norm, self.wild_steps = loss, grad_norm, 0
            return
        most = self.usual_loss + WILD_LOSS * max(abs(self.usual_loss), SMALL_LOSS)
        if loss > most or grad_norm > WILD_NORM * max(self.usual_norm, SMALL_NORM):
            self.wild_steps += 1
            return
        share = 1 / max(1, min(self.step, USUAL_STEPS))
        self.usual_loss += share * (loss - self.usual_loss)
        norms = [math.log(max(norm, SMALL_NORM)) for norm in (self.usual_norm, grad_norm)]
        self.usual_norm = math.exp(norms[0] + share * (norms[1] - norms[0]))
        self.wild_steps = 0

    def forget_usual(self) -> None:
        """Learn anew what is usual, because the batches have changed."""
        self.usual_loss = self.usual_norm = None
        self.wild_steps = 0

    def count_bad(self) -> str:
        """Count a skipped step; a loss scale above 1 is halved. Returns the counts as a text for the user."""
        self.skipped_steps += 1
        if self.loss_scale is not None and self.loss_scale > 1:
            self.loss_scale, self.good_steps = self.loss_scale / 2, 0
            return f"{self.skipped_steps} in this run; loss scale {self.loss_scale:g} from now on"
        self.bad_steps_in_a_row += 1
        return f"{self.skipped_steps} in this run, {self.bad_steps_in_a_row} in a row"


@dataclass
class Outcome:
    """End of a run."""

    progress: Progress
    checkpoint: Path  # the newest
    finished: bool = True  # all steps are done or the target is reached; false after a signal or train.max_hours
    stopped_by: signal.Signals | None = None


class Speed:
    """Time and frames of the steps since the last logged one, without validations and checkpoints."""

    def __init__(self):
        self.reset()
        self.resume()

    def reset(self) -> None:
        """Begin a new measurement."""
        self.seconds, self.waited, self.frames, self.steps = 0.0, 0.0, 0, 0

    def resume(self) -> None:
        """Start the clock, after a validation or a checkpoint."""
        self.began = time.perf_counter()

    def got_data(self) -> None:
        """Count the time until the batches of this step arrived as waiting.

        Building the network anew, when its reduction factor falls, counts as waiting too.
        """
        self.waited += time.perf_counter() - self.began

    def count(self, frames: float) -> None:
        """Count a finished step over `frames` mel frames of this rank."""
        self.last = time.perf_counter() - self.began  # seconds of this step
        self.seconds += self.last
        self.frames, self.steps = self.frames + frames, self.steps + 1

    @property
    def step_time(self) -> float:
        """Mean seconds of a step, waiting for data included."""
        return self.seconds / self.steps

    @property
    def data_wait(self) -> float:
        """Mean seconds of a step that were spent waiting for data."""
        return self.waited / self.steps

    @property
    def frames_per_second(self) -> float:
        """Mel frames per second, padding not counted."""
        return self.frames / self.seconds
