"""The metrics of speech as Markdown tables."""

from collections.abc import Sequence
from typing import Any

from src.evaluation.objective import KINDS, SUFFIXES


def table(metrics: dict[str, Any]) -> str:
    """Format `summary` and the losses of `src.evaluation.validation.evaluate` as Markdown tables."""

    def cells(name: str, form: str, factor: float = 1) -> list[str]:
        return [_or_empty(metrics.get(name + SUFFIXES[kind]), form, factor) for kind in KINDS]

    recogniser = metrics.get("recogniser", "a recogniser")
    unit = "character" if recogniser == "whisper-mandarin" else "word"
    compared = {
        f"{unit} error rate (%, {recogniser})": cells("wer", ".1f", 100),
        "its 95 % interval": [_interval(metrics.get(f"wer_interval{SUFFIXES[kind]}")) for kind in KINDS],
        "mel-cepstral distortion (dB)": cells("mcd_dtw_db", ".2f"),
        "F0 error (cents, rms)": cells("f0_rmse_cents", ".0f"),
        "voicing error (%)": cells("voicing_error", ".1f", 100),
        "PESQ (wideband)": cells("pesq", ".2f"),
        "predicted opinion (1 to 5, DNSMOS)": cells("opinion", ".2f"),
        "voiced frames (%)": cells("voiced_share", ".0f", 100),
        "spread of F0 (semitones)": cells("f0_spread_semitones", ".2f"),
        "the same, over the recordings'": cells("f0_spread_ratio", ".2f"),
    }
    rest = {
        f"sentences, {unit}s": f"{metrics['sentences_measured']}, {metrics['words']}",
        "speech, recordings (s)": f"{metrics['seconds_of_speech']:.1f}, {metrics['seconds_of_recordings']:.1f}",
        "durations, over the recordings'": f"{metrics['duration_ratio']:.2f}",
        "spread of durations, over the recordings'": _or_empty(metrics["duration_spread_ratio"], ".2f"),
        "deviation from the recordings' rhythm (%)": _or_empty(metrics["duration_deviation"], ".1f", 100),
        "stopped by": ", ".join(f"{reason} {count}" for reason, count in metrics["stop_reasons"].items()),
        "alignment score, free running": f"{metrics['alignment_score_free_running']:.3f}",
        "alignment score, teacher forced": f"{metrics['alignment_score']:.3f}",
        "validation loss": f"{metrics['val_loss']:.4f}",
        "real-time factor": f"{metrics['rtf']:.2f}",
    }
    head = ["", "synthesis", "copy synthesis", "recording"]
    return "\n\n".join(
        (
            _markdown([head, *([name, *row] for name, row in compared.items())]),
            _markdown([["", ""], *map(list, rest.items())]),
        )
    )


def _or_empty(value: float | None, form: str, factor: float = 1) -> str:
    return "" if value is None else format(factor * value, form)


def _interval(bounds: Sequence[float] | None) -> str:
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}" if bounds else ""


def _markdown(rows: list[list[str]]) -> str:
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = " | ".join("-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths))
    return "\n".join(f"| {line} |" for line in (lines[0], rule, *lines[1:]))
