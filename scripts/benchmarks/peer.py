"""Worker of scripts/benchmark.py for torchaudio's Tacotron 2: PyTorch, eager or with torch.compile, on the CPU.

Only torchaudio's `models/tacotron2.py` is imported: the rest needs compiled extensions that match torch's version.
"""

import argparse
import importlib.metadata
import importlib.util
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.worker import serve

INSTALL = "pip install torch==2.13.0; pip install --no-deps torchaudio==2.11.0"


def refuse(message: str) -> NoReturn:
    """Exit with a message about something that the user can mend; scripts/benchmark.py passes it on."""
    print(message, file=sys.stderr)
    raise SystemExit(2)


try:
    import torch
    from torch.nn import functional
except ImportError:
    refuse(f"{sys.executable} has no torch: {INSTALL}; --peer_python names another Python")


def find_source() -> Path:
    """`models/tacotron2.py` of the torchaudio installed for this Python."""
    try:
        return Path(importlib.metadata.distribution("torchaudio").locate_file("torchaudio/models/tacotron2.py"))
    except importlib.metadata.PackageNotFoundError:
        refuse(f"{sys.executable} has no torchaudio: {INSTALL}; or --peer_source names its models/tacotron2.py")


def read_version(source: Path) -> str:
    """Version of the torchaudio that `source` belongs to, installed or unpacked."""
    site = str(source.resolve().parents[2])
    versions = [package.version for package in importlib.metadata.distributions(name="torchaudio", path=[site])]
    return versions[0] if versions else "unknown"


def load_network(source: Path) -> type[torch.nn.Module]:
    """Class Tacotron2 of torchaudio's file."""
    specification = importlib.util.spec_from_file_location("tacotron2", source)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.Tacotron2


class Peer:
    """The tasks of torchaudio's side, with the same widths and settings as ours."""

    def __init__(self, network: type[torch.nn.Module], compiles: bool = False):
        self.network, self.compiles = network, compiles

    def training(self, config: dict, seed: int, batch_size: int, n_frames: int, length: int) -> Callable[[], None]:
        """Prepare a training step. A run is one step."""
        net, settings = self._build(config, seed).train(), config["train"]
        optimizer = torch.optim.Adam(net.parameters(), settings["lr"], weight_decay=settings["weight_decay"])
        text = torch.randint(1, config["model"]["n_symbols"], (batch_size, length))
        mel = torch.randn(batch_size, config["audio"]["n_mels"], n_frames)
        text_lengths, mel_lengths = torch.full((batch_size,), length), torch.full((batch_size,), n_frames)
        gate_target = torch.zeros(batch_size, n_frames)
        gate_target[:, -1] = 1

        def run() -> None:
            optimizer.zero_grad()
            before, after, gate, _ = net(text, text_lengths, mel, mel_lengths)
            loss = functional.mse_loss(before, mel) + functional.mse_loss(after, mel)
            loss = loss + functional.binary_cross_entropy_with_logits(gate, gate_target)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), settings["grad_clip"])
            optimizer.step()
            if not math.isfinite(loss.item()):
                raise ArithmeticError("the loss is not finite")

        return run

    def free_running(self, config: dict, seed: int, batch_size: int, n_frames: int, length: int) -> Callable[[], None]:
        """Prepare free running. A run speaks `n_frames` frames per text: no fresh gate is as sure as the threshold."""
        net = self._build(config, seed, gate_threshold=0.999999, decoder_max_step=n_frames).eval()
        text = torch.randint(1, config["model"]["n_symbols"], (batch_size, length))
        text_lengths = torch.full((batch_size,), length)
        warnings.filterwarnings("ignore", "Reached max decoder steps")

        def run() -> None:
            with torch.inference_mode():
                mel, _, _ = net.infer(text, text_lengths)
            if mel.shape[0] != batch_size or mel.shape[2] != n_frames:
                raise AssertionError(f"spoke {mel.shape}")

        return run

    def _build(self, config: dict, seed: int, **settings: float) -> torch.nn.Module:
        model = config["model"]
        torch.manual_seed(seed)
        net = self.network(
            n_mels=config["audio"]["n_mels"],
            n_symbol=model["n_symbols"],
            symbol_embedding_dim=model["encoder_dim"],
            encoder_embedding_dim=model["encoder_dim"],
            encoder_n_convolution=model["encoder_layers"],
            encoder_kernel_size=model["encoder_kernel_size"],
            decoder_rnn_dim=model["decoder_rnn_dim"],
            decoder_dropout=model["decoder_dropout"],
            attention_rnn_dim=model["attention_rnn_dim"],
            attention_hidden_dim=model["attention_dim"],
            attention_location_n_filter=model["location_filters"],
            attention_location_kernel_size=model["location_kernel_size"],
            attention_dropout=model["attention_dropout"],
            prenet_dim=model["prenet_dim"],
            postnet_n_convolution=model["postnet_layers"],
            postnet_kernel_size=model["postnet_kernel_size"],
            postnet_embedding_dim=model["postnet_dim"],
            **settings,
        )
        if self.compiles:  # the loop over steps, of unknown length, stays in Python
            net.decoder.decode = torch.compile(net.decoder.decode)
            net.encoder.compile()
            net.postnet.compile()
        return net


def main() -> None:
    """Find torchaudio's file and answer requests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--compile", action="store_true", help="compile encoder, decoder step and postnet")
    arguments = parser.parse_args()
    source = arguments.source or find_source()
    if not source.is_file():
        refuse(f"{source}: no such file; it should be torchaudio's models/tacotron2.py")
    torch.set_num_threads(arguments.threads)
    peer = Peer(load_network(source), arguments.compile)
    versions = {"torch": torch.__version__, "torchaudio": read_version(source)}
    serve({"training": peer.training, "free_running": peer.free_running}, versions)


if __name__ == "__main__":
    main()
