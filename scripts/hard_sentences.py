"""Speak sentences that are hard to speak, and report how each of them ended.

python scripts/hard_sentences.py --json hard_sentences.json
python scripts/hard_sentences.py --checkpoint voice/best.ckpt --vocoder griffinlim --json hard_sentences.json

A sentence should end by its gate. The report counts those that ended because attention rested on the last symbol, those
that max_decoder_steps cut off, run-aways (more than three times the median seconds per character) and sentences that
ended with symbols unread. Exit code 0, whatever is found.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from src.cli import CommandLine, positive, run, seed
from src.errors import InputError
from src.evaluation.hard_sentences import Spoken, report, speak_lines
from src.files import write_json
from src.hub.card import shipped_voice
from src.synthesis import load_voice
from src.synthesis.synthesis import read_lines
from src.synthesis.vocoder_flags import add_vocoder_choice

ROOT = Path(__file__).resolve().parents[1]
LISTS = {  # of the report, and what they hold
    "stopped_by_attention": "ended as attention rested on the last symbol",
    "cut_off": "cut off by max_decoder_steps",
    "runaways": "run-aways",
    "unfinished": "ended with symbols unread",
}


def main() -> None:
    """Parse the command line, speak, report."""
    command = CommandLine(__doc__)
    command.add_argument(
        "--text_file", type=Path, default=ROOT / "demo_voice/hard_sentences.txt", help="file of sentences, one a line"
    )
    command.add_argument("--checkpoint", type=Path, help="the voice (default: the one that ships)")
    add_vocoder_choice(command)
    command.add_argument("--runtime", choices=["auto", "mindspore", "onnx"], default="auto", help="as of eval.py")
    command.add_argument("--at_once", type=positive, default=4, help="sentences spoken at once (default: 4)")
    command.add_argument("--seed", type=seed, default=0, help="seed of the prenet's dropout and of the vocoder")
    command.add_argument("--json", type=Path, required=True, help="file for the report")
    arguments, overrides = command.parse()
    if overrides:
        raise InputError(f"{', '.join(overrides)}: the settings are those of the checkpoint here; leave them out")
    lines, _ = read_lines(arguments.text_file)
    voice = load_voice(
        checkpoint=arguments.checkpoint,
        vocoder_checkpoint=arguments.vocoder_checkpoint,
        vocoder=arguments.vocoder,
        batch_size=arguments.at_once,
        warm=False,
        report=lambda stage: print(stage, file=sys.stderr),
        runtime=arguments.runtime,
    )
    spoken: list[Spoken] = []
    with voice, tqdm(total=len(lines), unit="line", dynamic_ncols=True, disable=None) as bar:
        for sentences in speak_lines(voice, lines, arguments.seed, arguments.at_once):
            spoken += sentences
            bar.update()
    if not spoken:
        raise InputError(f"{arguments.text_file}: nothing of it can be spoken")
    found = report(spoken)
    facts = {"checkpoint": (arguments.checkpoint or shipped_voice()).name, "text_file": str(arguments.text_file)}
    facts |= {"seed": arguments.seed, "vocoder": arguments.vocoder}
    write_json(arguments.json, {**facts, **found, "spoken": [each._asdict() for each in spoken]})
    reasons = ", ".join(f"{reason} {count}" for reason, count in found["stop_reasons"].items())
    print(f"{found['sentences']} sentences of {found['lines']} lines, {found['seconds']:.0f} s; stopped by: {reasons}")
    for name, title in LISTS.items():
        print(f"{title}: {len(found[name])}")
        for row in found[name]:
            print(f"  line {row['line']}, {row['seconds']:.1f} s: {row['text'][:90]}")


if __name__ == "__main__":
    run(main)
