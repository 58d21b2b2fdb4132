"""The parts of the harmonic vocoder: its Fourier transforms, its source, its filters, and the correction to the mel."""

import librosa
import mindspore as ms
import numpy as np
import pytest
import scipy
from mindspore import Tensor, ops
from toy_harmonic import SETTINGS

from src import create_model, runtime
from src.audio import mel_filters, mel_spectrogram
from src.config import load_config
from src.config.schema import AudioConfig
from src.errors import InputError
from src.models.fourier_bases import overlap_gain
from src.models.harmonic.bases import minimum_phase_matrix, spread_matrix
from src.models.harmonic.correction import LOUDER, MelCorrection
from src.models.harmonic.loss import SPREAD_WEIGHT, HarmonicLoss, pitch_error
from src.models.harmonic.source import PulseTrain, frame_phase
from src.models.sampling import noise_and_phase
from src.models.spectra import Spectra
from src.models.spectral_loss import SpectralLoss, log_power, target_spectra

AUDIO = load_config(overrides=SETTINGS).audio


@pytest.fixture(scope="module", autouse=True)
def graph_mode():
    runtime.setup(0)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("n_fft", "hop_length", "win_length"), [(128, 32, 128), (64, 20, 50)])
def test_the_transform_is_librosas_and_its_inverse_returns(n_fft, hop_length, win_length):
    audio = AudioConfig(8000, n_fft, hop_length, win_length, n_mels=8, fmax=4000.0)
    spectra, x = Spectra(audio), random(2, 9 * hop_length)

    @ms.jit
    def there_and_back(x: Tensor):
        spectrum = spectra(x)
        return *spectrum, spectra.inverse(spectrum, 2)

    real, imaginary, back = (array.asnumpy() for array in there_and_back(Tensor(x)))
    lengths = {"n_fft": n_fft, "hop_length": hop_length, "win_length": win_length}
    expected = librosa.stft(x, **lengths, pad_mode="constant")[:, :, :9].swapaxes(1, 2).reshape(18, -1)
    np.testing.assert_allclose(real + 1j * imaginary, expected, atol=1e-5)
    np.testing.assert_allclose(back, x, atol=1e-5)


def test_the_phase_is_that_of_a_minimum_phase_filter():
    zeros, poles = [0.9 * np.exp(0.4j), 0.5], [0.8 * np.exp(1.3j), -0.6]
    numerator, denominator = (np.poly([*roots, roots[0].conjugate()]).real for roots in (zeros, poles))
    _, response = scipy.signal.freqz(numerator, denominator, np.pi * np.arange(257) / 256)
    phase = np.log(np.abs(response)) @ minimum_phase_matrix(512)
    np.testing.assert_allclose(np.exp(1j * phase), response / np.abs(response), atol=1e-4)


def test_pulses_are_the_sum_of_all_cosines_below_half_the_sample_rate_and_nothing_jumps():
    n_frames, hop, rate = 40, AUDIO.hop_length, AUDIO.sample_rate
    f0 = (300 + 180 * np.sin(np.arange(n_frames) / 5)).astype(np.float32)[None]
    made = PulseTrain(AUDIO)(Tensor(f0), Tensor(np.ones_like(f0)), Tensor([[0.25]], ms.float32)).asnumpy()[0]
    frequency = np.interp(np.arange(n_frames * hop), np.arange(n_frames) * hop, f0[0].astype(float)) / rate
    # the integral of a piecewise linear frequency, exact at every sample
    slope = np.append(np.diff(f0[0].astype(float)), 0).repeat(hop) / rate / hop
    phase = 0.25 + np.append(0, np.cumsum(frequency + slope / 2))[:-1]
    count = 0.5 / frequency - 1
    number = np.arange(1, 40)[:, None]
    weight = np.clip(count - number + 1, 0, 1)  # the last cosine fades in
    expected = (weight * np.cos(2 * np.pi * number * phase)).sum(0) * np.sqrt(2 / count)
    assert weight[-1].max() == 0 and (number * frequency * (weight > 0)).max() <= 0.5
    np.testing.assert_allclose(made, expected, atol=5e-3)  # of peaks of 8
    assert abs((made**2).mean() - 1) < 0.1


