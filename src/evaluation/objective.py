"""Objective evaluation: a network speaks held-out texts, and its speech is compared with the recordings."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from src.audio import load_wav, mel_spectrogram, save_wav
from src.config import AudioConfig
from src.data.corpus import Corpus
from src.data.file_list import Row, read_ids, rows_again
from src.errors import InputError, some_of
from src.evaluation.metrics import (
    Difference,
    analyse,
    compare,
    difference_numbers,
    duration_spreads,
    f0_spread,
    pesq_wideband,
)
from src.evaluation.opinion import predicted_opinion
from src.evaluation.recognition import Recogniser, error_rate_interval, word_errors, words
from src.models.tacotron2.model import Tacotron2
from src.models.tacotron2.stopping import STOP_REASONS, severity
from src.synthesis.synthesis import Line, Utterance, synthesise
from src.synthesis.vocoder import Vocoder

KINDS = ("synthesis", "copy_synthesis", "recording")
SUFFIXES = {"synthesis": "", "copy_synthesis": "_copy_synthesis", "recording": "_recording"}  # of metrics.json's keys
CLIPS = 50  # measured by default


@dataclass
class Clip:
    """A recording and its text; errors name `row.line`."""

    row: Row
    wav: Path
    trained_on: bool  # it is in the dataset's training split


@dataclass
class Result:
    """Measurements of a clip; recognised text, F0 and difference from the recording by kind (`KINDS`)."""

    clip: Clip
    utterance: Utterance
    recognised_text: dict[str, str]
    differences: dict[str, Difference]
    f0: dict[str, np.ndarray]  # Hz [frames], NaN where voiceless
    opinion: dict[str, float | None]  # predicted, by kind
    pesq_copy_synthesis: float | None
    seconds: float  # of the recording


def held_out_clips(data_path: Path, ids_path: Path | None = None, limit: int | None = None) -> list[Clip]:
    """Choose clips of the corpus that a dataset was made from: a list of ids, or the validation split.

    The recordings must still be where they were. A line on stderr warns of clips that are in the training split too.

    Args:
        data_path: output folder of `scripts/preprocess.py`.
        ids_path: file of one id per line; the dataset need not hold them.
        limit: number of clips, evenly spaced in the order of the corpus; by default 50, or all of a list of ids.

    Raises:
        InputError: no such dataset, its corpus is gone, none of the ids is in it, or a recording is missing.
    """
    corpus = Corpus(data_path, "val")
    if not (list_file := Path(corpus.stats.get("list_file", ""))).is_file():
        raise InputError(
            f"{data_path}: the recordings that it was made of are not at {list_file.parent}; preprocess them anew"
        )
    folder = Path(corpus.stats["data_path"])
    rows = rows_again(corpus.stats)
    ids = read_ids(ids_path, [row.id for row in rows]) if ids_path else set(corpus.ids)
    trained = set(Corpus(data_path, "train").ids)
    clips = [Clip(row, folder / row.wav, row.id in trained) for row in rows if row.id in ids]
    if not clips:
        raise InputError(f"{ids_path or data_path}: none of its ids is in {list_file}")
    limit = limit or (len(clips) if ids_path else CLIPS)
    if limit < len(clips):
        clips = [clips[i] for i in np.linspace(0, len(clips) - 1, limit).round().astype(int)]
    if missing := [clip.wav for clip in clips if not clip.wav.is_file()]:
        raise InputError(f"{missing[0]}: no such recording ({len(missing)} of {len(clips)} are missing)")
    if known := [clip.row.id for clip in clips if clip.trained_on]:
        print(
            f"warning: {len(known)} of {len(clips)} clips are in the training split: {some_of(known)}", file=sys.stderr
        )
    return clips


def measure(
    net: Tacotron2, clips: Sequence[Clip], vocoder: Vocoder, recogniser: Recogniser, output_dir: Path, seed: int = 0
) -> dict[str, Any]:
    """Speak the texts of the clips free running, and measure speech, copy synthesis and recording.

    Copy synthesis is the recording's mel through `vocoder`. The wavs of speech and copy synthesis go into
    `output_dir/held_out`; older wavs there are deleted.

    Returns:
        `summary` of the results, and `sentences`, one row per clip.

    Raises:
        InputError: a text or recording cannot be used, the network's output is not finite, a file cannot be written.
    """
    folder = output_dir / "held_out"
    folder.mkdir(exist_ok=True)
    for wav in folder.glob("*.wav"):
        wav.unlink()
    results = list(_results(net, clips, vocoder, recogniser, folder, seed))
    return {**summary(results, net.config.audio), "sentences": [_row(result, net.config.audio) for result in results]}


def summary(results: Sequence[Result], audio: AudioConfig) -> dict[str, Any]:
    """Metrics over all clips.

    Returns:
        wer, mcd_dtw_db, f0_rmse_cents, voicing_error: of the network's speech; error rates over all words, distances
            over all pairs of frames. With the suffix _copy_synthesis: of copy synthesis. wer_recording: of recordings.
        wer_interval, wer_interval_copy_synthesis, wer_interval_recording: 95 % bootstrap interval of each error rate.
        opinion: mean of `src.evaluation.opinion.predicted_opinion`, of each kind.
        pesq_copy_synthesis: mean over clips; the network's speech does not run in step with the recording.
        voiced_share: of the frames, of each kind; the spread of F0 means nothing where hardly any are voiced.
        f0_spread_semitones: standard deviation of log F0 over all voiced frames, of each kind; None if there are none.
        f0_spread_ratio, f0_spread_ratio_copy_synthesis: that of the recordings is 1.
        duration_ratio: of speech to recordings, all sentences together. duration_spread_ratio, duration_deviation: see
            `src.evaluation.metrics.duration_spreads`.
        max_step_hits, stop_reasons: numbers of clips. alignment_score_free_running: mean over clips.
        rtf: seconds of computing per second of speech, with the vocoder, without compilation.
        seconds_of_speech, seconds_of_recordings, sentences_measured, sentences_trained_on, words: amount of data.
    """
    numbers: dict[str, Any] = {}
    for kind in KINDS:
        counts = [word_errors(words(each.clip.row.text), each.recognised_text[kind]) for each in results]
        wrong, total = np.sum(counts, 0).tolist()
        numbers[f"wer{SUFFIXES[kind]}"] = wrong / total if total else None
        numbers[f"wer_interval{SUFFIXES[kind]}"] = error_rate_interval(counts) if total else None
        numbers[f"opinion{SUFFIXES[kind]}"] = _mean([each.opinion[kind] for each in results])
    for kind in KINDS[:2]:
        distances = difference_numbers([each.differences[kind] for each in results])
        numbers |= {name + SUFFIXES[kind]: value for name, value in distances.items()}
    numbers |= _f0_spreads(results)
    reasons = Counter(each.utterance.stop_reason for each in results)
    durations = [len(each.utterance.wav) / audio.sample_rate for each in results]
    seconds, recorded = sum(durations), sum(each.seconds for each in results)
    spread_ratio, deviation = duration_spreads(durations, [each.seconds for each in results])
    return {
        **numbers,
        "pesq_copy_synthesis": _mean([each.pesq_copy_synthesis for each in results]),
        "duration_ratio": seconds / recorded,
        "duration_spread_ratio": spread_ratio,
        "duration_deviation": deviation,
        "max_step_hits": reasons["max_decoder_steps"],
        "stop_reasons": {reason: reasons[reason] for reason in sorted(STOP_REASONS, key=severity)},
        "alignment_score_free_running": float(np.mean([each.utterance.alignment_score for each in results])),
        "rtf": sum(each.utterance.seconds for each in results) / seconds,
        "seconds_of_speech": seconds,
        "seconds_of_recordings": recorded,
        "sentences_measured": len(results),
        "sentences_trained_on": sum(each.clip.trained_on for each in results),
        "words": total,
    }


def _results(
    net: Tacotron2, clips: Sequence[Clip], vocoder: Vocoder, recogniser: Recogniser, folder: Path, seed: int
) -> Iterator[Result]:
    audio, voices = net.config.audio, {name: number for number, name in enumerate(net.config.data.speakers)}
    lines = [Line(clip.row.line, clip.row.text, voices.get(clip.row.speaker)) for clip in clips]
    utterances = synthesise(net, lines, vocoder, seed, progress=True)
    for clip, utterance in zip(
        clips, tqdm(utterances, total=len(clips), unit="sentence", dynamic_ncols=True), strict=True
    ):
        recording = load_wav(clip.wav, audio.sample_rate)
        copy = vocoder(mel_spectrogram(recording, audio))[: len(recording)]
        wavs = {
            "synthesis": np.clip(utterance.wav, -1, 1),
            "copy_synthesis": np.clip(copy, -1, 1),
            "recording": recording,
        }
        for kind in KINDS[:2]:
            save_wav(folder / f"{_file_name(clip)}{SUFFIXES[kind]}.wav", wavs[kind], audio.sample_rate)
        voices = {kind: analyse(wav, audio.sample_rate) for kind, wav in wavs.items()}
        yield Result(
            clip,
            utterance,
            {kind: recogniser(wav, audio.sample_rate) for kind, wav in wavs.items()},
            {kind: compare(voices[kind], voices["recording"]) for kind in KINDS[:2]},
            {kind: voice.f0 for kind, voice in voices.items()},
            {kind: predicted_opinion(wav, audio.sample_rate) for kind, wav in wavs.items()},
            pesq_wideband(wavs["copy_synthesis"], recording, audio.sample_rate),
            len(recording) / audio.sample_rate,
        )


def _row(result: Result, audio: AudioConfig) -> dict[str, Any]:
    utterance, text = result.utterance, words(result.clip.row.text)
    return {
        "id": result.clip.row.id,
        "wav": f"held_out/{_file_name(result.clip)}.wav",
        "text": result.clip.row.text,
        "recognised_text": result.recognised_text,
        "word_errors": {
            kind: word_errors(text, recognised_text)[0] for kind, recognised_text in result.recognised_text.items()
        },
        "words": len(text.split()),
        **difference_numbers([result.differences["synthesis"]]),
        "seconds": len(utterance.wav) / audio.sample_rate,
        "recording_seconds": result.seconds,
        "stop_reason": utterance.stop_reason,
        "alignment_score": utterance.alignment_score,
    }


def _f0_spreads(results: Sequence[Result]) -> dict[str, float | None]:
    spreads = {kind: f0_spread([each.f0[kind] for each in results]) for kind in KINDS}
    numbers = {f"f0_spread_semitones{SUFFIXES[kind]}": spread for kind, spread in spreads.items()}
    for kind in KINDS:
        voiced = np.isfinite(np.concatenate([each.f0[kind] for each in results]))
        numbers[f"voiced_share{SUFFIXES[kind]}"] = float(voiced.mean())
    recorded = spreads["recording"]
    for kind in KINDS[:2]:
        known = recorded and spreads[kind] is not None
        numbers[f"f0_spread_ratio{SUFFIXES[kind]}"] = spreads[kind] / recorded if known else None
    return numbers


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _file_name(clip: Clip) -> str:
    return clip.row.id.replace("/", "_")
