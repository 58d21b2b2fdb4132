"""Make the files under tests/data/torch with PyTorch and safetensors, or check with PyTorch what this project writes.

    pip install torch==2.13.0 safetensors==0.8.0 numpy      # in an environment of its own
    python tests/data/make_torch_files.py                   # makes the files
    python tests/data/make_torch_files.py --check OURS.pt   # loads a file of ours strictly into the pickled WaveGlow

The tests read the files without PyTorch. Numbers are random, with a fixed seed; networks are as small as they can be.
"""

import argparse
import collections
import pathlib
import random
import warnings
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

FOLDER = Path(__file__).parent / "torch"
E, P, A_RNN, D_RNN, A, F, K, POST, M, R = 8, 6, 10, 12, 4, 3, 7, 9, 5, 2  # as in tests/test_convert.py
N_SYMBOLS = 148
N_FLOWS, N_GROUP, N_LAYERS, WIDTH, N_MELS, KERNEL = 3, 4, 2, 4, 3, 64


class HParams:
    """An object of a program that is not there any more when the file is read."""

    def __init__(self, **values: object):
        self.__dict__.update(values)


def main() -> None:
    """Make all files, or check one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", metavar="OURS.pt")
    arguments = parser.parse_args()
    if arguments.check:
        check(arguments.check)
        return
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    torch.serialization.get_source_lines_and_file = no_source
    warnings.simplefilter("ignore")  # the old weight norm is deprecated, and what old files have
    FOLDER.mkdir(exist_ok=True)
    for kind, zipped in (("zip", True), ("legacy", False)):
        save(f"tensors_{kind}.pt", tensors_and_more(), zipped)
        save(f"top_{kind}.pt", tensors(), zipped)
        module = small_module()
        save(f"module_{kind}.pt", {"model": module, "wanted": module.state_dict(), "iteration": 9}, zipped)
        odd = collections.OrderedDict(a=torch.ones(2))
        odd.get = odd.values = odd._metadata = 5  # attributes are pickled too
        save(f"odd_{kind}.pt", collections.OrderedDict(state_dict=odd), zipped)
        save(f"expanded_{kind}.pt", {"a": torch.zeros(1).expand(50_000_000_000_000)}, zipped)
        save(f"waveglow_module_{kind}.pt", {"model": waveglow(torch.nn.utils.weight_norm), "iteration": 9}, zipped)
        save(f"tacotron2_{kind}.pt", {"state_dict": tacotron2(), "iteration": 5, "optimizer": {"state": {}}}, zipped)
    save("one_tensor.pt", {"a": torch.arange(6.0).reshape(2, 3), "iteration": 70_000}, True)
    torch.save(
        {"state_dict": waveglow(torch.nn.utils.parametrizations.weight_norm).state_dict()},
        FOLDER / "waveglow_parametrized.pt",
    )
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(FOLDER / "torchscript.pt"))
    safetensors.torch.save_file(tensors(), FOLDER / "tensors.safetensors", {"format": "pt", "iteration": "5"})


def save(name: str, content: object, zipped: bool) -> None:
    """Write one file in the zip or the older format."""
    torch.save(content, FOLDER / name, _use_new_zipfile_serialization=zipped)


def no_source(*_: object) -> None:
    """Fail as PyTorch's own function does without source code, which the older format puts beside modules."""
    raise OSError


def tensors() -> dict[str, torch.Tensor]:
    """Return tensors of several types, and two that are views."""
    shared = torch.arange(12.0)
    return {
        "a": torch.tensor([[1.5, 2.0]]).T.contiguous(),
        "b": torch.tensor(3),
        "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
        "brain": torch.tensor([1.0, -3.140625], dtype=torch.bfloat16),
        "double": torch.tensor([0.1], dtype=torch.float64),
        "flag": torch.tensor([True, False]),
        "rows": shared.reshape(3, 4)[1:].clone(),
        "empty": torch.zeros(0, 3),
    }


def tensors_and_more() -> dict[str, object]:
    """Return a training checkpoint with everything that people put beside the weights."""
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))])
    optimizer.param_groups[0]["params"][0].grad = torch.ones(2)
    optimizer.step()
    whole = torch.arange(12.0)
    views = {"transposed": whole.reshape(3, 4).T, "column": whole.reshape(3, 4)[:, 1], "tail": whole[9:]}
    return {
        "state_dict": {**tensors(), **views},
        "iteration": 5,
        "optimizer": optimizer.state_dict(),
        "learning_rate": np.float64(1e-3),
        "hparams": HParams(x=1),
        "folder": pathlib.PosixPath("runs/1"),
        "random": random.getstate()[1][:10],
        "numpy_random": (*np.random.get_state()[:1], np.arange(5)),
        "device": torch.device("cpu"),
        "size": torch.Size([2, 3]),
        "dtype": torch.float16,
        "queue": collections.deque([1, 2]),
        "counter": collections.Counter("aab"),
    }


