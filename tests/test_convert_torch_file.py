"""What a PyTorch file may and may not do when it is read. Most of it is the unpickler's, which needs no PyTorch."""

import builtins
import collections
import io
import os
import pickle
import sys
import warnings

import numpy as np
import pytest

from src.convert.torch_file import StandIn, Unpickler, read_torch, write_torch
from src.errors import InputError


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
        b"ctorch._utils\n_rebuild_tensor_v2\n(N}X\x01\x00\x00\x00xK\x01stb.",  # BUILD: to change a function that is allowed
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


def test_without_pytorch_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "x.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"x\.pt: .*pip install torch"):
        read_torch(tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"y\.pt: .*pip install torch"):
        write_torch(tmp_path / "y.pt", {})


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def save(request, torch, tmp_path):
    def save(content, **options):
        torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=request.param, **options)
        return tmp_path / "x.pt"

    return save


@pytest.mark.parametrize("place", ["state_dict", "model", None])
def test_tensors_of_a_file(save, torch, place):
    tensors = {"a": torch.tensor([[1.5, 2.0]]).T, "b": torch.tensor(3), "c": torch.tensor([0.5], dtype=torch.float16)}
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))])
    optimizer.param_groups[0]["params"][0].grad = torch.ones(2)
    optimizer.step()
    beside = {
        "iteration": 5,
        "optimizer": optimizer.state_dict(),
        "learning_rate": np.float64(1e-3),
        "hparams": Foreign(x=1),
    }
    file = read_torch(save({place: tensors, **beside} if place else tensors))
    assert (
        file.tensors["a"].tolist() == [[1.5], [2.0]] and file.tensors["b"] == 3 and file.tensors["c"].tolist() == [0.5]
    )
    assert {array.dtype for array in file.tensors.values()} == {np.dtype("float32")}
    if place:
        assert (file.rest["iteration"], file.rest["learning_rate"], file.rest["hparams"].state) == (5, 1e-3, {"x": 1})


def test_tensors_of_a_pickled_module(save, torch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old weight norm is deprecated, and what old files have
        conv = torch.nn.utils.weight_norm(torch.nn.Conv1d(2, 3, 3))
    module = torch.nn.Sequential(conv, torch.nn.BatchNorm1d(3), torch.nn.ModuleList([torch.nn.Linear(3, 2)]))
    file = read_torch(save({"model": module, "iteration": 9}))
    wanted = {name: value.float().numpy() for name, value in module.state_dict().items()}
    assert file.rest == {"iteration": 9} and list(file.tensors) == list(wanted) and "0.weight_g" in wanted
    for name, value in wanted.items():
        np.testing.assert_array_equal(file.tensors[name], value)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", ATTACKS)
def test_a_file_that_wants_code_to_run_is_refused(save, torch, name, protocol, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = save({"state_dict": {"a": torch.zeros(1)}, "extra": ATTACKS[name]}, pickle_protocol=protocol)
    with pytest.raises(InputError, match=rf"x\.pt: .*{name.split('.')[1]}.* never run"):
        read_torch(path)
    assert os.listdir() == []


def test_files_that_cannot_be_used(save, torch, tmp_path):
    path = save({"a": torch.zeros(100)})
    content = path.read_bytes()
    for share in (0.01, 0.3, 0.9, 0.99):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(InputError, match=r"x\.pt: cut off, damaged, or no PyTorch file"):
            read_torch(path)
    for content, complaint in ((b"", "empty"), (b"\x80", "cut off"), (b"Hello, this is text.", "no PyTorch file")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=complaint):
            read_torch(path)
    for content in ([1, 2], {}, {"state_dict": {}}, {"epoch": 3}, torch.zeros(2)):
        with pytest.raises(InputError, match="no tensors by name"):
            read_torch(save(content))
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    program = path.read_bytes()
    for content in (
        program,
        program + b"PK\x05\x06",
    ):  # with these behind it, zipfile sees no archive, and torch.load a program
        path.write_bytes(content)
        with pytest.raises(InputError, match="TorchScript"):
            read_torch(path)


def test_what_is_odd_about_tensors_and_their_dict(save, torch):
    state = collections.OrderedDict(a=torch.ones(2))
    state.get = state.values = state._metadata = 5  # these are pickled too
    assert read_torch(save(collections.OrderedDict(state_dict=state))).tensors["a"].tolist() == [1, 1]
    for kind in (torch.int64, torch.float32):
        with pytest.raises(InputError, match=r"x\.pt: it holds a tensor of \[50000000000000\] with data for 1 numbers"):
            read_torch(save({"a": torch.zeros(1, dtype=kind).expand(50_000_000_000_000)}))


def test_what_is_written_can_be_read_by_pytorch_alone(torch, tmp_path):
    write_torch(
        tmp_path / "x.pt",
        {"iteration": 3, "state_dict": {"a": np.eye(2, 3, dtype=np.float32), "n": np.zeros((), np.int64)}},
    )
    content = torch.load(tmp_path / "x.pt", weights_only=True)
    assert (
        content["iteration"] == 3
        and content["state_dict"]["n"].shape == ()
        and content["state_dict"]["n"].dtype == torch.int64
    )
    np.testing.assert_array_equal(content["state_dict"]["a"].numpy(), np.eye(2, 3))
    assert os.listdir(tmp_path) == ["x.pt"]
