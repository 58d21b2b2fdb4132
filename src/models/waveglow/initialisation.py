"""Initial weights that know the data, as Glow's activation normalisation does (Kingma & Dhariwal 2018, sec. 3.1).

A fresh network hears samples of some hundredths, neighbours among which are nearly the same, and log mel bands far from 0 that
move together, each sample through random numbers of its own. Learning these scales and correlations took the first three thousand steps
of a small network; here the layers that the data enters by get them. The network and its layout stay what they are.
"""

import numpy as np
from mindspore import Tensor

from src.models.waveglow.model import WaveGlow

FLOOR = 1e-3  # of the largest variance: directions with less are not blown up to 1
LEAST_VARIANCE = 1e-9  # of data that is silent throughout


def whitening(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [n] and matrix W [n, n] for which (values - mean) W has about unit covariance; of all such the one nearest to the identity,
    the inverse square root of the covariance (Bell & Sejnowski 1997, "ZCA").

    Args:
        values: [observations, n], at least 2 of them.
    """
    variances, directions = np.linalg.eigh(np.atleast_2d(np.cov(values.T.astype(np.float64))))
    scales = (variances.clip(0) + FLOOR * variances[-1] + LEAST_VARIANCE) ** -0.5
    return values.mean(0), (directions * scales) @ directions.T


def fit_to_data(net: WaveGlow, mel: np.ndarray, audio: np.ndarray) -> None:
    """Let the upsampling of a fresh `net` hold the whitened mel frame through its hop, and the first invertible convolution whiten samples.

    Args:
        mel: float32 [n_mels, frames], any frames of the training data.
        audio: float32 [samples], what they were made of.
    """
    upsample, flow = net.upsample, net.flows[0]
    mean, matrix = whitening(mel.T)
    weight = np.zeros(
        (upsample.n_frames, upsample.n_mels, upsample.n_groups, upsample.n_mels, upsample.n_group), np.float32
    )
    weight[-1] = matrix[:, None, :, None]  # the newest frame a sample hears
    upsample.weight.set_data(Tensor(weight.reshape(upsample.weight.shape)))
    upsample.bias.set_data(Tensor((-mean @ matrix).astype(np.float32)))
    groups = audio[: len(audio) // net.n_group * net.n_group].reshape(-1, net.n_group)
    flow.convinv.weight.set_data(Tensor(whitening(groups)[1].astype(np.float32)))
