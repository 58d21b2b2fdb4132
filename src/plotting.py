"""Plots of mel spectrograms, alignments and training curves.

matplotlib is imported when the first one is drawn: the import takes a second and memory.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from unidecode import unidecode

from src.config import AudioConfig
from src.errors import InputError
from src.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGEST_NUMBER = 1e300  # that can be drawn
WORST = 20  # clips that an overview lists
LEAST_SPREAD = (0.1, 0.5, 0.1, 1.0)  # of their seconds, pace, silence and level; less is no difference
CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "SimHei",
    "PingFang SC",
)
Curves = dict[str, tuple[list[int], list[float]]]  # steps and values by the name of the number


def save_alignment_and_mel(
    path: str | Path,
    mel: np.ndarray,
    alignment: np.ndarray,
    title: str,
    audio: AudioConfig,
    target_mel: np.ndarray | None = None,
    dpi: int = 100,
) -> None:
    """Draw a mel spectrogram, the target beneath it if given, and the alignment, as one PNG.

    Args:
        mel: log mel spectrogram [n_mels, frames], compressed as `audio` says.
        alignment: attention weights [decoder steps, text length].
        title: heading, such as the sentence; cut off at 100 characters.
        target_mel: mel spectrogram of the recording [n_mels, frames].
        dpi: pixels per inch of 10 inches; fewer make a smaller file.

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
    _save(figure, path, dpi)


def save_mels(path: str | Path, mels: dict[str, np.ndarray], title: str, audio: AudioConfig) -> None:
    """Draw named log mel spectrograms [n_mels, frames] beneath each other, on one colour scale, as one PNG.

    Raises:
        InputError: the file cannot be written.
    """
    figure = _figure(0.5 + 2.5 * len(mels), title)
    _draw_mels(figure, figure.subplots(len(mels), 1, squeeze=False)[:, 0], mels, audio)
    _save(figure, path)


def save_curves(path: str | Path, runs: dict[str, list[dict[str, Any]]]) -> None:
    """Draw training runs as one PNG: a panel for each logged number, with its validation values and the skipped steps.

    Args:
        runs: rows of `log.jsonl` by the name of the run; a null in them is a gap in the curve.

    Raises:
        InputError: no row is of a training step or a validation; the file cannot be written.
    """
    from matplotlib.lines import Line2D  # noqa: PLC0415

    curves = [_curves(rows) for rows in runs.values()]
    skipped = [[row["step"] for row in rows if "skipped_clips" in row] for rows in runs.values()]
    panels = list(dict.fromkeys(name.removeprefix("val_") for each in curves for name in each))
    if not panels:
        raise InputError(f"{', '.join(runs)}: the log has no step yet")
    colors = [f"C{number % 10}" for number in range(len(runs))]
    n_columns = min(3, len(panels))
    n_rows = math.ceil(len(panels) / n_columns)
    figure = _figure(0.7 + 2.6 * n_rows, "", 4.6 * n_columns)
    for name, axes in zip(panels, figure.subplots(n_rows, n_columns, squeeze=False).flat, strict=False):
        _draw_panel(axes, name, curves, skipped, colors)
    for axes in figure.axes[len(panels) :]:
        axes.remove()
    styles = {
        "training": {"linestyle": "-"},
        "validation": {"linestyle": "--", "marker": "o"},
        "skipped": {"linestyle": "", "marker": "|"},
    }
    handles = [Line2D([], [], color=color, label=_plain(run)) for run, color in zip(runs, colors, strict=True)]
    handles += [Line2D([], [], color="black", label=name, **style) for name, style in styles.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)))
    _save(figure, path)


