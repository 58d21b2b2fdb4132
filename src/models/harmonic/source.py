"""The excitation: a band-limited pulse train that follows a pitch, and the phase that it runs through."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.config import AudioConfig
from src.models.ops import matmul

CLOSEST = 1e-4  # to a pulse, as sine of half the phase: nearer, the closed form is 0 / 0


def fraction(x: Tensor) -> Tensor:
    """The part of x behind the point, in [0, 1)."""
    return x - ops.Floor()(x)


def next_frame(x: Tensor) -> Tensor:
    """Shift x (B, T) one frame to the past; the last frame is repeated."""
    return ops.Concat(1)((x[:, 1:], x[:, -1:]))


def frame_phase(frequency: Tensor, start: Tensor, hop_length: int) -> Tensor:
    """Phase at the beginning of each frame, in cycles within [0, 1).

    The sum over frames is taken by doublings, each modulo a cycle, so that float32 is as exact after minutes as at the
    start.

    Args:
        frequency: cycles per sample at each frame (B, T), linear between two frames.
        start: phase of the first frame in cycles (B, 1).

    Returns:
        (B, T).
    """
    n_batch, n_frames = frequency.shape
    advance = fraction(0.5 * hop_length * (frequency + next_frame(frequency)))
    phase = ops.Concat(1)((start, advance[:, : n_frames - 1]))
    reach = 1  # frames that are summed already
    while reach < n_frames:
        earlier = ops.Concat(1)((ops.zeros((n_batch, reach), phase.dtype), phase[:, : n_frames - reach]))
        phase = fraction(phase + earlier)
        reach = 2 * reach
    return phase


@ms.constexpr
def interpolation(hop_length: int) -> Tensor:
    """Matrix [5, 3 * hop] from a frame to its samples' phase, frequency and amplitude.

    Its rows are for the frame's phase, its frequency and the change of it until the next frame, its amplitude and the
    change of that.
    """
    place = np.arange(hop_length) / hop_length
    matrix = np.zeros((5, 3, hop_length))
    matrix[0, 0], matrix[1, 0], matrix[2, 0] = 1, place * hop_length, place**2 * hop_length / 2
    matrix[1, 1], matrix[2, 1] = 1, place
    matrix[3, 2], matrix[4, 2] = 1, place
    return Tensor(matrix.reshape(5, -1).astype(np.float32))


def pulses(phase: Tensor, frequency: Tensor) -> Tensor:
    """A sum of cosines of all multiples of a frequency up to half the sample rate, of unit power.

    The closed form of the sum is Dirichlet's kernel. The number of cosines k is no whole number: the last one counts by
    k's fraction, so that nothing jumps when the pitch changes.

    Args:
        phase: of the lowest cosine, in cycles within [0, 1) (N, S).
        frequency: of the lowest cosine, in cycles per sample (N, S), at most 1 / 4.
    """
    count = 0.5 / frequency - 1
    whole = ops.Floor()(count)
    slow = ops.Sin()(np.pi * phase)  # at least 0
    fast = ops.Sin()(2 * np.pi * fraction((whole + 0.5) * phase))
    # sin((K + 1/2) x) / (2 sin(x / 2)) - 1/2, and K where x is a whole cycle
    sharp = ops.Less()(slow, CLOSEST)
    total = ops.Select()(sharp, whole, 0.5 * fast / ops.maximum(slow, CLOSEST) - 0.5)
    last = ops.Cos()(2 * np.pi * fraction((whole + 1) * phase))
    return (total + (count - whole) * last) * ops.Sqrt()(2 / count)


class PulseTrain(nn.Cell):
    """Pulses of unit power for a pitch: (B, T) -> (B, T * hop_length)."""

    def __init__(self, audio: AudioConfig):
        super().__init__()
        self.sample_rate, self.hop_length = audio.sample_rate, audio.hop_length

    def phase_at_frames(self, f0: Tensor, start: Tensor) -> Tensor:
        """Phase of the pulses at the beginning of each frame, in cycles (B, T); arguments as `construct` has them."""
        return frame_phase(f0 * (1 / self.sample_rate), start, self.hop_length)

    def construct(self, f0: Tensor, voiced: Tensor, start: Tensor) -> Tensor:
        """Make the pulse train.

        Args:
            f0: Hz (B, T), also where there is no voice.
            voiced: amplitude (B, T), 0 or 1 at each frame, linear between two frames.
            start: phase at the first frame in cycles (B, 1).
        """
        frequency = f0 * (1 / self.sample_rate)
        phase = frame_phase(frequency, start, self.hop_length)
        columns = (phase, frequency, next_frame(frequency) - frequency, voiced, next_frame(voiced) - voiced)
        frames = ops.Stack(2)(columns).reshape(-1, len(columns))
        phase, frequency, amplitude = ops.Split(1, 3)(matmul(frames, interpolation(self.hop_length)))
        return (pulses(fraction(phase), frequency) * amplitude).reshape(f0.shape[0], -1)
