"""Initial weights from the data, as in Glow's activation normalisation (Kingma & Dhariwal 2018, sec. 3.1).

A fresh network gets samples of some hundredths, nearly equal to their neighbours, and correlated log mel bands far from
0, which random weights upsample differently for each sample. A small network spent its first three thousand steps on
learning these scales and correlations. Here the first layers start with them. The network's layout does not change.
"""

import numpy as np
from mindspore import Tensor

from src.models.waveglow.model import WaveGlow

FLOOR = 1e-3  # share of the largest variance; directions with less are not scaled up to variance 1
# The same for groups of samples. Most directions of a large group are high frequencies, of far less variance than low
# ones; scaling them up is a product for the matrix, and steps of training for the couplings.
GROUP_FLOORS = {"upsampled": FLOOR, "frames": 1e-6}
LEAST_VARIANCE = 1e-9  # keeps the scales of silent data finite


def whitening(values: np.ndarray, floor: float = FLOOR) -> tuple[np.ndarray, np.ndarray]:
    """Mean [n] and matrix W [n, n] for which (values - mean) W has about unit covariance.

    W is the inverse square root of the covariance, the whitening matrix nearest to the identity ("ZCA", Bell &
    Sejnowski 1997).

    Args:
        values: [observations, n], at least 2 of them.
        floor: see `FLOOR`.
    """
    variances, directions = np.linalg.eigh(np.atleast_2d(np.cov(values.T.astype(np.float64))))
    scales = (variances.clip(0) + floor * variances[-1] + LEAST_VARIANCE) ** -0.5
    return values.mean(0), (directions * scales) @ directions.T


def fit_to_data(net: WaveGlow, mel: np.ndarray, audio: np.ndarray) -> None:
    """Initialise a fresh `net`: the condition is a whitened frame for a hop, the first 1x1 convolution whitens samples.

    Args:
        mel: float32 [n_mels, frames], any frames of the training data.
        audio: float32 [samples], the audio of these frames.
    """
    upsample, flow = net.upsample, net.flows[0]
    mean, matrix = whitening(mel.T)
    if net.by_frames:
        weight = matrix.astype(np.float32)
    else:
        weight = np.zeros(
            (upsample.n_frames, upsample.n_mels, upsample.n_groups, upsample.n_mels, upsample.n_group), np.float32
        )
        weight[-1] = matrix[:, None, :, None]  # a sample's own frame, the last of those it depends on
    upsample.weight.set_data(Tensor(weight.reshape(upsample.weight.shape)))
    upsample.bias.set_data(Tensor((-mean @ matrix).astype(np.float32)))
    groups = audio[: len(audio) // net.n_group * net.n_group].reshape(-1, net.n_group)
    whiten = whitening(groups, GROUP_FLOORS[net.config.model.conditioning])[1]
    flow.convinv.weight.set_data(Tensor(whiten.astype(np.float32)))
