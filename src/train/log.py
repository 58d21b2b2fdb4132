"""log.jsonl: one JSON object per line, each step at most once however often the run was resumed; if wanted, the same for TensorBoard."""

import json
import math
from pathlib import Path
from typing import Any

from src.errors import InputError
from src.files import write_atomically
from src.train.tensorboard import Events


class TrainingLog:
    """Appends rows to `path`; every row carries `step` and `skipped_steps`, which together tell where in the run it was written.

    Args:
        tensorboard: write events into the folder `tensorboard` beside `path` too. Before the first row, `cut` must have been called.

    Raises:
        InputError: `tensorboard` without tensorboardX.
    """

    def __init__(self, path: str | Path, tensorboard: bool = False):
        self.path = Path(path)
        self.events = Events(self.path.parent / "tensorboard") if tensorboard else None

    def write(self, **row: Any) -> None:
        """Append one row; JSON knows no NaN or infinity, so those become null.

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
        """Let TensorBoard show the PNG file `<name>-<step>.png`."""
        if self.events:
            self.events.picture(picture, step)

    def rows(self) -> list[dict[str, Any]]:
        """All complete rows; the last line of a killed run may be half a row, which is left out."""
        rows = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines() if self.path.exists() else []:
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
        return rows

    def cut(self, step: int, skipped_steps: int) -> None:
        """Drop what a killed run logged after its checkpoint at `step`, because the resumed run logs it again."""
        kept = [row for row in self.rows() if (row["step"], row["skipped_steps"]) <= (step, skipped_steps)]
        write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in kept).encode())
        if self.events:
            self.events.start(step + 1)
