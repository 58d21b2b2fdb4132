"""Plots: a PNG appears, shows its data, and leaves pyplot alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from src.config import AudioConfig
from src.errors import InputError
from src.plotting import save_alignment_and_mel

MEL = np.linspace(-11, 2, 80 * 50).reshape(80, 50).astype(np.float32)


def test_picture_shows_mel_and_alignment(tmp_path):
    def picture(alignment, **more):
        save_alignment_and_mel(
            tmp_path / "a.png", MEL, alignment, "Costs $5 {AH0} and $6_x^" + "y" * 200, AudioConfig(), **more
        )
        assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
        return imread(tmp_path / "a.png")

    diagonal, reverse = picture(np.eye(25, 20)), picture(np.eye(25, 20)[::-1])
    assert diagonal.shape == reverse.shape
    assert np.abs(diagonal - reverse).max() > 0.5
    assert picture(np.eye(25, 20), target_mel=MEL[:, :40]).shape[0] > diagonal.shape[0]


def test_one_step_one_frame(tmp_path):
    save_alignment_and_mel(tmp_path / "a.png", MEL[:, :1], np.ones((1, 1)), "", AudioConfig())
    assert imread(tmp_path / "a.png").size


@pytest.mark.filterwarnings("error")  # of glyphs that are missing
def test_titles_in_chinese(tmp_path):
    save_alignment_and_mel(tmp_path / "a.png", MEL, np.eye(5), "你好，$5。", AudioConfig())
    assert imread(tmp_path / "a.png").size


def test_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        save_alignment_and_mel(tmp_path / "no" / "a.png", MEL, np.eye(5), "title", AudioConfig())


def test_pyplot_is_left_alone():
    code = "import sys; from src.plotting import save_alignment_and_mel; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False
    )
    assert done.stdout.strip() == "False", done.stderr
