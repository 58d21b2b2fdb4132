"""Speak text with a trained network, or measure the network on recordings.

python eval.py --checkpoint x.ckpt --text "Hello world." --output_dir out
python eval.py --checkpoint x.ckpt --text_file lines.txt --output_dir out
python eval.py --checkpoint x.ckpt --data_path data/ljspeech --output_dir out
"""

import functools
import json
import sys
import time
from pathlib import Path
from typing import Any

from src import create_model, runtime
from src.audio import griffin_lim
from src.cli import CommandLine, run
from src.errors import InputError, some_of
from src.evaluate import evaluate
from src.files import write_atomically
from src.plotting import save_alignment_and_mel
from src.synthesis import Line, Utterance, read_lines, save, synthesise
from src.tacotron2.model import Tacotron2


def main() -> None:
    """Parse the command line, then speak or measure."""
    command = CommandLine(__doc__.splitlines()[0])
    command.add_argument("--checkpoint", type=Path, required=True, help="the network; its configuration is inside")
    command.add_argument("--text", type=str, help="what to say")
    command.add_argument("--text_file", type=Path, help="file of lines, each spoken into a wav of its own; blank lines are left out")
    command.add_argument("--data_path", type=Path, help="instead of speaking, measure on this dataset made by scripts/preprocess.py")
    command.add_argument("--output_dir", type=Path, required=True, help="folder for the results; those of a run before are replaced")
    command.add_argument("--vocoder", choices=["griffinlim"], default="griffinlim", help="what turns mel spectrograms into sound")
    command.add_argument("--seed", type=seed, default=0, help="of the prenet's dropout and of Griffin-Lim")
    arguments, overrides = command.parse()

    lines = _lines(arguments.text, arguments.text_file, arguments.data_path)
    runtime.setup(arguments.seed)
    net = create_model(checkpoint=arguments.checkpoint, overrides=overrides)
    try:
        arguments.output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{arguments.output_dir}: cannot be made ({error.strerror})") from error
    facts = {"checkpoint": str(arguments.checkpoint), "seed": arguments.seed, "overrides": overrides}
    if lines:
        _speak(net, lines, arguments.output_dir, facts)
    else:
        _measure(net, arguments.data_path, arguments.output_dir, facts)


def seed(text: str) -> int:
    """A number that every generator takes as its seed."""
    if not 0 <= int(text) < 2**32:
        raise ValueError
    return int(text)


def _lines(text: str | None, text_file: Path | None, data_path: Path | None) -> list[Line]:
    if sum(given is not None for given in (text, text_file, data_path)) != 1:
        raise InputError("give one of --text, --text_file and --data_path")
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


def _speak(net: Tacotron2, lines: list[Line], output_dir: Path, facts: dict[str, Any]) -> None:
    audio, seed = net.config.audio, facts["seed"]
    vocoder = functools.partial(griffin_lim, audio=audio, seed=seed)
    width = max(4, len(str(lines[-1].number)))
    rows, seconds, cut, began = [], 0.0, [], time.perf_counter()
    for utterance in synthesise(net, lines, vocoder, seed, progress=True):
        if not rows:
            _clear(output_dir)
        rows.append(save(utterance, output_dir, f"{utterance.line.number:0{width}}", audio))
        seconds += utterance.seconds
        cut += _cut_off(utterance)
    spoken = sum(row["seconds"] for row in rows)
    whole = {"seconds": spoken, "real_time_factor": seconds / spoken, "elapsed_seconds": time.perf_counter() - began}
    summary = {**facts, "vocoder": "griffinlim", "sample_rate": audio.sample_rate, **whole, "lines": rows}
    write_atomically(output_dir / "summary.json", (json.dumps(summary, indent=2, ensure_ascii=False) + "\n").encode())
    if cut:
        limit = net.config.model.max_decoder_steps
        print(f"warning: did not end before model.max_decoder_steps ({limit}): {some_of(cut, 5)}", file=sys.stderr)
    print(f"{output_dir}: {len(rows)} wav, {spoken:.1f} s of speech at {whole['real_time_factor']:.2f} x real time, see summary.json")


def _clear(output_dir: Path) -> None:
    """Remove what a run before left, which may have had more lines than this one."""
    (output_dir / "summary.json").unlink(missing_ok=True)
    for mel in output_dir.glob("*_mel.npy"):
        name = mel.name.removesuffix("_mel.npy")
        if name.isdecimal():
            for path in (mel, output_dir / f"{name}.wav", output_dir / f"{name}.png"):
                path.unlink(missing_ok=True)


def _cut_off(utterance: Utterance) -> list[str]:
    n, all_of_them = sum(each.stop_reason == "max_decoder_steps" for each in utterance.sentences), len(utterance.sentences)
    return [f"line {utterance.line.number}" + (f" ({n} of {all_of_them} sentences)" if all_of_them > 1 else "")] if n else []


def _measure(net: Tacotron2, data_path: Path, output_dir: Path, facts: dict[str, Any]) -> None:
    metrics, clip = evaluate(net, data_path)
    picture = output_dir / "alignment-and-mel.png"
    save_alignment_and_mel(picture, clip.mel, clip.alignment, f"{clip.id}, teacher forced", net.config.audio, clip.target_mel)
    write_atomically(output_dir / "metrics.json", (json.dumps({**metrics, **facts}, indent=2) + "\n").encode())
    print(f"validation loss {metrics['val_loss']:.4f} over {metrics['clips']} clips, alignment score {metrics['alignment_score']:.2f}")
    print(f"see {output_dir / 'metrics.json'} and {picture}")


if __name__ == "__main__":
    run(main)
