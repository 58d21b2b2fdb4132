"""Loading a voice: which networks speak, and by which runtime."""

import functools
import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import threadpoolctl

from src.audio import griffin_lim
from src.config import network_of
from src.errors import InputError
from src.export.inference import Tacotron2Files
from src.export.onnx.cached import Precision, chooses_onnx, load_onnx, no_speech
from src.hub.card import choose_shipped
from src.streaming.request import VocoderStream, WholeMel
from src.streaming.voice import BLOCK, Voice
from src.synthesis.vocoder import check_signature, neural_vocoder

Runtime = Literal["auto", "onnx", "mindspore"]
WARMING_TEXT = "This is the first sentence, which nobody will hear."


def load_voice(
    checkpoint: str | Path | None = None,
    vocoder_checkpoint: str | Path | None = None,
    vocoder: str | None = None,
    batch_size: int = 4,
    warm: bool = True,
    report: Callable[[str], None] = lambda stage: None,
    runtime: Runtime = "auto",
    overrides: dict[str, Any] | None = None,
    sigma: float | None = None,
    denoiser_strength: float = 0.0,
    precision: Precision = "float32",
    processes: int = 0,
    waveglow_checkpoint: str | Path | None = None,
) -> Voice:
    """Load a voice.

    Args:
        checkpoint: of the acoustic network, by default the voice that ships, with the vocoder that ships.
        vocoder_checkpoint: of a vocoder of any kind.
        vocoder: "griffinlim", or the name of the network in `vocoder_checkpoint`; by default that network, or
            Griffin-Lim if there is none.
        batch_size: sentences that are spoken at once; further ones wait.
        warm: speak a sentence first, so that no later one waits for a graph to be compiled.
        report: called with what is being done.
        runtime: "onnx": ONNX Runtime, on CPUs, with files written at the first use of a checkpoint and kept in the
            cache; "mindspore"; "auto": the former where it is installed, DEVICE_TARGET names no accelerator, the
            network has one voice, and files do not fix what is overridden.
        overrides: configuration values of the acoustic network by dotted key.
        sigma, denoiser_strength: of WaveGlow, as `src.synthesis.vocoder.neural_vocoder` has them.
        precision: of the weights of the decoder's LSTMs; "int8" is ONNX Runtime's alone.
        processes: of the harmonic vocoder by ONNX Runtime, where many speak at once; 0: threads of this process.
        waveglow_checkpoint: the older name of `vocoder_checkpoint`.

    Raises:
        InputError: a checkpoint cannot be used, or the two do not fit each other.
    """
    runtime = _checked(runtime, precision, processes)
    if vocoder_checkpoint and waveglow_checkpoint:
        raise InputError("vocoder_checkpoint and waveglow_checkpoint are two names of one thing; give one")
    path, vocoder_path = _chosen(checkpoint, vocoder_checkpoint or waveglow_checkpoint, vocoder)
    # Several threads speak; products of several threads each would keep each other from the cores.
    threadpoolctl.threadpool_limits(1, "blas")
    net, loaded, by_onnx = _load(path, vocoder_path, runtime, overrides or {}, report, precision, processes)
    if loaded:
        _check(vocoder_path, loaded, vocoder, path, net)
    streams = _streams(loaded, sigma, denoiser_strength) if loaded else _griffin_lim(net)
    # MindSpore runs in one thread; files have one voice.
    threads, speakers = (processes or os.cpu_count() or 1, []) if by_onnx else (0, net.config.data.speakers)
    voice = Voice(net, streams, batch_size, threads, speakers, close=getattr(loaded, "close", None))
    if warm:
        report("warming up")
        voice.speak(WARMING_TEXT)
    report("ready")
    return voice


def _chosen(
    checkpoint: str | Path | None, vocoder_checkpoint: str | Path | None, vocoder: str | None
) -> tuple[Path, Path | None]:
    """Return the checkpoints to load, those that ship where none are named; None for Griffin-Lim."""
    chosen = Namespace(checkpoint=checkpoint, vocoder_checkpoint=vocoder_checkpoint, vocoder=vocoder)
    choose_shipped(chosen)
    if vocoder == "griffinlim":
        return Path(chosen.checkpoint), None
    if vocoder and not chosen.vocoder_checkpoint:
        raise InputError(f"vocoder {vocoder} needs its checkpoint")
    return Path(chosen.checkpoint), Path(chosen.vocoder_checkpoint) if chosen.vocoder_checkpoint else None


def _checked(runtime: Runtime, precision: Precision, processes: int) -> Runtime:
    """Return the runtime that is meant: int8 is ONNX Runtime's."""
    if processes < 0:
        raise InputError(f"processes must be at least 0, not {processes}")
    if precision not in get_args(Precision):
        raise InputError(f"precision must be {' or '.join(get_args(Precision))}, not {precision!r}")
    if precision == "float32":
        return runtime
    if runtime == "mindspore":
        raise InputError(f"precision {precision} is ONNX Runtime's")
    return "onnx"


def _load(
    path: Path,
    vocoder_path: Path | None,
    runtime: Runtime,
    overrides: dict[str, Any],
    report: Callable[[str], None],
    precision: Precision,
    processes: int,
) -> tuple[Tacotron2Files, Any, bool]:
    """Load both networks by the runtime that is chosen, None for the vocoder if there is none; and whether by ONNX."""
    if chooses_onnx(runtime, overrides):
        report("loading, at the first time writing ONNX files")
        net, vocoder = load_onnx(path, vocoder_path, overrides, 1, precision, processes)
        if net.config.model.n_speakers == 1 or runtime == "onnx":
            return net, vocoder, True
    report(f"loading {path.name}")
    return *_load_graphs(path, vocoder_path, overrides), False


def _load_graphs(path: Path, vocoder_path: Path | None, overrides: dict[str, Any]) -> tuple[Tacotron2Files, Any]:
    """Load both networks into MindSpore; None for the vocoder if there is none."""
    from src import create_model, runtime  # noqa: PLC0415  (takes seconds)
    from src.streaming.graphs import Tacotron2Graphs  # noqa: PLC0415

    runtime.setup()
    acoustic = create_model(checkpoint=path, overrides=overrides)
    if network_of(acoustic.config).kind != "acoustic":
        raise no_speech(path, acoustic.config.model.name)
    vocoder = create_model(checkpoint=vocoder_path) if vocoder_path else None
    return Tacotron2Graphs(acoustic, BLOCK), vocoder


def _check(vocoder_path: Path, vocoder: object, name: str | None, path: Path, net: object) -> None:
    if network_of(vocoder.config).kind != "vocoder":
        raise InputError(f"{vocoder_path}: is a {vocoder.config.model.name}, no vocoder")
    if name not in (None, vocoder.config.model.name):
        raise InputError(f"{vocoder_path}: is a {vocoder.config.model.name}, not a {name}")
    check_signature(vocoder_path, vocoder.config.audio, path, net.config.audio)


def _griffin_lim(net: object) -> Callable[[int], VocoderStream]:
    return lambda seed: WholeMel(functools.partial(griffin_lim, audio=net.config.audio, seed=seed))


def _streams(vocoder: object, sigma: float | None, denoiser_strength: float) -> Callable[[int], VocoderStream]:
    """A vocoder's streams by the seed of a text; the whole mel at once if it has none."""
    if hasattr(vocoder, "stream"):
        if sigma is not None or denoiser_strength:
            raise InputError("sigma and denoiser_strength are WaveGlow's")
        return lambda seed: vocoder.stream(seed=(seed, 0))
    return lambda seed: WholeMel(neural_vocoder(vocoder, sigma, denoiser_strength, seed))
