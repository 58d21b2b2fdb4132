"""Make docs/voice.md: the voice beside its teacher, by Griffin-Lim, and beside the voice that shipped before.

git show 47952c5~1:checkpoints/tacotron2_demo-c08fc45e.ckpt > old.ckpt
python scripts/make_voice_page.py --recordings data/joe/wavs --old_checkpoint old.ckpt \\
    --hard_sentences hard_sentences.json --benchmark benchmark_voice.json

Writes flac files and pictures into the folder beside the page. The last two files come from scripts/hard_sentences.py
and scripts/benchmark_voice.py; without them the page has no such sections.
"""

import io
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import soundfile
from benchmarks.voice import table

from src.audio import griffin_lim, limit_peaks, load_wav, mel_spectrogram, to_pcm16
from src.cli import CommandLine, run, seed
from src.data.spoken_corpus import read_sentences
from src.errors import InputError
from src.evaluation.metrics import analyse
from src.files import make_folder, read_json, write_atomically
from src.hub.card import shipped_vocoder, shipped_voice
from src.plotting import save_alignment_and_mel
from src.streaming.request import Part
from src.streaming.voice import Voice
from src.synthesis import load_voice

ROOT = Path(__file__).resolve().parents[1]
IDS = ["LJ012-0194", "LJ016-0049", "LJ018-0130", "LJ034-0097"]  # short ones of demo_voice/test_ids.txt
MOST_SOUND = 1_000_000  # bytes of all flac files
DPI = 60  # of pictures, of at most 150 kB
KINDS = {  # of sound: what stands beside it
    "teacher": "the recording of the teacher, Piper's `joe`: what the voice learnt to be",
    "voice": "the voice that ships: text, Tacotron 2, harmonic vocoder",
    "griffinlim": "the same mel of Tacotron 2 by Griffin-Lim: what the vocoder changes",
    "old": "the voice that shipped before: flite's `slt` was its teacher, 16 kHz, Griffin-Lim",
}


def main() -> None:
    """Parse the command line, speak, write."""
    command = CommandLine(__doc__)
    command.add_argument("--recordings", type=Path, required=True, help="folder with the teacher's ID.wav")
    command.add_argument("--old_checkpoint", type=Path, help="an earlier voice, spoken by Griffin-Lim")
    command.add_argument("--sentences", type=Path, default=ROOT / "demo_voice/sentences.txt", help="list of id|text")
    command.add_argument("--ids", nargs="+", default=IDS, help="ids of sentences that the voice has not learnt from")
    command.add_argument("--hard_sentences", type=Path, metavar="JSON", help="written by scripts/hard_sentences.py")
    command.add_argument("--benchmark", type=Path, metavar="JSON", help="written by scripts/benchmark_voice.py")
    command.add_argument("--page", type=Path, default=ROOT / "docs/voice.md", help="the page (default: docs/voice.md)")
    command.add_argument("--seed", type=seed, default=0, help="seed of the voice")
    arguments, overrides = command.parse()
    if overrides:
        raise InputError(f"{', '.join(overrides)}: the settings are those of the checkpoints here; leave them out")
    texts = {each.id: each.text for each in read_sentences(arguments.sentences)}
    if missing := [name for name in arguments.ids if name not in texts]:
        raise InputError(f"{arguments.sentences}: has no sentence {missing[0]}")
    texts = {name: texts[name] for name in arguments.ids}
    hard = read_json(arguments.hard_sentences) if arguments.hard_sentences else None
    benchmark = read_json(arguments.benchmark) if arguments.benchmark else None
    folder = arguments.page.with_suffix("")
    make_folder(folder)
    sounds, pictures = speak_all(texts, arguments.recordings, arguments.old_checkpoint, arguments.seed)
    size = sum(map(len, sounds.values()))
    if size > MOST_SOUND:
        raise InputError(f"{size} bytes of sound are more than {MOST_SOUND}; choose shorter sentences by --ids")
    for old in (*folder.glob("*.flac"), *folder.glob("*.png")):
        old.unlink()
    for name, content in sounds.items():
        write_atomically(folder / f"{name}.flac", content)
    for name, (text, parts, mel, audio) in pictures.items():
        spoken = np.concatenate([part.mel for part in parts], 1)
        save_alignment_and_mel(folder / f"{name}.png", spoken, joined_alignment(parts), text, audio, mel, dpi=DPI)
    pieces = [
        introduction(size, len(texts)),
        *(section(folder, name, text, pictures[name][1]) for name, text in texts.items()),
    ]
    pieces += [hard_section(hard)] if hard else []
    pieces += [benchmark_section(benchmark)] if benchmark else []
    write_atomically(arguments.page, ("\n\n".join(pieces) + "\n").encode())
    print(f"{arguments.page}: {len(sounds)} sounds, {size / 1e3:.0f} kB, {len(pictures)} pictures")