def small_module() -> torch.nn.Module:
    """Return a module with weight norm, batch norm, a list and a parameter that has an attribute of its own."""
    module = torch.nn.Sequential(
        torch.nn.utils.weight_norm(torch.nn.Conv1d(2, 3, 3)),
        torch.nn.BatchNorm1d(3),
        torch.nn.ModuleList([torch.nn.Linear(3, 2)]),
    )
    module[2][0].bias.note = "an attribute"
    return module


def waveglow(weight_norm: object) -> torch.nn.Module:
    """Return a module with the parameters of NVIDIA's WaveGlow, without its code."""
    torch.manual_seed(1)
    top = torch.nn.Module()
    top.upsample = torch.nn.ConvTranspose1d(N_MELS, N_MELS, KERNEL)
    top.WN, top.convinv = torch.nn.ModuleList(), torch.nn.ModuleList()
    for k in range(N_FLOWS):
        channels = N_GROUP - k // 2 * 2
        mixer, net = torch.nn.Module(), torch.nn.Module()
        mixer.conv = torch.nn.Conv1d(channels, channels, 1, bias=False)
        net.in_layers, net.res_skip_layers = torch.nn.ModuleList(), torch.nn.ModuleList()
        net.start = weight_norm(torch.nn.Conv1d(channels // 2, WIDTH, 1))
        net.end = torch.nn.Conv1d(WIDTH, channels, 1)
        net.cond_layer = weight_norm(torch.nn.Conv1d(N_MELS * N_GROUP, 2 * WIDTH * N_LAYERS, 1))
        for i in range(N_LAYERS):
            net.in_layers.append(weight_norm(torch.nn.Conv1d(WIDTH, 2 * WIDTH, 3)))
            width = WIDTH if i == N_LAYERS - 1 else 2 * WIDTH
            net.res_skip_layers.append(weight_norm(torch.nn.Conv1d(WIDTH, width, 1)))
        top.WN.append(net)
        top.convinv.append(mixer)
    return top


def tacotron2() -> dict[str, torch.Tensor]:
    """Return the state dict of NVIDIA's Tacotron 2 with every width another number."""
    parts: dict[str, torch.nn.Module] = {"embedding": torch.nn.Embedding(N_SYMBOLS, E)}
    postnet = [M, POST, POST, POST, POST, M]
    convolutions = [("encoder", i, E, E) for i in range(3)] + [
        ("postnet", i, postnet[i], postnet[i + 1]) for i in range(5)
    ]
    for part, i, n_in, n_out in convolutions:
        parts[f"{part}.convolutions.{i}.0.conv"] = torch.nn.Conv1d(n_in, n_out, 5)
        parts[f"{part}.convolutions.{i}.1"] = torch.nn.BatchNorm1d(n_out)
    attention = "decoder.attention_layer"
    parts |= {
        "encoder.lstm": torch.nn.LSTM(E, E // 2, bidirectional=True),
        "decoder.prenet.layers.0.linear_layer": torch.nn.Linear(M * R, P, bias=False),
        "decoder.prenet.layers.1.linear_layer": torch.nn.Linear(P, P, bias=False),
        "decoder.attention_rnn": torch.nn.LSTMCell(P + E, A_RNN),
        f"{attention}.query_layer.linear_layer": torch.nn.Linear(A_RNN, A, bias=False),
        f"{attention}.memory_layer.linear_layer": torch.nn.Linear(E, A, bias=False),
        f"{attention}.v.linear_layer": torch.nn.Linear(A, 1, bias=False),
        f"{attention}.location_layer.location_conv.conv": torch.nn.Conv1d(2, F, K, bias=False),
        f"{attention}.location_layer.location_dense.linear_layer": torch.nn.Linear(F, A, bias=False),
        "decoder.decoder_rnn": torch.nn.LSTMCell(A_RNN + E, D_RNN),
        "decoder.linear_projection.linear_layer": torch.nn.Linear(D_RNN + E, M * R),
        "decoder.gate_layer.linear_layer": torch.nn.Linear(D_RNN + E, 1),
    }
    state = {f"{part}.{name}": value for part, module in parts.items() for name, value in module.state_dict().items()}
    for name in state:
        if name.endswith("num_batches_tracked"):
            state[name] += 7
    return state


def check(path: str) -> None:
    """Load a file of ours with PyTorch alone; if it is a WaveGlow, strictly into that of `waveglow_module_zip.pt`."""
    content = torch.load(path, weights_only=True)
    state = content["state_dict"]
    wanted = waveglow(torch.nn.utils.weight_norm) if "upsample.weight" in state else None
    if wanted:
        wanted.load_state_dict(state, strict=True)
    print(f"{path}: {len(state)} tensors, step {content['iteration']}{', loaded strictly' if wanted else ''}")


if __name__ == "__main__":
    main()
