"""Devices, execution mode, seeds, and the other processes of a run; nothing else in `src` knows of these."""

from src.runtime.child import can_fork, in_child, run_in_child
from src.runtime.device import blocks, jit, jit_level, need_ascend, setup
from src.runtime.ranks import (
    all_reduce,
    assert_equal,
    first_rank_first,
    gather,
    meet_ranks,
    rank,
    seed_dropout,
    total,
    world_size,
)

__all__ = [
    "all_reduce",
    "assert_equal",
    "blocks",
    "can_fork",
    "first_rank_first",
    "gather",
    "in_child",
    "jit",
    "jit_level",
    "meet_ranks",
    "need_ascend",
    "rank",
    "run_in_child",
    "seed_dropout",
    "setup",
    "total",
    "world_size",
]
