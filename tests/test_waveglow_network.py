"""WaveGlow against the public PyTorch implementation, whose weights and results are in data/tiny_waveglow.npz."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.checkpoint import copy_strictly, network_parameters
from src.config import load_config
from src.convert.mapping import to_ours
from src.convert.waveglow import waveglow_mapping, waveglow_sizes
from src.errors import InputError
from src.models.factory import create_model
from src.models.waveglow.loss import WaveGlowLoss


def relative_error(found, wanted):
    return np.linalg.norm(np.asarray(found) - wanted) / np.linalg.norm(wanted)


@pytest.fixture(scope="module")
def reference():
    return dict(np.load(Path(__file__).parent / "data" / "tiny_waveglow.npz"))


def under(reference, prefix):
    return {name.removeprefix(prefix): array for name, array in reference.items() if name.startswith(prefix)}


def network(tensors):
    config = load_config(overrides=waveglow_sizes(tensors))
    net = create_model(config=config)
    copy_strictly(to_ours(waveglow_mapping(config), tensors), network_parameters(net), "test")
    return net


@pytest.fixture(scope="module")
def net(reference):
    return network(under(reference, "w/"))


def noise_of(reference):
    return [reference[f"infer_noise_{i}"] for i in range(3)]


def check_towards_noise(net, reference):
    z, log_s_sum, log_det_sum = net(Tensor(reference["mel"]), Tensor(reference["audio"]))
    assert z.shape == reference["z"].shape
    assert relative_error(z.asnumpy(), reference["z"]) < 1e-5
    assert log_s_sum.asnumpy() == pytest.approx(reference["log_s_sum"], rel=1e-5)
    # 768 positions times the rounding error of a determinant of 1: the reference is 1.3e-4 off the value in float64.
    assert log_det_sum.asnumpy() == pytest.approx(reference["logdet_sum"], abs=1e-3)


def test_loss_and_every_gradient(net, reference):
    loss_of = WaveGlowLoss(1.0)

    def forward(mel, audio):
        return loss_of(*net(mel, audio))

    step = ms.value_and_grad(forward, None, net.trainable_params())
    loss, gradients = step(Tensor(reference["mel"]), Tensor(reference["audio"]))
    assert loss.asnumpy() == pytest.approx(reference["loss"], rel=1e-5)
    wanted = to_ours(waveglow_mapping(net.config), under(reference, "grad/"))
    found = {name: gradient.asnumpy() for name, gradient in zip(network_parameters(net), gradients, strict=True)}
    assert found.keys() == wanted.keys()
    assert max(relative_error(found[name], wanted[name]) for name in wanted) < 1e-4


def test_both_directions_with_and_without_weight_norm(reference):
    net = network(under(reference, "w/"))
    mel, noise = Tensor(reference["mel"]), noise_of(reference)
    check_towards_noise(net, reference)
    before = net.infer(mel, sigma=float(reference["infer_sigma"]), noise=noise).asnumpy()
    assert relative_error(before, reference["infer_audio"]) < 1e-5
    net.remove_weight_norm()
    assert not [name for name in network_parameters(net) if "weight_g" in name or "weight_v" in name]
    check_towards_noise(net, reference)
    after = net.infer(mel, sigma=float(reference["infer_sigma"]), noise=noise).asnumpy()
    assert relative_error(after, before) < 1e-6


def test_the_way_back_undoes_the_way_there(net, reference):
    mel, audio = Tensor(reference["mel"]), reference["audio"]
    z = net(mel, Tensor(audio))[0].asnumpy()
    again = net.infer(mel, sigma=1.0, noise=[z[:, 4:], z[:, 2:4], z[:, :2]]).asnumpy()
    assert relative_error(again, audio) < 1e-5


def test_bad_input_is_named(net, reference):
    mel = reference["mel"]
    broken = mel.copy()
    broken[0, 3, 2] = np.nan
    with pytest.raises(InputError, match="not finite"):
        net.infer(Tensor(broken))
    with pytest.raises(InputError, match="has 1 frame"):
        net.infer(Tensor(mel[:, :, :1]))
    with pytest.raises(InputError, match=r"shape \[2, 10, 6\], expected \[items, 20, frames\]"):
        net.infer(Tensor(mel[:, :10]))
    with pytest.raises(InputError, match=r"shape \[0, 20, 6\]"):
        net.infer(mel[:0])
    for sigma in (-0.1, float("nan")):
        with pytest.raises(InputError, match="sigma is"):
            net.infer(Tensor(mel), sigma=sigma)
    with pytest.raises(InputError, match=r"expected \[2, 4, 192\], \[2, 2, 192\]"):
        net.infer(Tensor(mel), noise=noise_of(reference)[:2])
