"""Frames before and behind a mel spectrogram, for the harmonic vocoder and its exported files alike."""

import numpy as np

CONTEXT = 8  # frames before and behind a mel, which repeat its first and last one
FRAMES_MULTIPLE = 256  # numbers of frames are rounded up to this, so that few graphs are compiled


def padded(mel: np.ndarray, noise: np.ndarray, hop_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Put frames around mels, so that their ends sound as if speech went on, and noise around noise.

    Args:
        mel: float32 (B, n_mels, F).
        noise: float32 (B, F * hop_length).

    Returns:
        Both, F rounded up; the sound of the mel begins at sample CONTEXT * hop_length.
    """
    behind = -(mel.shape[2] + 2 * CONTEXT) % FRAMES_MULTIPLE + CONTEXT
    samples = CONTEXT * hop_length, behind * hop_length
    mel = np.pad(mel, ((0, 0), (0, 0), (CONTEXT, behind)), mode="edge")
    return mel.astype(np.float32), np.pad(noise, ((0, 0), samples), mode="reflect").astype(np.float32)


def unpadded(audio: np.ndarray, n_frames: int, hop_length: int) -> np.ndarray:
    """Cut the sound of `n_frames` out of that of `padded` ones: (B, samples) -> (B, n_frames * hop_length)."""
    return audio[:, CONTEXT * hop_length : (CONTEXT + n_frames) * hop_length]
