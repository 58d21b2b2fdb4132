"""The vocoder on the command line: its flags, their checks, and the vocoder that they describe."""

from __future__ import annotations

import functools
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src import runtime
from src.audio import griffin_lim, silent_mel
from src.cli import CommandLine, amount
from src.config import NETWORKS, AudioConfig, network_of
from src.errors import InputError
from src.synthesis.vocoder import SILENT_FRAMES, Vocoder, check_signature, griffin_lim_vocoder, neural_vocoder

if TYPE_CHECKING:
    from mindspore import nn  # at run time `src` comes first and quiets its log

NAMES = ("vocoder", "vocoder_checkpoint", "sigma", "denoiser_strength")


def add_vocoder_flags(command: CommandLine) -> None:
    """Add a flag to `command` for each of `NAMES`. Flags that are not given are None."""
    add_vocoder_choice(command)
    command.add_argument(
        "--sigma",
        type=amount,
        help="WaveGlow: standard deviation of the noise that is turned into sound (default: its own)",
    )
    command.add_argument(
        "--denoiser_strength",
        type=amount,
        help="WaveGlow: how much of its own hum is removed, such as 0.01 (default: 0)",
    )


def add_vocoder_choice(command: CommandLine) -> None:
    """Add `--vocoder`, and `--vocoder_checkpoint`, whose older name is --waveglow_checkpoint."""
    command.add_argument(
        "--vocoder",
        choices=["griffinlim", *networks()],
        help="vocoder, mel spectrogram to sound (default: the network of --vocoder_checkpoint; for the voice that "
        "ships, the vocoder that ships; otherwise griffinlim)",
    )
    command.add_argument(
        "--vocoder_checkpoint",
        "--waveglow_checkpoint",
        dest="vocoder_checkpoint",
        metavar="CKPT",
        type=Path,
        help=f"checkpoint of the vocoder's network: {' or '.join(networks())}",
    )


def networks() -> list[str]:
    """Names of the registered vocoders."""
    return [name for name, network in NETWORKS.items() if network.kind == "vocoder"]


def check_vocoder_flags(arguments: Namespace, copying: bool = False) -> None:
    """Make sure that the flags fit together.

    Args:
        copying: in copy synthesis, the vocoder's checkpoint may give the audio settings for Griffin-Lim.

    Raises:
        InputError: they do not.
    """
    if arguments.vocoder in networks() and not arguments.vocoder_checkpoint:
        raise InputError(f"--vocoder {arguments.vocoder} needs --vocoder_checkpoint")
    by_griffin_lim = arguments.vocoder == "griffinlim" or not arguments.vocoder_checkpoint
    if by_griffin_lim and (arguments.sigma is not None or arguments.denoiser_strength is not None):
        raise InputError("--sigma and --denoiser_strength are WaveGlow's; give --vocoder_checkpoint")
    if arguments.vocoder == "griffinlim" and arguments.vocoder_checkpoint and not copying:
        raise InputError("--vocoder griffinlim has no use for --vocoder_checkpoint; leave one of them out")


def griffin_lim_aside(arguments: Namespace, speaks: bool = True) -> Callable[..., np.ndarray]:
    """Return `griffin_lim`, computed in a child process if the program `speaks` and the flags choose it.

    The child loads librosa while this process compiles. Call this before a network is built, which starts MindSpore's
    threads: after that a process cannot be copied.
    """
    if arguments.vocoder_checkpoint or not speaks:
        return griffin_lim
    return runtime.in_child(griffin_lim, silent_mel(SILENT_FRAMES, AudioConfig()), AudioConfig())


def vocoder_for(
    net: nn.Cell,
    arguments: Namespace,
    compute: Callable[..., np.ndarray] = griffin_lim,
    loaded: Any = None,
) -> tuple[Callable[[int], Vocoder], dict[str, Any]]:
    """Return the vocoder for the mel spectrograms of `net`, which may be the vocoder's network in copy synthesis.

    Args:
        compute: the function that runs Griffin-Lim, see `griffin_lim_vocoder`.
        loaded: the vocoder of the checkpoint, if it is loaded already.

    Returns:
        A function that makes the vocoder for a seed, and the vocoder's entries of a summary.

    Raises:
        InputError: the checkpoint cannot be used, is of another network than --vocoder says, or its mel spectrograms
            differ from those of `net`.
    """
    path = arguments.vocoder_checkpoint
    if arguments.vocoder == "griffinlim" or not path:
        return functools.partial(griffin_lim_vocoder, net.config.audio, compute=compute), {"vocoder": "griffinlim"}
    vocoder = net if network_of(net.config).kind == "vocoder" else loaded or _network(path)
    model = vocoder.config.model
    if network_of(vocoder.config).kind != "vocoder":
        raise InputError(f"{path}: is a {model.name}, no vocoder")
    if arguments.vocoder not in (None, model.name):
        raise InputError(f"{path}: is a {model.name}; --vocoder says {arguments.vocoder}")
    if not hasattr(model, "sigma") and (arguments.sigma is not None or arguments.denoiser_strength):
        raise InputError(f"--sigma and --denoiser_strength are WaveGlow's; {path} is a {model.name}")
    check_signature(path, vocoder.config.audio, arguments.checkpoint, net.config.audio)
    names = {"vocoder": model.name, "vocoder_checkpoint": str(path)}
    if not hasattr(model, "sigma"):
        return functools.partial(neural_vocoder, vocoder, None, 0.0), names
    sigma = model.sigma if arguments.sigma is None else arguments.sigma
    strength = arguments.denoiser_strength or 0.0
    names |= {"sigma": sigma, "denoiser_strength": strength}
    return functools.partial(neural_vocoder, vocoder, sigma, strength), names


def _network(path: Path) -> nn.Cell:
    from src.models.factory import create_model  # noqa: PLC0415  (takes MindSpore)

    return create_model(checkpoint=path)
