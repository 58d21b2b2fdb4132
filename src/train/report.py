"""Screen and log of a training run."""

import sys
from pathlib import Path

from tqdm import tqdm

from src import runtime
from src.train.log import TrainingLog
from src.train.progress import Progress, Speed
from src.train.step import StepResult

RANK_LOGS = "logs"  # folder in the output folder where the launcher keeps what each rank prints


class Report:
    """Lines and a progress bar on the screen, and rows in the log. All ranks call it; only rank 0 prints and writes."""

    def __init__(self, log: TrainingLog, progress: Progress):
        self.log, self.progress = log, progress
        self.writes = runtime.rank() == 0

    def say(self, text: str) -> None:
        """Print a line above the progress bar."""
        if self.writes:
            tqdm.write(text)
            sys.stdout.flush()

    def row(self, **values: object) -> None:
        """Append a row to the log: where the run is, and `values`."""
        if self.writes:
            progress = self.progress
            where = {"step": progress.step, "epoch": progress.epoch, "skipped_steps": progress.skipped_steps}
            self.log.write(**where, **values)

    def picture(self, path: Path) -> None:
        """Show the PNG file of a validation in TensorBoard."""
        self.log.show(path, self.progress.step)

    def sound(self, path: Path) -> None:
        """Let TensorBoard play the wav file of a validation."""
        self.log.play(path, self.progress.step)

    def step(self, result: StepResult, names: tuple[str, ...], lr: float, speed: Speed) -> None:
        """Log an optimiser step, and begin a new measurement of the speed. All ranks must call this.

        Args:
            names: of the losses in `result`, in their order.
        """
        values = {**dict(zip(names, result.losses, strict=True)), "grad_norm": result.grad_norm, "lr": lr}
        if self.progress.loss_scale is not None:
            values["loss_scale"] = self.progress.loss_scale
        (speed.frames,) = runtime.total(speed.frames)
        times = {"step_time_s": speed.step_time, "data_wait_s": speed.data_wait}
        self.row(**values, **times, frames_per_s=speed.frames_per_second)
        speed.reset()

    def progress_bar(self, max_steps: int) -> tqdm:
        """A progress bar over optimiser steps. A file in place of a terminal gets a line every half minute."""
        interval = 0.2 if sys.stderr.isatty() else 30.0
        return tqdm(
            total=max_steps,
            initial=self.progress.step,
            unit="step",
            dynamic_ncols=True,
            mininterval=interval,
            maxinterval=2 * interval,
            disable=not self.writes,
        )

    def advance(self, bar: tqdm, result: StepResult, lr: float, speed: Speed) -> None:
        """Move the progress bar by an optimiser step."""
        bar.update()
        bar.set_postfix(loss=f"{result.loss:.4f}", lr=f"{lr:.1e}", step_time=f"{speed.step_time:.2f}s", refresh=False)
