"""The light WaveGlow: wide groups, conditions by frames, separable convolutions, bounded log scales, two losses."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops
from toy_export import close
from toy_training import read_log
from toy_waveglow import LIGHT, SETTINGS, save_fresh, write_wav_corpus

from src.checkpoint import load_checkpoint
from src.config import load_config
from src.convert.to_torch import to_torch
from src.convert.waveglow import waveglow_mapping
from src.data.segments import SegmentBatch
from src.errors import InputError
from src.export import writing
from src.export.mindir import load_mindir
from src.export.mindir_inference import MindirWaveGlow
from src.export.onnx.inference import OnnxWaveGlow
from src.models.factory import create_model
from src.models.waveglow import inference
from src.models.waveglow.denoiser import Denoiser
from src.models.waveglow.depthwise import DepthwiseConvolution
from src.models.waveglow.initialisation import GROUP_FLOORS, fit_to_data, whitening
from src.models.waveglow.loss import WaveGlowLoss
from src.train.loop import Training
from src.train.waveglow import WaveGlowTask

N_MELS, HOP, GROUP = 8, 32, 16


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def build(**overrides):
    """A network whose couplings are not the identity, which fresh ones are because `end` starts as 0."""
    np.random.seed(0)
    config = load_config(overrides=LIGHT | {key.replace("__", "."): value for key, value in overrides.items()})
    net = create_model(config=config)
    for k, flow in enumerate(net.flows):
        flow.wn.end.weight.set_data(Tensor(0.3 * draw(*flow.wn.end.weight.shape, seed=k)))
    return net


@pytest.fixture(scope="module")
def net():
    return build()


def flow_of_numpy(flow, x, mel, limit):
    """A flow as the papers define it, in float64: x (T, C), mel (F, n_mels) after its linear layer."""
    wn, n_time = flow.wn, len(x)
    value = {name: each.asnumpy().astype(np.float64) for name, each in wn.parameters_and_names()}
    prefix = next(iter(value)).split("wn.")[0] + "wn." if "wn." in next(iter(value)) else ""

    def conv(name, rows):
        weight = value[f"{prefix}{name}.weight_v"]
        weight = weight * value[f"{prefix}{name}.weight_g"] / np.linalg.norm(weight, axis=0)
        return rows @ weight + value[f"{prefix}{name}.bias"]

    x = x @ flow.convinv.weight.asnumpy().astype(np.float64)
    kept, changed = np.split(x, 2, 1)
    h, skips = conv("start", kept), 0
    conditions = np.split(conv("cond_layer", mel).repeat(n_time // len(mel), 0), wn.n_layers, 1)
    for i in range(wn.n_layers):
        taps = value[f"{prefix}depthwise.{i}.weight"]
        padded = np.pad(h, ((1, 1), (0, 0)))
        mixed = sum(padded[k : k + n_time] * taps[k] for k in range(3))
        signal, gate = np.split(conv(f"in_layers.{i}", mixed) + conditions[i], 2, 1)
        out = conv(f"res_skip_layers.{i}", np.tanh(signal) / (1 + np.exp(-gate)))
        if i < wn.n_layers - 1:
            residual, out = np.split(out, 2, 1)
            h = h + residual
        skips = skips + out
    shift, log_scale = np.split(skips @ value[f"{prefix}end.weight"] + value[f"{prefix}end.bias"], 2, 1)
    log_scale = limit * np.tanh(log_scale / limit)
    return np.concatenate((kept, changed * np.exp(log_scale) + shift), 1), log_scale.sum()


def test_the_network_is_that_of_its_definition(net):
    mel, audio = draw(2, N_MELS, 6), 0.3 * draw(2, 6 * HOP)
    z, log_s_sum, log_det_sum = net(Tensor(mel), Tensor(audio))
    expected, log_s = [], 0.0
    for item in range(2):
        frames = mel[item].T @ net.upsample.weight.asnumpy().astype(np.float64) + net.upsample.bias.asnumpy()
        x = audio[item].reshape(-1, GROUP).astype(np.float64)
        for flow in net.flows:
            x, share = flow_of_numpy(flow, x, frames, net.config.model.log_scale_limit)
            log_s += share
        expected.append(x.T)
    np.testing.assert_allclose(z.asnumpy(), expected, atol=2e-4)
    assert log_s_sum.asnumpy() == pytest.approx(log_s, rel=1e-4)
    assert log_det_sum.asnumpy() == pytest.approx(0, abs=1e-2)  # of rotations


def test_both_ways_back_undo_the_way_there(net):
    mel, audio = Tensor(draw(2, N_MELS, 9)), draw(2, 9 * HOP)
    z = net(mel, Tensor(audio))[0]
    np.testing.assert_allclose(net.infer(mel, 1.0, [z]).asnumpy(), audio, atol=1e-4)
    np.testing.assert_allclose(net.generate(mel, z.swapaxes(1, 2)).asnumpy(), audio, atol=1e-4)
    folded = build()
    folded.remove_weight_norm()
    np.testing.assert_allclose(folded(mel, Tensor(audio))[0].asnumpy(), z.asnumpy(), atol=1e-4)
    np.testing.assert_allclose(folded.infer(mel, 1.0, [z]).asnumpy(), audio, atol=1e-4)


def test_the_published_network_has_a_way_back_in_a_graph_too():
    config = load_config(overrides=SETTINGS)  # of which channels leave early
    net = create_model(config=config)
    mel, audio = Tensor(draw(1, N_MELS, 5)), draw(1, 5 * HOP)
    z = net(mel, Tensor(audio))[0].asnumpy()
    used = np.concatenate((z[:, 2:], z[:, :2]), 1)  # in order of use
    np.testing.assert_allclose(net.generate(mel, Tensor(used.swapaxes(1, 2))).asnumpy(), audio, atol=1e-4)


def test_log_scales_stay_within_their_limit():
    net = build()
    for flow in net.flows:
        flow.wn.end.weight.set_data(Tensor(100 * flow.wn.end.weight.asnumpy()))
    _, log_scale, _ = net.flows[0](Tensor(draw(1, 4, GROUP)), Tensor(draw(2, N_MELS)))
    assert 1.9 < np.abs(log_scale.asnumpy()).max() <= 2.0


@pytest.mark.parametrize(("kernel_size", "dilation"), [(3, 1), (5, 2)])
def test_a_depthwise_convolution_and_its_gradients(kernel_size, dilation):
    x, weight, dout = draw(2, 7, 4), draw(kernel_size, 4, seed=1), draw(14, 4, seed=2)
    convolution = DepthwiseConvolution(kernel_size, dilation)
    edge = kernel_size // 2 * dilation

    def taps(values):
        padded = np.pad(values, ((0, 0), (edge, edge), (0, 0)))
        return [padded[:, i * dilation : i * dilation + 7] for i in range(kernel_size)]

    expected = sum(tap * row for tap, row in zip(taps(x), weight, strict=True))
    np.testing.assert_allclose(convolution(Tensor(x), Tensor(weight)).asnumpy().reshape(x.shape), expected, atol=1e-5)

    def weighted(x, weight):
        return (convolution(x, weight) * Tensor(dout)).sum()

    dx, dweight = ms.grad(weighted, (0, 1))(Tensor(x), Tensor(weight))
    shaped = dout.reshape(x.shape)
    np.testing.assert_allclose(
        dx.asnumpy(), sum(tap * row for tap, row in zip(taps(shaped), weight[::-1], strict=True)), atol=1e-5
    )
    np.testing.assert_allclose(dweight.asnumpy(), [(tap * shaped).sum((0, 1)) for tap in taps(x)], atol=1e-5)


def test_gradients_through_both_directions_are_those_of_numerical_differences(net):
    """Of the likelihood, and of sound made from latents; kinks of the spectral loss are too many for differences."""
    loss, weights = WaveGlowLoss(1.0), net.trainable_params()
    mel, audio, latents, dout = (draw(2, N_MELS, 4), draw(2, 128), draw(2, 8, GROUP, seed=1), draw(2, 128, seed=2))
    inputs = [Tensor(each) for each in (mel, audio, latents, 0.01 * dout)]

    def forward(mel, audio, latents, dout):
        return loss(*net(mel, audio)) + (net.generate(mel, latents) * dout).sum()

    loss_of, gradients = ms.jit(forward), ms.value_and_grad(forward, None, weights)(*inputs)[1]
    for weight, gradient in zip(weights, gradients, strict=True):
        before, direction = weight.asnumpy().copy(), gradient.asnumpy()
        norm = np.linalg.norm(direction)
        step, values = 1e-3 * max(np.linalg.norm(before), 0.1) / norm, []
        for sign in (1, -1):
            ops.Assign()(weight, Tensor(before + sign * step * direction))
            values.append(float(loss_of(*inputs).asnumpy()))
        ops.Assign()(weight, Tensor(before))
        error = 3e-7 / step  # rounding of the two values
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(norm**2, rel=0.01, abs=error), weight.name


def test_an_item_of_a_batch_is_as_alone_and_chunks_as_one_piece(net, monkeypatch):
    mel = draw(2, N_MELS, 41)
    whole = net.infer(Tensor(mel), seed=3).asnumpy()
    np.testing.assert_allclose(net.infer(Tensor(mel[:1]), seed=3).asnumpy()[0], whole[0], atol=1e-6)
    monkeypatch.setattr(inference, "CHUNK", 9)
    monkeypatch.setattr(inference, "WINDOW_MULTIPLE", 2)
    assert np.abs(net.infer(Tensor(mel), seed=3).asnumpy() - whole).max() < 1e-5
    assert net.synthesis.halo == 1  # two positions on each side, which are one frame
    monkeypatch.setattr(net.synthesis, "halo", 0)
    assert np.abs(net.infer(Tensor(mel), seed=3).asnumpy() - whole).max() > 1e-4


def test_the_denoiser_takes_the_hum_away(net):
    denoiser = Denoiser(net)
    hum = net.infer(np.zeros((1, N_MELS, 60), np.float32), sigma=0.0).asnumpy()[0]
    middle = slice(400, -400)
    assert np.abs(denoiser(hum, 1.0)[middle]).max() < 0.2 * np.abs(hum[middle]).max()


def test_a_fitted_network_whitens_groups_and_frames():
    net = create_model(config=load_config(overrides=LIGHT))
    samples = np.convolve(draw(HOP * 400), np.ones(6), "same").astype(np.float32) * 0.01
    mel = draw(N_MELS, N_MELS) @ draw(N_MELS, 400, seed=1) - 6
    fit_to_data(net, mel, samples)
    z = net(Tensor(mel[None]), Tensor(samples[None]))[0].asnumpy()[0]
    variances = np.linalg.eigvalsh(np.cov(z))
    assert variances.max() < 1.01 and np.median(variances) > 0.9
    matrix = whitening(samples.reshape(-1, GROUP), GROUP_FLOORS["frames"])[1]
    np.testing.assert_allclose(net.flows[0].convinv.weight.asnumpy(), matrix, rtol=1e-4, atol=1e-3)
    mean, matrix = whitening(mel.T)
    np.testing.assert_allclose(net.upsample(Tensor(mel.T[None])).asnumpy(), (mel.T - mean) @ matrix, atol=1e-3)


def test_exported_files_make_the_sound_of_the_network(tmp_path):
    np.random.seed(1)
    save_fresh(tmp_path / "light.ckpt", LIGHT)
    net = create_model(checkpoint=tmp_path / "light.ckpt")
    for file_format, options in (("ONNX", {}), ("MINDIR", {"fixed_frames": 20})):
        done = writing.export(tmp_path / "light.ckpt", file_format, tmp_path, **options)
        assert all(difference < 1e-4 for _, difference in done)
    mel = draw(2, N_MELS, 37)
    expected = net.infer(Tensor(mel), sigma=0.7, seed=2).asnumpy()
    assert close(OnnxWaveGlow(tmp_path).infer(mel, sigma=0.7, seed=2), expected, 1e-4)
    assert close(MindirWaveGlow(tmp_path).infer(mel, sigma=0.7, seed=2), expected, 1e-4)
    noise = 0.7 * np.random.default_rng((2, 0)).standard_normal((37 * HOP // GROUP, GROUP), np.float32).T[None]
    found = load_mindir(tmp_path / "waveglow.mindir")(Tensor(mel[:1]), Tensor(np.ascontiguousarray(noise)))
    assert close(found, expected[:1], 1e-4)


def test_a_run_adds_the_spectral_loss_and_learns(tmp_path):
    data, out = write_wav_corpus(tmp_path), tmp_path / "out"
    config = load_config(overrides=LIGHT | {"train.max_steps": 40})
    Training(config, data, out).run()
    rows = read_log(out)
    steps, validations = [row for row in rows if "loss" in row], [row for row in rows if "val_loss" in row]
    for row in steps:
        likelihood = row["z_loss"] - row["log_s"] - row["log_det"]
        both = 0.5 * likelihood + 2 * row["spectral_loss"]
        assert row["loss"] == pytest.approx(likelihood if row["step"] <= 4 else both, abs=1e-4)
    for row in validations:  # the same losses at any step
        likelihood = row["val_z_loss"] - row["val_log_s"] - row["val_log_det"]
        assert row["val_loss"] == pytest.approx(0.5 * likelihood + 2 * row["val_spectral_loss"], abs=1e-4)
    spectral = [row["spectral_loss"] for row in steps]
    assert np.mean(spectral[-10:]) < 0.95 * np.mean(spectral[10:20])


def test_noise_on_recordings_is_of_the_step_and_as_loud_as_asked():
    task = WaveGlowTask(load_config(overrides=LIGHT))
    batch = SegmentBatch(draw(2, N_MELS, 16), 0.1 * draw(2, 512), np.arange(2, dtype=np.int32))
    first, again, next_one = (task.inputs(batch, step)[1].asnumpy() - batch.audio for step in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - next_one).max() > 1e-5 and first.std() == pytest.approx(1e-4, rel=0.1)
    quiet = WaveGlowTask(load_config(overrides=SETTINGS)).inputs(batch, 3)
    assert len(quiet) == 2
    np.testing.assert_array_equal(quiet[1].asnumpy(), batch.audio)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("model.conditioning", "samples", "one of upsampled, frames"),
        ("model.wn_dilation_base", 0, "above 0"),
        ("model.log_scale_limit", -1.0, "at least 0"),
        ("model.audio_noise", 1.0, "below 1"),
        ("model.spectral_weight", -1.0, "at least 0"),
        ("model.spectral_weight", 0.0, "need a model.spectral_weight above 0"),
        ("train.segment_length", 496, "multiple of audio.hop_length"),
        ("train.segment_length", 480, "at least 4 times"),
    ],
)
def test_a_value_that_the_light_network_cannot_use_is_named(key, value, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        load_config(overrides=LIGHT | {key: value})
    assert key in str(error.value)


def test_audio_must_be_whole_frames(net):
    with pytest.raises(ValueError, match="of hop_length with conditioning frames"):
        net(Tensor(draw(1, N_MELS, 4)), Tensor(draw(1, 3 * HOP + GROUP)))


def test_it_has_no_form_for_the_public_implementation(tmp_path):
    save_fresh(tmp_path / "light.ckpt", LIGHT)
    with pytest.raises(InputError, match=r"model.conditioning is frames, which the public WaveGlow does not have"):
        to_torch(tmp_path / "light.ckpt", tmp_path / "light.pt")
    assert not (tmp_path / "light.pt").exists()
    with pytest.raises(InputError, match=r"model.wn_dilation_base is 1"):
        waveglow_mapping(load_config(overrides=SETTINGS | {"model.wn_dilation_base": 1}))


def test_a_checkpoint_of_before_has_the_published_values(tmp_path):
    save_fresh(tmp_path / "old.ckpt", SETTINGS)
    loaded = load_checkpoint(tmp_path / "old.ckpt")
    old = loaded.config.to_dict()
    for key in ("conditioning", "wn_separable", "wn_dilation_base", "log_scale_limit", "spectral_weight"):
        del old["model"][key]
    assert load_config(old) == loaded.config
