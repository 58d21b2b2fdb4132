"""scripts/benchmarks/count_launches.py: its counts and its report."""

import json
import sys

import pytest
from benchmarks import count_launches

from src.config import load_config
from src.errors import InputError
from src.models.scan import BLOCK
from src.models.tacotron2.model import TEXT_MULTIPLE

COUNTS = {"per_decoder_step": 80.0, "per_symbol": 1.0, "besides": 2.0}


def arguments(monkeypatch, *flags):
    monkeypatch.setattr(sys, "argv", ["count_launches.py", *map(str, flags)])


@pytest.mark.parametrize(("gbytes_per_s", "bound"), [(1000, "launches"), (0.1, "memory")])
def test_the_larger_time_is_the_bound(gbytes_per_s, bound, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(count_launches, "launches", lambda config: {"speaking": COUNTS, "training": COUNTS})
    path = tmp_path / "launches.json"
    arguments(
        monkeypatch,
        "--config",
        "config/tacotron2_demo.yaml",
        "--launch_us",
        10,
        "--gbytes_per_s",
        gbytes_per_s,
        "--json",
        path,
    )
    count_launches.main()
    result = json.loads(path.read_text())
    assert result["ms_by_launches"] == pytest.approx(0.8)
    assert result["ms_by_memory"] == pytest.approx(result["bytes_per_decoder_step"] / gbytes_per_s / 1e6)
    assert f"the bound is {bound}" in capsys.readouterr().out


def test_what_is_counted_has_no_padding():
    assert all(n % TEXT_MULTIPLE == 0 for n in count_launches.SYMBOLS) and all(
        n % BLOCK == 0 for n in count_launches.STEPS
    )


def test_a_network_that_lowers_its_reduction_factor_is_counted_without(monkeypatch):
    narrow = count_launches.narrow(load_config("config/tacotron2_demo.yaml"))
    assert narrow.model.reduction_factor == 1 and not narrow.train.reduction_steps and narrow.model.postnet_dim == 4


def test_only_a_tacotron2_is_counted(monkeypatch):
    arguments(monkeypatch, "--config", "config/waveglow_small.yaml")
    with pytest.raises(InputError, match="must be of a Tacotron 2"):
        count_launches.main()


@pytest.mark.slow
def test_launches_grow_with_steps_and_symbols():
    counts = count_launches.launches(load_config(None))
    assert counts["training"]["per_decoder_step"] > counts["speaking"]["per_decoder_step"] > 20
    assert min(min(each.values()) for each in counts.values()) > 0
