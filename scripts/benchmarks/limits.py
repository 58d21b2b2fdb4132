"""The limit of each row of scripts/benchmark.py, from what was measured of the machine and counted of the network."""

import statistics
from typing import Any

from benchmarks.counting import decoder_weights, training_flops, waveglow_flops
from benchmarks.report import Limit
from src.config import Config


class Limits:
    """Limits of a machine, as `benchmarks.ceilings.limits` measures them, and of the network `config` on it."""

    def __init__(self, measured: dict[str, Any], config: Config):
        self.measured, self.config = measured, config

    def training(self, batch_size: int, n_frames: int, length: int) -> Limit:
        """Seconds of a training step: its products, at the speed of the fastest one."""
        return self._products(training_flops(self.config, batch_size, n_frames, length))

    def vocoding(self, config: Config, n_frames: int) -> Limit:
        """Seconds of WaveGlow for a second of sound: its products, at the speed of the fastest one."""
        limit = self._products(waveglow_flops(config, n_frames))
        seconds = n_frames * config.audio.hop_length / config.audio.sample_rate
        return Limit(limit.value / seconds, limit.reason)

    def free_running(self, batch_size: int, weight_bytes: int) -> Limit:
        """Milliseconds of a frame of one text: a decoder step reads its weights, and multiplies by them."""
        weights, r = decoder_weights(self.config), self.config.model.reduction_factor
        speed, gflops = self.measured["read_gbytes_per_s"], self.measured["gflops"]
        read, multiply = weight_bytes * weights / speed / 1e6, 2 * batch_size * weights / gflops / 1e6
        reason = f"{weight_bytes * weights / 1e6:.0f} MB of weights at {speed:.0f} GB/s"
        if multiply > read:
            reason = f"{2 * batch_size * weights / 1e9:.2g} GFLOP at {gflops:.0f} GFLOP/s"
        return Limit(max(read, multiply) / (batch_size * r), reason)

    def preprocessing(self, seconds: list[float]) -> Limit:
        """Seconds of mel spectrograms: to read the wavs and transform their frames, as was measured."""
        return Limit(statistics.median(seconds), "reading and FFT")

    def _products(self, flops: int) -> Limit:
        speed = self.measured["gflops"]
        return Limit(flops / speed / 1e9, f"{flops / 1e12:.3g} TFLOP at {speed:.0f} GFLOP/s")

    def __str__(self) -> str:
        lines = [f"{'product':<34}{'rows x inner x columns':>24}{'MindSpore':>12}{'NumPy':>8} GFLOP/s"]
        for row in self.measured["products"]:
            size = " x ".join(map(str, row["shape"]))
            speeds = f"{row['mindspore']:>12.0f}{row['numpy']:>8.0f}"
            lines.append(f"{row['name']:<34}{size:>24}{speeds}         best layout: {row['layout']}")
        types = ", ".join(
            f"{name} {'no kernel' if speed is None else f'{speed:.1f}'}"
            for name, speed in self.measured["gflops_by_type"].items()
        )
        lines.append(f"products of MindSpore by type of number, GFLOP/s: {types}")
        triad, read, launch = (self.measured[key] for key in ("triad_gbytes_per_s", "read_gbytes_per_s", "launch_us"))
        lines.append(
            f"memory: triad {triad:.1f} GB/s, reading {read:.1f} GB/s; a kernel of a graph takes {launch:.1f} us"
        )
        return "\n".join(lines)
