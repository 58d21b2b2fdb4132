"""Sentences that a network speaks at each validation, free running: what a listener would hear of it now."""

from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from src.audio import save_wav
from src.errors import InputError
from src.plotting import save_alignment_and_mel
from src.synthesis.synthesis import Line, synthesise
from src.synthesis.vocoder import griffin_lim_vocoder
from src.train.report import Report


def speak_sentences(net: nn.Cell, folder: Path, report: Report) -> None:
    """Speak `train.spoken_sentences` into `spoken-<number>-<step>.wav` and `.png` in `folder`; log how they ended.

    Only rank 0 does. An untrained network says nothing sensible, and takes `model.max_decoder_steps` to say it.
    """
    config, step = net.config, report.progress.step
    lines = [Line(number, text) for number, text in enumerate(config.train.spoken_sentences, 1)]
    if not lines or not report.writes:
        return
    rows: list[dict[str, Any]] = []
    try:
        for spoken in synthesise(net, lines, griffin_lim_vocoder(config.audio)):
            name = f"spoken-{spoken.line.number}-{step}"
            save_wav(folder / f"{name}.wav", spoken.wav, config.audio.sample_rate)
            title = f"{spoken.line.text}, step {step}, {spoken.stop_reason}"
            picture = folder / f"{name}.png"
            save_alignment_and_mel(picture, spoken.mel, spoken.alignment, title, config.audio)
            report.sound(folder / f"{name}.wav")
            report.picture(picture)
            seconds = len(spoken.wav) / config.audio.sample_rate
            ending = {"stop_reason": spoken.stop_reason, "alignment_score": spoken.alignment_score}
            rows.append({"text": spoken.line.text, "wav": f"{name}.wav", "seconds": seconds, **ending})
    except InputError as error:  # the weights may have diverged; training notices that by itself
        report.say(f"step {step}: a sentence cannot be spoken: {error}")
        return
    report.row(spoken=rows, spoken_alignment_score=float(np.mean([row["alignment_score"] for row in rows])))
    ends = ", ".join(f"{row['seconds']:.1f} s, {row['stop_reason']}, {row['alignment_score']:.2f}" for row in rows)
    report.say(f"step {step}: spoken (length, end, alignment score): {ends}")