def test_the_phase_stays_exact_over_minutes():
    n_frames = 20_000
    f0 = (0.01 + 0.004 * np.sin(np.arange(n_frames) / 9)).astype(np.float32)[None]
    phase = frame_phase(Tensor(f0), Tensor([[0.3]], ms.float32), 256).asnumpy()[0]
    f0 = f0[0].astype(float)
    expected = 0.3 + np.append(0, np.cumsum(128 * (f0[1:] + f0[:-1])))
    assert np.abs((phase - expected + 0.5) % 1 - 0.5).max() < 5e-5


def test_silence_is_where_there_is_no_voice():
    f0, voiced = np.full((1, 6), 200, np.float32), np.float32([[1, 1, 0, 0, 1, 1]])
    made = PulseTrain(AUDIO)(Tensor(f0), Tensor(voiced), Tensor([[0.0]], ms.float32)).asnumpy()[0]
    hop = AUDIO.hop_length
    assert not made[2 * hop : 3 * hop + 1].any() and made[: 2 * hop].any() and made[4 * hop :].any()


def test_bands_are_spread_over_all_bins_without_loss():
    spread = spread_matrix(AUDIO)
    np.testing.assert_allclose(spread.sum(0), 1, rtol=1e-5)
    peaks = mel_filters(AUDIO).argmax(1)
    assert (spread[np.arange(AUDIO.n_mels), peaks] > 0.6).all()


