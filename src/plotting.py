"""Pictures of what the network did. matplotlib is imported when one is drawn: it takes a second and memory."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.config import AudioConfig
from src.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def save_alignment_and_mel(
    path: str | Path,
    mel: np.ndarray,
    alignment: np.ndarray,
    title: str,
    audio: AudioConfig,
    target_mel: np.ndarray | None = None,
) -> None:
    """One PNG: the mel spectrogram, the recording's beneath it if given, and the attention over the text.

    Args:
        mel: mel spectrogram [n_mels, frames], compressed as `audio` says.
        alignment: attention weights [decoder steps, text length].
        title: heading, such as the sentence; a long one is cut.
        target_mel: what `mel` should have been [n_mels, frames].

    Raises:
        InputError: the file cannot be written.
    """
    mels = {"mel": mel} if target_mel is None else {"predicted mel": mel, "target mel": target_mel}
    figure = _figure(3 + 2.5 * len(mels), title)
    rows = figure.subplots(len(mels) + 1, 1)
    _draw_mels(figure, rows[:-1], mels, audio)
    image = rows[-1].imshow(alignment.T, aspect="auto", origin="lower", interpolation="none", vmin=0, vmax=1)
    rows[-1].set(title="alignment", xlabel="decoder step", ylabel="symbol of the text")
    figure.colorbar(image, ax=rows[-1], label="attention weight")
    _save(figure, path)


def save_mels(path: str | Path, mels: dict[str, np.ndarray], title: str, audio: AudioConfig) -> None:
    """One PNG: log mel spectrograms [n_mels, frames] by name, beneath each other, in the same colours.

    Raises:
        InputError: the file cannot be written.
    """
    figure = _figure(0.5 + 2.5 * len(mels), title)
    _draw_mels(figure, figure.subplots(len(mels), 1, squeeze=False)[:, 0], mels, audio)
    _save(figure, path)


def _figure(height: float, title: str) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(10, height), layout="constrained")  # a bare Figure draws with Agg and leaves pyplot alone
    figure.suptitle(title if len(title) <= 100 else f"{title[:99]}…", parse_math=False)
    return figure


def _draw_mels(figure: Figure, rows: Iterable[Axes], mels: dict[str, np.ndarray], audio: AudioConfig) -> None:
    scale = {"vmin": min(each.min() for each in mels.values()), "vmax": max(each.max() for each in mels.values())}
    longest = max(each.shape[1] for each in mels.values()) * audio.hop_length / audio.sample_rate
    for axes, (name, values) in zip(rows, mels.items(), strict=True):
        seconds = values.shape[1] * audio.hop_length / audio.sample_rate
        image = axes.imshow(values, aspect="auto", origin="lower", interpolation="none", extent=(0, seconds, 0, len(values)), **scale)
        axes.set(title=name, xlim=(0, longest), xlabel="time in seconds", ylabel="mel band")
        figure.colorbar(image, ax=axes, label="ln magnitude" if audio.compression == "ln" else "log magnitude, 0 to 1")


def _save(figure: Figure, path: str | Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    write_atomically(path, content.getvalue())
