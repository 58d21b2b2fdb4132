"""Speech in windows: every sample once, whatever the pieces of the mel, and pulses that go on in one phase."""

import itertools

import numpy as np
import pytest
from mindspore import Tensor
from toy_harmonic import SETTINGS

from src import create_model, runtime
from src.config import load_config
from src.models.harmonic.windows import WINDOW, HarmonicStream, given_noise, speak_whole
from src.models.sampling import drawn_noise

HOP = 4


def shown(n_frames, pieces, record=None):
    """Samples of a window that are its mel's first band plus the noise of a frame, and a phase of 0.1 cycles a frame."""

    def speak(window, corrected):
        if record is not None:
            record.append(window)
        phase = window.start + 0.1 * (np.arange(WINDOW) - window.anchor)
        return np.repeat(window.mel[:, 0], HOP, 1) + window.noise, phase.astype(np.float32) % 1

    mel = np.arange(1, n_frames + 1, dtype=np.float32)[None].repeat(2, 0)
    stream = HarmonicStream(speak, given_noise(np.zeros(n_frames * HOP), HOP), 0.25, HOP)
    edges = np.cumsum([0, *pieces])
    return np.concatenate([stream.push(mel[:, a:b]) for a, b in itertools.pairwise(edges)] + [stream.finish()])


@pytest.mark.parametrize("n_frames", [2, 5, 19, 20, 21, 31, 32, 33, 60, 61, 71, 72, 73, 92, 112, 300])
def test_every_sample_is_there_once(n_frames):
    np.testing.assert_allclose(shown(n_frames, [n_frames]), np.arange(1, n_frames + 1).repeat(HOP), rtol=1e-6)
    np.testing.assert_array_equal(shown(n_frames, [1] * n_frames), shown(n_frames, [n_frames]))


def test_the_first_sound_needs_32_frames_and_pulses_go_on_in_their_phase():
    windows = []
    shown(300, [300], windows)
    assert len(windows) == 1 + 300 // 40
    first = 0
    for window in windows:
        frame = int(window.mel[0, 0, window.anchor[0]]) - 1  # frame number of the anchor
        assert frame == first and window.start[0, 0] == pytest.approx((0.25 + 0.1 * frame) % 1, abs=1e-4)
        first = frame + (40 if frame else 20)
    windows.clear()
    shown(31, [31], windows)
    assert len(windows) == 1 and windows[0].mel.shape == (1, 2, WINDOW)


def test_a_network_speaks_pieces_as_it_speaks_the_whole():
    runtime.setup(0)
    net = create_model("harmonic", load_config(overrides=SETTINGS))
    mel = np.random.default_rng(0).standard_normal((8, 150)).astype(np.float32) - 4
    whole = net.infer(Tensor(mel[None]), seed=3).asnumpy()[0]
    stream = net.stream(seed=(3, 0))
    pieces = [stream.push(mel[:, a : a + 7]) for a in range(0, 150, 7)]
    np.testing.assert_array_equal(np.concatenate([*pieces, stream.finish()]), whole)
    assert len(pieces[3]) == 0 < len(pieces[4])
    draw, start = drawn_noise((3, 0))
    np.testing.assert_array_equal(speak_whole(net.synthesis.stream(draw, start), mel), whole)
