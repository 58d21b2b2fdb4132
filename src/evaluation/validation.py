"""The validation loss of a trained network."""

import math
from pathlib import Path

from mindspore import nn

from src.data.corpus import Corpus
from src.errors import diverged
from src.train.task import Validation, create_task


def evaluate(net: nn.Cell, data_path: str | Path, output_dir: Path) -> tuple[dict[str, float | int], Validation]:
    """Compute the losses over the validation split of a preprocessed dataset, as training logs them.

    Tacotron 2 is teacher forced; WaveGlow's loss is the negative log-likelihood. Losses are means over all real frames
    (mel), decoder steps (gate) or samples, so `train.batch_size` affects only speed and memory, and the draws of the
    prenet's dropout, which stays on unless `model.prenet_dropout` is 0. The output for one clip is written into
    `output_dir`.

    Returns:
        val_loss, its terms, and the amount of data: mel_loss, gate_loss, alignment_score, frames, clips for Tacotron 2;
            z_loss, log_s, log_det, samples, clips for WaveGlow.
        The validation itself.

    Raises:
        InputError: no such dataset, or one made with other settings; losses that are not finite.
    """
    corpus = Corpus(data_path, "val")
    corpus.check(net.config)
    task = create_task(net.config)
    validation = task.validator(net, corpus)()
    if not math.isfinite(validation.loss):
        raise diverged("the validation loss is not finite")
    task.save_example(validation, output_dir)
    terms = {name.removeprefix("val_"): value for name, value in validation.numbers.items() if name != "val_loss"}
    return {"val_loss": validation.loss, **terms, **validation.measured}, validation