def save_overview(path: str | Path, clips: list[dict[str, Any]], title: str) -> None:
    """Draw an overview of recordings as one PNG: four histograms, and the 20 clips that stand out most.

    A clip stands out by its distance from the median, in median distances, of what stands out most about it; one with
    findings comes before those without.

    Args:
        clips: rows as of `src.data.audio_checks.read_csv`: id, characters, seconds, silence, level, findings.

    Raises:
        InputError: no clips; the file cannot be written.
    """
    if not clips:
        raise InputError(f"{path}: there are no recordings to draw")
    seconds = np.array([clip["seconds"] for clip in clips])
    numbers = {
        "seconds": seconds,
        "characters per second": np.array([clip["characters"] for clip in clips]) / np.maximum(seconds, 1e-3),
        "silence at the ends in seconds": np.array([clip["silence"] for clip in clips]),
        "level of the speech in dB": np.array([clip["level"] for clip in clips]),
    }
    figure = _figure(11, f"{title}: {len(clips)} clips, {seconds.sum() / 3600:.2f} hours")
    above, below = figure.subfigures(2, 1, height_ratios=(5, 4))
    for axes, (name, values) in zip(above.subplots(2, 2).flat, numbers.items(), strict=True):
        axes.hist(values, bins=min(60, max(10, len(values) // 4)))
        axes.set(xlabel=name, ylabel="clips")
        axes.axvline(np.median(values), color="C1", linewidth=1)
    axes = below.subplots()
    axes.axis("off")
    axes.set_title(f"the {min(WORST, len(clips))} clips that stand out most")
    axes.text(0, 1, "\n".join(_worst(clips, numbers)), family="monospace", fontsize=9, va="top", parse_math=False)
    _save(figure, path)


def _worst(clips: list[dict[str, Any]], numbers: dict[str, np.ndarray]) -> list[str]:
    """Lines of the clips that stand out most, each with its findings or else with the number that does."""
    distances = np.stack(
        [
            np.abs(values - np.median(values)) / max(float(np.median(np.abs(values - np.median(values)))), least)
            for values, least in zip(numbers.values(), LEAST_SPREAD, strict=True)
        ]
    )  # (numbers, clips)
    marked = np.array([bool(clip["findings"]) for clip in clips])
    lines = []
    for i in np.lexsort((-distances.max(0), ~marked))[:WORST]:
        name, values = list(numbers.items())[int(distances[:, i].argmax())]
        reason = clips[i]["findings"] or f"{name}: {values[i]:.3g}, the median is {np.median(values):.3g}"
        lines.append(f"{clips[i]['id'][-30:]:<30}  {numbers['seconds'][i]:7.2f} s  {reason[:80]}")
    return lines


def _draw_panel(axes: Axes, name: str, curves: list[Curves], skipped: list[list[int]], colors: list[str]) -> None:
    """Draw one number of all runs over the step, on a logarithmic scale if its values span more than a factor of 20."""
    drawn: list[float] = []
    for each, skipped_steps, color in zip(curves, skipped, colors, strict=True):
        edge = {"markersize": 12, "transform": axes.get_xaxis_transform()}
        axes.plot(skipped_steps, np.zeros(len(skipped_steps)), "|", color=color, **edge)
        steps, values = each.get(name, ([], []))
        axes.plot(steps, values, linewidth=0.8, marker="." if len(steps) < 50 else "", color=color)
        val_steps, val_values = each.get(f"val_{name}", ([], []))
        axes.plot(val_steps, val_values, "o--", markersize=3, color=color)
        drawn += [value for value in (*values, *val_values) if math.isfinite(value)]
    # a percentile, so that a single low value does not decide
    is_wide = bool(drawn) and min(drawn) > 0 and 20 * np.percentile(drawn, 2) < max(drawn)
    axes.set(title=_plain(name), xlabel="step", yscale="log" if is_wide else "linear")
    axes.grid(alpha=0.3)


def _curves(rows: list[dict[str, Any]]) -> Curves:
    """Collect steps and values of each number from the rows of training steps and validations."""
    curves: Curves = {}
    for row in rows:
        if "loss" in row or "val_loss" in row:
            for name, value in row.items():
                if name not in ("step", "epoch", "skipped_steps") and (value is None or _is_number(value)):
                    steps, values = curves.setdefault(name, ([], []))
                    steps.append(row["step"])
                    values.append(math.nan if value is None else value)
    return curves


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < LARGEST_NUMBER)


def _plain(text: str) -> str:
    """Keep matplotlib from reading a text as mathematics, and from failing at what is no character."""
    return text.encode("utf-8", "replace").decode().replace("$", r"\$")


def _figure(height: float, title: str, width: float = 10) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415

    # not by pyplot, which keeps global state and chooses a window system
    figure = Figure(figsize=(width, height), layout="constrained")
    heading, fonts = _with_glyphs(_plain(title if len(title) <= 100 else f"{title[:99]}…"))
    figure.suptitle(heading, family=fonts)
    return figure


def _with_glyphs(text: str) -> tuple[str, list[str]]:
    """Return a text and the fonts that draw it; where no font has all of its characters, it is spelt in Latin letters.

    matplotlib's own font has no Chinese, and would draw boxes and warn of each.
    """
    from matplotlib import font_manager  # noqa: PLC0415

    own, installed = "DejaVu Sans", {font.name for font in font_manager.fontManager.ttflist}
    fonts = [own, *(font for font in CHINESE_FONTS if font in installed)]
    files = [font_manager.get_font(font_manager.findfont(font)) for font in fonts]
    drawn = all(any(file.get_char_index(ord(character)) for file in files) for character in text)
    return (text, fonts) if drawn else (unidecode(text).strip(), [own])


def _draw_mels(figure: Figure, rows: Iterable[Axes], mels: dict[str, np.ndarray], audio: AudioConfig) -> None:
    scale = {"vmin": min(each.min() for each in mels.values()), "vmax": max(each.max() for each in mels.values())}
    longest = max(each.shape[1] for each in mels.values()) * audio.hop_length / audio.sample_rate
    for axes, (name, values) in zip(rows, mels.items(), strict=True):
        seconds = values.shape[1] * audio.hop_length / audio.sample_rate
        image = axes.imshow(
            values, aspect="auto", origin="lower", interpolation="none", extent=(0, seconds, 0, len(values)), **scale
        )
        axes.set(title=_plain(name), xlim=(0, longest), xlabel="time in seconds", ylabel="mel band")
        figure.colorbar(image, ax=axes, label="ln magnitude" if audio.compression == "ln" else "log magnitude, 0 to 1")


def _save(figure: Figure, path: str | Path, dpi: int = 100) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dpi)
    write_atomically(path, content.getvalue())
