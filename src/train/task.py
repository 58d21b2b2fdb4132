"""What the training loop has to know of a network; everything else in `src.train` is the same for all of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from mindspore import Tensor, nn

from src.config import Config, imported, network_of
from src.data.batches import Batch, Batches
from src.data.corpus import Corpus
from src.data.segments import SegmentBatch, Segments


class Validation(Protocol):
    """What a validation found; `str` of it is a line for the screen."""

    loss: float  # the smallest one makes `best.ckpt`
    numbers: dict[str, float]  # as the log names them, `val_loss` first
    measured: dict[str, int]  # how much of what


class Task(Protocol):
    """One network's share in training."""

    losses: tuple[str, ...]  # names of what the function of `forward` returns, as the log has them

    def initialise(self, net: nn.Cell, corpus: Corpus) -> None:
        """Give a fresh network what it can take from the data before its first step; the same on every rank."""

    def batches(self, corpus: Corpus) -> Batches | Segments:
        """The batches of training."""

    def inputs(self, batch: Batch | SegmentBatch, step: int) -> tuple[Tensor, ...]:
        """What the function of `forward` takes at optimiser step `step`."""

    def forward(self, net: nn.Cell) -> Callable[..., tuple[Tensor, ...]]:
        """A function of tensors whose first result is minimised; it becomes a part of the step's graph."""

    def validator(self, net: nn.Cell, corpus: Corpus) -> Callable[[], Validation]:
        """What measures `net` on `corpus` in one pass."""

    def save_example(self, validation: Validation, folder: Path, step: int | None = None) -> Path:
        """Write into `folder` what the network made of a clip, in files named after the step of a training run. Returns the picture."""


def create_task(config: Config) -> Task:
    """The task of the network that `config.model.name` names."""
    return imported(network_of(config).task)(config)
