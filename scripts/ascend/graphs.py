"""The graphs that the programs run, in networks of a few units, as widths do not change what a graph is made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import mindspore as ms
import numpy as np
from list_primitives import TACOTRON2, WAVEGLOW, example
from mindspore import Tensor, nn

from src import runtime
from src.config import Config
from src.data.pitch import PitchBatch
from src.export.cells import SpectralSubtraction, Tacotron2Export, WaveGlowExport
from src.export.mindir import placeholders, tacotron2_artifacts, waveglow_artifacts
from src.export.mindir_parts import tacotron2_parts, waveglow_part
from src.models.factory import create_model
from src.models.harmonic.windows import WINDOW
from src.models.tacotron2.blocks import DecoderBlock, PostnetWindow, TextEncoder
from src.models.waveglow.denoiser import Denoiser
from src.train.step import Graph as FunctionGraph
from src.train.step import TrainStep
from src.train.task import create_task

# Steps in an iteration of the loops there. Utterances are of two iterations, so that loops are as in long ones.
SCAN_STEPS, FREE_STEPS = runtime.device.BLOCKS["Ascend"]
FRAMES = 32  # of exported parts of fixed sizes


class Graph(NamedTuple):
    """A graph, or the few that belong together."""

    name: str
    compile: Callable[[Config], None]
    overrides: dict[str, Any]
    ranks: tuple[int, ...] = (1,)


def train(config: Config) -> None:
    """One optimiser step. Its graphs without loops are compiled by running them, which the simulation allows."""
    net, task = create_model(config=config), create_task(config)
    step = TrainStep(net, task.forward(net), config.train)
    step.compile([task.inputs(example(config, 2 * SCAN_STEPS, 2 * SCAN_STEPS), 0)])
    if config.train.accumulate > 1:
        one = Tensor(1.0, ms.float32)
        step._begin()
        step._finish(one, one, *[one for _ in task.losses])


def validate(config: Config) -> None:
    """The losses of a batch, with the loss of one rank, as validation sums over ranks on the host."""
    net, task = create_model(config=config), create_task(config)
    net.set_train(False)
    frames = 2 * SCAN_STEPS * getattr(config.model, "reduction_factor", 1)
    inputs = task.inputs(example(config, frames, 2 * SCAN_STEPS), 0)
    FunctionGraph(task.forward(net), net.get_parameters()).compile(*inputs)


def free_running(config: Config) -> None:
    """A batch of texts to mel spectrograms."""
    create_model(config=config).compile_generate(2, 3)


def vocode(config: Config) -> None:
    """A mel spectrogram to sound."""
    net = create_model(config=config)
    net.set_train(False)
    net.infer(example(config).mel)


def train_harmonic(config: Config) -> None:
    """One optimiser step of the harmonic vocoder."""
    n_frames, random = config.train.segment_length // config.audio.hop_length, np.random.default_rng(0)
    audio = random.standard_normal((2, config.train.segment_length), np.float32)
    mel, pitch = np.zeros((2, config.audio.n_mels, n_frames), np.float32), np.full((2, n_frames), 5, np.float32)
    net, task = create_model(config=config), create_task(config)
    batch = PitchBatch(mel, audio, pitch, np.ones_like(pitch), np.arange(2, dtype=np.int32))
    TrainStep(net, task.forward(net), config.train).compile([task.inputs(batch, 0)])


def vocode_window(config: Config) -> None:
    """A window of a mel spectrogram to sound by the harmonic vocoder; its correction runs on the host."""
    net = create_model(config=config)
    net.set_train(False)
    arrays = np.zeros((1, config.audio.n_mels, WINDOW), np.float32), np.zeros((1, WINDOW * config.audio.hop_length))
    arrays += np.zeros((1, 1)), np.zeros(1, np.int32)
    inputs = [Tensor(array.astype(np.int32 if array.ndim == 1 else np.float32)) for array in arrays]
    net.synthesis.graph.compile(*inputs)


def stream(config: Config) -> None:
    """Encoder, a block of decoder steps, and postnet, as a voice that is heard while it is made runs them."""
    net = create_model(config=config)
    net.set_train(False)
    n_steps, n_batch, length, model = FREE_STEPS, 2, 32, config.model
    text, lengths = Tensor(np.ones((1, length), np.int32)), Tensor(np.array([length], np.int32))
    TextEncoder(net).compile(text, lengths)
    shapes = [(n_batch, net.decoder.n_frame), (n_steps, n_batch, 2 * model.prenet_dim)]
    shapes += [(n_batch, size) for size in net.decoder.state_sizes(length)]
    shapes += [(n_batch, length, model.encoder_dim), (n_batch, model.attention_dim, length), (n_batch, length)]
    DecoderBlock(net).compile(*(Tensor(np.zeros(shape, np.float32)) for shape in shapes))
    mel, mask = ((1, FRAMES, width) for width in (config.audio.n_mels, 1))
    PostnetWindow(net).compile(Tensor(np.zeros(mel, np.float32)), Tensor(np.ones(mask, np.float32)))


def export_tacotron2(config: Config) -> None:
    """The cell of the MINDIR file, for texts of any length."""
    net = create_model(config=config)
    inputs = tacotron2_artifacts(net, 32, False)[0].inputs
    _compile(Tacotron2Export(net, 32), placeholders(inputs))


def export_waveglow(config: Config) -> None:
    """The cell of the MINDIR file, for mel spectrograms of any length."""
    net, n_group = create_model(config=config), config.model.n_group
    shapes = (1, config.audio.n_mels, None), (1, n_group, None)  # waveglow_artifacts would compile the denoiser as well
    _compile(WaveGlowExport(net), [Tensor(shape=shape, dtype=ms.float32) for shape in shapes])


def export_denoiser(config: Config) -> None:
    """The cell of the denoiser's MINDIR file."""
    net = create_model(config=config)
    inputs = waveglow_artifacts(net, False)[1].inputs
    _compile(SpectralSubtraction(Denoiser(net)), placeholders(inputs))


