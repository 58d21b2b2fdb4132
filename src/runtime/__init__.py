"""Devices, execution mode, seeds, and the other processes of a run; nothing else in `src` knows of these.

Each name is loaded when it is first asked for, so that programs which only may need MindSpore start without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "child": ("can_fork", "in_child", "run_in_child"),
    "device": ("blocks", "jit", "jit_level", "need_ascend", "setup"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "ranks")
    return getattr(import_module(f"src.runtime.{home}"), name)