def speak_all(
    texts: dict[str, str], recordings: Path, old_checkpoint: Path | None, seed: int
) -> tuple[dict[str, bytes], dict[str, tuple]]:
    """Speak the sentences by all voices.

    Args:
        texts: by id.

    Returns:
        Flac files by `{id}_{kind}`; and by id what a picture needs: text, parts of the speech, the teacher's mel, and
        the settings of mels.

    Raises:
        InputError: a recording or checkpoint cannot be used.
    """
    sounds, pictures = {}, {}
    with load_voice(warm=False) as voice:
        audio, rate = voice.config.audio, voice.sample_rate
        for name, text in texts.items():
            recording = load_wav(recordings / f"{name}.wav", rate)
            parts = list(voice.stream_parts(text, seed))
            mel = np.concatenate([part.mel for part in parts], 1)
            sounds[f"{name}_teacher"] = flac(recording, rate)
            sounds[f"{name}_voice"] = flac(np.concatenate([part.wav for part in parts]), rate)
            sounds[f"{name}_griffinlim"] = flac(limit_peaks(griffin_lim(mel, audio, seed)), rate)
            pictures[name] = text, parts, mel_spectrogram(recording, audio), audio
    if old_checkpoint:
        with load_voice(checkpoint=old_checkpoint, vocoder="griffinlim", warm=False) as voice:
            sounds |= {f"{name}_old": _spoken(voice, text, seed) for name, text in texts.items()}
    return sounds, pictures


def flac(wav: np.ndarray, sample_rate: int) -> bytes:
    """Pack a waveform, float [samples] in [-1, 1], as a flac file of 16 bits."""
    content = io.BytesIO()
    soundfile.write(content, to_pcm16(wav), sample_rate, format="FLAC", subtype="PCM_16")
    return content.getvalue()


def joined_alignment(parts: list[Part]) -> np.ndarray:
    """Join the alignments of the sentences of a text, [decoder steps, symbols]."""
    numbers = sorted({part.sentence for part in parts if part.symbols})
    pieces = [
        np.concatenate([part.alignment for part in parts if part.symbols and part.sentence == number])
        for number in numbers
    ]
    sizes = np.array([piece.shape for piece in pieces])
    joined = np.zeros(sizes.sum(0), np.float32)
    for piece, (step, symbol) in zip(pieces, sizes.cumsum(0) - sizes, strict=True):
        joined[step : step + piece.shape[0], symbol : symbol + piece.shape[1]] = piece
    return joined


def introduction(size: int, count: int) -> str:
    """The head of the page."""
    return f"""# The voice, to listen to and to look at

<!-- made by scripts/make_voice_page.py; edit that -->

The voice in `checkpoints/` (`{shipped_voice().name}` with the vocoder `{shipped_vocoder().name}`)
reads {count} sentences that neither network has learnt from. Beside it stand its teacher, the same mels by Griffin-Lim,
and the voice that shipped before. All sounds are flac files, {size / 1e3:.0f} kB together; a click opens one.
[demo_voice.md](demo_voice.md) says how the voice was trained, [vocoder.md](vocoder.md) describes the vocoder.

The upper picture of each pair of mels is what Tacotron 2 made of the text, the lower one is the teacher's recording.
They need not agree in rhythm: nobody tells the network how long a sound of the teacher was. Sharper bands in the lower
picture are what the network has not learnt. Below is the alignment: a line without gaps or jumps from the lower left
to the upper right means that every sound is spoken once, in order. Voiced frames are those in which probabilistic YIN
finds a pitch: a voice with far fewer than its teacher is hoarse or whispers."""