def export_parts(config: Config) -> None:
    """The cells of the MINDIR files of fixed sizes: encoder, decoder steps and postnet, or frames of WaveGlow."""
    net = create_model(config=config)
    parts = tacotron2_parts(net, 32, FRAMES) if config.model.name == "tacotron2" else waveglow_part(net, FRAMES)
    for part in parts:
        _compile(part.cell, placeholders(part.inputs))


def _compile(cell: nn.Cell, inputs: list[Tensor]) -> None:
    cell.set_inputs(*inputs)
    cell.compile(*inputs)


def meet_ranks(n_ranks: int) -> None:
    """Select the device, and make this process one of `n_ranks`."""
    runtime.setup(0)
    if n_ranks > 1:
        runtime.ranks.communication.init()
    if runtime.world_size() != n_ranks:
        raise RuntimeError(f"{runtime.world_size()} ranks in place of {n_ranks}")


SHALLOW_TACOTRON2 = TACOTRON2 | {"model.max_decoder_steps": 2 * FREE_STEPS}
HARMONIC = {"model.name": "harmonic", "audio.n_mels": 4, "model.pitch_channels": 4, "model.filter_channels": 4}
HARMONIC |= {"audio.n_fft": 64, "audio.win_length": 64, "audio.hop_length": 16, "train.segment_length": 1024}
HARMONIC |= {"model.pitch_min": 200.0, "model.pitch_max": 1000.0}
# As deep as the published network, so that launches can be counted. WaveGlow, whose products bind, is of 2 flows and 2
# layers in each: 12 of 8 take more than a quarter of an hour. For 8 ranks it has more, so that gradients are several
# buckets.
DEEP_TACOTRON2 = SHALLOW_TACOTRON2 | {"model.encoder_layers": 3, "model.postnet_layers": 5}
DEEP_WAVEGLOW = WAVEGLOW | {"model.n_flows": 6, "model.n_early_every": 4}
LIGHT_WAVEGLOW = WAVEGLOW | {"audio.n_fft": 64, "audio.win_length": 64, "train.segment_length": 512}
LIGHT_WAVEGLOW |= {"model.n_group": 16, "model.n_early_every": 2, "model.wn_dilation_base": 1}
LIGHT_WAVEGLOW |= {"model.wn_separable": True, "model.conditioning": "frames", "model.log_scale_limit": 6.0}
LIGHT_WAVEGLOW |= {"model.spectral_weight": 2.0}
QUICK = [
    Graph("Tacotron 2 of few layers, training step", train, TACOTRON2, (8,)),
    Graph("Tacotron 2 of few layers, free running", free_running, SHALLOW_TACOTRON2),
]
GRAPHS = [
    Graph("Tacotron 2, training step", train, DEEP_TACOTRON2),
    Graph("Tacotron 2, training step, `train.amp` O2", train, DEEP_TACOTRON2 | {"train.amp": "O2"}),
    Graph("Tacotron 2, free running", free_running, DEEP_TACOTRON2),
    Graph("Tacotron 2, exported", export_tacotron2, DEEP_TACOTRON2),
    Graph("Tacotron 2, exported in parts without loops", export_parts, DEEP_TACOTRON2),
    Graph("Tacotron 2 of few layers, training step", train, TACOTRON2, (8,)),
    Graph("Tacotron 2 of few layers, training step, `train.amp` O1", train, TACOTRON2 | {"train.amp": "O1"}),
    Graph("Tacotron 2 of few layers, validation, 2 frames a step", validate, TACOTRON2 | {"model.reduction_factor": 2}),
    Graph("Tacotron 2, in blocks for streaming", stream, DEEP_TACOTRON2),
    Graph("WaveGlow of 6 flows of few layers, training step", train, DEEP_WAVEGLOW, (8,)),
    Graph("WaveGlow of few layers, training step", train, WAVEGLOW),
    Graph("WaveGlow of few layers, training step of two batches", train, WAVEGLOW | {"train.accumulate": 2}, (1, 8)),
    Graph("WaveGlow of few layers, training step, `train.amp` O1", train, WAVEGLOW | {"train.amp": "O1"}),
    Graph("WaveGlow of few layers, training step, `train.amp` O2", train, WAVEGLOW | {"train.amp": "O2"}),
    Graph("WaveGlow of few layers, validation", validate, WAVEGLOW),
    Graph("WaveGlow of few layers, from noise to sound", vocode, WAVEGLOW),
    Graph("WaveGlow of few layers, exported", export_waveglow, WAVEGLOW),
    Graph("WaveGlow of few layers, exported for a fixed number of frames", export_parts, WAVEGLOW),
    Graph("light WaveGlow of few layers, training step with both losses", train, LIGHT_WAVEGLOW),
    Graph("light WaveGlow of few layers, from noise to sound", vocode, LIGHT_WAVEGLOW),
    Graph("harmonic vocoder, training step", train_harmonic, HARMONIC),
    Graph("harmonic vocoder, a window of a mel to sound", vocode_window, HARMONIC),
    Graph("WaveGlow's denoiser, exported, and from noise to sound for its bias", export_denoiser, WAVEGLOW),
]
