"""Objective metrics of a network on recordings that it was not trained on."""

import math
from pathlib import Path

from src.dataset import Corpus
from src.errors import InputError
from src.tacotron2.loss import Tacotron2Loss
from src.tacotron2.model import Tacotron2
from src.train.validate import Example, Validator


def evaluate(net: Tacotron2, data_path: str | Path) -> tuple[dict[str, float | int], Example]:
    """Teacher-forced losses over the validation split of a preprocessed dataset, as training logs them.

    They are means over all real frames (mel) and decoder steps (gate), so `train.batch_size` changes only speed and memory,
    apart from the prenet's dropout, which stays on unless `model.prenet_dropout` is 0.

    Returns:
        val_loss, mel_loss, gate_loss, alignment_score, frames, clips; one clip as the network speaks it.

    Raises:
        InputError: no such dataset or one of other settings; losses that are not finite.
    """
    config = net.config
    corpus = Corpus(data_path, "val")
    corpus.check(config)
    validator = Validator(net, Tacotron2Loss(config), corpus, config.train.batch_size, config.model.reduction_factor, config.data.workers)
    validation = validator()
    if not math.isfinite(validation.loss):
        raise InputError("the validation loss is not finite: the weights have diverged, take an earlier checkpoint")
    metrics = {
        "val_loss": validation.loss,
        "mel_loss": validation.mel_loss,
        "gate_loss": validation.gate_loss,
        "alignment_score": validation.alignment_score,
        "frames": int(corpus.mel_lengths.sum()),
        "clips": len(corpus),
    }
    return metrics, validation.example