def section(folder: Path, name: str, text: str, parts: list[Part]) -> str:
    """The section of a sentence."""
    rows = ["| sound | seconds | voiced frames | |", "|---|---|---|---|"]
    for kind, meaning in KINDS.items():
        path = folder / f"{name}_{kind}.flac"
        if path.exists():
            wav, rate = soundfile.read(path)
            voiced = f"{100 * np.isfinite(analyse(wav, rate).f0).mean():.0f} %"
            rows.append(f"| [{kind}]({folder.name}/{path.name}) | {len(wav) / rate:.1f} | {voiced} | {meaning} |")
    reasons = ", ".join(part.stop_reason for part in parts if part.stop_reason)
    table_of_sounds = "\n".join(rows)
    return f"""## "{text}"

{table_of_sounds}

Stopped by: {reasons}. Alignment score {joined_alignment(parts).max(1).mean():.2f}.

![mels of the voice and of its teacher, and the alignment]({folder.name}/{name}.png)"""


def hard_section(found: dict[str, Any]) -> str:
    """The section of the hard sentences, from the report of scripts/hard_sentences.py."""
    reasons = found["stop_reasons"]
    lists = {
        "runaways": "run-aways (more than 3 times the median seconds per character)",
        "cut_off": "cut off",
        "unfinished": "ended with symbols unread",
    }
    rows = [f"| {reason} | {count} |" for reason, count in reasons.items()]
    counts = "; ".join(f"{title}: {len(found[name])}" for name, title in lists.items())
    named = [f'- {title}: "{row["text"]}"' for name, title in lists.items() for row in found[name]]
    return "\n".join(
        [
            "## Hard sentences",
            "",
            f"`demo_voice/hard_sentences.txt` has {found['lines']} texts that are hard to speak: single words,",
            "repetitions, numbers, lists, questions, tongue twisters, initials, quotes, names, and very long ones.",
            f"{found['sentences']} sentences of them, {found['seconds'] / 60:.0f} minutes of speech, ended by",
            "",
            "| stop reason | sentences |",
            "|---|---|",
            *rows,
            "",
            f"{counts[0].upper()}{counts[1:]}.",
            "",
            "`python scripts/hard_sentences.py --json hard_sentences.json` counts them.",
            *(["", *named] if named else []),
        ]
    )


def benchmark_section(found: dict[str, Any]) -> str:
    """The section of the comparison with Piper, from the file of scripts/benchmark_voice.py."""
    machine, rows = found["machine"], ["| | ours | Piper | ratio |", "|---|---|---|---|"]
    for row in found["rows"]:
        ours, theirs = (f"{row['sides'][side]['median']:.3g} {row['unit']}" for side in ("ours", "Piper"))
        rows.append(f"| {row['title']} | {ours} | {theirs} | {row['ratio']:.2f} |")
    ahead = [row["title"] for row in found["rows"] if row["ratio"] > 1]
    listened = []
    if quality := found.get("quality"):
        listened = ["", "```", table(quality), "```"]
        if (quality["ours"]["wer"] or 0) > (quality["Piper"]["wer"] or 0):
            ahead.append("word errors")
    where = f"Piper is ahead in: {', '.join(ahead)}." if ahead else "Piper is ahead in none of these."
    return "\n".join(
        [
            "## Beside Piper",
            "",
            "Piper speaks with the voice that was the teacher, in a process of its own, in turn with ours, on one CPU",
            f"({machine['cpu']}; cores: {machine['cores']}, load at the start: {machine['load_average_at_start']}).",
            f"Medians; a ratio below 1 means that ours needs less. {where}",
            "",
            *rows,
            *listened,
            "",
            "`python scripts/benchmark_voice.py --piper_python PYTHON --recogniser whisper` measures again.",
        ]
    )


def _spoken(voice: Voice, text: str, seed: int) -> bytes:
    return flac(*voice.speak(text, seed))


if __name__ == "__main__":
    run(main)