def test_the_loss_is_that_of_its_definition():
    audio, target = 0.1 * random(2, 1024), 0.1 * random(2, 1024, seed=1)
    edge = AUDIO.n_fft // 2
    targets = tuple(map(Tensor, target_spectra(target, AUDIO)))
    found = SpectralLoss(AUDIO)(Tensor(audio[:, edge:-edge]), targets).asnumpy()
    expected = []
    for size in (64, 128, 256):
        lengths = {"n_fft": size, "hop_length": size // 2, "center": False}
        ours, theirs = (np.sqrt(np.abs(librosa.stft(x[:, edge:-edge], **lengths)) ** 2 + 1e-7) for x in (audio, target))
        norms = [np.sqrt((x**2).sum((1, 2))) for x in (ours - theirs, theirs)]
        expected.append((norms[0] / norms[1]).mean() + np.abs(np.log(ours / theirs)).mean())
    assert found == pytest.approx(np.mean(expected), rel=1e-4)


def test_the_loss_is_the_same_at_every_start():
    """MindSpore tries out, in the first calls, how many threads share an operation; ops.log rounds by that."""

    def powers(real, imaginary):
        return log_power((real, imaginary))

    graph, parts = runtime.jit(powers), [Tensor(random(33, 99, seed=seed)) for seed in range(2)]
    first, *others = (graph(*parts).asnumpy() for _ in range(12))
    for other in others:
        np.testing.assert_array_equal(other, first)
    np.testing.assert_allclose(first, np.log(sum(part.asnumpy() ** 2 for part in parts) + 1e-7), atol=1e-5)


def test_the_error_of_pitch_counts_its_spread():
    theirs, voiced = random(3, 400), np.ones((3, 400), np.float32)
    voiced[0, 200:] = voiced[2] = 0
    theirs[0, 200:] = 9  # where there is no voice

    def error(ours):
        return float(pitch_error(Tensor(ours), Tensor(theirs), Tensor(voiced)).asnumpy())

    square = ((0.4 * theirs) ** 2 * voiced).sum() / voiced.sum()
    spread = 0.16 * ((theirs[0, :200] ** 2).mean() + (theirs[1] ** 2).mean()) / 3
    assert error(theirs) == pytest.approx(0, abs=1e-9)
    assert error(0.6 * theirs) == pytest.approx(square + SPREAD_WEIGHT * spread, rel=1e-2)
    hidden = theirs + random(3, 400, seed=1)  # the best guess at theirs from this is half of it, which is flat
    assert error(0.7 * hidden) < min(error(0.5 * hidden), error(1.2 * hidden))


def test_gradients_are_those_of_finite_differences():
    net = create_model("harmonic", load_config(overrides=SETTINGS)).set_train(True)
    mel, audio = random(2, AUDIO.n_mels, 32) - 5, 0.05 * random(2, 1024)
    log_f0, voiced = np.full((2, 32), np.log(200), np.float32), (random(2, 32) > 0).astype(np.float32)
    noise, start = noise_and_phase([1, 2], 1024)
    loss, parameters = HarmonicLoss(AUDIO), net.trainable_params()
    inputs = [Tensor(array) for array in (mel, log_f0, voiced, noise, start, *target_spectra(audio, AUDIO))]

    def forward(mel, log_f0, voiced, noise, start, *targets):
        statistics = net.pitch_mean, net.pitch_deviation
        parts = loss(net(mel, log_f0, voiced, noise, start), targets, log_f0, voiced, *statistics)
        return parts[0] + parts[1] + parts[2]

    both = ms.jit(ms.value_and_grad(forward, None, parameters))
    gradients = [gradient.asnumpy() for gradient in both(*inputs)[1]]
    for name in ("filters.end.weight", "filters.convs.0.weight", "filters.norms.0.gamma", "pitch.start.weight"):
        (index,) = (i for i, parameter in enumerate(parameters) if parameter.name == name)
        before, direction = parameters[index].asnumpy().copy(), np.sign(gradients[index])
        values = []
        for step in (-3e-3, 3e-3):
            ops.assign(parameters[index], Tensor(before + step * direction))
            values.append(float(both(*inputs)[0].asnumpy()))
        ops.assign(parameters[index], Tensor(before))
        assert (values[1] - values[0]) / 6e-3 == pytest.approx(np.abs(gradients[index]).sum(), rel=0.05), name


def test_the_correction_brings_the_mel_nearer():
    time = np.arange(40 * 32) / 8000
    wanted = mel_spectrogram(np.sin(2 * np.pi * (300 * time + 900 * time**2)).astype(np.float32), AUDIO)[:, :40].T
    audio, errors = 0.1 * random(40 * 32), []
    for n_steps in range(6):
        correction = MelCorrection(load_config(overrides={**SETTINGS, "model.mel_corrections": n_steps}))
        difference = mel_spectrogram(correction(audio, wanted), AUDIO)[:, 4:36].T - wanted[4:36]
        errors.append(np.sqrt((difference**2).mean()))
    assert errors[1] < 0.6 * errors[0] and errors[5] < 0.5 * errors[1]


def test_the_correction_is_steps_as_their_definition_has_them():
    config = load_config(overrides={**SETTINGS, "model.mel_corrections": 3, "model.correction_momentum": 0.9})
    correction, audio, wanted = MelCorrection(config), 0.1 * random(12 * 32), random(12, AUDIO.n_mels) - 3
    filters, spread, weight = mel_filters(AUDIO).T, spread_matrix(AUDIO), overlap_gain(12, 128, 32, 128)

    def log_mel(spectrum):
        return np.log(np.maximum(np.abs(spectrum) @ filters, AUDIO.mel_floor))

    before = spectrum = correction.transform(audio)
    target = correction.sharpened(wanted, log_mel(before))
    for _ in range(3):
        gain = np.clip(target - log_mel(spectrum), -3, 3) @ spread
        expected = correction.inverse(spectrum * np.exp(gain), weight)
        found = correction.transform(expected)
        spectrum, before = found + np.float32(0.9) * (found - before), found
    np.testing.assert_allclose(correction(audio, wanted), expected, atol=2e-5 * np.abs(expected).max())
    alone = correction(audio[4 * 32 : 9 * 32], wanted[4:9])
    np.testing.assert_array_equal(
        correction(audio, wanted, slice(4, 9)), np.concatenate((audio[: 4 * 32], alone, audio[9 * 32 :]))
    )


def test_a_blurred_mel_does_not_turn_a_voice_into_a_whisper():
    config = load_config("config/harmonic_ljspeech.yaml")
    audio, correction = config.audio, MelCorrection(config)
    n_samples = 60 * audio.hop_length
    voice = sum(np.cos(2 * np.pi * 110 * k * np.arange(n_samples) / audio.sample_rate) for k in range(1, 60)) / 200
    voice = (voice + 1e-3 * random(n_samples)).astype(np.float32)
    mel = correction.log_mel(correction.transform(voice))
    louder = mel + 0.5
    blurred = louder - louder @ correction.fine

    def harmonics(wav):  # power at multiples of 110 Hz below 1 kHz, beside that half-way between them
        power = np.abs(np.fft.rfft(wav[10 * 256 : -10 * 256] * np.hanning(40 * 256))) ** 2
        bins = np.arange(1, 9) * 110 * 40 * 256 / audio.sample_rate
        return sum(power[np.rint(bins).astype(int)]) / sum(
            power[np.rint(bins * (1 + 0.5 / np.arange(1, 9))).astype(int)]
        )

    for wanted, level in ((louder, 0.5), (blurred, 0.5 - LOUDER)):
        made = correction(voice, wanted)
        assert harmonics(made) > 1000 and np.std(made) / np.std(voice) == pytest.approx(np.exp(level), rel=0.1)
    np.testing.assert_allclose(correction.sharpened(louder, mel), louder)  # sharp mels stay as they are


def test_a_blurred_mel_is_sharpened_in_time_and_not_moved():
    correction = MelCorrection(load_config("config/harmonic_ljspeech.yaml"))
    burst = np.float32([0, 0, 0, 0, 0, 1, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0])[:, None] * np.ones(80, np.float32) - 5
    fine = np.tile(np.float32([-1, 1]), 40) * np.ones((16, 1), np.float32)  # of harmonics, which the burst lacks
    found = correction.sharpened(burst, burst + fine)
    middle = (found - fine @ correction.fine)[:, 20:60].mean(1) + LOUDER
    assert middle[6] > -2 + 0.5 and middle[4] < -5 - 0.2 and middle[8] < -5
    steady = np.full((16, 80), -4, np.float32)
    found = correction.sharpened(steady, steady + fine)
    np.testing.assert_allclose(found, steady - LOUDER + fine @ correction.fine, atol=1e-5)


@pytest.mark.parametrize(("n_fft", "hop_length", "win_length"), [(128, 32, 128), (64, 20, 50), (64, 32, 64)])
def test_the_transforms_of_the_correction_are_those_of_the_graph(n_fft, hop_length, win_length):
    overrides = {"audio.n_fft": n_fft, "audio.hop_length": hop_length, "audio.win_length": win_length}
    config = load_config(overrides={**SETTINGS, **overrides, "train.segment_length": 8 * hop_length * 4})
    correction, spectra, x = MelCorrection(config), Spectra(config.audio), random(9 * hop_length)
    real, imaginary = (part.asnumpy() for part in spectra(Tensor(x[None])))
    spectrum = correction.transform(x)
    np.testing.assert_allclose(spectrum, real + 1j * imaginary, atol=1e-4)
    other = spectrum * np.exp(0.3 * random(*spectrum.shape))
    parts = Tensor(np.ascontiguousarray(other.real)), Tensor(np.ascontiguousarray(other.imag))
    np.testing.assert_allclose(
        correction.inverse(other, overlap_gain(9, n_fft, hop_length, win_length)),
        spectra.inverse(parts, 1).asnumpy()[0],
        atol=1e-4,
    )


def test_speech_is_the_same_whatever_the_batch_and_another_for_another_seed():
    net, mel = create_model("harmonic", load_config(overrides=SETTINGS)), random(2, AUDIO.n_mels, 20) - 4
    both = net.infer(Tensor(mel)).asnumpy()
    assert both.shape == (2, 20 * 32) and np.isfinite(both).all()
    np.testing.assert_array_equal(net.infer(mel[:1]).asnumpy()[0], both[0])
    assert np.abs(net.infer(mel[:1], seed=1).asnumpy()[0] - both[0]).max() > 1e-3
    noise, _ = noise_and_phase([(0, 0), (0, 1)], 20 * 32)
    assert np.abs(net.infer(mel, noise=Tensor(noise), seed=1).asnumpy() - both).max() > 1e-3
    np.testing.assert_array_equal(
        net.infer(mel, noise=Tensor(noise), seed=[(0, 0), (0, 1)]).asnumpy()[0],
        net.infer(mel[:1], noise=noise[:1]).asnumpy()[0],
    )
    with pytest.raises(InputError, match=r"the noise has shape \[1, 5\]; expected \[2, 640\]"):
        net.infer(mel, noise=np.zeros((1, 5)))
    with pytest.raises(InputError, match="1 frame"):
        net.infer(mel[:, :, :1])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"audio.preemphasis": 0.9}, r"audio.preemphasis \(0.9\) must be 0"),
        ({"audio.hop_length": 80, "train.segment_length": 1600}, "audio.hop_length at most half of it"),
        ({"model.pitch_min": 20.0}, "25 <= model.pitch_min < model.pitch_max <= 1000 Hz does not hold: 20.0, 900.0"),
        ({"train.segment_length": 1000}, r"train.segment_length \(1000\) must be a multiple of audio.hop_length"),
    ],
)
def test_settings_that_do_not_fit_are_refused(overrides, message):
    with pytest.raises(InputError, match=message):
        load_config(overrides=SETTINGS | overrides)
