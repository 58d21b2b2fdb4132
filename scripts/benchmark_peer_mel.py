"""Worker of scripts/benchmark.py for mel spectrograms as the public PyTorch projects make them: a clip at a time, the Fourier transform as
a convolution with its basis (Prenger et al. 2018 and others publish it so), on the CPU."""

import argparse
import math
import sys
import wave
from collections.abc import Callable
from pathlib import Path

from benchmark_worker import serve

try:
    import torch
    from torch.nn.functional import conv1d, pad
except ImportError:
    print(f"{sys.executable} has no torch: pip install torch==2.13.0; --peer_python says which Python to take", file=sys.stderr)
    raise SystemExit(2) from None


def mel(folder: str, n_fft: int, hop_length: int, win_length: int, n_mels: int) -> Callable[[], None]:
    """A run reads each wav of `folder` and makes its log mel spectrogram. The mel filters are drawn at random: they cost the same."""
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
            real, imaginary = conv1d(padded, basis, stride=hop_length).split(n_bins, 1)
            torch.log(torch.clamp(filters @ torch.sqrt(real**2 + imaginary**2), min=1e-5))

    return run


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    torch.set_num_threads(parser.parse_args().threads)
    with torch.inference_mode():
        serve({"mel": mel})
