"""Where the voice that ships spends its time: ms of a core for a second of speech, part by part.

python scripts/benchmarks/profile_voice.py --at_once 1 4

The vocoder runs in threads of this process here, which scripts/serve.py gives processes of its own.
"""

import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from src.cli import CommandLine, positive, run
from src.export.onnx.inference import OnnxHarmonic
from src.files import read_text
from src.models.harmonic.correction import MelCorrection
from src.streaming.encoding import encoder
from src.streaming.loading import load_voice

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Parse the command line, speak, and print a table."""
    command = CommandLine(__doc__)
    command.add_argument("--at_once", type=positive, nargs="+", default=[1, 4], help="sentences (default: 1 4)")
    command.add_argument("--texts", type=positive, default=32, help="sentences of demo_corpus (default: 32)")
    arguments, _ = command.parse()
    spent: dict[str, float] = defaultdict(float)
    voice = load_voice(runtime="onnx")
    _count(voice._net, "encode", "encoder", spent)
    _count(voice._net, "decode", "decoder", spent)
    _count(voice._net, "refine", "postnet", spent)
    _count(OnnxHarmonic, "window", "vocoder", spent)
    _count(MelCorrection, "__call__", "correction", spent)
    lines = read_text(ROOT / "demo_corpus/metadata.csv").splitlines()
    texts, columns = [line.split("|")[1] for line in lines][: arguments.texts], []
    for count in arguments.at_once:
        spent.clear()
        began, worked = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(count) as pool:
            wavs = [wav for wav, _ in pool.map(voice.speak, texts)]
        seconds = sum(map(len, wavs)) / voice.sample_rate
        parts = spent | {"all": time.process_time() - worked}
        parts["vocoder"] -= parts["correction"]
        parts["rest"] = parts["all"] - sum(parts[name] for name in ("encoder", "decoder", "postnet", "vocoder"))
        parts["rest"] -= parts["correction"]
        columns.append({name: 1000 * value / seconds for name, value in parts.items()})
        columns[-1]["cores busy"] = parts["all"] / (time.perf_counter() - began)
    for name in ("pcm", "mp3", "opus"):
        began = time.process_time()
        for wav in wavs:
            encode = encoder(name, 24000)
            encode.encode(wav)
            encode.finish()
        columns[-1][f"to {name}"] = 1000 * (time.process_time() - began) / seconds
    print(f"ms of a core for a second of speech, {arguments.at_once} sentences at once; {seconds:.0f} s of speech each")
    for name in columns[-1]:
        print(f"{name:<12}" + "".join(f"{column[name]:>8.1f}" if name in column else " " * 8 for column in columns))
    voice.close()


def _count(owner: Any, name: str, label: str, spent: dict[str, float]) -> None:
    """Let a function count the processor's time of its thread."""
    function = getattr(owner, name)

    def counting(*arguments: Any) -> np.ndarray:
        began = time.thread_time()
        try:
            return function(*arguments)
        finally:
            spent[label] += time.thread_time() - began

    setattr(owner, name, counting)


if __name__ == "__main__":
    run(main)
