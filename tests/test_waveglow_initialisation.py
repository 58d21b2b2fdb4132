import numpy as np
import pytest
from mindspore import Tensor
from toy_waveglow import SETTINGS

from src.config import load_config
from src.models.factory import create_model
from src.models.waveglow.initialisation import fit_to_data, whitening


@pytest.fixture(scope="module")
def audio():
    """Quiet samples that resemble their neighbours."""
    noise = np.random.default_rng(0).standard_normal(32 * 400)
    return (0.01 * np.convolve(noise, np.ones(6), "same")).astype(np.float32)


@pytest.fixture(scope="module")
def mel():
    """Correlated bands far from 0."""
    random = np.random.default_rng(1)
    return (random.standard_normal((8, 8)) @ random.standard_normal((8, 400)) - 6).astype(np.float32)


def test_whitened_values_have_unit_covariance(mel):
    mean, matrix = whitening(mel.T)
    white = (mel.T - mean) @ matrix
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-5)
    variances = np.linalg.eigvalsh(np.cov(white.T))
    assert variances.max() < 1.001 and variances.max() > 0.99  # those below the floor stay smaller
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)


def test_silence_is_whitened_to_finite_values():
    assert np.isfinite(whitening(np.zeros((10, 3)))[1]).all()


def test_a_fitted_network_takes_audio_for_noise_and_hears_each_frame_through_its_hop(audio, mel):
    net = create_model(config=load_config(overrides=SETTINGS))
    fit_to_data(net, mel, audio)
    z, log_s, log_det = net(Tensor(mel[None]), Tensor(audio[None]))
    np.testing.assert_allclose(np.cov(z.asnumpy()[0]), np.eye(net.n_group), atol=0.1)
    assert float(log_s.asnumpy()) == 0 < float(log_det.asnumpy()) / z.size
    mean, matrix = whitening(mel.T)
    frames = np.concatenate([np.zeros((net.upsample.n_frames - 1, 8), np.float32), mel.T])
    heard = net.upsample(Tensor(frames[None])).asnumpy().reshape(400, net.upsample.n_groups, 8, net.n_group)
    expected = ((mel.T - mean) @ matrix)[:, None, :, None]
    np.testing.assert_allclose(heard, np.broadcast_to(expected, heard.shape), atol=1e-3)
