"""Results of scripts/benchmark.py and scripts/benchmarks/growth.py: rows of numbers, and the machine."""

import os
import platform
import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Limit:
    """The least that a row can need on this machine, in its unit, and what of."""

    value: float
    reason: str


@dataclass
class Row:
    """A comparison of two sides."""

    name: str
    title: str
    unit: str
    samples: dict[str, list[float]]
    limit: Limit | None = None  # of the first side

    def fractions(self) -> dict[str, float]:
        """The limit over the median of each side: 1 is as fast as the machine can be."""
        return {side: self.limit.value / statistics.median(values) for side, values in self.samples.items()}

    @property
    def ratio(self) -> float:
        """The first side's median over the second's."""
        first, second = (statistics.median(values) for values in self.samples.values())
        return first / second

    def to_dict(self) -> dict[str, Any]:
        """The row for the JSON file."""
        sides = {
            side: {"median": statistics.median(values), "min": min(values), "max": max(values), "samples": values}
            for side, values in self.samples.items()
        }
        row = {"name": self.name, "title": self.title, "unit": self.unit, "ratio": self.ratio, "sides": sides}
        if self.limit:
            row["limit"] = {"value": self.limit.value, "reason": self.limit.reason, "fractions": self.fractions()}
        return row

    def __str__(self) -> str:
        def describe(side: str, values: list[float]) -> str:
            median, least, most = (f"{value:.3g}" for value in (statistics.median(values), min(values), max(values)))
            return f"{side} {median} {self.unit} ({least}..{most})"

        sides = [describe(side, values) for side, values in self.samples.items()]
        text = f"{self.title:<38} {sides[0]:<38} {sides[1]:<42} ratio {self.ratio:.3f}"
        if not self.limit:
            return text
        reached = ", ".join(f"{side} reaches {fraction:.0%}" for side, fraction in self.fractions().items())
        return f"{text}\n    limit {self.limit.value:.3g} {self.unit} ({self.limit.reason}): {reached}"


def describe_machine() -> dict[str, Any]:
    """The machine that measures, and how busy it was at the start."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"^model name\s*: (.+)", cpuinfo, re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": name[1] if name else platform.processor() or platform.machine(),
        "cores": count_cores(),
        "memory_gib": round(memory, 1),
        "system": platform.platform(),
        "load_average_at_start": round(os.getloadavg()[0], 2),
    }


def count_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
