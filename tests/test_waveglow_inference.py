"""Long mels chunk by chunk: the same samples as in one piece, without the memory of one piece."""

import numpy as np
import pytest
from mindspore import Tensor, ops

from src.config import Config, WaveGlowConfig
from src.errors import InputError
from src.models.factory import create_model
from src.models.ops import unfold
from src.models.waveglow import inference
from src.models.waveglow.denoiser import Denoiser


def build(**sizes):
    """A small network whose couplings are not the identity, which fresh ones are because `end` starts as 0."""
    config = Config(model=WaveGlowConfig(**{"wn_layers": 6, "wn_channels": 8, "upsample_kernel_size": 512, **sizes}))
    config.audio.n_mels = 6
    net = create_model(config=config)
    random = np.random.default_rng(0)
    for flow in net.flows:
        end = flow.wn.end.weight
        ops.Assign()(end, Tensor(0.05 * random.standard_normal(end.shape, np.float32)))
    return net


@pytest.fixture(scope="module")
def net():
    """A network whose couplings reach over two frames."""
    return build(n_flows=5, n_early_every=2)


def draw(*shape):
    return np.random.default_rng(1).standard_normal(shape, np.float32)


@pytest.mark.parametrize("dilation", [1, 4, 16])
def test_a_convolution_in_pairs_is_one_of_neighbourhoods(dilation):
    x, weight = Tensor(draw(32, 3)), Tensor(draw(9, 5))
    expected = ops.MatMul()(unfold(x.expand_dims(0), 3, dilation), weight).asnumpy()
    np.testing.assert_allclose(inference.convolve_in_pairs(x, weight, dilation).asnumpy(), expected, atol=1e-5)


# The first has no pairs, the second none in its last layer, for which windows are too short.
@pytest.mark.parametrize("sizes", [{"wn_kernel_size": 5}, {"wn_layers": 11}])
def test_the_way_back_for_other_couplings(sizes):
    net = build(n_flows=2, **sizes)
    mel, noise = draw(1, 6, 17), [draw(1, 8, 17 * 32)]
    z = net(Tensor(mel), net.infer(Tensor(mel), noise=noise))[0].asnumpy()
    np.testing.assert_allclose(z, net.config.model.sigma * noise[0], atol=1e-5)


def test_chunks_give_the_samples_of_one_piece(net, monkeypatch):
    mel, n_time = draw(1, 6, 41), 41 * 32
    noise = [draw(1, channels, n_time) for channels in (4, 2, 2)]
    whole = net.infer(Tensor(mel), noise=noise).asnumpy()
    z = net(Tensor(mel), Tensor(whole))[0].asnumpy()  # the training direction knows no chunks
    np.testing.assert_allclose(z, net.config.model.sigma * np.concatenate(noise[::-1], 1), atol=1e-5)
    monkeypatch.setattr(inference, "CHUNK", 9)
    monkeypatch.setattr(inference, "WINDOW_MULTIPLE", 4)
    chunked = net.infer(Tensor(mel), noise=noise).asnumpy()
    assert np.abs(chunked - whole).max() < 1e-5
    monkeypatch.setattr(net.synthesis, "halo", 1)
    assert np.abs(net.infer(Tensor(mel), noise=noise).asnumpy() - whole).max() > 1e-4  # not a frame more than needed


def test_no_graph_is_larger_than_a_chunk_with_its_surroundings(net, monkeypatch):
    sizes = []
    couple = net.synthesis.coupling
    monkeypatch.setattr(inference, "CHUNK", 20)
    monkeypatch.setattr(inference, "WINDOW_MULTIPLE", 8)

    def watched(x, condition, *rest):
        sizes.append((x.shape, condition.shape))
        return couple(x, condition, *rest)

    monkeypatch.setattr(net.synthesis, "coupling", watched)
    for n_frames in (3, 8, 15, 60, 95):
        assert net.infer(Tensor(draw(1, 6, n_frames))).shape == (1, n_frames * 256)
    assert {x[0] // 32 for x, _ in sizes} == {8, 16, 24}
    assert len(set(sizes)) == 3


def test_each_item_has_noise_of_its_own_by_its_seed(net):
    mel = np.repeat(draw(1, 6, 5), 2, axis=0)
    first, second = net.infer(Tensor(mel), seed=3).asnumpy()
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_array_equal(net.infer(Tensor(mel[:1]), seed=3).asnumpy()[0], first)
    assert np.abs(net.infer(Tensor(mel[:1]), seed=4).asnumpy()[0] - first).max() > 0.1


def test_the_denoiser_takes_the_hum_away_and_leaves_the_rest(net):
    denoiser = Denoiser(net)
    hum = net.infer(Tensor(np.zeros((1, 6, 60), np.float32)), sigma=0.0).asnumpy()[0]
    assert np.abs(hum).max() > 1e-3
    middle = slice(4000, -4000)
    assert np.abs(denoiser(hum, 1.0)[middle]).max() < 0.1 * np.abs(hum[middle]).max()
    tone = np.sin(0.3 * np.arange(12000, dtype=np.float32))
    np.testing.assert_allclose(denoiser(tone, 0.0), tone, atol=1e-5)
    assert denoiser(tone, 0.1).shape == tone.shape
    with pytest.raises(InputError, match="strength"):
        denoiser(tone, -1.0)
