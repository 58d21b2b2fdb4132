"""The interface between the training loop and one network.

Everything else in `src.train` is the same for all networks.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from mindspore import Tensor, nn

from src.config import Config, imported, network_of
from src.data.batches import Batch, Batches
from src.data.corpus import Corpus
from src.data.segments import SegmentBatch, Segments


class Validation(Protocol):
    """The result of a validation; `str` of it is a line for the screen."""

    loss: float  # the smallest one makes `best.ckpt`
    numbers: dict[str, float]  # as the log names them, `val_loss` first
    measured: dict[str, int]  # amount of data, such as clips and frames


class Task(Protocol):
    """The parts of training that differ from network to network."""

    losses: tuple[str, ...]  # names in the log of the losses that `forward`'s function returns

    def initialise(self, net: nn.Cell, corpus: Corpus) -> None:
        """Initialise a fresh network from the data before its first step, the same way on every rank."""

    def batches(self, corpus: Corpus) -> Batches | Segments:
        """Return the batches of training."""

    def inputs(self, batch: Batch | SegmentBatch, step: int) -> tuple[Tensor, ...]:
        """Return the arguments of `forward`'s function at optimiser step `step`."""

    def forward(self, net: nn.Cell) -> Callable[..., tuple[Tensor, ...]]:
        """Return a function of tensors whose first result is minimised. It becomes a part of the step's graph."""

    def validator(self, net: nn.Cell, corpus: Corpus) -> Callable[[], Validation]:
        """Return a function that measures `net` on `corpus` in one pass."""

    def save_example(self, validation: Validation, folder: Path, step: int | None = None) -> Path:
        """Write the network's output for one clip into `folder`, in files named after the step. Returns the picture."""


def create_task(config: Config) -> Task:
    """Create the task of the network that `config.model.name` names."""
    return imported(network_of(config).task)(config)
