"""Speak with the ONNX files of export.py, with numpy and onnxruntime; MindSpore is not needed.

python scripts/onnx_infer.py --onnx_dir out --text "Hello world." --output_dir speech
python scripts/onnx_infer.py --onnx_dir out --waveglow_dir out --text "Hello world." --output_dir speech
"""

import functools
import io
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.audio import griffin_lim, save_wav
from src.cli import CommandLine, amount, run, seed
from src.errors import InputError
from src.files import write_atomically
from src.synthesis.vocoder import check_signature, neural_vocoder


def main() -> None:
    """Parse the command line, speak, write the files."""
    command = CommandLine(__doc__.splitlines()[0])
    command.add_argument(
        "--onnx_dir", type=Path, required=True, help="folder with encoder, decoder_step and postnet (.onnx, .onnx.json)"
    )
    command.add_argument("--text", required=True, help="what to say")
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
        help="folder with harmonic.onnx or waveglow.onnx (default: Griffin-Lim)",
    )
    command.add_argument(
        "--sigma", type=amount, help="of WaveGlow: standard deviation of the latents (default: its own)"
    )
    command.add_argument(
        "--denoiser_strength", type=amount, help="of WaveGlow: how much of its own hum is removed (default: 0)"
    )
    arguments, overrides = command.parse()
    if not arguments.waveglow_dir and (arguments.sigma is not None or arguments.denoiser_strength is not None):
        raise InputError("--sigma and --denoiser_strength are WaveGlow's; give --waveglow_dir")
    # Imported here, so that a missing onnxruntime gives one line instead of a traceback.
    from src.export.onnx.inference import OnnxTacotron2, onnx_vocoder, speak  # noqa: PLC0415

    net = OnnxTacotron2(arguments.onnx_dir, overrides)
    audio = net.config.audio
    if arguments.waveglow_dir:
        network = onnx_vocoder(arguments.waveglow_dir)
        if not hasattr(network.config.model, "sigma") and (arguments.sigma or arguments.denoiser_strength) is not None:
            raise InputError(
                f"--sigma and --denoiser_strength are WaveGlow's; {arguments.waveglow_dir} has another vocoder"
            )
        check_signature(arguments.waveglow_dir, network.config.audio, arguments.onnx_dir, audio)
        vocoder = neural_vocoder(network, arguments.sigma, arguments.denoiser_strength or 0.0, arguments.seed)
    else:
        vocoder = functools.partial(griffin_lim, audio=audio, seed=arguments.seed)
    wav, mel, sentences = speak(net, arguments.text, vocoder, arguments.seed)
    try:
        arguments.output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{arguments.output_dir}: cannot be made ({error.strerror})") from error
    save_wav(arguments.output_dir / "0001.wav", wav, audio.sample_rate)
    content = io.BytesIO()
    np.save(content, mel)
    write_atomically(arguments.output_dir / "0001_mel.npy", content.getvalue())
    seconds = len(wav) / audio.sample_rate
    summary = {
        "text": arguments.text,
        "seed": arguments.seed,
        "overrides": overrides,
        "seconds": seconds,
        "sentences": sentences,
    }
    write_atomically(
        arguments.output_dir / "summary.json", (json.dumps(summary, indent=2, ensure_ascii=False) + "\n").encode()
    )
    print(f"{arguments.output_dir / '0001.wav'}: {seconds:.1f} s of speech")


if __name__ == "__main__":
    run(main)
