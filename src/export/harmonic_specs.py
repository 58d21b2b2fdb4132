"""Inputs and outputs of the harmonic vocoder's files, in all formats."""

from src.config import AudioConfig
from src.export.artifact import TensorSpec

Size = int | str  # a number, or the name of a dynamic size


def harmonic_inputs(audio: AudioConfig, n_batch: Size, frames: Size, samples: Size) -> dict[str, TensorSpec]:
    """Inputs by name: those of `src.models.harmonic.windows.Window`."""
    noise = f"normal values, {audio.hop_length} for each frame"
    return {
        "mel": TensorSpec("float32", (n_batch, audio.n_mels, frames), "mel spectrogram"),
        "noise": TensorSpec("float32", (n_batch, samples), noise),
        "start": TensorSpec("float32", (n_batch, 1), "phase of the pulses at the frame `anchor`, from 0 to 1"),
        "anchor": TensorSpec("int32", (1,), "a frame, from 0"),
    }


def harmonic_outputs(audio: AudioConfig, n_batch: Size, frames: Size, samples: Size) -> dict[str, TensorSpec]:
    """Outputs by name. `src.models.harmonic.correction` takes the first two."""
    wave = f"{audio.hop_length} samples for each frame, before the correction to the mel"
    bands = "natural logarithms of magnitudes, for the correction"
    return {
        "audio": TensorSpec("float32", (n_batch, samples), wave),
        "bands": TensorSpec("float32", (n_batch, audio.n_mels, frames), bands),
        "phase": TensorSpec("float32", (n_batch, frames), "phase of the pulses at each frame"),
    }
