"""Checkpoints: content, file format, and strict copies of weights into networks and optimisers."""

from src.checkpoint.content import Checkpoint
from src.checkpoint.file import content_sha256, load_checkpoint, read_mindspore, save_checkpoint, snapshot
from src.checkpoint.weights import (
    chosen,
    copy_strictly,
    load_optimizer,
    load_weights,
    match_embedding,
    network_parameters,
    optimizer_parameters,
)

__all__ = [
    "Checkpoint",
    "chosen",
    "content_sha256",
    "copy_strictly",
    "load_checkpoint",
    "load_optimizer",
    "load_weights",
    "match_embedding",
    "network_parameters",
    "optimizer_parameters",
    "read_mindspore",
    "save_checkpoint",
    "snapshot",
]
