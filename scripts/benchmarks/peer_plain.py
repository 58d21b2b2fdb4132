"""Worker of scripts/benchmark.py in plain PyTorch, eager, on the CPU.

WaveGlow is made of nn.Conv1d layers without weight norm. Mel spectrograms are made as the public projects make them:
one clip at a time, with the Fourier transform as a convolution.
"""

import argparse
import math
import sys
import wave
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.worker import serve

try:
    import torch
    from torch import nn
    from torch.nn.functional import conv1d, pad
except ImportError:
    print(
        f"{sys.executable} has no torch: pip install torch==2.13.0; --peer_python names another Python",
        file=sys.stderr,
    )
    raise SystemExit(2) from None


class WN(nn.Module):
    """Half of the channels and the upsampled mel -> shift and log scale, all (B, C, T)."""

    def __init__(self, n_half: int, n_condition: int, width: int, n_layers: int, kernel_size: int):
        super().__init__()
        self.width = width
        self.start = nn.Conv1d(n_half, width, 1)
        self.condition = nn.Conv1d(n_condition, 2 * width * n_layers, 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, 2 * width, kernel_size, dilation=2**i, padding=kernel_size // 2 * 2**i)
            for i in range(n_layers)
        )
        self.res_skip = nn.ModuleList(
            nn.Conv1d(width, 2 * width if i < n_layers - 1 else width, 1) for i in range(n_layers)
        )
        self.end = nn.Conv1d(width, 2 * n_half, 1)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.start(x)
        skips = torch.zeros_like(h)
        conditions = self.condition(condition).chunk(len(self.layers), 1)
        for layer, res_skip, conditioned in zip(self.layers, self.res_skip, conditions, strict=True):
            signal, gate = (layer(h) + conditioned).chunk(2, 1)
            out = res_skip(torch.tanh(signal) * torch.sigmoid(gate))
            skips += out[:, -self.width :]
            if out.shape[1] > self.width:
                h = h + out[:, : self.width]
        shift, log_scale = self.end(skips).chunk(2, 1)
        return shift, log_scale


class WaveGlow(nn.Module):
    """WaveGlow's inference: noise -> sound."""

    def __init__(self, config: dict):
        super().__init__()
        model, audio = config["model"], config["audio"]
        self.n_group, self.early = model["n_group"], model["n_early_size"]
        self.upsample = nn.ConvTranspose1d(
            audio["n_mels"], audio["n_mels"], model["upsample_kernel_size"], audio["hop_length"]
        )
        self.n_trimmed = model["upsample_kernel_size"] - audio["hop_length"]
        self.joins = [k > 0 and k % model["n_early_every"] == 0 for k in range(model["n_flows"])]
        channels = [model["n_group"] - sum(self.joins[: k + 1]) * self.early for k in range(model["n_flows"])]
        sizes = audio["n_mels"] * self.n_group, model["wn_channels"], model["wn_layers"], model["wn_kernel_size"]
        self.wavenets = nn.ModuleList(WN(n // 2, *sizes) for n in channels)
        self.unmix = nn.ModuleList(nn.Conv1d(n, n, 1, bias=False) for n in channels)
        for unmix in self.unmix:
            nn.init.orthogonal_(unmix.weight)
        for wavenet in self.wavenets:  # small scales keep the numbers in range whatever is drawn
            nn.init.normal_(wavenet.end.weight, std=1e-3)
        self.channels = channels

    def forward(self, mel: torch.Tensor, sigma: float) -> torch.Tensor:
        """mel (B, n_mels, F) -> audio (B, F * hop)."""
        condition = self.upsample(mel)[:, :, : -self.n_trimmed or None]
        n_batch, _, n_samples = condition.shape
        condition = (
            condition.unfold(2, self.n_group, self.n_group)
            .permute(0, 1, 3, 2)
            .reshape(n_batch, -1, n_samples // self.n_group)
        )
        x = sigma * torch.randn(n_batch, self.channels[-1], condition.shape[2])
        for wavenet, unmix, joins in zip(
            reversed(self.wavenets), reversed(self.unmix), reversed(self.joins), strict=True
        ):
            kept, changed = x.chunk(2, 1)
            shift, log_scale = wavenet(kept, condition)
            x = unmix(torch.cat((kept, (changed - shift) * torch.exp(-log_scale)), 1))
            if joins:
                x = torch.cat((sigma * torch.randn(n_batch, self.early, condition.shape[2]), x), 1)
        return x.transpose(1, 2).reshape(n_batch, -1)


def vocoding(config: dict, seed: int, n_frames: int) -> Callable[[], None]:
    """Prepare WaveGlow. A run turns `n_frames` frames into sound."""
    torch.manual_seed(seed)
    net = WaveGlow(config).eval()
    mel = torch.randn(1, config["audio"]["n_mels"], n_frames)

    def run() -> None:
        with torch.inference_mode():
            audio = net(mel, config["model"]["sigma"])
        if audio.shape != (1, n_frames * config["audio"]["hop_length"]):
            raise AssertionError(f"made {audio.shape}")

    return run


def mel(folder: str, n_fft: int, hop_length: int, win_length: int, n_mels: int) -> Callable[[], None]:
    """Prepare preprocessing. A run reads each wav of `folder` and makes its log mel spectrogram.

    The mel filters are random; they take the same time.
    """
    n_bins = n_fft // 2 + 1
    angles = 2 * math.pi * torch.outer(torch.arange(n_bins), torch.arange(n_fft)) / n_fft
    window = pad(torch.hann_window(win_length), [(n_fft - win_length) // 2] * 2)
    basis = (torch.cat((torch.cos(angles), -torch.sin(angles))) * window).unsqueeze(1)  # (2 * n_bins, 1, n_fft)
    filters = torch.rand(n_mels, n_bins)
    paths = sorted(Path(folder).glob("*.wav"))

    def run() -> None:
        for path in paths:
            with wave.open(str(path)) as file:
                samples = torch.frombuffer(bytearray(file.readframes(file.getnframes())), dtype=torch.int16) / 32768.0
            padded = pad(samples.reshape(1, 1, -1), (n_fft // 2, n_fft // 2), mode="reflect")
            with torch.inference_mode():
                real, imaginary = conv1d(padded, basis, stride=hop_length).split(n_bins, 1)
                torch.log(torch.clamp(filters @ torch.sqrt(real**2 + imaginary**2), min=1e-5))

    return run


def main() -> None:
    """Answer requests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True)
    torch.set_num_threads(parser.parse_args().threads)
    serve({"vocoding": vocoding, "mel": mel}, {"torch": torch.__version__})


if __name__ == "__main__":
    main()
