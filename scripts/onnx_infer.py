"""Speak with the ONNX files of export.py, with numpy and onnxruntime; MindSpore is not needed.

python scripts/onnx_infer.py --onnx_dir out --text "Hello world." --output_dir speech
python scripts/onnx_infer.py --onnx_dir out --vocoder_dir out --text "Hello world." --output_dir speech
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[0]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from exported_voice import add_flags, check, speak_and_write

from src.cli import CommandLine, run


def main() -> None:
    """Parse the command line, speak, write the files."""
    command = CommandLine(__doc__)
    add_flags(
        command, "--onnx_dir", "encoder, decoder_step and postnet (.onnx, .onnx.json)", "harmonic.onnx or waveglow.onnx"
    )
    arguments, overrides = command.parse()
    check(arguments)
    # Imported here, so that a missing onnxruntime gives one line instead of a traceback.
    from src.export.onnx.inference import OnnxTacotron2, onnx_vocoder  # noqa: PLC0415

    net = OnnxTacotron2(arguments.folder, overrides)
    waveglow = onnx_vocoder(arguments.waveglow_dir) if arguments.waveglow_dir else None
    speak_and_write(net, waveglow, arguments, overrides)


if __name__ == "__main__":
    run(main)
