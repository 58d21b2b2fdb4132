"""Checks of the inputs of vocoders, for the networks and their exported files alike."""

import numpy as np

from src.errors import InputError


def check_inputs(mel: np.ndarray, sigma: float, n_mels: int) -> None:
    """Make sure that a mel spectrogram, (B, n_mels, F), and latents times `sigma` can be turned into sound.

    Raises:
        InputError: a mel of another shape, of one frame, or with NaN or infinities; a sigma that is negative or not
            finite.
    """
    if mel.ndim != 3 or mel.shape[1] != n_mels or 0 in mel.shape:
        raise InputError(f"the mel spectrogram has shape {list(mel.shape)}, expected [items, {n_mels}, frames]")
    if mel.shape[2] == 1:
        raise InputError("the mel spectrogram has 1 frame; two are the least that can be turned into sound")
    if not np.isfinite(mel).all():
        raise InputError("the mel spectrogram holds values that are not finite")
    if not (np.isfinite(sigma) and sigma >= 0):
        raise InputError(f"sigma is {sigma}, but must be at least 0")
