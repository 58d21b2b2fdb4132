"""Speech from the ONNX files of export.py, with numpy and onnxruntime, without MindSpore."""

from pathlib import Path
from typing import Any

import numpy as np

from src.errors import InputError
from src.export.artifact import Arrays
from src.export.inference import Steps, Tacotron2Files, WaveGlowFiles, load_files

try:
    import onnxruntime
except ImportError as error:
    raise InputError("speaking with ONNX files takes onnxruntime: pip install onnxruntime") from error


class OnnxFile:
    """A model in an ONNX file: inputs by name -> outputs by name."""

    def __init__(self, content: bytes):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(content, options, providers=onnxruntime.get_available_providers())
        self.outputs = [output.name for output in self.session.get_outputs()]

    def __call__(self, arrays: Arrays) -> Arrays:
        return dict(zip(self.outputs, self.session.run(self.outputs, arrays), strict=True))


def _open(path: Path, content: bytes, description: dict[str, Any]) -> OnnxFile:
    return OnnxFile(content)


class OnnxTacotron2(Tacotron2Files):
    """Tacotron 2 from its three files in a folder, for any batch and length.

    Raises:
        InputError: files that are missing, damaged or of different exports; overrides of keys that the files fix.
    """

    def __init__(self, folder: str | Path, overrides: dict[str, Any] | None = None):
        names = "encoder", "decoder_step", "postnet"
        (self.encoder, self.step, self.postnet), _, self.config = load_files(
            Path(folder), names, "onnx", _open, overrides or {}
        )

    def encode(self, text: np.ndarray, text_lengths: np.ndarray) -> Arrays:
        return self.encoder({"text": text, "text_lengths": text_lengths})

    def decode(self, frame: np.ndarray, dropout_mask: np.ndarray, state: Arrays, encoded: Arrays) -> Steps:
        found = self.step({"frame": frame, "dropout_mask": dropout_mask[0], **state, **encoded})
        state = {name: found[f"next_{name}"] for name in state}
        return Steps(found["next_frame"][None], found["gate"][None], state["weights"][None], state)

    def refine(self, mel: np.ndarray, mel_lengths: np.ndarray) -> np.ndarray:
        return self.postnet({"mel": mel, "mel_lengths": mel_lengths})["mel_postnet"]


class OnnxWaveGlow(WaveGlowFiles):
    """WaveGlow from its file in a folder, for any batch and length."""

    def __init__(self, folder: str | Path):
        (self.net,), _, self.config = load_files(Path(folder), ("waveglow",), "onnx", _open, {})

    def sound(self, mel: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return self.net({"mel": mel, "noise": noise})["audio"]
