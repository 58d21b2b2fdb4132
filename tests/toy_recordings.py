"""Recordings of noise in the layout of LJSpeech, and settings under which they are preprocessed in a moment."""

import numpy as np
import soundfile

from src.config import load_config
from src.data.corpus import Corpus

SETTINGS = {
    **{"audio.sample_rate": 8000, "audio.n_fft": 256, "audio.win_length": 256, "audio.hop_length": 64},
    **{"audio.n_mels": 8, "audio.fmax": 4000.0, "data.val_fraction": 0.25},
}
TEXTS = ["Printing, in the only sense.", "In being modern.", "For although", "Dr. Who has 3 cats."]
TEXTS += ["The end of it.", "Six", "Seven", "Eight."]


def sound(seconds, rate=8000, seed=0):
    """White noise, float [samples]."""
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * rate))


def write_ljspeech(folder, texts=TEXTS):
    """Write a folder in the layout of LJSpeech, with 0.1 s of noise per character."""
    (folder / "wavs").mkdir(parents=True)
    for i, text in enumerate(texts):
        soundfile.write(folder / f"wavs/clip-{i}.wav", sound(0.1 * len(text), seed=i), 8000, subtype="PCM_16")
    (folder / "metadata.csv").write_text(
        "".join(f"clip-{i}|raw {i}|{text}\n" for i, text in enumerate(texts)), encoding="utf-8"
    )
    return folder


def config(**overrides):
    """`SETTINGS` with overrides such as `data__n_shards=2`."""
    return load_config(overrides={**SETTINGS, **{key.replace("__", "."): value for key, value in overrides.items()}})


def stored(data_path, split):
    """Text and mel of each clip in a split of a dataset, by id."""
    corpus = Corpus(data_path, split)
    rows = corpus.read(range(len(corpus))).create_tuple_iterator(num_epochs=1, output_numpy=True)
    return {str(id): (text.tolist(), mel) for id, text, mel in rows}
