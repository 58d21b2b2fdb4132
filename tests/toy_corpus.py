"""A corpus of reproducible texts and mels, of which a test can check every value."""

import json

import numpy as np

from src.audio import mel_signature
from src.config import load_config
from src.data.corpus import FORMAT, Corpus, write_split

N_MELS = 4


def text_of(clip, length):
    return [1 + (7 * clip + position) % 100 for position in range(length)]


def mel_of(clip, frames):
    return np.random.default_rng(clip).standard_normal((frames, N_MELS)).astype(np.float32)


def make_corpus(folder, text_lengths, mel_lengths, n_shards=2, split="train"):
    folder.mkdir(parents=True, exist_ok=True)
    clips = range(len(text_lengths))
    texts = [text_of(i, length) for i, length in enumerate(text_lengths)]
    mels = (mel_of(i, frames) for i, frames in enumerate(mel_lengths))
    files, _ = write_split(
        folder, split, [f"it's {i}" for i in clips], [f"wavs/{i}.wav" for i in clips], texts, mels, n_shards
    )
    signature = mel_signature(load_config(overrides={"audio.n_mels": N_MELS}).audio)
    stats = {
        "format": FORMAT,
        "mel_signature": signature,
        "cleaner": "english_cleaners",
        "n_symbols": 148,
        "splits": {split: {"files": files}},
    }
    (folder / "stats.json").write_text(json.dumps(stats))
    return Corpus(folder, split)


def random_lengths(n, seed=0):
    random = np.random.default_rng(seed)
    mel_lengths = random.integers(10, 200, n)
    return np.maximum(mel_lengths // 5 + random.integers(-2, 20, n), 1), mel_lengths
