"""The networks as single graphs, loops and stop inside, and the MINDIR (or, on Ascend, AIR) files of them."""

import shutil
import tempfile
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.draws import latents, prenet_keep
from src.errors import InputError
from src.export.part import Arrays, Part, Port
from src.recurrence import BLOCK
from src.tacotron2.model import TEXT_MULTIPLE, Tacotron2
from src.tacotron2.stopping import STOP_REASONS
from src.waveglow.denoiser import Denoiser
from src.waveglow.inference import FoldedFlow
from src.waveglow.model import WaveGlow

LIMIT = 1e-5
FIXED_FRAMES = 400  # of the mel spectrogram that an AIR file takes, which has no dynamic sizes
SET_INPUTS = "a GraphCell takes texts of different lengths only after set_inputs; src.export.mindir.load_mindir does that"


class Speaker(nn.Cell):
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
        self.keep_shape = -(-model.max_decoder_steps // BLOCK) * BLOCK, 1, 2 * model.prenet_dim
        self.n_steps, self.draws = model.max_decoder_steps, model.prenet_dropout > 0
        self.filling = Tensor(np.zeros((1, self.max_symbols), np.int32))
        self.places = Tensor(np.arange(self.max_symbols, dtype=np.int32))
        self.set_train(False)

    def construct(self, text: Tensor, text_lengths: Tensor, keep: Tensor | None = None):  # noqa: ANN201
        """text int32 (1, L), lengths int32 (1,), and the prenet's dropout factors (T, 1, 2 * prenet_dim) unless there is no dropout.

        Returns mel (1, n_mels, T * r), mel lengths (1,), alignments (1, T, max_symbols), reason (1,); 0 from the end of the speech on.
        """
        text = ops.gather(ops.Concat(1)((text, self.filling)), self.places, 1)
        if keep is None:
            keep = ops.ones(self.keep_shape, ms.float32)
        mel, steps, alignments, reason = self.net.free_running(text, text_lengths, keep)
        alignments = alignments[:, : self.n_steps]
        spoken = (ops.arange(self.n_steps) < steps.reshape(-1, 1)).astype(ms.float32).expand_dims(2)
        alignments = alignments * ops.broadcast_to(spoken, alignments.shape)
        r = self.net.reduction_factor
        return mel.swapaxes(1, 2)[:, :, : self.n_steps * r], steps * r, alignments, reason


class FoldedCoupling(nn.Cell):
    """`src.waveglow.inference.Coupling` over a whole item of any length, with its weights inside."""

    def __init__(self, flow: FoldedFlow, name: str, n_layers: int, kernel_size: int):
        super().__init__(auto_prefix=False)
        self.weights = ms.ParameterTuple([Parameter(weight, name=f"{name}.{i}") for i, weight in enumerate(flow.weights)])
        self.n_layers, self.kernel_size = n_layers, kernel_size

    def construct(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (T, n_half + 1), whose last column is 1, and condition (T, C) -> shift and log scale (T, 2 n_half)."""
        h, result = ops.MatMul()(x, self.weights[0]), None
        for i in range(self.n_layers):
            taps = self.taps(x if i == 0 else h, 2**i)
            sums = ops.MatMul()(ops.Concat(1)((taps, condition)), self.weights[2 + 5 * i])
            signal, gate = ops.Split(1, 2)(ops.Sigmoid()(ops.BiasAdd()(sums, self.weights[3 + 5 * i])))
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


class Voice(nn.Cell):
    """A WaveGlow for mel spectrograms of any length, one at a time; the weights are those of the network at this moment."""

    def __init__(self, net: WaveGlow):
        super().__init__(auto_prefix=False)
        model, flows = net.config.model, net.synthesis.prepare()
        self.upsample = net.upsample
        self.n_mels, self.n_group = net.config.audio.n_mels, model.n_group
        self.joining, self.n_early_every = net.synthesis.joining, model.n_early_every
        self.couplings = nn.CellList(
            [FoldedCoupling(flow, f"flow{k}", model.wn_layers, model.wn_kernel_size) for k, flow in enumerate(flows)]
        )
        self.unmix = ms.ParameterTuple([Parameter(Tensor(flow.unmix), name=f"flow{k}.unmix") for k, flow in enumerate(flows)])
        self.set_train(False)

    def construct(self, mel: Tensor, noise: Tensor) -> Tensor:
        """mel (1, n_mels, F) and noise (1, n_group, F * hop / n_group), channels in order of use -> (1, F * hop)."""
        condition = self.condition(ops.Transpose()(mel.reshape(self.n_mels, -1), (1, 0)))
        z = ops.Transpose()(noise.reshape(self.n_group, -1), (1, 0))
        one = ops.ones_like(z[:, :1])
        used = self.joining[0]
        x = z[:, :used]
        for i in range(len(self.couplings)):
            k = len(self.couplings) - 1 - i
            n_half, widest = x.shape[1] // 2, self.n_group // 2
            kept, changed = x[:, :n_half], x[:, n_half:]
            parts = (kept, one) if n_half == widest else (kept, ops.zeros_like(z[:, : widest - n_half]), one)
            result = self.couplings[k](ops.Concat(1)(parts), condition)
            shift, log_scale = result[:, :n_half], result[:, widest : widest + n_half]
            x = ops.MatMul()(ops.Concat(1)((kept, (changed - shift) * ops.Exp()(-log_scale))), self.unmix[k])
            if k > 0 and k % self.n_early_every == 0:
                joins = self.joining[1]
                x = ops.Concat(1)((z[:, used : used + joins], x))
                used = used + joins
        return x.reshape(1, -1)

    def condition(self, frames: Tensor) -> Tensor:
        """frames (F, n_mels) -> (F * hop / n_group, n_mels * n_group), as `Upsample` has it."""
        upsample = self.upsample
        before = ops.zeros((upsample.n_frames - 1, self.n_mels), ms.float32)
        windows = shifted(ops.Concat(0)((before, frames)), upsample.n_frames, 1)
        bias = ops.broadcast_to(upsample.bias.reshape(1, -1, 1), (upsample.n_groups, self.n_mels, self.n_group)).reshape(-1)
        return ops.BiasAdd()(ops.MatMul()(windows, upsample.weight), bias).reshape(-1, self.n_mels * self.n_group)


def shifted(x: Tensor, n: int, step: int) -> Tensor:
    """Side by side, `n` views of x (T + (n - 1) * step, C), each `step` rows later than the one before: (T, n * C)."""
    last = (n - 1) * step
    return ops.Concat(1)([x[i * step : i * step - last] if i < n - 1 else x[last:] for i in range(n)])


class SpectralSubtraction(nn.Cell):
    """`Denoiser` in a graph: the Fourier transform is a matrix product, frames and their sum are pieces of one hop side by side."""

    def __init__(self, denoiser: Denoiser):
        super().__init__(auto_prefix=False)
        n_fft, hop = denoiser.lengths["n_fft"], denoiser.lengths["hop_length"]
        self.hop, self.n_pieces = hop, -(-n_fft // hop)
        analysis, synthesis, weights = denoiser.transforms(self.n_pieces * hop)
        self.analysis, self.synthesis = Parameter(Tensor(analysis), name="analysis"), Parameter(Tensor(synthesis), name="synthesis")
        self.weights, self.bias = Tensor(weights[None]), Tensor(denoiser.bias.reshape(1, -1).astype(np.float32))
        self.n_before, self.n_after = n_fft // 2, self.n_pieces * hop - n_fft // 2
        self.n_bins = n_fft // 2 + 1

    def construct(self, wav: Tensor, strength: Tensor) -> Tensor:
        """wav (1, F * hop) and strength (1,) -> (1, F * hop)."""
        edges = ops.zeros((self.n_before,), ms.float32), ops.zeros((self.n_after,), ms.float32)
        pieces = ops.Concat(0)((edges[0], wav.reshape(-1), edges[1])).reshape(-1, self.hop)
        spectrum = ops.MatMul()(shifted(pieces, self.n_pieces, 1), self.analysis)  # (F + 1, 2 * bins): real parts, imaginary parts
        real, imaginary = spectrum[:, : self.n_bins], spectrum[:, self.n_bins :]
        magnitude = ops.sqrt(real * real + imaginary * imaginary)
        share = ops.relu(magnitude - strength * self.bias) / ops.maximum(magnitude, Tensor(1e-30, ms.float32))
        frames = ops.MatMul()(ops.Concat(1)((real * share, imaginary * share)), self.synthesis)
        weights = ops.MatMul()(ops.ones_like(frames[:, :1]), self.weights)
        summed = (self.overlapped(frames) / ops.maximum(self.overlapped(weights), Tensor(1e-30, ms.float32))).reshape(-1)
        return summed[self.n_before : -self.n_after].reshape(1, -1)

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


def load_mindir(path: Path, inputs: dict[str, Port]) -> nn.GraphCell:
    """A MINDIR file as a cell that takes every size that `inputs`, as in the description beside the file, calls dynamic.

    Without `set_inputs` MindSpore compiles for each size anew, and 2.10 fails at the second size of a graph with loops.
    """
    cell = nn.GraphCell(ms.load(str(path)))
    cell.set_inputs(*placeholders(inputs))
    return cell


def placeholders(inputs: dict[str, Port]) -> list[Tensor]:
    """Tensors without content that have the sizes of `inputs`."""
    shapes = [[size if isinstance(size, int) else None for size in port.shape] for port in inputs.values()]
    return [Tensor(shape=shape, dtype=getattr(ms, port.dtype)) for port, shape in zip(inputs.values(), shapes, strict=True)]


def tacotron2_parts(live: Tacotron2, fresh: Tacotron2, max_symbols: int, fixed: bool) -> list[Part]:
    """The file of a Tacotron 2; `fresh` is the same network again, for the export alone. `fixed`: no dynamic sizes."""
    speaker, model = Speaker(fresh, max_symbols), live.config.model
    n_symbols, n_steps = speaker.max_symbols, model.max_decoder_steps
    inputs = {
        "text": Port("int32", (1, n_symbols if fixed else "symbols"), f"symbol ids, at most {n_symbols}; what is more is not spoken"),
        "text_lengths": Port("int32", (1,), "symbols of the text; what follows them is padding"),
    }
    if speaker.draws:
        share = f"{1 - model.prenet_dropout:g}"
        meaning = f"dropout of the prenet: 0, or with probability {share} 1 / {share}; see src.draws.prenet_keep"
        inputs["keep"] = Port("float32", speaker.keep_shape, meaning)
    outputs = {
        "mel": Port("float32", (1, live.n_mels, n_steps * live.reduction_factor), "mel spectrogram, 0 from its length on"),
        "mel_lengths": Port("int32", (1,), "frames of the mel spectrogram"),
        "alignments": Port("float32", (1, n_steps, n_symbols), "attention weights of each decoder step, 0 after the last step"),
        "stop_reasons": Port("int32", (1,), f"why it ended: {', '.join(f'{i} {reason}' for i, reason in enumerate(STOP_REASONS))}"),
    }
    random = np.random.default_rng(0)

    def example(length: int) -> Arrays:
        text = random.integers(1, model.n_symbols, (1, length), np.int32)
        if fixed:
            text = np.pad(text, ((0, 0), (0, n_symbols - length)))
        arrays = {"text": text, "text_lengths": np.array([length], np.int32)}
        return arrays | ({"keep": prenet_keep(model, [(0, 0)], speaker.keep_shape[0])} if speaker.draws else {})

    def speak(arrays: Arrays) -> Arrays:
        text = np.pad(arrays["text"], ((0, 0), (0, n_symbols - arrays["text"].shape[1])))
        speech = live.generate(Tensor(text), Tensor(arrays["text_lengths"]), 0)
        whole = {name: np.zeros(port.shape, port.dtype) for name, port in outputs.items()}
        mel, alignments = speech.mel.asnumpy(), speech.alignments.asnumpy()
        whole["mel"][:, :, : mel.shape[2]] = mel
        whole["mel_lengths"][:] = speech.mel_lengths.asnumpy()
        whole["alignments"][:, : alignments.shape[1]] = alignments
        whole["stop_reasons"][:] = [STOP_REASONS.index(reason) for reason in speech.stop_reasons]
        return whole

    lengths = [min(7, n_symbols), min(40, n_symbols)]
    notes = {"max_symbols": n_symbols, "loading": SET_INPUTS}
    return [_part(live.config, "tacotron2", speaker, inputs, outputs, speak, [example(length) for length in lengths], fixed, notes)]


def waveglow_parts(live: WaveGlow, fresh: WaveGlow, fixed: bool) -> list[Part]:
    """The files of a WaveGlow, itself and its denoiser; `fresh` and `fixed` as above."""
    audio, model = live.config.audio, live.config.model
    n_positions = audio.hop_length // model.n_group
    frames = FIXED_FRAMES if fixed else "frames"
    samples = FIXED_FRAMES * audio.hop_length if fixed else "samples"
    sizes = [FIXED_FRAMES] if fixed else [5, 23]
    inputs = {
        "mel": Port("float32", (1, audio.n_mels, frames), "mel spectrogram of at least 2 frames"),
        "noise": Port(
            "float32",
            (1, model.n_group, FIXED_FRAMES * n_positions if fixed else "positions"),
            f"normal values, {n_positions} positions for each frame, times sigma ({model.sigma:g} by default); channels in order of use",
        ),
    }
    wav = Port("float32", (1, samples), f"{audio.hop_length} samples for each frame")
    random = np.random.default_rng(0)

    def example(n_frames: int) -> Arrays:
        mel = random.standard_normal((1, audio.n_mels, n_frames), np.float32)
        return {"mel": mel, "noise": model.sigma * latents(0, 1, n_frames * n_positions, model.n_group).swapaxes(1, 2)}

    def sound(arrays: Arrays) -> Arrays:
        ends = np.cumsum(live.synthesis.joining)[:-1]
        return {"audio": live.infer(arrays["mel"], 1.0, noise=np.split(arrays["noise"], ends, 1)).asnumpy()}

    live.remove_weight_norm()
    denoiser = Denoiser(live)
    spoken = [{"audio": random.standard_normal((1, n * audio.hop_length), np.float32), "strength": np.ones(1, np.float32)} for n in sizes]

    def denoise(arrays: Arrays) -> Arrays:
        return {"denoised": denoiser(arrays["audio"][0], float(arrays["strength"][0]))[None]}

    strength = Port("float32", (1,), "how much of the network's own hum is taken off, such as 0.01")
    voice = _part(live.config, "waveglow", Voice(fresh), inputs, {"audio": wav}, sound, [example(n) for n in sizes], fixed)
    inputs, cell = {"audio": wav, "strength": strength}, SpectralSubtraction(denoiser)
    return [voice, _part(live.config, "denoiser", cell, inputs, {"denoised": wav}, denoise, spoken, fixed)]


def _part(config, name, cell, inputs, outputs, live, examples, fixed, notes=None) -> Part:  # noqa: ANN001
    def write(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:  # as MindSpore takes no path that has spaces or accents
            file = Path(folder) / path.name
            ms.export(cell, *placeholders(inputs), file_name=str(file), file_format="AIR" if fixed else "MINDIR")
            if not file.is_file():
                raise InputError(f"{path.name}: the network is too large for one file")
            file.chmod(0o644)
            shutil.move(file, path)

    def reload(path: Path):
        loaded = load_mindir(path, inputs)

        def run(arrays: Arrays) -> Arrays:
            found = loaded(*(Tensor(arrays[name]) for name in inputs))
            found = found if isinstance(found, tuple) else (found,)
            return {name: values.asnumpy() for name, values in zip(outputs, found, strict=True)}

        return run

    return Part(name, inputs, outputs, write, live, None if fixed else reload, examples, LIMIT, config, notes or {})
