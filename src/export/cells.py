"""The networks as cells that make single graphs, loops and stop inside, with at most one size left open."""

import librosa
import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.models.constants import positions
from src.models.ops import length_mask
from src.models.tacotron2.model import TEXT_MULTIPLE, Tacotron2
from src.models.waveglow.denoiser import Denoiser
from src.models.waveglow.flow import uncouple
from src.models.waveglow.inference import FoldedFlow
from src.models.waveglow.model import WaveGlow


class Tacotron2Export(nn.Cell):
    """A Tacotron 2 for texts of up to `max_symbols`. Only the first two operators see the text's length: they fill it up.

    Args:
        net: evaluated from now on only.
        max_symbols: rounded up to what free running compiles for.
    """

    def __init__(self, net: Tacotron2, max_symbols: int):
        super().__init__(auto_prefix=False)
        self.net = net
        self.max_symbols = -(-max_symbols // TEXT_MULTIPLE) * TEXT_MULTIPLE
        model = net.config.model
        self.n_steps, self.draws = model.max_decoder_steps, model.prenet_dropout > 0
        self.dropout_mask_shape = self.n_steps, 1, 2 * model.prenet_dim
        self.filling = Tensor(np.zeros((1, self.max_symbols), np.int32))
        self.places = positions(self.max_symbols)
        self.set_train(False)

    def construct(self, text: Tensor, text_lengths: Tensor, dropout_mask: Tensor | None = None):  # noqa: ANN201
        """text int32 (1, L), lengths int32 (1,), and the prenet's dropout factors (T, 1, 2 * prenet_dim) unless there is no dropout.

        Symbols beyond `max_symbols` are cut off.

        Returns mel (1, n_mels, T * r), mel lengths (1,), alignments (1, T, max_symbols), reason (1,); 0 from the end of the speech on.
        """
        text_lengths = ops.minimum(text_lengths, self.max_symbols)
        text = ops.gather(ops.Concat(1)((text, self.filling)), self.places, 1)
        if dropout_mask is None:
            dropout_mask = ops.ones(self.dropout_mask_shape, ms.float32)
        mel, steps, alignments, reason = self.net.free_running(text, text_lengths, dropout_mask)
        spoken = length_mask(steps, self.n_steps).expand_dims(2)
        alignments = alignments * ops.broadcast_to(spoken, alignments.shape)
        return mel.swapaxes(1, 2), steps * self.net.reduction_factor, alignments, reason


class FoldedCoupling(nn.Cell):
    """`src.models.waveglow.inference.Coupling` over a whole item of any length, with its weights inside."""

    def __init__(self, flow: FoldedFlow, name: str, n_layers: int, kernel_size: int):
        super().__init__(auto_prefix=False)
        self.weights = ms.ParameterTuple(
            [Parameter(weight, name=f"{name}.{i}") for i, weight in enumerate(flow.weights)]
        )
        self.n_layers, self.kernel_size = n_layers, kernel_size

    def construct(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (T, n_half + 1) and condition (T, C + 1), whose last columns are 1 -> shift and log scale (T, 2 n_half)."""
        h, result = ops.MatMul()(x, self.weights[0]), None
        for i in range(self.n_layers):
            taps = self.taps(x if i == 0 else h, 2**i)
            sums = ops.MatMul()(taps, self.weights[2 + 5 * i]) + ops.MatMul()(condition, self.weights[3 + 5 * i])
            signal, gate = ops.Split(1, 2)(ops.Sigmoid()(sums))
            units = (signal - 0.5) * gate
            share = ops.MatMul()(units, self.weights[4 + 5 * i])
            result = share if i == 0 else result + share
            if i < self.n_layers - 1:
                h = h + ops.BiasAdd()(ops.MatMul()(units, self.weights[5 + 5 * i]), self.weights[6 + 5 * i])
        return ops.BiasAdd()(result, self.weights[1])

    def taps(self, x: Tensor, dilation: int) -> Tensor:
        """What stands around each position, 0 beyond the ends: (T, C) -> (T, kernel_size * C)."""
        last = (self.kernel_size - 1) * dilation
        edge = ops.zeros((last // 2, x.shape[1]), ms.float32)
        return shifted(ops.Concat(0)((edge, x, edge)), self.kernel_size, dilation)


class WaveGlowExport(nn.Cell):
    """A WaveGlow for mel spectrograms of any length, one at a time; the weights are those of the network at this moment."""

    def __init__(self, net: WaveGlow):
        super().__init__(auto_prefix=False)
        model, flows = net.config.model, net.synthesis.prepare()
        self.upsample = net.upsample
        self.n_mels, self.n_group = net.config.audio.n_mels, model.n_group
        self.latent_splits, self.n_early_every = net.synthesis.latent_splits, model.n_early_every
        self.couplings = nn.CellList(
            [FoldedCoupling(flow, f"flow{k}", model.wn_layers, model.wn_kernel_size) for k, flow in enumerate(flows)]
        )
        self.unmix = ms.ParameterTuple(
            [Parameter(Tensor(flow.unmix), name=f"flow{k}.unmix") for k, flow in enumerate(flows)]
        )
        self.set_train(False)

    def construct(self, mel: Tensor, noise: Tensor) -> Tensor:
        """mel (1, n_mels, F) and noise (1, n_group, F * hop / n_group), channels in order of use -> (1, F * hop)."""
        z = ops.Transpose()(noise.reshape(self.n_group, -1), (1, 0))
        one = ops.ones_like(z[:, :1])
        condition = ops.Concat(1)((self.condition(ops.Transpose()(mel.reshape(self.n_mels, -1), (1, 0))), one))
        used = self.latent_splits[0]
        x = z[:, :used]
        for i in range(len(self.couplings)):
            k = len(self.couplings) - 1 - i
            n_half, widest = x.shape[1] // 2, self.n_group // 2
            kept, changed = x[:, :n_half], x[:, n_half:]
            parts = (kept, one) if n_half == widest else (kept, ops.zeros_like(z[:, : widest - n_half]), one)
            result = self.couplings[k](ops.Concat(1)(parts), condition)
            shift, log_scale = result[:, :n_half], result[:, widest : widest + n_half]
            x = ops.MatMul()(ops.Concat(1)((kept, uncouple(changed, log_scale, shift))), self.unmix[k])
            if k > 0 and k % self.n_early_every == 0:
                joins = self.latent_splits[1]
                x = ops.Concat(1)((z[:, used : used + joins], x))
                used = used + joins
        return x.reshape(1, -1)

    def condition(self, frames: Tensor) -> Tensor:
        """frames (F, n_mels) -> (F * hop / n_group, n_mels * n_group), as `Upsample` has it."""
        upsample = self.upsample
        before = ops.zeros((upsample.n_frames - 1, self.n_mels), ms.float32)
        windows = shifted(ops.Concat(0)((before, frames)), upsample.n_frames, 1)
        bias = ops.broadcast_to(
            upsample.bias.reshape(1, -1, 1), (upsample.n_groups, self.n_mels, self.n_group)
        ).reshape(-1)
        return ops.BiasAdd()(ops.MatMul()(windows, upsample.weight), bias).reshape(-1, self.n_mels * self.n_group)


def shifted(x: Tensor, n: int, step: int) -> Tensor:
    """Side by side, `n` views of x (T + (n - 1) * step, C), each `step` rows later than the one before: (T, n * C)."""
    last = (n - 1) * step
    return ops.Concat(1)([x[i * step : i * step - last] if i < n - 1 else x[last:] for i in range(n)])


class SpectralSubtraction(nn.Cell):
    """`Denoiser` in a graph: the Fourier transform is a matrix product, frames and their sum are pieces of one hop side by side."""

    def __init__(self, denoiser: Denoiser):
        super().__init__(auto_prefix=False)
        n_fft, hop, win_length = (denoiser.lengths[name] for name in ("n_fft", "hop_length", "win_length"))
        self.hop, self.n_pieces = hop, -(-n_fft // hop)
        analysis, synthesis, weights = transforms(n_fft, win_length, self.n_pieces * hop)
        self.analysis, self.synthesis = (
            Parameter(Tensor(analysis), name="analysis"),
            Parameter(Tensor(synthesis), name="synthesis"),
        )
        self.weights, self.bias = Tensor(weights[None]), Tensor(denoiser.bias.reshape(1, -1).astype(np.float32))
        self.n_before, self.n_after = n_fft // 2, self.n_pieces * hop - n_fft // 2
        self.n_bins = n_fft // 2 + 1

    def construct(self, wav: Tensor, strength: Tensor) -> Tensor:
        """wav (1, F * hop) and strength (1,) -> (1, F * hop)."""
        edges = ops.zeros((self.n_before,), ms.float32), ops.zeros((self.n_after,), ms.float32)
        pieces = ops.Concat(0)((edges[0], wav.reshape(-1), edges[1])).reshape(-1, self.hop)
        spectrum = ops.MatMul()(
            shifted(pieces, self.n_pieces, 1), self.analysis
        )  # (F + 1, 2 * bins): real parts, imaginary parts
        real, imaginary = spectrum[:, : self.n_bins], spectrum[:, self.n_bins :]
        magnitude = ops.sqrt(real * real + imaginary * imaginary)
        share = ops.relu(magnitude - strength * self.bias) / ops.maximum(magnitude, Tensor(1e-30, ms.float32))
        frames = ops.MatMul()(ops.Concat(1)((real * share, imaginary * share)), self.synthesis)
        weights = ops.MatMul()(ops.ones_like(frames[:, :1]), self.weights)
        wav = (self.overlapped(frames) / ops.maximum(self.overlapped(weights), Tensor(1e-30, ms.float32))).reshape(-1)
        return wav[self.n_before : -self.n_after].reshape(1, -1)

    def overlapped(self, frames: Tensor) -> Tensor:
        """Each frame added a hop later than the one before: (F + 1, pieces * hop) -> (F + pieces, hop)."""
        total = None
        for i in range(self.n_pieces):
            part = frames[:, i * self.hop : (i + 1) * self.hop]
            if i > 0:
                part = ops.Concat(0)((ops.zeros((i, self.hop), ms.float32), part))
            if i < self.n_pieces - 1:
                part = ops.Concat(0)((part, ops.zeros((self.n_pieces - 1 - i, self.hop), ms.float32)))
            total = part if i == 0 else total + part
        return total


def transforms(n_fft: int, win_length: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """librosa's stft and istft as matrix products, for frames of n_fft samples and zeros behind them, `width` in all; float32.

    Returns what turns frames into spectra (width, 2 * bins), real parts before imaginary ones, what turns spectra into the pieces
    of a sum of overlapping frames (2 * bins, width), and the weight (width,) of each frame in that sum.
    """
    n_bins = n_fft // 2 + 1
    window = librosa.util.pad_center(librosa.filters.get_window("hann", win_length), size=n_fft)
    spectra = np.fft.rfft(np.diag(window))  # (n_fft, bins)
    analysis = np.concatenate((spectra.real, spectra.imag), 1)
    units = np.eye(n_bins)
    synthesis = np.concatenate((np.fft.irfft(units, n_fft), np.fft.irfft(1j * units, n_fft))) * window
    behind = width - n_fft
    arrays = (
        np.pad(analysis, ((0, behind), (0, 0))),
        np.pad(synthesis, ((0, 0), (0, behind))),
        np.pad(window**2, (0, behind)),
    )
    return tuple(array.astype(np.float32) for array in arrays)
