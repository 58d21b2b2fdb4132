"""src/mel_filters.py: librosa's filters, from the cache where they are."""

import subprocess
import sys

import librosa
import numpy as np
import pytest

from src.mel_filters import slaney_filters

SETTINGS = (22050, 1024, 80, 0.0, 8000.0)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPH_CACHE", str(tmp_path / "cache"))
    slaney_filters.cache_clear()
    yield tmp_path / "cache"
    slaney_filters.cache_clear()


def test_filters_are_librosas_with_and_without_a_cache(cache, monkeypatch):
    expected = librosa.filters.mel(sr=22050, n_fft=1024, n_mels=80, fmin=0, fmax=8000)
    for _ in range(2):
        np.testing.assert_array_equal(slaney_filters(*SETTINGS), expected)
        slaney_filters.cache_clear()
    assert len(list(cache.glob("mel-filters-*.npy"))) == 1
    monkeypatch.setenv("GRAPH_CACHE", "off")
    np.testing.assert_array_equal(slaney_filters(*SETTINGS), expected)


@pytest.mark.parametrize("content", [b"", b"damaged", b"PK\003\004junk", "wrong shape", "not finite"])
def test_a_damaged_file_of_the_cache_is_replaced(cache, content):
    expected = slaney_filters(*SETTINGS)
    (path,) = cache.glob("mel-filters-*.npy")
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, expected[:5] if content == "wrong shape" else expected * np.float32("nan"))
    slaney_filters.cache_clear()
    np.testing.assert_array_equal(slaney_filters(*SETTINGS), expected)
    np.testing.assert_array_equal(np.load(path), expected)


def test_a_folder_that_cannot_be_written_is_no_error(cache):
    cache.write_text("a file in place of the folder")
    assert slaney_filters(*SETTINGS).shape == (80, 513)


def test_filters_of_the_cache_spare_librosa(cache):
    slaney_filters(*SETTINGS)
    code = (
        "import sys; from src.audio import mel_filters; from src.config import AudioConfig; "
        "mel_filters(AudioConfig()); print('librosa.filters' in sys.modules, 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
