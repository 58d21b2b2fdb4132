"""Files that are damaged, or not what they claim to be, for tests/test_hostile_input.py."""

import io
import json
import os
import shutil
import zipfile

import numpy as np

from src.files import sha256_of


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def pipe(path):
    os.mkfifo(path)
    return path


def spoil(given, folder, **members):
    """Copy the dataset, and put other bytes in the place of members of its index."""
    shutil.copytree(given.data, folder / "data")
    index = folder / "data" / "train_index.npz"
    with zipfile.ZipFile(index) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(index, "w") as new:
        for name, content in (contents | {f"{name}.npy": content for name, content in members.items()}).items():
            new.writestr(name, content)
    return folder / "data"


def stored(array):
    content = io.BytesIO()
    np.lib.format.write_array(content, array)
    return content.getvalue()


def claiming(shape):
    """A .npy file whose header claims a shape that its content does not have."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<i4", "fortran_order": False, "shape": shape})
    return content.getvalue() + bytes(8)


def with_stats(given, folder, **changes):
    shutil.copytree(given.data, folder / "data")
    stats = json.loads((folder / "data" / "stats.json").read_text())
    write(folder / "data" / "stats.json", json.dumps(stats | changes))
    return folder / "data"


def cut_short(path):
    path.write_bytes(path.read_bytes()[:200])


def truncated(given, folder):
    shutil.copytree(given.data, folder / "data")
    cut_short(folder / "data" / "train_index.npz")
    return folder / "data"


def log_of(folder, *rows):
    write(folder / "log.jsonl", "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return folder


def onnx_with(given, folder, change):
    """Copy the ONNX files and let `change` spoil the folder."""
    shutil.copytree(given.onnx, folder / "onnx")
    change(folder / "onnx")
    return folder / "onnx"


def swap(folder, ends=(".onnx", ".onnx.json")):
    for end in ends:
        one, other = folder / f"encoder{end}", folder / f"postnet{end}"
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)


def sign(folder, **changes):
    """Make the descriptions fit the files again, with other entries."""
    for path in folder.glob("*.onnx"):
        described = folder / f"{path.name}.json"
        description = json.loads(described.read_text()) | {"file": path.name, "sha256": sha256_of(path)}
        write(described, json.dumps(description | changes))


def junk_signed(folder):
    write(folder / "encoder.onnx", b"junk")
    sign(folder)


def swapped_and_signed(folder):
    swap(folder)
    sign(folder)


def widened(folder):
    config = json.loads((folder / "encoder.onnx.json").read_text())["config"]
    config["model"]["attention_rnn_dim"] = 16
    sign(folder, config=config)
