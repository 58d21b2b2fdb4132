"""Speak text with a trained network, or measure the network on recordings.

python eval.py --text "Hello world." --output_dir out
python eval.py --text "Hello world." --output hello.mp3
python eval.py --text_file - --output - | aplay -f S16_LE -r 22050
python eval.py --checkpoint x.ckpt --text_file lines.txt --vocoder_checkpoint w.ckpt --output_dir out
python eval.py --checkpoint x.ckpt --data_path data/ljspeech --output_dir out
python eval.py --checkpoint x.ckpt --data_path data/ljspeech --metrics --ids test_ids.txt --output_dir out
python eval.py --copy_synthesis in.wav --vocoder_checkpoint w.ckpt --output_dir out
python eval.py --mel x.npy --vocoder_checkpoint w.ckpt --output_dir out
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -I` leaves it out

from src import runtime
from src.audio import griffin_lim
from src.cli import CommandLine, positive, run, seed, spoken
from src.config import network_of
from src.errors import InputError, some_of
from src.evaluation.copy_synthesis import add_flags_of_a_vocoder_alone, copy_synthesis, speak_mel
from src.evaluation.recognition import RECOGNISERS, Recogniser, load_recogniser
from src.export.onnx.cached import load_onnx, no_speech
from src.files import make_folder, write_atomically, write_json
from src.hub.card import choose_shipped
from src.streaming.command import add_output_flags, speak_as_chosen, speaks_by_onnx
from src.synthesis.lines import speak_lines, with_sound
from src.synthesis.synthesis import Line, read_lines
from src.synthesis.vocoder import Vocoder
from src.synthesis.vocoder_flags import NAMES, add_vocoder_flags, check_vocoder_flags, griffin_lim_aside, vocoder_for

if TYPE_CHECKING:  # MindSpore takes seconds to load; where it is needed it comes after `src`, which quiets its log
    import numpy as np
    from mindspore import nn

    from src.evaluation.objective import Clip
    from src.models.tacotron2.model import Tacotron2


def main() -> None:
    """Parse the command line, then speak, copy or measure."""
    arguments, overrides = command_line().parse()
    lines = _lines(arguments)
    if arguments.output:
        speak_as_chosen(arguments, overrides, lines)
        return
    if lines:
        choose_shipped(arguments)
    _check_flags(arguments)
    recogniser = None
    if arguments.metrics:
        arguments.recogniser = arguments.recogniser or "whisper"
        recogniser = load_recogniser(arguments.recogniser)
    clips = []
    if arguments.metrics:
        from src.evaluation.objective import held_out_clips  # noqa: PLC0415

        clips = held_out_clips(arguments.data_path, arguments.ids, arguments.clips)
    net, facts, compute, onnx_vocoder = _load(arguments, overrides, lines)
    if arguments.text_file:
        lines = with_sound(lines, net.config, arguments.text_file)
    vocoder = None
    if arguments.data_path is None or arguments.metrics:
        vocoder_with_seed, names = vocoder_for(net, arguments, compute, onnx_vocoder)
        vocoder = vocoder_with_seed(arguments.seed)
        facts |= names
    make_folder(arguments.output_dir)
    if lines:
        speak_lines(net, lines, vocoder, arguments.output_dir, facts)
    elif arguments.copy_synthesis:
        _copy(net, arguments.copy_synthesis, vocoder, arguments.output_dir, facts)
    elif arguments.mel:
        result = speak_mel(arguments.mel, arguments.mel_scale, vocoder, net.config.audio, arguments.output_dir)
        write_json(arguments.output_dir / "summary.json", {**facts, **result})
        print(f"{arguments.output_dir / result['wav']}: {result['seconds']:.1f} s by {facts['vocoder']}")
    else:
        metrics = _validate(net, arguments.data_path, arguments.output_dir)
        if recogniser:
            metrics |= _measure(net, clips, vocoder, recogniser, arguments, metrics)
        write_json(arguments.output_dir / "metrics.json", metrics | facts)


def command_line() -> CommandLine:
    """Define the flags."""
    command = CommandLine(__doc__)
    command.add_argument(
        "--checkpoint",
        type=Path,
        help="the network, with its configuration inside (default for speaking: the voice that hub_meta.md names, with "
        "the vocoder of hub_meta_harmonic.md)",
    )
    command.add_argument("--speaker", help="name or number of the voice, of several (default: the first)")
    command.add_argument("--text", type=spoken, help="text to speak")
    command.add_argument(
        "--text_file",
        type=Path,
        help="file of lines, each spoken into its own wav; lines without a sound are left out; -: standard input",
    )
    command.add_argument(
        "--data_path", type=Path, help="measure on this dataset made by scripts/preprocess.py instead of speaking"
    )
    command.add_argument(
        "--metrics",
        action="store_true",
        help="with --data_path: also speak held-out texts and compare them with their recordings: word error rate by a "
        "recogniser, mel-cepstral distortion, pitch, real-time factor; needs requirements-eval.txt",
    )
    command.add_argument("--ids", type=Path, help="with --metrics: file of clip ids (default: the validation split)")
    command.add_argument(
        "--clips",
        type=positive,
        metavar="N",
        help="with --metrics: number of clips, evenly spaced (default: 50; with --ids all)",
    )
    command.add_argument(
        "--recogniser",
        choices=list(RECOGNISERS),
        help="with --metrics: who listens; error rates of two recognisers cannot be compared (default: whisper)",
    )
    add_flags_of_a_vocoder_alone(command)
    command.add_argument("--output_dir", type=Path, help="folder for the results; those of an earlier run are replaced")
    add_output_flags(command)
    add_vocoder_flags(command)
    command.add_argument("--seed", type=seed, default=0, help="seed of the prenet's dropout and of the vocoder")
    return command


def _load(
    arguments: Namespace, overrides: dict[str, Any], lines: list[Line]
) -> tuple[nn.Cell | Any, dict[str, Any], Callable[..., np.ndarray], Any]:
    """Load the network, by the runtime that is chosen.

    Returns:
        The network; what the summary says of it; the function that computes Griffin-Lim; the vocoder's ONNX file, None
        if it is not that which speaks.
    """
    if lines and speaks_by_onnx(arguments, overrides):
        net, vocoder = load_onnx(
            arguments.checkpoint, arguments.vocoder_checkpoint, overrides, precision=arguments.precision
        )
        runtime_facts = {"runtime": "onnx", "precision": arguments.precision}
        if net.config.model.n_speakers == 1 or arguments.runtime == "onnx":  # files have one voice
            return net, _facts(arguments, overrides) | runtime_facts, griffin_lim, vocoder
    runtime.setup(arguments.seed)
    compute = griffin_lim_aside(arguments, speaks=bool(lines))  # before the network, see there
    return *_network(arguments, overrides, speaks=bool(lines) or arguments.metrics), compute, None


def _facts(arguments: Namespace, overrides: dict[str, Any]) -> dict[str, Any]:
    checkpoint = arguments.checkpoint or arguments.vocoder_checkpoint
    return {"checkpoint": str(checkpoint), "seed": arguments.seed, "overrides": overrides}


def _network(arguments: Namespace, overrides: dict[str, Any], speaks: bool) -> tuple[nn.Cell, dict[str, Any]]:
    """Load the network, which must read text if it `speaks`. Returns it with what the summary says of it."""
    checkpoint = arguments.checkpoint or arguments.vocoder_checkpoint
    from src.models.factory import create_model  # noqa: PLC0415  (takes MindSpore)

    net = create_model(checkpoint=checkpoint, overrides=overrides)
    if speaks and network_of(net.config).kind != "acoustic":
        raise no_speech(checkpoint, net.config.model.name)
    facts = _facts(arguments, overrides) | {"runtime": "mindspore"}
    if arguments.speaker is not None:
        if not speaks:
            raise InputError("--speaker chooses the voice of --text and --text_file; leave it out")
        net.choose_voice(arguments.speaker)
        facts["speaker"] = arguments.speaker
    elif speaks and len(net.config.data.speakers) > 1 and not arguments.metrics:
        voices = some_of(net.config.data.speakers, 5)
        print(f"note: speaks with the first of its voices; --speaker chooses another: {voices}", file=sys.stderr)
    return net, facts


def _lines(arguments: Namespace) -> list[Line]:
    text, text_file = arguments.text, arguments.text_file
    sources = text, text_file, arguments.data_path, arguments.copy_synthesis, arguments.mel
    if sum(given is not None for given in sources) != 1:
        raise InputError("give one of --text, --text_file, --data_path, --copy_synthesis and --mel")
    if text is not None:
        if not text.strip():
            raise InputError("--text is empty")
        return [Line(1, text.strip())]
    if text_file is None:
        return []
    lines, blank = read_lines(text_file)
    if blank:
        print(f"{text_file}: blank lines are left out: {some_of(blank, 5)}", file=sys.stderr)
    return lines


def _check_flags(arguments: Namespace) -> None:
    """Make sure that every given flag has a use here."""
    if not arguments.output_dir:
        raise InputError("give --output_dir, a folder; or, with --text and --text_file, --output, a file")
    if arguments.format or arguments.sample_rate:
        raise InputError("--format and --sample_rate belong to --output")
    if arguments.precision != "float32" and not (arguments.text or arguments.text_file):
        raise InputError("--precision belongs to --text and --text_file")
    given = [f"--{name}" for name in NAMES if getattr(arguments, name) is not None]
    if arguments.data_path and given and not arguments.metrics:
        raise InputError(f"--data_path without --metrics measures without a vocoder; leave out {', '.join(given)}")
    if arguments.metrics and not arguments.data_path:
        raise InputError("--metrics needs --data_path, a dataset made by scripts/preprocess.py")
    if (arguments.ids or arguments.clips or arguments.recogniser) and not arguments.metrics:
        raise InputError("--ids, --clips and --recogniser belong to --metrics; give --metrics and --data_path")
    if arguments.mel_scale and not arguments.mel:
        raise InputError("--mel_scale is for --mel")
    alone = "--copy_synthesis" if arguments.copy_synthesis else "--mel" if arguments.mel else None
    if not alone:
        if arguments.data_path and not arguments.checkpoint:
            raise InputError("--checkpoint is needed")
    elif bool(arguments.checkpoint) == bool(arguments.vocoder_checkpoint):
        raise InputError(f"{alone} needs one of --vocoder_checkpoint and --checkpoint")
    check_vocoder_flags(arguments, copying=alone is not None)


def _copy(net: nn.Cell, recording: Path, vocoder: Vocoder, output_dir: Path, facts: dict[str, Any]) -> None:
    result = copy_synthesis(recording, vocoder, net.config.audio, output_dir)
    write_json(output_dir / "summary.json", {**facts, **result})
    distance = f"log-spectral distance to the recording {result['log_spectral_distance']:.2f} dB"
    print(f"{output_dir / result['wav']}: by {facts['vocoder']}, {distance}, see summary.json")


def _validate(net: nn.Cell, data_path: Path, output_dir: Path) -> dict[str, Any]:
    from src.evaluation.validation import evaluate  # noqa: PLC0415  (takes MindSpore)

    metrics, validation = evaluate(net, data_path, output_dir)
    print(f"{validation} over {metrics['clips']} clips, see {output_dir / 'metrics.json'} and the picture beside it")
    return metrics


def _measure(
    net: Tacotron2,
    clips: list[Clip],
    vocoder: Vocoder,
    recogniser: Recogniser,
    arguments: Namespace,
    validation: dict[str, Any],
) -> dict[str, Any]:
    from src.evaluation.objective import measure  # noqa: PLC0415  (takes MindSpore)
    from src.evaluation.tables import table  # noqa: PLC0415

    metrics = measure(net, clips, vocoder, recogniser, arguments.output_dir, arguments.seed)
    metrics |= {"recogniser": arguments.recogniser}
    text = table(validation | metrics)
    write_atomically(arguments.output_dir / "metrics.md", f"{text}\n".encode())
    print(f"\n{text}\n\nsee {arguments.output_dir / 'metrics.json'}, and listen to {arguments.output_dir / 'held_out'}")
    return metrics


if __name__ == "__main__":
    run(main)
