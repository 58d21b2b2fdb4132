"""Speech from the ONNX files of export.py, with numpy and onnxruntime, without MindSpore."""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from src.errors import InputError, one_line
from src.export.artifact import Arrays, description_of
from src.export.inference import HarmonicFiles, Steps, Tacotron2Files, WaveGlowFiles, load_files
from src.models.harmonic.correction import MelCorrection
from src.models.harmonic.windows import Window

try:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state
except ImportError as error:
    raise InputError("speaking with ONNX files takes onnxruntime: pip install onnxruntime") from error


ONNX_ERRORS = tuple(
    getattr(onnxruntime_pybind11_state, name)
    for name in ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
)


class OnnxFile:
    """A model in an ONNX file: inputs by name -> outputs by name. Errors name the file as `where`.

    Raises:
        InputError: the content is no model, or one that does not compute with what it is given.
    """

    def __init__(self, content: bytes, where: str = "the ONNX file", threads: int = 0):
        """Load a model; `threads` compute at once, 0: as many as there are cores."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        self.where = where
        with self._explained():
            providers = onnxruntime.get_available_providers()
            self.session = onnxruntime.InferenceSession(content, options, providers=providers)
        self.inputs = [each.name for each in self.session.get_inputs()]
        self.outputs = [each.name for each in self.session.get_outputs()]

    def __call__(self, arrays: Arrays) -> Arrays:
        with self._explained():
            return dict(zip(self.outputs, self.session.run(self.outputs, arrays), strict=True))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (*ONNX_ERRORS, ValueError) as error:
            reason = one_line(error)[:200]
            raise InputError(f"{self.where}: is not what export.py wrote ({reason}); export again") from error


def _open(path: Path, content: bytes, description: dict[str, Any], threads: int = 0) -> OnnxFile:
    file = OnnxFile(content, str(path), threads)
    if [file.inputs, file.outputs] != [names_in(description.get(key)) for key in ("inputs", "outputs")]:
        raise InputError(f"{path}: has other inputs or outputs than {description_of(path).name} says; export again")
    return file


def names_in(specs: Any) -> list[str]:
    """The names of the inputs or outputs in a description; none if it has none."""
    entries = specs if isinstance(specs, list) else []
    return [str(entry.get("name")) for entry in entries if isinstance(entry, dict)]


class OnnxTacotron2(Tacotron2Files):
    """Tacotron 2 from its three files in a folder, for any batch and length.

    Raises:
        InputError: files that are missing, damaged or of different exports; overrides of keys that the files fix.
    """

    def __init__(self, folder: str | Path, overrides: dict[str, Any] | None = None, threads: int = 0):
        names, opened = ("encoder", "decoder_step", "postnet"), functools.partial(_open, threads=threads)
        (self.encoder, self.step, self.postnet), _, self.config = load_files(
            Path(folder), names, "onnx", opened, overrides or {}
        )

    def encode(self, text: np.ndarray, text_lengths: np.ndarray, speaker: int | None = None) -> Arrays:
        return self.encoder({"text": text, "text_lengths": text_lengths})

    def decode(self, frame: np.ndarray, dropout_mask: np.ndarray, state: Arrays, encoded: Arrays) -> Steps:
        found = self.step({"frame": frame, "dropout_mask": dropout_mask[0], **state, **encoded})
        state = {name: found[f"next_{name}"] for name in state}
        return Steps(found["next_frame"][None], found["gate"][None], state["weights"][None], state)

    def refine(self, mel: np.ndarray, mel_lengths: np.ndarray) -> np.ndarray:
        return self.postnet({"mel": mel, "mel_lengths": mel_lengths})["mel_postnet"]


class OnnxWaveGlow(WaveGlowFiles):
    """WaveGlow from its file in a folder, for any batch and length."""

    def __init__(self, folder: str | Path, threads: int = 0):
        opened = functools.partial(_open, threads=threads)
        (self.net,), _, self.config = load_files(Path(folder), ("waveglow",), "onnx", opened, {})

    def sound(self, mel: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return self.net({"mel": mel, "noise": noise})["audio"]


class OnnxHarmonic(HarmonicFiles):
    """The harmonic vocoder from its file in a folder, for any length."""

    def __init__(self, folder: str | Path, threads: int = 0):
        opened = functools.partial(_open, threads=threads)
        (self.net,), _, self.config = load_files(Path(folder), ("harmonic",), "onnx", opened, {})
        self.correction = MelCorrection(self.config)

    def window(self, window: Window, corrected: slice) -> tuple[np.ndarray, np.ndarray]:
        found = self.net(window._asdict())
        return self.correction(found["audio"][0], found["bands"][0].T, corrected)[None], found["phase"]


def onnx_vocoder(folder: str | Path, threads: int = 0) -> OnnxWaveGlow | OnnxHarmonic:
    """Load the vocoder whose file is in a folder: harmonic.onnx, or waveglow.onnx."""
    kind = OnnxHarmonic if (Path(folder) / "harmonic.onnx").exists() else OnnxWaveGlow
    return kind(folder, threads)
