"""Measure vocoders on held-out clips: recording -> mel -> sound, compared with the recording.

python scripts/measure_vocoder.py --data_path data/ljspeech_wav --vocoders griffinlim harmonic.ckpt --output_dir out

PESQ (wideband), error of the mel, of pitch and of voicing (probabilistic YIN), and speed; needs requirements-eval.txt.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from src import runtime
from src.audio import load_wav, save_wav
from src.cli import CommandLine, positive, run, seed
from src.config import load_config, network_of
from src.errors import InputError
from src.evaluation.objective import held_out_clips
from src.evaluation.vocoding import copied, numbers, recording, table
from src.files import make_folder, write_atomically, write_json
from src.models.factory import create_model
from src.synthesis.vocoder import Vocoder, check_signature, griffin_lim_vocoder, neural_vocoder

GRIFFIN_LIM = "griffinlim"


def main() -> None:
    """Parse the command line, measure, write."""
    command = CommandLine(__doc__)
    command.add_argument("--data_path", type=Path, required=True, help="a dataset made by scripts/preprocess.py")
    command.add_argument(
        "--vocoders",
        nargs="+",
        required=True,
        metavar="VOCODER",
        help=f"checkpoints of vocoders, or {GRIFFIN_LIM}",
    )
    command.add_argument("--config", type=Path, help=f"YAML file for {GRIFFIN_LIM} (default: a checkpoint's settings)")
    command.add_argument(
        "--ids", type=Path, metavar="FILE", help="clip ids, one per line (default: the validation split)"
    )
    command.add_argument("--clips", type=positive, metavar="N", help="number of clips, evenly spaced (default: 50)")
    command.add_argument("--output_dir", type=Path, required=True, help="folder for numbers and copies")
    command.add_argument("--seed", type=seed, default=0, help="seed of the vocoders")
    arguments, overrides = command.parse()
    clips = held_out_clips(arguments.data_path, arguments.ids, arguments.clips)
    runtime.setup(arguments.seed)
    paths = [Path(name) for name in arguments.vocoders if name != GRIFFIN_LIM]
    nets = {str(path): create_model(checkpoint=path, overrides=overrides) for path in paths}
    for path, net in nets.items():
        if network_of(net.config).kind != "vocoder":
            raise InputError(f"{path}: is a {net.config.model.name}, no vocoder")
        check_signature(Path(path), net.config.audio, paths[0], nets[str(paths[0])].config.audio)
    if nets and not arguments.config:
        audio = nets[str(paths[0])].config.audio
    else:
        audio = load_config(arguments.config, None if nets else overrides).audio
    vocoders: dict[str, Vocoder] = {
        name: neural_vocoder(nets[name], seed=arguments.seed)
        if name in nets
        else griffin_lim_vocoder(audio, arguments.seed)
        for name in map(str, (path if path == GRIFFIN_LIM else Path(path) for path in arguments.vocoders))
    }
    make_folder(arguments.output_dir)
    copies = {name: [] for name in vocoders}
    for clip in tqdm(clips, desc="clips", unit="clip", dynamic_ncols=True, disable=None):
        original = recording(clip.row.id, load_wav(clip.wav, audio.sample_rate), audio)
        for number, (name, vocoder) in enumerate(vocoders.items()):
            copies[name].append(copied(original, vocoder, audio))
            save_wav(arguments.output_dir / f"{original.id}-{number}.wav", copies[name][-1].wav, audio.sample_rate)
    rows = {name: numbers(made, audio) for name, made in copies.items()}
    facts = {"seed": arguments.seed, "overrides": overrides, "ids": [clip.row.id for clip in clips], "vocoders": rows}
    write_json(arguments.output_dir / "vocoders.json", facts)
    write_atomically(arguments.output_dir / "vocoders.md", f"{table(rows)}\n".encode())
    print(table(rows))


if __name__ == "__main__":
    run(main)
