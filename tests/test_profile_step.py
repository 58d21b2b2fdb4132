"""The counts of scripts/benchmarks/profile_step.py against the network's own weights."""

import json
import sys

import pytest
from benchmarks import ceilings, profile_step
from toy_training import TINY

from src.config import load_config
from src.models.factory import create_model

SIZES = {
    "n_symbols": 148,
    "encoder_dim": 6,
    "prenet_dim": 5,
    "attention_rnn_dim": 7,
    "attention_dim": 4,
    "decoder_rnn_dim": 9,
}
SIZES |= {"postnet_dim": 8, "reduction_factor": 2, "location_kernel_size": 3}


def test_each_weight_is_multiplied_once_per_position():
    config = load_config(overrides={f"model.{name}": value for name, value in SIZES.items()})
    net = create_model(config=config)

    def weights(*names):
        return sum(
            weight.size
            for weight in net.trainable_params()
            if any(name in weight.name for name in names) and weight.ndim > 1
        )

    counts = profile_step.multiply_adds(config, 1, 2, 1)  # one symbol, one decoder step
    assert counts["encoder convolutions"] == weights("encoder.convolutions")
    assert counts["encoder LSTMs"] == weights("encoder.lstm")
    assert counts["attention keys"] == weights("attention.keys")
    folded_location, context = 2 * 3 * 4, 6  # taps x attention_dim, encoder_dim
    assert counts["attention"] == weights("attention.query", "attention.v") + folded_location + context
    assert counts["prenet"] == weights("prenet")
    assert counts["attention LSTM"] == weights("attention.weight")
    assert counts["decoder LSTM"] == weights("decoder.lstm")
    assert counts["projection"] == weights("projection")
    assert counts["postnet"] == 2 * weights("postnet")  # two frames
    twice = profile_step.multiply_adds(config, 2, 2, 1)
    assert twice == {name: 2 * count for name, count in counts.items()}


@pytest.mark.slow
def test_a_step_is_profiled(tmp_path, monkeypatch, capsys):
    path = tmp_path / "profile.json"
    flags = [f"--{key.replace('__', '.')}={value}" for key, value in TINY.items()]
    monkeypatch.setattr(sys, "argv", ["profile_step.py", "--shape", "1x4x3", "--json", str(path), *flags])
    monkeypatch.setattr(ceilings, "MATRIX", 64)
    monkeypatch.setattr(ceilings, "COPIED", 2**18)
    profile_step.main()
    result = json.loads(path.read_text())
    launches = {row["kernel"]: row["launches"] for row in result["kernels"]}
    assert launches["MatMul"] > 20 and launches["Adam"] == pytest.approx(50, abs=30)
    assert result["seconds"] > 0 and min(result["ceilings"].values()) > 0
    assert "GFLOP/s where a large product reaches" in capsys.readouterr().out
