"""A corpus in the layout of LJSpeech, spoken by a program: flite, Piper or espeak-ng."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np
from tqdm import tqdm

from src.audio import load_wav, save_wav
from src.data.speech_programs import SpeechProgram
from src.errors import InputError
from src.files import read_text

SILENCE_DB = 50  # ends of a clip that are this far below its loudest frame are trimmed
SPOKEN_BY = "spoken_by.txt"  # program, voice and sample rate
_MADE = {"metadata.csv", "sentences.txt", SPOKEN_BY, "wavs"}


class Sentence(NamedTuple):
    """A sentence of a list: `where` (file and line), the clip's id, the text as printed and as spoken."""

    where: str
    id: str
    text: str
    spoken: str


def read_sentences(path: Path, ids_path: Path | None = None) -> list[Sentence]:
    """Read a list of one sentence per line: `text`, `id|text`, or `id|text|text as spoken` as LJSpeech's metadata.csv.

    Args:
        ids_path: file of one id per line; only those sentences are taken, in the order of the list.

    Raises:
        InputError: unreadable file, a line without text, an id that is used twice or is no file name, ids that are not
            in the list.
    """
    sentences: dict[str, Sentence] = {}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        name, *texts = (field.strip() for field in line.split("|"))
        sentence = (
            Sentence(where, name, texts[0], texts[-1]) if texts else Sentence(where, f"line-{number:05d}", name, name)
        )
        if len(texts) > 2 or not sentence.text or not sentence.spoken:
            raise InputError(f"{where}: expected text, id|text or id|text|text as spoken, found '{line.strip()}'")
        if not sentence.id or Path(sentence.id).name != sentence.id:
            raise InputError(f"{where}: '{sentence.id}' cannot be an id, it names the wav file")
        if sentence.id in sentences:
            raise InputError(f"{where}: the id '{sentence.id}' was used in {sentences[sentence.id].where} already")
        sentences[sentence.id] = sentence
    if ids_path:
        wanted = {line.strip() for line in read_text(ids_path).split("\n")} - {""}
        if missing := sorted(wanted - set(sentences)):
            raise InputError(f"{ids_path}: {len(missing)} ids are not in {path}, such as '{missing[0]}'")
        sentences = {name: sentence for name, sentence in sentences.items() if name in wanted}
    if not sentences:
        raise InputError(f"{ids_path or path}: no sentence to speak")
    return list(sentences.values())


def make_corpus(
    sentences: list[Sentence], output_dir: Path, sample_rate: int, program: SpeechProgram, workers: int
) -> float:
    """Have a program speak every sentence. The folder appears complete or not at all.

    The sentences are kept in it as `sentences.txt`, beside `metadata.csv` and `wavs/`. If this is interrupted, the
    folder `.NAME.partial` beside it has what was spoken. Clips of that folder and of a corpus made before are kept
    where program, voice, rate and sentence are the same, so that a list can grow; what else was there is replaced.

    Args:
        workers: texts that are spoken at a time.

    Returns:
        Seconds of speech.

    Raises:
        InputError: the program cannot speak, a sentence without anything to speak, other files in `output_dir`.
    """
    output_dir = output_dir.resolve()
    if output_dir.exists():
        found = {path.name for path in output_dir.iterdir()} if output_dir.is_dir() else {"a file"}
        if found and not (found <= _MADE and "sentences.txt" in found):
            raise InputError(
                f"{output_dir}: holds something other than a corpus made by this script; choose another --output_dir"
            )
    stage = output_dir.with_name(f".{output_dir.name}.partial")
    spoken_by = f"{type(program).__name__} {program.voice}, {sample_rate} Hz\n"
    try:
        _begin(stage, output_dir, sentences, spoken_by)
        with ThreadPoolExecutor(workers) as pool:  # threads that wait for processes
            lengths = pool.map(lambda sentence: _speak(sentence, stage / "wavs", sample_rate, program), sentences)
            try:
                samples = sum(tqdm(lengths, total=len(sentences), desc="speaking", unit="clip"))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        (stage / "metadata.csv").write_text(
            "".join("|".join(sentence[1:]) + "\n" for sentence in sentences), encoding="utf-8"
        )
        shutil.rmtree(output_dir, ignore_errors=True)
        stage.rename(output_dir)
    except OSError as error:
        raise InputError(f"{output_dir}: cannot be written ({error.strerror})") from error
    return samples / sample_rate


def _begin(stage: Path, before: Path, sentences: list[Sentence], spoken_by: str) -> None:
    """Prepare the folder `stage`, with the clips of it and of the corpus `before` that need not be spoken again."""
    lines = {each.id: "|".join(each[1 : 3 + (each.text != each.spoken)]) + "\n" for each in sentences}

    def unchanged(folder: Path) -> set[str]:
        facts = folder / SPOKEN_BY, folder / "sentences.txt"
        if not all(path.is_file() for path in facts) or read_text(facts[0]) != spoken_by:
            return set()
        spoken = set(read_text(facts[1]).splitlines(keepends=True))
        return {name for name, line in lines.items() if line in spoken}

    (stage / "wavs").mkdir(parents=True, exist_ok=True)
    kept = unchanged(stage)
    for path in (stage / "wavs").iterdir():
        if path.stem not in kept:
            path.unlink()
    for name in unchanged(before):
        old, new = (folder / "wavs" / f"{name}.wav" for folder in (before, stage))
        if old.is_file() and not new.exists():
            shutil.copyfile(old, new)
    (stage / SPOKEN_BY).write_text(spoken_by, encoding="utf-8")
    (stage / "sentences.txt").write_text("".join(lines.values()), encoding="utf-8")


def _speak(sentence: Sentence, folder: Path, sample_rate: int, program: SpeechProgram) -> int:
    """Speak a sentence unless that is done, trimmed; returns its number of samples."""
    path = folder / f"{sentence.id}.wav"
    if path.is_file():
        return len(load_wav(path, sample_rate))
    new = folder / f".{sentence.id}.wav"
    program.speak(sentence.spoken, new)
    wav = load_wav(new, sample_rate)
    if np.abs(wav).max(initial=0) < 0.01:  # without a word to speak, flite only breathes
        new.unlink()
        raise InputError(f"{sentence.where}: nothing to say for '{sentence.spoken}'")
    wav, _ = librosa.effects.trim(wav, top_db=SILENCE_DB, frame_length=512, hop_length=128)
    save_wav(new, wav, sample_rate)
    new.replace(path)
    return len(wav)
