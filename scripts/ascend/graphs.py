"""The graphs that the programs run, in networks of a few units, as widths do not change what a graph is made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import mindspore as ms
from list_primitives import TACOTRON2, WAVEGLOW, example
from mindspore import Tensor, nn

from src import runtime
from src.config import Config
from src.export.cells import SpectralSubtraction, Tacotron2Export, WaveGlowExport
from src.export.mindir import placeholders, tacotron2_artifacts, waveglow_artifacts
from src.export.mindir_parts import tacotron2_parts, waveglow_part
from src.models.factory import create_model
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
# As deep as the published network, so that launches can be counted. WaveGlow, whose products bind, is so for 8 ranks
# alone, and otherwise of 2 flows and 2 layers in each: 12 of 8 take minutes.
DEEP_TACOTRON2 = SHALLOW_TACOTRON2 | {"model.encoder_layers": 3, "model.postnet_layers": 5}
DEEP_WAVEGLOW = WAVEGLOW | {"model.n_flows": 12, "model.n_early_every": 4, "model.wn_layers": 8}
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
    Graph("WaveGlow, training step", train, DEEP_WAVEGLOW, (8,)),
    Graph("WaveGlow of few layers, training step", train, WAVEGLOW),
    Graph("WaveGlow of few layers, training step of two batches", train, WAVEGLOW | {"train.accumulate": 2}, (1, 8)),
    Graph("WaveGlow of few layers, training step, `train.amp` O1", train, WAVEGLOW | {"train.amp": "O1"}),
    Graph("WaveGlow of few layers, training step, `train.amp` O2", train, WAVEGLOW | {"train.amp": "O2"}),
    Graph("WaveGlow of few layers, validation", validate, WAVEGLOW),
    Graph("WaveGlow of few layers, from noise to sound", vocode, WAVEGLOW),
    Graph("WaveGlow of few layers, exported", export_waveglow, WAVEGLOW),
    Graph("WaveGlow of few layers, exported for a fixed number of frames", export_parts, WAVEGLOW),
    Graph("WaveGlow's denoiser, exported, and from noise to sound for its bias", export_denoiser, WAVEGLOW),
]
