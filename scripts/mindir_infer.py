"""Speak with the MINDIR files of fixed sizes that export.py writes with --fixed_frames; the loop runs on the host.

python scripts/mindir_infer.py --mindir_dir out --text "Hello world." --output_dir speech
python scripts/mindir_infer.py --mindir_dir out --waveglow_dir out --text "Hello world." --output_dir speech
python scripts/mindir_infer.py --mindir_dir out --lite ascend --text "Hello world." --output_dir speech
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[0]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from exported_voice import add_flags, check, speak_and_write

from src.cli import CommandLine, run
from src.export.mindir_inference import MindirTacotron2, mindir_vocoder, open_in_lite, open_in_mindspore


def main() -> None:
    """Parse the command line, speak, write the files."""
    command = CommandLine(__doc__)
    files = "encoder, decoder_steps and postnet (.mindir, .mindir.json)"
    add_flags(command, "--mindir_dir", files, "harmonic.mindir or waveglow_frames.mindir")
    command.add_argument(
        "--lite",
        metavar="DEVICE",
        help="run the files in MindSpore Lite, on its device cpu or ascend (default: in MindSpore)",
    )
    arguments, overrides = command.parse()
    check(arguments)
    if arguments.lite:
        open_file = open_in_lite(arguments.lite)
    else:
        from src import runtime  # noqa: PLC0415  (MindSpore Lite can do without MindSpore)

        runtime.setup()
        open_file = open_in_mindspore
    net = MindirTacotron2(arguments.folder, overrides, open_file)
    waveglow = mindir_vocoder(arguments.waveglow_dir, open_file) if arguments.waveglow_dir else None
    speak_and_write(net, waveglow, arguments, overrides)


if __name__ == "__main__":
    run(main)
