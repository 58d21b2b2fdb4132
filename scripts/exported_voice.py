"""Parts of scripts/onnx_infer.py and scripts/mindir_infer.py: their common flags, the vocoder, the files written."""

import functools
from argparse import Namespace
from pathlib import Path
from typing import Any

from src.audio import griffin_lim
from src.cli import CommandLine, amount, seed, spoken
from src.errors import InputError
from src.export.inference import HarmonicFiles, Tacotron2Files, WaveGlowFiles, speak, write_speech
from src.synthesis.vocoder import check_signature, neural_vocoder


def add_flags(command: CommandLine, folder_flag: str, files: str, waveglow: str) -> None:
    """Add the common flags to a command line.

    Args:
        command: the command line.
        folder_flag: name of the flag for the folder with Tacotron 2's files; the value is `arguments.folder`.
        files: those files, for the help.
        waveglow: the vocoder's file.
    """
    command.add_argument(folder_flag, dest="folder", type=Path, required=True, help=f"folder with {files}")
    command.add_argument("--text", type=spoken, required=True, help="what to say")
    command.add_argument(
        "--output_dir", type=Path, required=True, help="folder for 0001.wav, 0001_mel.npy and summary.json"
    )
    command.add_argument("--seed", type=seed, default=0, help="of the prenet's dropout and of the vocoder (default: 0)")
    command.add_argument(
        "--vocoder_dir",
        "--waveglow_dir",
        dest="waveglow_dir",
        metavar="DIR",
        type=Path,
        help=f"folder with {waveglow} (default: Griffin-Lim)",
    )
    command.add_argument(
        "--sigma", type=amount, help="of WaveGlow: standard deviation of the latents (default: its own)"
    )
    command.add_argument(
        "--denoiser_strength", type=amount, help="of WaveGlow: how much of its own hum is removed (default: 0)"
    )


def check(arguments: Namespace) -> None:
    """Make sure that the flags belong together.

    Raises:
        InputError: flags of WaveGlow without one.
    """
    if not arguments.waveglow_dir and (arguments.sigma is not None or arguments.denoiser_strength is not None):
        raise InputError("--sigma and --denoiser_strength are WaveGlow's; give --waveglow_dir")


def speak_and_write(
    net: Tacotron2Files, waveglow: WaveGlowFiles | HarmonicFiles | None, arguments: Namespace, overrides: dict[str, Any]
) -> None:
    """Speak the text, write the files, and say where.

    Raises:
        InputError: the networks do not fit each other, nothing can be spoken, or the folder cannot be made.
    """
    audio = net.config.audio
    if waveglow:
        given = arguments.sigma, arguments.denoiser_strength
        if not hasattr(waveglow.config.model, "sigma") and given != (None, None):
            raise InputError("--sigma and --denoiser_strength are WaveGlow's; --vocoder_dir has another vocoder")
        check_signature(arguments.waveglow_dir, waveglow.config.audio, arguments.folder, audio)
        vocoder = neural_vocoder(waveglow, arguments.sigma, arguments.denoiser_strength or 0.0, arguments.seed)
    else:
        vocoder = functools.partial(griffin_lim, audio=audio, seed=arguments.seed)
    wav, mel, sentences = speak(net, arguments.text, vocoder, arguments.seed)
    summary = {"text": arguments.text, "seed": arguments.seed, "overrides": overrides, "sentences": sentences}
    path, seconds = write_speech(arguments.output_dir, wav, mel, audio.sample_rate, summary)
    print(f"{path}: {seconds:.1f} s of speech")
