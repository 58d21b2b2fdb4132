"""The checkpoint file: self-describing, written atomically, checked by a digest when it is read."""

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import yaml
from mindspore import Tensor, nn

from src.audio import mel_signature
from src.checkpoint.content import Checkpoint
from src.checkpoint.weights import network_parameters, optimizer_parameters
from src.config import Config, load_config
from src.errors import InputError

FORMAT = "mindspore-tts 1"
TEXTS = ("format", "config", "symbols", "mel_signature", "state", "sha256")
OPTIMIZER = "optimizer."


def save_checkpoint(
    path: str | Path,
    net: nn.Cell,
    config: Config,
    step: int = 0,
    epoch: int = 0,
    optimizer: nn.Optimizer | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write `net` and everything needed to use it or to resume its training.

    The file is renamed to `path` once it is complete and on the disk; a file already there stays until then.

    Args:
        optimizer: its moments and counters are stored too, so that training can resume from the file.
        extra: further numbers, strings and lists of them, which `load_checkpoint` returns.

    Raises:
        InputError: the file cannot be written (no such folder, no permission, disk full).
    """
    path = Path(path)
    parameters = network_parameters(net)
    if optimizer is not None:
        parameters |= {OPTIMIZER + name: value for name, value in optimizer_parameters(optimizer).items()}
    texts = {
        "format": FORMAT,
        "config": config.to_yaml(),
        "symbols": json.dumps(config.text.symbols),
        "mel_signature": json.dumps(mel_signature(config.audio)),
        "state": json.dumps({"step": step, "epoch": epoch, **(extra or {})}),
    }
    texts["sha256"] = content_sha256({name: value.asnumpy() for name, value in parameters.items()}, texts)
    partial = path.with_name(f".{path.stem}.partial.ckpt")
    try:
        with _quiet():
            ms.save_checkpoint(
                [{"name": name, "data": value} for name, value in parameters.items()], str(partial), append_dict=texts
            )
        partial.chmod(0o644)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: the checkpoint could not be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
        partial.with_suffix(".tmp").unlink(missing_ok=True)  # MindSpore's own temporary name


def snapshot(net: nn.Cell, optimizer: nn.Optimizer, config: Config) -> Checkpoint:
    """Return the current state of training as a `Checkpoint`, without writing a file."""
    return Checkpoint(
        path=Path("this run"),
        config=config,
        symbols=config.text.symbols,
        mel_signature=mel_signature(config.audio),
        step=0,
        epoch=0,
        weights={name: value.asnumpy() for name, value in network_parameters(net).items()},
        optimizer={name: value.asnumpy() for name, value in optimizer_parameters(optimizer).items()},
        extra={},
    )


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint of this project and check its digest. The format is protobuf: nothing in the file is executed.

    Raises:
        InputError: no such file, empty, truncated, damaged, or not a checkpoint of this project.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint file")
    if path.suffix != ".ckpt":
        raise InputError(
            f"{path}: not a .ckpt file; checkpoints of other projects are converted by scripts/convert_checkpoint.py"
        )
    texts, arrays = read_mindspore(path)
    if not set(TEXTS) <= set(texts):
        raise InputError(
            f"{path}: cut off, or not a checkpoint of this project; "
            "scripts/convert_checkpoint.py converts those of other projects"
        )
    if texts["format"] != FORMAT:
        raise InputError(
            f"{path}: written by another version of this project ({texts['format']}, this one reads {FORMAT})"
        )
    if texts.pop("sha256") != content_sha256(arrays, texts):
        raise InputError(f"{path}: the checkpoint is damaged (its content does not match its sha256)")
    try:
        config = load_config(yaml.safe_load(texts["config"]))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if (symbols := json.loads(texts["symbols"])) != config.text.symbols:
        raise InputError(
            f"{path}: its table of {len(symbols)} symbols is not that of its configuration ({len(config.text.symbols)})"
        )
    state = json.loads(texts["state"])
    return Checkpoint(
        path=path,
        config=config,
        symbols=symbols,
        mel_signature=json.loads(texts["mel_signature"]),
        step=state.pop("step"),
        epoch=state.pop("epoch"),
        weights={name: value for name, value in arrays.items() if not name.startswith(OPTIMIZER)},
        optimizer={name.removeprefix(OPTIMIZER): value for name, value in arrays.items() if name.startswith(OPTIMIZER)},
        extra=state,
    )


def content_sha256(arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> str:
    """Return the hexadecimal SHA-256 of a checkpoint's arrays, their names and its texts; the file carries it too."""
    digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def read_mindspore(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Read texts and arrays of any MindSpore `.ckpt`. The file must exist.

    Raises:
        InputError: empty, truncated or damaged.
    """
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the checkpoint is empty")
    try:
        with _quiet():
            content = ms.load_checkpoint(str(path))
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: the checkpoint is damaged, cut off or not a MindSpore checkpoint") from error
    texts = {name: value for name, value in content.items() if isinstance(value, str)}
    return texts, {name: value.asnumpy() for name, value in content.items() if isinstance(value, Tensor)}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Switch logging off: MindSpore logs every error that it raises, and callers report it in one line."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
