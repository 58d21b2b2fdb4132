"""Text to speech: lines of text -> sentences -> batches -> mel -> waveform, joined again line by line."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

from src.audio import silent_mel
from src.config import Config
from src.errors import InputError, diverged, quote
from src.files import read_text
from src.models.sampling import Seed, item_seed
from src.models.tacotron2.stopping import severity
from src.synthesis.joining import join_sentences
from src.synthesis.vocoder import SILENT_FRAMES, Vocoder
from src.text import encode_texts, speakable_sentences

if TYPE_CHECKING:
    from src.export.inference import Tacotron2Files
    from src.models.tacotron2.model import Tacotron2

BATCH_SIZE = 8  # sentences spoken at once, which is faster than one by one
WINDOW = 16 * BATCH_SIZE  # sentences that are sorted by length and held in memory together
SHORTEST_TEXT = 32  # texts are padded to this times a power of two, so that few graphs are compiled

Report = Callable[[str, int, int], None]  # "compiling" or "speaking", number of batches done, number of batches


class Line(NamedTuple):
    """A text to be spoken into one wav."""

    number: int  # from 1; names its files and its errors
    text: str
    speaker: int | None = None  # of a network of several voices; None: the one chosen for all


class Piece(NamedTuple):
    """A piece of a line that the network speaks at once: a sentence, or a part of a long one."""

    line: int  # index of the line
    position: int  # in the line, from 0
    text: str


class Sentence(NamedTuple):
    """A spoken piece."""

    text: str
    symbols: list[str]  # as the network read them
    mel: np.ndarray  # [n_mels, frames]
    alignment: np.ndarray  # [decoder steps, symbols]
    stop_reason: str  # "gate", "attention" or "max_decoder_steps"
    seconds: float  # of computing: the batch's time, shared in proportion to frames

    @property
    def alignment_score(self) -> float:
        """Mean over decoder steps of the largest attention weight, as in validation: 1 is a sharp alignment."""
        return float(self.alignment.max(1).mean())


@dataclass
class Utterance:
    """A spoken line."""

    line: Line
    sentences: list[Sentence]
    mel: np.ndarray  # float32 [n_mels, frames], the pauses included
    wav: np.ndarray  # float32 [frames * hop_length], peaks limited to [-1, 1]
    peak: float  # largest magnitude before that
    pause: int  # frames of silence between two sentences
    # Of computing by network and vocoder, without compilation, except what WaveGlow compiles at its first longer mels.
    seconds: float

    @property
    def stop_reason(self) -> str:
        """The most worrying stop reason of its sentences."""
        return max((sentence.stop_reason for sentence in self.sentences), key=severity)

    @property
    def alignment(self) -> np.ndarray:
        """Alignments of the sentences one after another, [decoder steps, symbols]."""
        sizes = np.array([sentence.alignment.shape for sentence in self.sentences])
        joined = np.zeros(sizes.sum(0), np.float32)
        for sentence, (step, symbol) in zip(self.sentences, sizes.cumsum(0) - sizes, strict=True):
            n_steps, n_symbols = sentence.alignment.shape
            joined[step : step + n_steps, symbol : symbol + n_symbols] = sentence.alignment
        return joined

    @property
    def alignment_score(self) -> float:
        """Mean over decoder steps of the largest attention weight, as in validation: 1 is a sharp alignment."""
        return float(np.concatenate([sentence.alignment.max(1) for sentence in self.sentences]).mean())


def read_lines(path: str | Path) -> tuple[list[Line], list[int]]:
    """Read the lines of a text file (`-`: standard input), numbered from 1, and those of blank lines between them.

    Raises:
        InputError: no such file, not UTF-8, no text in it.
    """
    content = read_text("/dev/stdin" if str(path) == "-" else path)
    texts = content.rstrip().split("\n")
    lines = [Line(number, text.strip()) for number, text in enumerate(texts, 1)]
    if not lines[-1].text:
        raise InputError(f"{path}: there is no text in it")
    return [line for line in lines if line.text], [line.number for line in lines if not line.text]


def speakable_pieces(line: Line, config: Config) -> list[str]:
    """Split a line into pieces for the network, without those that hold no letter or phoneme, such as a row of dots.

    Raises:
        InputError: no piece is left; names the line.
    """
    pieces = speakable_sentences(line.text, config.text, f"line {line.number}")
    if not pieces:
        raise InputError(f"line {line.number}: nothing of {quote(line.text)} can be spoken")
    return pieces


def synthesise(
    net: Tacotron2 | Tacotron2Files,
    lines: Sequence[Line],
    vocoder: Vocoder,
    seed: int = 0,
    progress: bool = False,
    batch_size: int = BATCH_SIZE,
    report: Report = lambda stage, done, total: None,
) -> Iterator[Utterance]:
    """Speak `lines`, one utterance each, in their order.

    Lines are spoken sentence by sentence. Sentences of similar length share a batch, whichever line they come from.
    Each has its own random stream, from `seed` and its position in the line, so a line sounds the same whatever the
    others are.

    Args:
        vocoder: turns the log mel of a sentence into its waveform.
        progress: show a progress bar over the batches.
        batch_size: sentences spoken at once. 1 takes the fewest graphs; the sound does not depend on it.
        report: called before a batch shape is compiled for the first time in this call, and before each batch is
            spoken; may raise to stop.

    Raises:
        InputError: nothing of a line can be spoken, the network's output is not finite, or the vocoder refuses it.
    """
    pieces = [
        Piece(i, position, text)
        for i, line in enumerate(lines)
        for position, text in enumerate(speakable_pieces(line, net.config))
    ]
    ids, lengths = encode_texts(
        [piece.text for piece in pieces], net.config, [lines[piece.line].number for piece in pieces]
    )
    plan = plan_batches(pieces, lengths, batch_size)
    total = sum(map(len, plan))
    shapes, done = set(), 0
    with tqdm(total=total, unit="batch", dynamic_ncols=True, disable=not progress) as bar:
        for window in plan:
            spoken: dict[int, Sentence] = {}
            for batch in window:
                text = _pad(ids[batch], lengths[batch])
                if text.shape not in shapes and compiles(net):
                    report("compiling", done, total)
                    bar.set_postfix_str(f"compiling for {text.shape[0]} texts of up to {text.shape[1]} symbols")
                    compile_generate(net, *text.shape)
                    bar.set_postfix_str("")
                if not shapes:  # warm the vocoder up untimed; one in another process has loaded meanwhile
                    vocoder(silent_mel(SILENT_FRAMES, net.config.audio))
                shapes.add(text.shape)
                report("speaking", done, total)
                seeds = [item_seed(seed, pieces[i].position) for i in batch]
                members = list(dict.fromkeys(batch))  # without the repeats at its end, which only fill the batch
                speakers = [lines[pieces[i].line].speaker for i in batch]
                texts = [pieces[i].text for i in members]
                sentences = _speak(net, texts, text, lengths[batch], seeds, speakers)
                spoken |= zip(members, sentences, strict=True)
                bar.update()
                done += 1
            for i, members in itertools.groupby(sorted(spoken), key=lambda member: pieces[member].line):
                yield _join(lines[i], [spoken[member] for member in members], vocoder, net.config)


def plan_batches(pieces: Sequence[Piece], lengths: np.ndarray, batch_size: int = BATCH_SIZE) -> list[list[list[int]]]:
    """Group pieces into windows of whole lines, which bound the memory, and each window into batches of similar length.

    All batches have one size, so that they share graphs; the last batch of a window is filled with repeats of a piece.

    Returns:
        Windows of batches of indices into `pieces`.
    """
    windows: list[list[int]] = [[]]
    for i, piece in enumerate(pieces):
        if piece.position == 0 and len(windows[-1]) >= WINDOW:
            windows.append([])
        windows[-1].append(i)
    n_batches = -(-len(pieces) // batch_size)
    size = -(-len(pieces) // n_batches)
    plan = []
    for window in windows:
        ordered = sorted(window, key=lambda i: lengths[i])
        ordered += ordered[-1:] * (-len(ordered) % size)
        plan.append([ordered[start : start + size] for start in range(0, len(ordered), size)])
    return plan


def compiles(net: Tacotron2 | Tacotron2Files) -> bool:
    """Return whether a network is compiled for each shape of texts; exported files are not."""
    return hasattr(net, "compile_generate")


def compile_generate(net: Tacotron2, n_batch: int, length: int) -> None:
    """Compile what `net.generate` runs for texts (n_batch, length), or load it from the user's cache of graphs."""
    from src.runtime.graph_cache import graph_cache  # noqa: PLC0415  (takes MindSpore)

    with graph_cache(net.generate_key(n_batch, length)):
        net.compile_generate(n_batch, length)


