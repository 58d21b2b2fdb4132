"""Make a corpus in the LJSpeech layout of sentences that a program speaks; by default demo_corpus/, by flite.

python scripts/make_demo_corpus.py --sentences lines.txt --output_dir data/slt
python scripts/make_demo_corpus.py --sentences demo_voice/sentences.txt --output_dir data/joe \\
    --program piper --piper_python piper/bin/python --audio.sample_rate 22050
python scripts/make_demo_corpus.py --sentences mandarin_voice/sentences.txt --output_dir data/yunjian \\
    --program kokoro --kokoro_voice package/voices/zm_yunjian.bin --audio.sample_rate 22050
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cli import CommandLine, run
from src.config import load_config
from src.data.speech_programs import Espeak, Flite, Kokoro, Piper
from src.data.spoken_corpus import make_corpus, read_sentences
from src.errors import InputError

DEMO = Path(__file__).resolve().parents[1] / "demo_corpus"


def main() -> None:
    """Parse the command line, speak, report."""
    parser = CommandLine(__doc__)
    parser.add_argument(
        "--sentences", type=Path, default=DEMO / "sentences.txt", help="lines of text, id|text or id|text|spoken"
    )
    parser.add_argument("--ids", type=Path, help="file with one id per line: speak only these")
    parser.add_argument("--output_dir", type=Path, default=DEMO, help="the corpus folder to make")
    parser.add_argument(
        "--config", type=Path, help="YAML file with audio.sample_rate (default: 16000, the rate of flite's voice)"
    )
    parser.add_argument(
        "--program",
        choices=["flite", "piper", "espeak-mandarin", "kokoro"],
        default="flite",
        help="who speaks: flite's voice slt, Piper's voice joe, espeak-ng in Mandarin, or Kokoro in Mandarin",
    )
    parser.add_argument(
        "--piper_python",
        type=Path,
        default=Path(sys.executable),
        help="a Python with requirements-piper.txt installed (default: this one)",
    )
    parser.add_argument("--kokoro_voice", type=Path, help="file of a Mandarin voice of Kokoro, zm_*.bin or zf_*.bin")
    parser.add_argument(
        "--kokoro_python",
        type=Path,
        default=Path(sys.executable),
        help="a Python with requirements-kokoro.txt installed (default: this one)",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="number of processes that speak")
    arguments, overrides = parser.parse()
    if arguments.program == "kokoro" and not arguments.kokoro_voice:
        raise InputError("--program kokoro needs --kokoro_voice, the file of a voice")
    config = load_config(arguments.config or {"audio": {"sample_rate": 16000}}, overrides)
    sentences = read_sentences(arguments.sentences, arguments.ids)
    workers = max(1, arguments.workers)
    programs = {
        "flite": Flite,
        "piper": lambda: Piper(arguments.piper_python, workers),
        "espeak-mandarin": Espeak,
        "kokoro": lambda: Kokoro(arguments.kokoro_voice, arguments.kokoro_python, workers),
    }
    program = programs[arguments.program]()
    try:
        seconds = make_corpus(sentences, arguments.output_dir, config.audio.sample_rate, program, workers)
    finally:
        program.close()
    print(
        f"{arguments.output_dir}: {len(sentences)} clips, {seconds / 60:.1f} minutes at {config.audio.sample_rate} Hz"
    )


if __name__ == "__main__":
    run(main)
