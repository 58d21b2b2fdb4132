"""PyTorch files, read without PyTorch: tensors as it wrote them (data/make_torch_files.py), and no code of theirs."""

import builtins
import collections
import io
import json
import os
import pickle
import pickletools
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from src.convert.pickled import StandIn
from src.convert.safetensors_file import read_safetensors, write_safetensors
from src.convert.state_dicts import beside, choose, find_state_dicts, to_arrays
from src.convert.torch_file import LEGACY_MAGIC, LEGACY_VERSION, read_torch
from src.convert.torch_writer import write_torch
from src.convert.unpickler import Unpickler
from src.errors import InputError

FILES = Path(__file__).parent / "data" / "torch"
KINDS = ["zip", "legacy"]
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"  # two float32


class Asks:
    """Pickled, it asks for `function(*arguments)` to be called when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Foreign:
    """A class of a program that is not there any more when the file is read."""

    def __init__(self, **state):
        self.__dict__.update(state)


ATTACKS = {
    "posix.system": Asks(os.system, "touch attacked"),
    "builtins.eval": Asks(eval, "open('attacked', 'w')"),
    "builtins.getattr": Asks(getattr, "x", "join"),
    "io.open": Asks(open, "attacked", "w"),
    "builtins.exec": Asks(exec, "open('attacked', 'w')"),
}


def unpickle(content):
    return Unpickler(io.BytesIO(content)).load()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_to_be_called_is_named_and_not_called(name, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for content in (ATTACKS[name], {"state_dict": [ATTACKS[name]]}):
        pickled = pickle.dumps(content, protocol)
        with pytest.raises(InputError, match=rf"{name}'.* never run"):
            unpickle(pickled)
    assert os.listdir() == []


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'touch attacked'\ntR.",  # protocol 0
        b"(S'touch attacked'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'touch attacked'\no.",  # OBJ
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0etouch attacked\x85R.",  # STACK_GLOBAL
        b"\x80\x04\x8c\x02io\x8c\x09os.system\x93\x8c\x0etouch attacked\x85R.",  # a dotted name
        b"\x80\x04\x8c\x0bcollections\x8c\x0bOrderedDict\x93)R\x8c\x02os\x8c\x06system\x93\x8c\x0etouch attacked\x85R.",
        b"cbuiltins\ngetattr\n(cos\nsystem\nS'__call__'\ntR(S'touch attacked'\ntR.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(N}X\x01\x00\x00\x00xK\x01stb.",  # BUILD: changes a known function
        b"c_codecs\nencode\n(X\x01\x00\x00\x00xX\x03\x00\x00\x00hextR.",
        b"cnumpy\ndtype\n(X\x01\x00\x00\x00OtR.",
    ],
)
def test_handwritten_attacks(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception) as refusal:
        unpickle(content)
    assert isinstance(refusal.value, InputError | KeyError | pickle.UnpicklingError)
    assert os.listdir() == []


@pytest.mark.parametrize("protocol", [2, 4])
def test_containers_and_numbers_are_read(protocol):
    content = {
        "ordered": collections.OrderedDict(a=1),
        "counter": collections.Counter(a=2),
        "default": collections.defaultdict(list, a=[1]),
        "numbers": [1, 2.5, True, None, 1j, np.float64(0.25), np.int64(7)],
        "others": ({1, 2}, frozenset([3]), "text", b"\x00\xff"),
    }
    assert unpickle(pickle.dumps(content, protocol)) == content


@pytest.mark.parametrize("protocol", [2, 4])
def test_an_unknown_class_is_held_without_its_code(protocol):
    found = unpickle(pickle.dumps([Foreign(lr=1.0, child=Foreign(builtin=builtins.print))], protocol))[0]
    assert isinstance(found, StandIn) and not isinstance(found, Foreign)
    assert found.state["lr"] == 1.0 and isinstance(found.state["child"].state["builtin"], type)
    with pytest.raises(InputError, match=r"builtins\.print"):
        found.state["child"].state["builtin"]()


def test_what_old_modules_ask_for_is_granted():
    assert unpickle(b"\x80\x02ctorch.nn.backends.thnn\n_get_thnn_function_backend\n)R.") is None


def as_file(kind, pickled, data=b""):
    """The bytes of a PyTorch file around a pickle that someone made by hand."""
    if kind == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("x/data.pkl", pickled)
            archive.writestr("x/data/0", data)
            archive.writestr("x/version", b"3\n")
        return buffer.getvalue()
    system = {"protocol_version": LEGACY_VERSION, "little_endian": True}
    before = b"".join(pickle.dumps(each, 2) for each in (LEGACY_MAGIC, LEGACY_VERSION, system))
    storages = struct.pack("<q", len(data) // 4) + data if data else b""
    return before + pickled + pickle.dumps(["0"] if data else [], 2) + storages


def read(path):
    """Tensors of the likeliest state dict as arrays, and what lies beside it."""
    content = read_torch(path)
    chosen, _ = choose(find_state_dicts(content), None, content)
    return to_arrays(chosen.tensors, path.stat().st_size), beside(content, chosen.place)


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_of_a_file(kind):
    for name in ("tensors", "top"):
        tensors, rest = read(FILES / f"{name}_{kind}.pt")
        assert tensors["a"].tolist() == [[1.5], [2.0]] and tensors["b"] == 3 and tensors["b"].dtype == np.int64
        assert tensors["half"].tolist() == [0.5, -2.0] and tensors["brain"].tolist() == [1.0, -3.140625]
        assert tensors["double"].tolist() == [np.float32(0.1)] and tensors["flag"].tolist() == [True, False]
        assert tensors["rows"].tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]] and tensors["empty"].shape == (0, 3)
        assert {tensors[name].dtype for name in ("a", "half", "brain", "double")} == {np.dtype("float32")}
    assert rest == {}
    tensors, rest = read(FILES / f"tensors_{kind}.pt")
    assert tensors["transposed"].tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
    assert tensors["column"].tolist() == [1, 5, 9] and tensors["tail"].tolist() == [9, 10, 11]
    assert (rest["iteration"], rest["learning_rate"], rest["hparams"].state) == (5, 1e-3, {"x": 1})
    assert rest["folder"] == "runs/1" and rest["size"] == (2, 3) and rest["counter"] == {"a": 2, "b": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_of_a_pickled_module(kind):
    content = read_torch(FILES / f"module_{kind}.pt")
    module, wanted = find_state_dicts(content)  # the second is the module's state_dict() by PyTorch
    assert (module.place, wanted.place) == ("model", "wanted") and list(module.tensors) == list(wanted.tensors)
    assert "0.weight_g" in wanted.tensors and beside(content, "model")["iteration"] == 9
    for name, tensor in wanted.tensors.items():
        np.testing.assert_array_equal(module.tensors[name].numpy(), tensor.numpy())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", ATTACKS)
def test_a_file_that_wants_code_to_run_is_refused(kind, name, protocol, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    content = pickle.dumps({"state_dict": {}, "extra": ATTACKS[name]}, protocol)
    (tmp_path / "x.pt").write_bytes(as_file(kind, content))
    with pytest.raises(InputError, match=rf"x\.pt: .*{name.split('.')[1]}.* never run"):
        read_torch(tmp_path / "x.pt")
    assert os.listdir() == []


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_cannot_be_used(kind, tmp_path):
    path = tmp_path / "x.pt"
    content = (FILES / f"tacotron2_{kind}.pt").read_bytes()
    for share in (0.0001, 0.01, 0.3, 0.9, 0.99):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(InputError, match=r"x\.pt: cut off, damaged, or no PyTorch file"):
            read_torch(path)
    for content, complaint in ((b"", "empty"), (b"\x80", "cut off"), (b"Hello, this is text.", "no PyTorch file")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=complaint):
            read_torch(path)
    for content in ([1, 2], {}, {"state_dict": {}}, {"epoch": 3}, None):
        path.write_bytes(as_file(kind, pickle.dumps(content, 2)))
        with pytest.raises(InputError, match="no tensors by name"):
            read(path)


def test_a_program_is_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match="TorchScript"):
        read_torch(FILES / "torchscript.pt")
    (tmp_path / "x.pt").write_bytes((FILES / "torchscript.pt").read_bytes() + b"PK\x05\x06")  # a second end of archive
    with pytest.raises(InputError, match="cut off, damaged"):
        read_torch(tmp_path / "x.pt")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_odd_about_tensors_and_their_dict(kind, tmp_path):
    assert read(FILES / f"odd_{kind}.pt")[0]["a"].tolist() == [1, 1]
    with pytest.raises(InputError, match=r"pt: it holds a tensor of \[50000000000000\] with data for 1 numbers"):
        read_torch(FILES / f"expanded_{kind}.pt")
    for view, complaint in (
        (b"K\x01K\x02\x85K\x01\x85", r"a tensor of \[2\] with data for 2"),  # begins at the second number
        (b"K\x00K\x02\x85K\x02\x85", r"a tensor of \[2\] with data for 2"),  # every other number
        (b"J\xff\xff\xff\xffK\x01\x85K\x01\x85", "without a storage or a size"),
        (b"K\x00K\x02\x85K\x01K\x01\x86", "1 dimensions and 2 strides"),
    ):
        tensor = b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + view + b"\x89NtRs."
        (tmp_path / "x.pt").write_bytes(as_file(kind, tensor, struct.pack("<2f", 1, 2)))
        with pytest.raises(InputError, match=complaint):
            read_torch(tmp_path / "x.pt")


def test_views_of_the_oldest_files(tmp_path):
    """Before PyTorch 0.4 a storage could be a part of another one, by its key, an offset and a size."""
    part = STORAGE.replace(b"K\x02tQ", b"K\x02(X\x01\x00\x00\x001K\x01K\x01ttQ")
    view = b"K\x00K\x01\x85K\x01\x85\x89NtRs."
    tensor = b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n(" + part + view
    (tmp_path / "x.pt").write_bytes(as_file("legacy", tensor, struct.pack("<2f", 1, 2)))
    assert read(tmp_path / "x.pt")[0]["a"].tolist() == [2]


def opcodes(path):
    """Pickle's opcodes of a zip file with their arguments, without those that only remember what was written."""
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        content = archive.read(name)
    return [(code.name, value) for code, value, _ in pickletools.genops(content) if "PUT" not in code.name]


