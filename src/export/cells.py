"""The networks as cells that compile to one graph each: loops and stopping inside, at most one dynamic size."""

import librosa
import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.config import WaveGlowConfig
from src.models.constants import positions
from src.models.ops import broadcast_last, length_mask
from src.models.tacotron2.model import TEXT_MULTIPLE, Tacotron2
from src.models.waveglow.denoiser import Denoiser
from src.models.waveglow.flow import bound, uncouple
from src.models.waveglow.inference import FoldedFlow
from src.models.waveglow.model import WaveGlow


class Tacotron2Export(nn.Cell):
    """Free-running Tacotron 2 for texts of up to `max_symbols`, padded to that by the first two operators.

    Args:
        net: in evaluation mode from now on.
        max_symbols: rounded up to a multiple of `TEXT_MULTIPLE`.
    """

    def __init__(self, net: Tacotron2, max_symbols: int):
        super().__init__(auto_prefix=False)
        self.net = net
        self.max_symbols = -(-max_symbols // TEXT_MULTIPLE) * TEXT_MULTIPLE
        model = net.config.model
        self.n_steps, self.has_dropout = model.max_decoder_steps, model.prenet_dropout > 0
        self.dropout_mask_shape = self.n_steps, 1, 2 * model.prenet_dim
        self.padding = Tensor(np.zeros((1, self.max_symbols), np.int32))
        self.places = positions(self.max_symbols)
        self.set_train(False)

    def construct(self, text: Tensor, text_lengths: Tensor, dropout_mask: Tensor | None = None):  # noqa: ANN201
        """Speak a text; symbols beyond `max_symbols` are cut off.

        Args:
            text: int32 (1, L).
            text_lengths: int32 (1,).
            dropout_mask: float32 (T, 1, 2 * prenet_dim), the prenet's; None without dropout.

        Returns:
            mel (1, n_mels, T * r), mel lengths (1,), alignments (1, T, max_symbols), stop reason (1,). Mel and
            alignments are 0 beyond the end of the speech.
        """
        text_lengths = ops.minimum(text_lengths, self.max_symbols)
        text = ops.gather(ops.Concat(1)((text, self.padding)), self.places, 1)
        if dropout_mask is None:
            dropout_mask = ops.ones(self.dropout_mask_shape, ms.float32)
        mel, steps, alignments, reason = self.net.free_running(text, text_lengths, dropout_mask)
        spoken = length_mask(steps, self.n_steps).expand_dims(2)
        alignments = alignments * ops.broadcast_to(spoken, alignments.shape)
        return mel.swapaxes(1, 2), steps * self.net.reduction_factor, alignments, reason


class FoldedCoupling(nn.Cell):
    """`src.models.waveglow.inference.Coupling` with its own weights, over a whole item of any length."""

    def __init__(self, flow: FoldedFlow, name: str, model: WaveGlowConfig):
        super().__init__(auto_prefix=False)
        self.weights = ms.ParameterTuple(
            [Parameter(weight, name=f"{name}.{i}") for i, weight in enumerate(flow.weights)]
        )
        self.n_layers, self.kernel_size = model.wn_layers, model.wn_kernel_size
        self.dilation_base = model.wn_dilation_base

    def construct(self, x: Tensor, condition: Tensor, inside: Tensor | None = None) -> Tensor:
        """x (T, n_half + 1) and condition (T, C + 1), whose last columns are 1 -> shift and log scale (T, 2 n_half).

        `inside` (T, 1) is 0 beyond the end of the item, where x must be 0: no convolution sees what is there, and the
        results are 0.
        """
        h, result = ops.MatMul()(x, self.weights[0]), None
        for i in range(self.n_layers):
            taps = self.taps(x if i == 0 else h, self.dilation_base**i)
            sums = ops.MatMul()(taps, self.weights[2 + 5 * i]) + ops.MatMul()(condition, self.weights[3 + 5 * i])
            signal, gate = ops.Split(1, 2)(ops.Sigmoid()(sums))
            units = (signal - 0.5) * gate
            share = ops.MatMul()(units, self.weights[4 + 5 * i])
            result = share if i == 0 else result + share
            if i < self.n_layers - 1:
                h = h + ops.BiasAdd()(ops.MatMul()(units, self.weights[5 + 5 * i]), self.weights[6 + 5 * i])
                h = h if inside is None else h * broadcast_last(inside, h.shape[1])
        result = ops.BiasAdd()(result, self.weights[1])
        return result if inside is None else result * broadcast_last(inside, result.shape[1])

    def taps(self, x: Tensor, dilation: int) -> Tensor:
        """Unfold: the values around each position, 0 beyond the ends, (T, C) -> (T, kernel_size * C)."""
        last = (self.kernel_size - 1) * dilation
        edge = ops.zeros((last // 2, x.shape[1]), ms.float32)
        return shifted(ops.Concat(0)((edge, x, edge)), self.kernel_size, dilation)


class WaveGlowExport(nn.Cell):
    """WaveGlow's inference for one mel spectrogram of any length, with a copy of the weights that `net` has now.

    Attributes:
        reach: frames before and after one that its sound depends on.
    """

    def __init__(self, net: WaveGlow):
        super().__init__(auto_prefix=False)
        model, flows = net.config.model, net.synthesis.prepare()
        self.upsample, self.by_frames = net.upsample, net.by_frames
        self.log_scale_limit = model.log_scale_limit
        self.n_mels, self.n_group = net.config.audio.n_mels, model.n_group
        self.latent_splits, self.n_early_every = net.synthesis.latent_splits, model.n_early_every
        self.couplings = nn.CellList([FoldedCoupling(flow, f"flow{k}", model) for k, flow in enumerate(flows)])
        self.unmix = ms.ParameterTuple(
            [Parameter(Tensor(flow.unmix), name=f"flow{k}.unmix") for k, flow in enumerate(flows)]
        )
        self.n_positions = net.config.audio.hop_length // model.n_group  # per frame
        by_couplings = model.n_flows * net.synthesis.halo
        self.reach = by_couplings + net.upsample.n_frames - 1, by_couplings
        self.set_train(False)

    def construct(self, mel: Tensor, noise: Tensor, mel_lengths: Tensor | None = None) -> Tensor:
        """mel (1, n_mels, F), noise (1, n_group, F * hop / n_group), channels in order of use -> (1, F * hop).

        With `mel_lengths` int32 (1,), the sound is that of so many frames, and 0 after them.
        """
        z = ops.Transpose()(noise.reshape(self.n_group, -1), (1, 0))
        one, inside = ops.ones_like(z[:, :1]), None
        if mel_lengths is not None:
            one = inside = length_mask(mel_lengths * self.n_positions, z.shape[0]).reshape(-1, 1)
            z = z * broadcast_last(inside, self.n_group)
        condition = ops.Concat(1)((self.condition(ops.Transpose()(mel.reshape(self.n_mels, -1), (1, 0))), one))
        used = self.latent_splits[0]
        x = z[:, :used]
        for i in range(len(self.couplings)):
            k = len(self.couplings) - 1 - i
            n_half, widest = x.shape[1] // 2, self.n_group // 2
            kept, changed = x[:, :n_half], x[:, n_half:]
            parts = (kept, one) if n_half == widest else (kept, ops.zeros_like(z[:, : widest - n_half]), one)
            result = self.couplings[k](ops.Concat(1)(parts), condition, inside)
            shift, log_scale = result[:, :n_half], bound(result[:, widest : widest + n_half], self.log_scale_limit)
            x = ops.MatMul()(ops.Concat(1)((kept, uncouple(changed, log_scale, shift))), self.unmix[k])
            if k > 0 and k % self.n_early_every == 0:
                joins = self.latent_splits[1]
                x = ops.Concat(1)((z[:, used : used + joins], x))
                used = used + joins
        return x.reshape(1, -1)

    def condition(self, frames: Tensor) -> Tensor:
        """Upsampling, as in `Upsample`: frames (F, n_mels) -> (F * hop / n_group, n_mels * n_group).

        With conditioning frames the frames, as `FrameCondition` has them, for all their positions: n_mels columns.
        """
        upsample = self.upsample
        if self.by_frames:
            rows = ops.BiasAdd()(ops.MatMul()(frames, upsample.weight), upsample.bias)
            return ops.Concat(1)((rows,) * self.n_positions).reshape(-1, self.n_mels)
        before = ops.zeros((upsample.n_frames - 1, self.n_mels), ms.float32)
        windows = shifted(ops.Concat(0)((before, frames)), upsample.n_frames, 1)
        bias = ops.broadcast_to(
            upsample.bias.reshape(1, -1, 1), (upsample.n_groups, self.n_mels, self.n_group)
        ).reshape(-1)
        return ops.BiasAdd()(ops.MatMul()(windows, upsample.weight), bias).reshape(-1, self.n_mels * self.n_group)


def shifted(x: Tensor, n: int, step: int) -> Tensor:
    """Concatenate `n` views of x (T + (n - 1) * step, C), each `step` rows later than the one before: (T, n * C)."""
    last = (n - 1) * step
    return ops.Concat(1)([x[i * step : i * step - last] if i < n - 1 else x[last:] for i in range(n)])


class SpectralSubtraction(nn.Cell):
    """`Denoiser` as a graph. The Fourier transform is a matrix product; frames are made of blocks of one hop."""

    def __init__(self, denoiser: Denoiser):
        super().__init__(auto_prefix=False)
        n_fft, hop, win_length = (denoiser.lengths[name] for name in ("n_fft", "hop_length", "win_length"))
        self.hop, self.n_blocks = hop, -(-n_fft // hop)
        analysis, synthesis, weights = transforms(n_fft, win_length, self.n_blocks * hop)
        self.analysis = Parameter(Tensor(analysis), name="analysis")
        self.synthesis = Parameter(Tensor(synthesis), name="synthesis")
        self.weights, self.bias = Tensor(weights[None]), Tensor(denoiser.bias.reshape(1, -1).astype(np.float32))
        self.n_before, self.n_after = n_fft // 2, self.n_blocks * hop - n_fft // 2
        self.n_bins = n_fft // 2 + 1

    def construct(self, wav: Tensor, strength: Tensor) -> Tensor:
        """wav (1, F * hop) and strength (1,) -> (1, F * hop)."""
        edges = ops.zeros((self.n_before,), ms.float32), ops.zeros((self.n_after,), ms.float32)
        blocks = ops.Concat(0)((edges[0], wav.reshape(-1), edges[1])).reshape(-1, self.hop)
        # (F + 1, 2 * bins): real parts, imaginary parts
        spectrum = ops.MatMul()(shifted(blocks, self.n_blocks, 1), self.analysis)
        real, imaginary = spectrum[:, : self.n_bins], spectrum[:, self.n_bins :]
        magnitude = ops.sqrt(real * real + imaginary * imaginary)
        gain = ops.relu(magnitude - strength * self.bias) / ops.maximum(magnitude, Tensor(1e-30, ms.float32))
        frames = ops.MatMul()(ops.Concat(1)((real * gain, imaginary * gain)), self.synthesis)
        weights = ops.MatMul()(ops.ones_like(frames[:, :1]), self.weights)
        wav = (self.overlap_add(frames) / ops.maximum(self.overlap_add(weights), Tensor(1e-30, ms.float32))).reshape(-1)
        return wav[self.n_before : -self.n_after].reshape(1, -1)

    def overlap_add(self, frames: Tensor) -> Tensor:
        """Add up the frames, each a hop later than the one before: (F + 1, blocks * hop) -> (F + blocks, hop)."""
        total = None
        for i in range(self.n_blocks):
            block = frames[:, i * self.hop : (i + 1) * self.hop]
            if i > 0:
                block = ops.Concat(0)((ops.zeros((i, self.hop), ms.float32), block))
            if i < self.n_blocks - 1:
                block = ops.Concat(0)((block, ops.zeros((self.n_blocks - 1 - i, self.hop), ms.float32)))
            total = block if i == 0 else total + block
        return total


def transforms(n_fft: int, win_length: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """librosa's stft and istft as float32 matrices, for frames of `n_fft` samples that are zero-padded to `width`.

    Returns:
        Analysis matrix (width, 2 * bins): frame -> spectrum, real parts before imaginary ones. Synthesis matrix
        (2 * bins, width): spectrum -> windowed frame, to be overlap-added. Squared window (width,), whose overlap-added
        sum the result is divided by.
    """
    n_bins = n_fft // 2 + 1
    window = librosa.util.pad_center(librosa.filters.get_window("hann", win_length), size=n_fft)
    spectra = np.fft.rfft(np.diag(window))  # (n_fft, bins)
    analysis = np.concatenate((spectra.real, spectra.imag), 1)
    units = np.eye(n_bins)
    synthesis = np.concatenate((np.fft.irfft(units, n_fft), np.fft.irfft(1j * units, n_fft))) * window
    padding = width - n_fft
    arrays = (
        np.pad(analysis, ((0, padding), (0, 0))),
        np.pad(synthesis, ((0, 0), (0, padding))),
        np.pad(window**2, (0, padding)),
    )
    return tuple(array.astype(np.float32) for array in arrays)
