"""The harmonic vocoder's inference in operators of ONNX, as `src.models.harmonic.inference` computes it.

Filters and spectra are rows of frames, (B * T, places) as `src.export.onnx.fourier` has them, and phases are summed in
float64, which ONNX has.
"""

import numpy as np

from src.config import AudioConfig
from src.export.onnx.fourier import Transform
from src.export.onnx.graph_builder import Graph, TensorProto
from src.models.harmonic.bases import minimum_phase_matrix, spread_matrix
from src.models.harmonic.model import LOUDEST, QUIETEST_NOISE, ConvStack, HarmonicVocoder, source_level
from src.models.harmonic.source import CLOSEST, interpolation


def harmonic(graph: Graph, net: HarmonicVocoder) -> dict[str, str]:
    """mel (B, n_mels, T), noise (B, T * hop_length), start (B, 1), anchor (1,) -> audio, bands, phase.

    The audio (B, T * hop_length) is not corrected yet; bands (B, n_mels, T) are the logarithms of magnitudes to which
    `src.models.harmonic.correction` corrects it.
    """
    audio, model = net.config.audio, net.config.model
    fourier = Transform(graph, audio)
    frames = normalised(graph, "mel", net)
    height, logit = graph.split(stack(graph, net.pitch, frames), 1, [1, 1])
    mean, deviation = net.pitch_mean.asnumpy(), net.pitch_deviation.asnumpy()
    log_f0 = graph("Add", graph("Mul", height, graph.constant(deviation)), graph.constant(mean))
    low, high = (graph.constant(np.float32(np.log(edge))) for edge in (model.pitch_min, model.pitch_max))
    log_f0 = graph("Clip", log_f0, low, high)
    voiced = graph("Cast", graph("Greater", logit, graph.constant(0.0)), to=TensorProto.FLOAT)
    relative = graph("Mul", graph("Sub", log_f0, graph.constant(mean)), graph.constant(1 / deviation))
    inputs = graph("Concat", frames, voiced, graph("Mul", relative, voiced), axis=1)
    places = fourier.bins
    outputs = stack(graph, net.filters, inputs, np.concatenate((places, net.n_bins + places)))
    corrections = graph.split(outputs, 1, [len(places), len(places)])
    wanted = log_bands(graph, "mel", audio)
    bands = rows(graph, graph("Add", wanted, graph.constant(source_level(audio)[:, None])), audio.n_mels)
    base = graph.linear(bands, spread_matrix(audio)[:, places])
    ceiling = graph.constant(np.float32(LOUDEST))
    pulse_filter = graph("Min", graph("Add", base, corrections[0]), ceiling)
    hiss_filter = graph("Sub", graph("Add", base, corrections[1]), graph.constant(np.float32(QUIETEST_NOISE)))
    hiss_gain = graph("Exp", graph("Min", hiss_filter, ceiling))
    phase = graph.linear(pulse_filter, fourier.among_places(minimum_phase_matrix(audio.n_fft)))
    magnitude = graph("Exp", pulse_filter)
    filter_real = graph("Mul", magnitude, graph("Cos", phase))
    filter_imaginary = graph("Mul", magnitude, graph("Sin", phase))
    train, pulse_phase = pulse_train(graph, graph("Exp", log_f0), voiced, audio)
    pulses, hiss = fourier.forward([train, "noise"], "mel")
    parts = []
    for operator, first, second, noise in (
        ("Sub", (filter_real, pulses[0]), (filter_imaginary, pulses[1]), hiss[0]),
        ("Add", (filter_real, pulses[1]), (filter_imaginary, pulses[0]), hiss[1]),
    ):
        voice = graph(operator, graph("Mul", *first), graph("Mul", *second))
        parts.append(graph("Add", voice, graph("Mul", hiss_gain, noise)))
    return {"audio": fourier.inverse(*parts, "mel"), "bands": wanted, "phase": pulse_phase}


def normalised(graph: Graph, mel: str, net: HarmonicVocoder) -> str:
    """Each band with mean 0 and deviation 1 over the corpus."""
    mean, deviation = (parameter.asnumpy()[:, None] for parameter in (net.mel_mean, net.mel_deviation))
    return graph("Mul", graph("Sub", mel, graph.constant(mean)), graph.constant(1 / deviation))


def log_bands(graph: Graph, mel: str, audio: AudioConfig) -> str:
    """Natural logarithm of the magnitudes of bands."""
    if audio.compression == "ln":
        return mel
    floor, ceiling = np.log(audio.mel_floor), np.log(audio.mel_ceiling)
    scaled = graph("Mul", mel, graph.constant(np.float32(ceiling - floor)))
    return graph("Add", scaled, graph.constant(np.float32(floor)))