def test_a_written_file_is_the_one_that_pytorch_writes(tmp_path):
    write_torch(tmp_path / "x.pt", {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "iteration": 70_000})
    assert opcodes(tmp_path / "x.pt") == opcodes(FILES / "one_tensor.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as ours, zipfile.ZipFile(FILES / "one_tensor.pt") as theirs:
        for name in ("data/0", "version", "byteorder"):
            assert ours.read(f"archive/{name}") == theirs.read(f"one_tensor/{name}")
        assert ours.getinfo("archive/data/0").compress_type == zipfile.ZIP_STORED


def test_what_is_written_is_read_again(tmp_path):
    content = {"iteration": 70_000, "low": -(2**40), "rate": 0.5, "none": None, "flag": True, "text": "é" * 300}
    tensors = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "n": np.full((), 7, np.int64),
        "five": np.ones((1, 2, 3, 4, 5), np.float32),
        "none": np.zeros((0, 3), np.float32),
    }
    write_torch(tmp_path / "x.pt", {**content, "state_dict": tensors})
    write_safetensors(tmp_path / "x.safetensors", tensors, {"text": "é"})
    found, rest = read(tmp_path / "x.pt")
    safe = read_safetensors(tmp_path / "x.safetensors")
    assert rest == content and safe.metadata == {"text": "é"}
    assert sorted(os.listdir(tmp_path)) == ["x.pt", "x.safetensors"]
    for name, array in tensors.items():
        for other in (found[name], safe.tensors[name]):
            assert other.dtype == array.dtype
            np.testing.assert_array_equal(other, array)


