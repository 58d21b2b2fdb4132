"""The end of a run that cannot get better: steps in a row that are not finite, or far beyond what is usual."""

from collections.abc import Sequence
from pathlib import Path

from src.config import TrainConfig
from src.train.progress import Progress
from src.train.report import Report
from src.train.step import StepResult


class Diverged(RuntimeError):
    """Too many steps in a row that were not finite, or far beyond the usual: training cannot continue."""


def skip_step(progress: Progress, report: Report, config: TrainConfig, clips: Sequence[str], newest: Path) -> None:
    """Count and log a step that was not finite.

    Args:
        clips: ids of the clips of all ranks in it.
        newest: the newest checkpoint.

    Raises:
        Diverged: it was the last of `train.max_bad_steps` in a row.
    """
    counts = progress.count_bad()
    report.row(skipped_clips=list(clips))
    report.say(f"after step {progress.step}: loss or gradient is not finite; the step is skipped ({counts})")
    if progress.bad_steps_in_a_row >= config.max_bad_steps:
        raise Diverged(
            f"stopped after step {progress.step}: loss or gradient was not finite in {config.max_bad_steps} batches in "
            f"a row (train.max_bad_steps); try a lower train.lr or train.grad_clip; newest checkpoint: {newest}"
        )


def watch_step(progress: Progress, report: Report, config: TrainConfig, result: StepResult, newest: Path) -> None:
    """Count a step whose loss or gradient norm is finite and far beyond the usual ones; see `Progress.watch`.

    Args:
        newest: the newest checkpoint. None is written while steps are wild.

    Raises:
        Diverged: it was the last of `train.max_wild_steps` in a row.
    """
    if not config.max_wild_steps:
        return
    before = progress.wild_steps
    progress.watch(result.loss, result.grad_norm)
    if not progress.wild_steps:
        return
    found = (
        f"loss {result.loss:.4g} (usually {progress.usual_loss:.4g}), "
        f"gradient norm {result.grad_norm:.4g} (usually {progress.usual_norm:.4g})"
    )
    if not before:
        report.say(f"step {progress.step}: far beyond the usual: {found}")
    if progress.wild_steps >= config.max_wild_steps:
        report.row(blown_up=progress.wild_steps)
        raise Diverged(
            f"stopped after step {progress.step}: {found}, far beyond the usual for {progress.wild_steps} steps in a row "
            f"(train.max_wild_steps); try a lower train.lr or train.grad_clip; last good checkpoint: {newest}"
        )
