"""Speech from the MINDIR files of fixed sizes (`src.export.mindir_parts`), by MindSpore or MindSpore Lite.

Whatever is longer than a file takes goes through it window by window. Windows overlap by what an output depends on, so
that the result is that of the whole.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.errors import InputError
from src.export.artifact import Arrays
from src.export.inference import HarmonicFiles, OpenFile, Steps, Tacotron2Files, WaveGlowFiles, load_files
from src.models.harmonic.correction import MelCorrection
from src.models.harmonic.windows import Window as HarmonicWindow


def open_in_mindspore(path: Path, content: bytes, description: dict[str, Any]) -> Callable[[Arrays], Arrays]:
    """A file as a `GraphCell` of MindSpore, on the device of DEVICE_TARGET."""
    from mindspore import Tensor  # noqa: PLC0415  (MindSpore Lite can do without)

    from src.export.mindir import load_mindir  # noqa: PLC0415

    cell = load_mindir(path)
    inputs, outputs = _names(description)

    def run(arrays: Arrays) -> Arrays:
        found = cell(*(Tensor(np.ascontiguousarray(arrays[name])) for name in inputs))
        found = found if isinstance(found, tuple) else (found,)
        return {name: value.asnumpy() for name, value in zip(outputs, found, strict=True)}

    return run


def open_in_lite(device: str) -> OpenFile:
    """Return a function that opens files in MindSpore Lite on a device, such as "cpu" or "ascend".

    Raises:
        InputError: MindSpore Lite is not installed.
    """
    try:
        import mindspore_lite as lite  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            "--lite takes MindSpore Lite, which this Python has not; its wheel is on MindSpore's download page"
        ) from error

    def open_file(path: Path, content: bytes, description: dict[str, Any]) -> Callable[[Arrays], Arrays]:
        context = lite.Context()
        context.target = [device]
        model = lite.Model()
        model.build_from_file(str(path), lite.ModelType.MINDIR, context)
        inputs, outputs = _names(description)

        def run(arrays: Arrays) -> Arrays:
            tensors = model.get_inputs()
            for name, tensor in zip(inputs, tensors, strict=True):
                tensor.set_data_from_numpy(np.ascontiguousarray(arrays[name]))
            found = model.predict(tensors)
            return {name: value.get_data_to_numpy() for name, value in zip(outputs, found, strict=True)}

        return run

    return open_file


def _names(description: dict[str, Any]) -> tuple[list[str], list[str]]:
    return tuple([spec["name"] for spec in description[side]] for side in ("inputs", "outputs"))


class MindirTacotron2(Tacotron2Files):
    """Tacotron 2 from `encoder`, `decoder_steps` and `postnet` in a folder, for one text at a time.

    Raises:
        InputError: files that are missing, damaged or of different exports; overrides of keys that the files fix.
    """

    def __init__(
        self, folder: str | Path, overrides: dict[str, Any] | None = None, open_file: OpenFile = open_in_mindspore
    ):
        names = "encoder", "decoder_steps", "postnet"
        (self.encoder, self.steps, self.postnet), descriptions, self.config = load_files(
            Path(folder), names, "mindir", open_file, overrides or {}
        )
        self.n_symbols, self.n_steps = descriptions[0]["max_symbols"], descriptions[1]["steps"]
        self.n_frames, self.reach = descriptions[2]["frames"], descriptions[2]["reach"]

    def encode(self, text: np.ndarray, text_lengths: np.ndarray, speaker: int | None = None) -> Arrays:
        """Run the encoder on one text, padded to as many symbols as the files take.

        Raises:
            InputError: it has more.
        """
        if text.shape[1] > self.n_symbols:
            raise InputError(
                f"a sentence has {text.shape[1]} symbols, and the MINDIR files take {self.n_symbols}; export with "
                "--max_symbols, or let --text.max_sentence_length cut it sooner"
            )
        padded = np.pad(text, ((0, 0), (0, self.n_symbols - text.shape[1])))
        return self.encoder({"text": padded, "text_lengths": text_lengths})

    def decode(self, frame: np.ndarray, dropout_mask: np.ndarray, state: Arrays, encoded: Arrays) -> Steps:
        found = self.steps({"frame": frame, "dropout_mask": dropout_mask, **state, **encoded})
        state = {name: found[f"next_{name}"] for name in state}
        return Steps(found["frames"], found["gates"], found["alignments"], state)

    def refine(self, mel: np.ndarray, mel_lengths: np.ndarray) -> np.ndarray:
        parts = []
        for window in windows(mel.shape[2], self.n_frames, self.reach):
            length = np.array([window.length], np.int32)
            found = self.postnet({"mel": window.of(mel), "mel_lengths": length})["mel_postnet"]
            parts.append(found[:, :, window.first : window.end])
        return np.concatenate(parts, 2)


class MindirWaveGlow(WaveGlowFiles):
    """WaveGlow from `waveglow_frames` in a folder, for mels of any length."""

    def __init__(self, folder: str | Path, open_file: OpenFile = open_in_mindspore):
        (self.net,), (description,), self.config = load_files(
            Path(folder), ("waveglow_frames",), "mindir", open_file, {}
        )
        self.n_frames, self.reach = description["frames"], description["reach"]

    def sound(self, mel: np.ndarray, noise: np.ndarray) -> np.ndarray:
        hop, n_positions = self.config.audio.hop_length, noise.shape[2] // mel.shape[2]
        items = []
        for i in range(len(mel)):
            parts = []
            for window in windows(mel.shape[2], self.n_frames, self.reach):
                length = np.array([window.length], np.int32)
                arrays = {"mel": window.of(mel[i : i + 1]), "noise": window.of(noise[i : i + 1], n_positions)}
                audio = self.net(arrays | {"mel_lengths": length})["audio"]
                parts.append(audio[:, window.first * hop : window.end * hop])
            items.append(np.concatenate(parts, 1))
        return np.concatenate(items)


class MindirHarmonic(HarmonicFiles):
    """The harmonic vocoder from its file in a folder, for mels of any length."""

    def __init__(self, folder: str | Path, open_file: OpenFile = open_in_mindspore):
        (self.net,), _, self.config = load_files(Path(folder), ("harmonic",), "mindir", open_file, {})
        self.correction = MelCorrection(self.config)

    def window(self, window: HarmonicWindow, corrected: slice) -> tuple[np.ndarray, np.ndarray]:
        found = self.net(window._asdict())
        return self.correction(found["audio"][0], found["bands"], corrected)[None], found["phase"]


def mindir_vocoder(folder: str | Path, open_file: OpenFile = open_in_mindspore) -> MindirWaveGlow | MindirHarmonic:
    """Load the vocoder whose file is in a folder: harmonic.mindir, or waveglow_frames.mindir."""
    kind = MindirHarmonic if (Path(folder) / "harmonic.mindir").exists() else MindirWaveGlow
    return kind(folder, open_file)


class Window(NamedTuple):
    """A stretch of frames that goes through a file of fixed size, and which of its results are taken."""

    start: int  # in the whole
    size: int  # of the file
    length: int  # frames of the whole in it; padding follows
    first: int  # of those taken, from `start`
    end: int

    def of(self, values: np.ndarray, per_frame: int = 1) -> np.ndarray:
        """The window's part of values (B, C, frames * per_frame), padded with 0."""
        part = values[:, :, self.start * per_frame : (self.start + self.length) * per_frame]
        return np.pad(part, ((0, 0), (0, 0), (0, (self.size - self.length) * per_frame)))


def windows(n_frames: int, size: int, reach: Sequence[int]) -> Iterator[Window]:
    """Cut `n_frames` into windows whose taken frames follow each other.

    Args:
        size: frames of a window, more than the sum of `reach`.
        reach: frames before and after one that its result depends on; beyond the ends of the whole there are none.
    """
    before, after = reach
    done = start = 0
    while done < n_frames:
        start = max(0, min(done - before, n_frames - size))
        length = min(size, n_frames - start)
        end = n_frames if start + length == n_frames else start + length - after
        yield Window(start, size, length, done - start, end - start)
        done = end
