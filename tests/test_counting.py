"""scripts/benchmarks/counting.py and limits.py: operations and bytes counted by hand, for tiny networks."""

import pytest
from benchmarks import ceilings, counting
from benchmarks.limits import Limits

from src.config import Config, WaveGlowConfig, load_config
from src.models.factory import create_model

SIZES = {
    "audio.n_mels": 3,
    "model.encoder_dim": 4,
    "model.encoder_layers": 1,
    "model.encoder_kernel_size": 3,
    "model.prenet_dim": 2,
    "model.attention_rnn_dim": 5,
    "model.attention_dim": 2,
    "model.location_kernel_size": 3,
    "model.location_filters": 1,
    "model.decoder_rnn_dim": 6,
    "model.postnet_dim": 7,
    "model.postnet_layers": 2,
    "model.postnet_kernel_size": 3,
}


def tiny():
    return load_config(overrides=SIZES)


def test_operations_of_a_training_step():
    by_symbol = 3 * 4 * 4 + 2 * 4 * 2 * (4 + 2) + 4 * 2  # convolution, two LSTMs of 2 units, keys
    prenet, attention_lstm, decoder_lstm = 3 * 2 + 2 * 2, 20 * (2 + 4 + 5), 24 * (5 + 4 + 6)
    attention = 5 * 2 + 8 * (6 * 2 + 2 + 4)  # query; of 8 symbols: six taps, v, context
    by_frame = prenet + attention_lstm + attention + decoder_lstm + 4 * (6 + 4)  # 3 mels and the gate
    postnet = 3 * (3 * 7 + 7 * 3)
    forward = 2 * (8 * by_symbol + 10 * (by_frame + postnet))
    assert counting.training_flops(tiny(), 2, 10, 8) == 6 * forward  # 2 for a multiply-add, 3 for the backward pass


def test_weights_of_a_decoder_step():
    query, location, v = 5 * 2, 6 * 2, 2
    expected = 3 * 2 + 2 * 2 + 20 * 11 + query + location + v + 24 * 15 + 4 * 10
    assert counting.decoder_weights(tiny()) == expected
    decoder = create_model(config=tiny()).decoder
    parts = [weight for weight in decoder.get_parameters() if weight.ndim > 1 and "attention.keys" not in weight.name]
    unfolded = sum(weight.size for weight in parts if "location" in weight.name)
    assert sum(weight.size for weight in parts) - unfolded + location == expected


@pytest.mark.parametrize("others", [{}, {"conditioning": "frames", "wn_separable": True, "n_group": 16}])
def test_operations_of_waveglow_are_those_of_its_weights(others):
    config = Config(model=WaveGlowConfig(n_flows=5, n_early_every=2, wn_layers=3, wn_channels=4, **others))
    config.train.segment_length = 16384  # whole frames
    net = create_model(config=config)
    net.remove_weight_norm()
    sizes = {weight.name: weight.size for weight in net.get_parameters() if weight.ndim > 1}
    upsampling = sum(size for name, size in sizes.items() if name.startswith("upsample"))
    flows = sum(sizes.values()) - upsampling
    positions = 7 * config.audio.hop_length // config.model.n_group
    assert counting.waveglow_flops(config, 7) == 2 * (positions * flows + 7 * upsampling)


def test_the_larger_of_reading_and_multiplying_is_the_limit():
    measured = {"gflops": 1.0, "read_gbytes_per_s": 1.0}
    limits, weights = Limits(measured, tiny()), counting.decoder_weights(tiny())
    assert limits.free_running(1, 4).value == pytest.approx(4 * weights / 1e6)  # ms
    assert limits.free_running(8, 4).value == pytest.approx(2 * weights / 1e6)  # of one of 8 texts
    assert "GFLOP/s" in limits.free_running(8, 4).reason and "MB of weights" in limits.free_running(1, 4).reason
    assert limits.training(2, 10, 8).value == pytest.approx(counting.training_flops(tiny(), 2, 10, 8) / 1e9)


@pytest.mark.slow
def test_the_machine_is_measured(monkeypatch):
    monkeypatch.setattr(ceilings, "MATRIX", 32)
    monkeypatch.setattr(ceilings, "COPIED", 2**20)
    monkeypatch.setattr(ceilings, "CHAIN", 8)
    found = ceilings.limits(tiny().to_dict(), seed=0, batch_size=2, n_frames=4)()["limits"]
    assert [row["shape"] for row in found["products"]][:3] == [[32, 32, 32], [2, 9, 20], [2, 20, 9]]
    assert min(found["gflops"], found["triad_gbytes_per_s"], found["read_gbytes_per_s"]) > 0
    assert found["gflops_by_type"]["float32"] > 0
    assert "best layout" in str(Limits(found, tiny()))