def test_safetensors_of_the_library_are_read():
    tensors, metadata = read_safetensors(FILES / "tensors.safetensors")
    assert metadata == {"format": "pt", "iteration": "5"}
    for name, array in read(FILES / "top_zip.pt")[0].items():
        assert tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(tensors[name], array)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda header: header["a"].update(data_offsets=[0, 4]), "does not fit bytes 0 to 4"),
        (lambda header: header["b"].update(data_offsets=[0, 8]), "does not fit bytes 0 to 8"),  # those of a
        (lambda header: header["b"].update(data_offsets=[8, 16], shape=[2**62, 2**62]), "does not fit"),
        (lambda header: header["b"].update(shape=[-2]), "has no size"),
        (lambda header: header["b"].update(dtype="F8_E4M3"), "of type 'F8_E4M3'; save it as"),
        (lambda header: header.update(c=5), "cut off, damaged"),
    ],
)
def test_damaged_safetensors_are_refused(change, complaint, tmp_path):
    header = {name: {"dtype": "F32", "shape": [2], "data_offsets": [i * 8, i * 8 + 8]} for i, name in enumerate("ab")}
    change(header)
    text = json.dumps(header).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))
    with pytest.raises(InputError, match=rf"x\.safetensors: .*{complaint}"):
        read_safetensors(tmp_path / "x.safetensors")
    for content in (b"", b"\xff" * 8 + b"{", struct.pack("<Q", 4) + b"{[[["):
        (tmp_path / "x.safetensors").write_bytes(content)
        with pytest.raises(InputError, match="cut off, damaged"):
            read_safetensors(tmp_path / "x.safetensors")
