"""Events for TensorBoard, by tensorboardX, which is imported only on request."""

import struct
import time
import wave
from pathlib import Path
from typing import Any

from src.errors import InputError


class Events:
    """Scalars, pictures and sounds of a run; each start of the run begins a new file in `folder`.

    tensorboardX's SummaryWriter is not used: its thread ends when the disk is full, and its queue then waits for ever.

    Raises:
        InputError: tensorboardX is not installed.
    """

    def __init__(self, folder: str | Path):
        try:
            import tensorboardX  # noqa: PLC0415
            import tensorboardX.proto.event_pb2  # noqa: PLC0415
        except ImportError as error:
            raise InputError(
                f"train.tensorboard needs a package that is missing ({error}): pip install tensorboardX"
            ) from error
        self.folder, self._package = Path(folder), tensorboardX

    def start(self, first_step: int) -> None:
        """Begin a file. It purges the events of earlier files from `first_step` on, because they come again.

        Raises:
            InputError: the file cannot be written.
        """
        # TensorBoard reads the files in the order of their names.
        self._path = self.folder / f"events.out.tfevents.{time.time_ns()}"
        try:
            self.folder.mkdir(exist_ok=True)
            self._file = self._package.RecordWriter(str(self._path))
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written ({error.strerror})") from error
        self._add(file_version="brain.Event:2")
        self._add(step=first_step, session_log={"status": "START"})

    def scalars(self, row: dict[str, Any]) -> None:
        """Write the numbers of a row of the log.

        Rows of skipped batches and compilations are left out, since a resumed run may pass the same step again.
        """
        counters = {"step"} if "lr" in row else {"step", "epoch", "skipped_steps"}
        values = {tag: value for tag, value in row.items() if isinstance(value, int | float) and tag not in counters}
        if values and "skipped_clips" not in row and "compiled" not in row:
            self._add(
                step=row["step"],
                summary={"value": [{"tag": tag, "simple_value": value} for tag, value in values.items()]},
            )

    def picture(self, path: Path, step: int) -> None:
        """Write the picture in the PNG file `<tag>-<step>.png`."""
        png = path.read_bytes()
        width, height = struct.unpack(">II", png[16:24])
        image = {"width": width, "height": height, "colorspace": 4, "encoded_image_string": png}
        self._add(step=step, summary={"value": [{"tag": path.stem.rpartition("-")[0], "image": image}]})

    def sound(self, path: Path, step: int) -> None:
        """Write the sound in the mono wav file `<tag>-<step>.wav`, as `src.audio.save_wav` writes it."""
        with wave.open(str(path)) as file:
            n_frames, sample_rate = file.getnframes(), file.getframerate()
        audio = {"sample_rate": sample_rate, "num_channels": 1, "length_frames": n_frames}
        audio |= {"encoded_audio_string": path.read_bytes(), "content_type": "audio/wav"}
        self._add(step=step, summary={"value": [{"tag": path.stem.rpartition("-")[0], "audio": audio}]})

    def _add(self, **event: Any) -> None:
        event = self._package.proto.event_pb2.Event(wall_time=time.time(), **event)
        try:
            self._file.write(event.SerializeToString())
            self._file.flush()
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written ({error.strerror})") from error
