"""The validation loss of a trained network."""

import math
from pathlib import Path

from mindspore import nn

from src.data.corpus import Corpus
from src.errors import diverged
from src.train.task import Validation, create_task


def evaluate(net: nn.Cell, data_path: str | Path) -> tuple[dict[str, float | int], Validation]:
    """The losses over the validation split of a preprocessed dataset, as training logs them: of Tacotron 2 teacher forced, of WaveGlow the
    negative log-likelihood.

    They are means over all real frames (mel), decoder steps (gate) or samples, so `train.batch_size` changes only speed and memory,
    apart from the prenet's dropout, which stays on unless `model.prenet_dropout` is 0.

    Returns:
        val_loss, its parts, and how much was measured: for Tacotron 2 mel_loss, gate_loss, alignment_score, frames, clips, for WaveGlow
        z_loss, log_s, log_det, samples, clips; the validation, whose example `Task.save_example` writes.

    Raises:
        InputError: no such dataset or one of other settings; losses that are not finite.
    """
    corpus = Corpus(data_path, "val")
    corpus.check(net.config)
    validation = create_task(net.config).validator(net, corpus)()
    if not math.isfinite(validation.loss):
        raise diverged("the validation loss is not finite")
    parts = {name.removeprefix("val_"): value for name, value in validation.numbers.items() if name != "val_loss"}
    return {"val_loss": validation.loss, **parts, **validation.measured}, validation
