"""Mel filters by librosa, kept in the cache: librosa takes seconds to load, and speaking needs only these."""

import contextlib
import functools
import io
from importlib.metadata import version
from pathlib import Path

import numpy as np

from src.files import cache_folder, write_atomically


@functools.lru_cache
def slaney_filters(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """Mel filters with Slaney's scale and normalisation, float32 [n_mels, n_fft // 2 + 1]."""
    settings = "-".join(str(value) for value in (sample_rate, n_fft, n_mels, float(fmin), float(fmax)))
    folder = cache_folder()
    path = folder / f"mel-filters-{settings}-librosa-{version('librosa')}.npy" if folder else None
    kept = _read(path, (n_mels, n_fft // 2 + 1)) if path else None
    if kept is not None:
        return kept
    import librosa  # noqa: PLC0415

    filters = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    if path:
        _write(path, filters)
    return filters


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The filters in a file of the cache; None if it is missing or damaged."""
    try:
        filters = np.load(path, allow_pickle=False)
    except Exception:  # of numpy, zipfile or tokenize, for what a damaged file looks like
        return None
    whole = isinstance(filters, np.ndarray) and filters.shape == shape and filters.dtype == np.float32
    return filters if whole and np.isfinite(filters).all() else None


def _write(path: Path, filters: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, filters)
    with contextlib.suppress(OSError, ValueError):  # InputError is one; without a cache the next start takes longer
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.getvalue())
