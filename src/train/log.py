"""The log of a training run, `log.jsonl`: one JSON object per line, each step at most once after any resumes.

TensorBoard events repeat it on request.
"""

import json
import math
from pathlib import Path
from typing import Any

from src.errors import InputError
from src.files import write_atomically
from src.train.tensorboard import Events

LARGEST_STEP = 2**53  # beyond, a number that is drawn is no whole number any more


class TrainingLog:
    """Rows in the file `path`. Each has `step` and `skipped_steps`, which together tell when in the run it was written.

    Args:
        tensorboard: also write events into the folder `tensorboard` beside `path`. `cut` must be called before any row.

    Raises:
        InputError: `tensorboard` without tensorboardX.
    """

    def __init__(self, path: str | Path, tensorboard: bool = False):
        self.path = Path(path)
        self.events = Events(self.path.parent / "tensorboard") if tensorboard else None

    def write(self, **row: Any) -> None:
        """Append one row. JSON has no NaN or infinity, so they become null.

        Raises:
            InputError: the file cannot be written (disk full).
        """
        row = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, allow_nan=False) + "\n")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from error
        if self.events:
            self.events.scalars(row)

    def show(self, picture: Path, step: int) -> None:
        """Show the PNG file `<name>-<step>.png` in TensorBoard."""
        if self.events:
            self.events.picture(picture, step)

    def play(self, wav: Path, step: int) -> None:
        """Let TensorBoard play the wav file `<name>-<step>.wav`."""
        if self.events:
            self.events.sound(wav, step)

    def rows(self) -> list[dict[str, Any]]:
        """Return the complete rows. The last line of a killed run may be half a row, which is left out.

        So are lines that are no row of a log: one without the number of its step.
        """
        rows = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines() if self.path.exists() else []:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict) and type(row.get("step")) is int and 0 <= row["step"] < LARGEST_STEP:
                rows.append({"skipped_steps": 0} | row)
        return rows

    def cut(self, step: int, skipped_steps: int) -> None:
        """Drop the rows that a killed run logged after its checkpoint at `step`: the resumed run logs them again."""
        rows = [row for row in self.rows() if (row["step"], row["skipped_steps"]) <= (step, skipped_steps)]
        write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in rows).encode())
        if self.events:
            self.events.start(step + 1)