def rows(graph: Graph, x: str, n_channels: int) -> str:
    """(B, n_channels, T) -> (B * T, n_channels)."""
    return graph("Reshape", graph("Transpose", x, perm=[0, 2, 1]), graph.constant([-1, n_channels]))


def stack(graph: Graph, net: ConvStack, x: str, outputs: np.ndarray | None = None) -> str:
    """`ConvStack`, channels first: (B, n_in, T) -> (B, n_out, T), or rows (B * T, ...) of those outputs."""

    def convolution(layer: object, y: str) -> str:
        weight, size = layer.weight.asnumpy(), layer.kernel_size
        weight = weight.reshape(size, -1, weight.shape[1]).transpose(2, 1, 0)
        pads = [size // 2, size // 2]
        return graph("Conv", y, graph.constant(weight), graph.constant(layer.bias.asnumpy()), pads=pads)

    h = convolution(net.start, x)
    for norm, layer in zip(net.norms, net.convs, strict=True):
        scale, bias = graph.constant(norm.gamma.asnumpy()), graph.constant(norm.beta.asnumpy())
        turned = graph("Transpose", h, perm=[0, 2, 1])
        turned = graph("LayerNormalization", turned, scale, bias, axis=-1, epsilon=1e-5)
        y = convolution(layer, graph("Transpose", turned, perm=[0, 2, 1]))
        h = graph("Add", h, graph("Mul", y, graph("Sigmoid", y)))
    weight, bias = net.end.weight.asnumpy(), net.end.bias.asnumpy()
    if outputs is not None:
        return graph.linear(rows(graph, h, len(weight)), weight[:, outputs], bias[outputs])
    return graph("Conv", h, graph.constant(weight.T[:, :, None]), graph.constant(bias))


def fraction(graph: Graph, x: str) -> str:
    """The part of x behind the point."""
    return graph("Sub", x, graph("Floor", x))


def pulse_train(graph: Graph, f0: str, voiced: str, audio: AudioConfig) -> tuple[str, str]:
    """`src.models.harmonic.source.PulseTrain`: f0 in Hz and voicing, both (B, 1, T) -> (B, T * hop_length).

    Returns the phase at each frame (B, T) too; that of frame `anchor` is `start`.
    """

    def following(x: str) -> str:
        return graph("Concat", graph.cut(x, 2, 1), graph.cut(x, 2, -1), axis=2)

    frequency = graph("Mul", f0, graph.constant(np.float32(1 / audio.sample_rate)))
    after = following(frequency)
    half = graph.constant(np.float32(audio.hop_length / 2))
    advance = graph("Cast", graph("Mul", graph("Add", frequency, after), half), to=TensorProto.DOUBLE)
    summed = graph("CumSum", advance, graph.constant(2), exclusive=1)
    phase = graph("Cast", fraction(graph, summed), to=TensorProto.FLOAT)
    first = graph("Sub", graph.unsqueeze("start", 1), graph("Gather", phase, "anchor", axis=2))
    at_frames = phase = fraction(graph, graph("Add", phase, first))
    changes = graph("Sub", after, frequency), graph("Sub", following(voiced), voiced)
    columns = graph("Concat", phase, frequency, changes[0], voiced, changes[1], axis=1)  # (B, 5, T)
    columns = graph("Transpose", columns, perm=[0, 2, 1])
    samples = graph("MatMul", columns, graph.constant(interpolation(audio.hop_length).asnumpy()))
    parts = graph.split(samples, 2, [audio.hop_length] * 3)
    phase, frequency, amplitude = (graph("Reshape", part, graph.constant([0, -1])) for part in parts)
    return graph("Mul", pulses(graph, fraction(graph, phase), frequency), amplitude), graph.squeeze(at_frames, 1)


def pulses(graph: Graph, phase: str, frequency: str) -> str:
    """`src.models.harmonic.source.pulses`."""

    def sine(cycles: str, operator: str = "Sin") -> str:
        return graph(operator, graph("Mul", fraction(graph, cycles), graph.constant(np.float32(2 * np.pi))))

    half, one = graph.constant(0.5), graph.constant(1.0)
    count = graph("Sub", graph("Div", half, frequency), one)
    whole = graph("Floor", count)
    slow = graph("Sin", graph("Mul", phase, graph.constant(np.float32(np.pi))))
    fast = sine(graph("Mul", graph("Add", whole, half), phase))
    closest = graph.constant(np.float32(CLOSEST))
    kernel = graph("Sub", graph("Div", graph("Mul", fast, half), graph("Max", slow, closest)), half)
    total = graph("Where", graph("Less", slow, closest), whole, kernel)
    last = sine(graph("Mul", graph("Add", whole, one), phase), "Cos")
    total = graph("Add", total, graph("Mul", graph("Sub", count, whole), last))
    return graph("Mul", total, graph("Sqrt", graph("Div", graph.constant(2.0), count)))
