"""A predicted mean opinion score of speech, without a reference."""

import numpy as np

from src.evaluation.metrics import AUDIO, resample
from src.evaluation.packages import needed

SHORTEST = 0.1  # seconds


def predicted_opinion(wav: np.ndarray, sample_rate: int) -> float | None:
    """Predict listeners' mean opinion of overall quality, 1 (bad) to 5, by DNSMOS P.835 (Reddy et al. 2022).

    That network was trained on noisy and denoised recordings. It hears noise, hoarseness and distortion, but neither
    words nor melody. Speech shorter than 9 s is repeated.

    Args:
        wav: float [samples] in [-1, 1]; None is returned for less than 0.1 s.

    Raises:
        InputError: the package speechmos is missing.
    """
    wav = np.clip(resample(wav, sample_rate), -1, 1)
    if len(wav) < SHORTEST * AUDIO.sample_rate:
        return None
    return float(needed("speechmos.dnsmos").run(wav, AUDIO.sample_rate)["ovrl_mos"])