def padded_length(length: int) -> int:
    """Length to which texts of up to `length` symbols are padded; a graph is compiled for each such length."""
    padded = SHORTEST_TEXT
    while padded < length:
        padded *= 2
    return padded


def _pad(ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    padded = np.zeros((len(ids), padded_length(lengths.max())), np.int32)
    padded[:, : lengths.max()] = ids[:, : lengths.max()]
    return padded


def _speak(
    net: Tacotron2 | Tacotron2Files,
    texts: list[str],
    text: np.ndarray,
    lengths: np.ndarray,
    seeds: Sequence[Seed],
    speakers: Sequence[int | None],
) -> list[Sentence]:
    """Speak a batch [B, L]. Only the first items, those of `texts`, are wanted; they share the batch's time."""
    began = time.perf_counter()
    chosen = () if set(speakers) == {None} else (speakers,)
    speech = net.generate(text, lengths, seeds, *chosen)
    seconds = time.perf_counter() - began
    mels, frames, alignments = (
        np.asarray(array)[: len(texts)] for array in (speech.mel, speech.mel_lengths, speech.alignments)
    )
    steps = frames // net.config.model.reduction_factor
    for mel, sentence in zip(mels, texts, strict=True):
        if not np.isfinite(mel).all():
            raise diverged(f"the network's output for {quote(sentence)} is not finite")
    symbols = net.config.text.symbols
    return [
        Sentence(
            texts[i],
            [symbols[symbol] for symbol in text[i, : lengths[i]]],
            mels[i, :, : frames[i]],
            alignments[i, : steps[i], : lengths[i]],
            speech.stop_reasons[i],
            seconds * frames[i] / frames.sum(),
        )
        for i in range(len(texts))
    ]


def _join(line: Line, sentences: list[Sentence], vocoder: Vocoder, config: Config) -> Utterance:
    began = time.perf_counter()
    try:
        wavs = [vocoder(sentence.mel) for sentence in sentences]
    except InputError as error:
        raise InputError(f"line {line.number}: {error}") from error
    seconds = time.perf_counter() - began + sum(sentence.seconds for sentence in sentences)
    joined = join_sentences(wavs, [sentence.mel for sentence in sentences], config)
    return Utterance(line, sentences, joined.mel, joined.wav, joined.peak, joined.pause, seconds)
