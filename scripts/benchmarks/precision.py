"""Compare decoder weights in 8 bits with float32 ones: the mel's difference, where speech ends, and speed.

python scripts/benchmarks/precision.py --json precision.json
python scripts/benchmarks/precision.py --fresh --sentences 6
python scripts/benchmarks/precision.py --method columns

Both speak the same sentences with the same dropout of the prenet, by ONNX Runtime, one by one. --fresh takes a network
of full width with fresh weights, which speaks 200 frames of each. --method and --block show what --precision int8 of
eval.py was chosen among.
"""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.report import describe_machine
from src.cli import CommandLine, positive, run
from src.config import load_config
from src.export.onnx.cached import onnx_files
from src.export.onnx.inference import OnnxTacotron2
from src.export.onnx.quantisation import BLOCK, describe_int8, quantise
from src.files import read_text, write_json
from src.hub.card import shipped_voice
from src.models.sampling import item_seed
from src.text import encode_texts

SENTENCES = Path(__file__).resolve().parents[2] / "demo_voice/sentences.txt"
ENDLESS = {"model.gate_threshold": 0.999999, "model.attention_stop_frames": 201, "model.max_decoder_steps": 200}


def fresh(folder: Path) -> Path:
    """Write a checkpoint of full width with fresh weights."""
    from src import runtime  # noqa: PLC0415  (takes MindSpore)
    from src.checkpoint import save_checkpoint  # noqa: PLC0415
    from src.models.factory import create_model  # noqa: PLC0415

    runtime.setup(0)
    config = load_config(overrides=ENDLESS)
    save_checkpoint(folder / "fresh.ckpt", create_model(config=config), config)
    return folder / "fresh.ckpt"


def rounded(source: Path, folder: Path, method: str, block: int) -> Path:
    """Write the ONNX files of a folder into another one, with weights of decoder steps in 8 bits."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  (notes on standard error)

    shutil.copytree(source, folder)
    step = folder / "decoder_step.onnx"
    if method == "blocks":
        quantise(step, block)
    else:
        quantize_dynamic(source / step.name, step, per_channel=True, weight_type=QuantType.QInt8)
        describe_int8(step)
    return folder


def speak(net: OnnxTacotron2, texts: list[str]) -> tuple[list[np.ndarray], list[float]]:
    """Speak texts: their mels [n_mels, frames], and milliseconds of a frame of each."""
    mels, milliseconds = [], []
    for number, text in enumerate(texts):
        ids, lengths = encode_texts([text], net.config)
        began = time.perf_counter()
        mels.append(net.generate(ids, lengths, [item_seed(0, number)]).mel[0])
        milliseconds.append(1e3 * (time.perf_counter() - began) / mels[-1].shape[1])
    return mels, milliseconds


def compare(found: list[np.ndarray], expected: list[np.ndarray]) -> dict[str, Any]:
    """Relative differences of mels over the frames that both have, and how many frames longer each is."""
    differences = []
    for mel, reference in zip(found, expected, strict=True):
        n = min(mel.shape[1], reference.shape[1])
        differences.append(float(np.linalg.norm(mel[:, :n] - reference[:, :n]) / np.linalg.norm(reference[:, :n])))
    longer = [mel.shape[1] - reference.shape[1] for mel, reference in zip(found, expected, strict=True)]
    return {"differences": differences, "frames_longer": longer}


def main() -> None:
    """Parse the command line, speak in both precisions, print and write."""
    parser = CommandLine(__doc__)
    parser.add_argument("--checkpoint", type=Path, help="of the acoustic network (default: the voice that ships)")
    parser.add_argument("--fresh", action="store_true", help="a network of full width with fresh weights instead")
    parser.add_argument(
        "--sentences", type=positive, default=24, help="number of sentences of demo_voice/sentences.txt"
    )
    parser.add_argument(
        "--method",
        choices=["blocks", "columns"],
        default="blocks",
        help="blocks: weights share scales in blocks of a column, and so do inputs (default); columns: by columns, and "
        "all inputs one scale, ONNX Runtime's quantize_dynamic",
    )
    parser.add_argument("--block", type=positive, default=BLOCK, help=f"numbers that share a scale (default: {BLOCK})")
    parser.add_argument("--json", type=Path, default=Path("precision.json"), help="file for the numbers")
    arguments, overrides = parser.parse()
    lines = read_text(SENTENCES).splitlines()
    texts = [line.split("|")[-1] for line in lines[:: len(lines) // arguments.sentences][: arguments.sentences]]
    result: dict[str, Any] = {"machine": describe_machine()}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = fresh(Path(folder)) if arguments.fresh else arguments.checkpoint or shipped_voice()
        (source,) = onnx_files(checkpoint)
        target = rounded(source, Path(folder) / "int8", arguments.method, arguments.block)
        exact, coarse = (OnnxTacotron2(each, overrides) for each in (source, target))
    expected, milliseconds = speak(exact, texts)
    found, faster = speak(coarse, texts)
    result |= compare(found, expected)
    result |= {"float32_ms": statistics.median(milliseconds), "int8_ms": statistics.median(faster)}
    differences = result["differences"]
    print(
        f"{len(texts)} sentences: the mel differs by {statistics.median(differences):.2%} (median), "
        f"{max(differences):.2%} (most); frames longer: {sorted(result['frames_longer'])}; a frame takes "
        f"{result['float32_ms']:.2f} ms in float32, {result['int8_ms']:.2f} ms in int8"
    )
    write_json(arguments.json, result)


if __name__ == "__main__":
    run(main)
