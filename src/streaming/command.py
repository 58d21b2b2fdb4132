"""Flags of eval.py: the runtime of speech, and speech into one file."""

import sys
from argparse import Namespace
from typing import Any

from src.cli import CommandLine, positive
from src.errors import InputError
from src.export.inference import FREE
from src.export.onnx.cached import chooses_onnx
from src.hub.card import choose_shipped
from src.streaming.encoding import FILE_FORMATS
from src.streaming.loading import load_voice
from src.streaming.writing import chosen_format, speak_into
from src.synthesis.synthesis import Line
from src.synthesis.vocoder_flags import check_vocoder_flags
from src.text import speakable_sentences


def add_output_flags(command: CommandLine) -> None:
    """Add `--output`, `--format`, `--sample_rate`, `--runtime` and `--precision`."""
    command.add_argument(
        "--output",
        metavar="FILE",
        help="in place of --output_dir: one file for all of the text, which is replaced if it is there; -: standard "
        "output, as the sound is made, by default as raw PCM (16 bit, little-endian)",
    )
    command.add_argument("--format", choices=sorted(FILE_FORMATS), help="of --output (default: by its suffix)")
    command.add_argument(
        "--sample_rate",
        type=positive,
        metavar="HZ",
        help="of --output (default: that of the voice, if the format has it)",
    )
    command.add_argument(
        "--runtime",
        choices=["auto", "mindspore", "onnx"],
        default="auto",
        help="of --text and --text_file. onnx: ONNX Runtime, on a CPU, by files that are written at the first use of a "
        "checkpoint and kept in the cache; auto (default): that where it is installed and DEVICE_TARGET names no other "
        "device",
    )
    command.add_argument(
        "--precision",
        choices=["float32", "int8"],
        default="float32",
        help="of ONNX Runtime: int8 keeps the weights of the decoder's LSTMs in 8 bits, which is several times as fast "
        "for a wide network and changes the mel by about 1 %% (default: float32)",
    )


def speaks_by_onnx(arguments: Namespace, overrides: dict[str, Any]) -> bool:
    """Return whether ONNX Runtime is chosen for speech.

    Raises:
        InputError: --runtime onnx where that is not possible.
    """
    if arguments.precision != "float32":
        if arguments.runtime == "mindspore":
            raise InputError(f"--precision {arguments.precision}: is ONNX Runtime's; leave --runtime out")
        arguments.runtime = "onnx"
    fixed = sorted(set(overrides) - FREE)
    if arguments.runtime == "onnx" and fixed:
        raise InputError(f"{', '.join(fixed)}: fixed in ONNX files; leave --runtime out")
    if arguments.runtime == "onnx" and arguments.speaker is not None:
        raise InputError("--speaker: ONNX files have one voice; leave --runtime out")
    return arguments.speaker is None and chooses_onnx(arguments.runtime, overrides)


def speak_as_chosen(arguments: Namespace, overrides: dict[str, Any], lines: list[Line]) -> None:
    """Speak lines into one file or to standard output, as the flags of eval.py say.

    Raises:
        InputError: flags that do not fit together, or as `load_voice` and `speak_into`.
    """
    if arguments.output_dir:
        raise InputError("give --output, a file, or --output_dir, a folder")
    others = {"data_path", "copy_synthesis", "mel", "metrics", "ids", "clips", "recogniser", "mel_scale"}
    if wrong := [f"--{name}" for name in sorted(others) if getattr(arguments, name)]:
        raise InputError(f"--output is of --text and --text_file; leave out {', '.join(wrong)}")
    file_format, rate = chosen_format(arguments.output, arguments.format, arguments.sample_rate)
    choose_shipped(arguments)  # names the vocoder's checkpoint too, which the flags need
    check_vocoder_flags(arguments)
    voice = load_voice(
        arguments.checkpoint,
        arguments.vocoder_checkpoint,
        arguments.vocoder,
        batch_size=1,
        warm=False,
        runtime=arguments.runtime,
        precision=arguments.precision,
        overrides=overrides,
        sigma=arguments.sigma,
        denoiser_strength=arguments.denoiser_strength or 0.0,
    )
    with voice:
        texts = [line.text for line in lines if len(lines) == 1 or speakable_sentences(line.text, voice.config.text)]
        seconds = speak_into(voice, texts, arguments.output, file_format, rate, arguments.seed, arguments.speaker)
    print(f"{arguments.output}: {seconds:.1f} s of speech", file=sys.stderr)
