"""PyTorch files: read without running what is pickled in them, and written.

torch.load finds its way in both file formats; what it unpickles with is ours. That unpickler knows tensors, containers and numbers. Any
other class becomes a stand-in that only holds its state, which is enough to take tensors out of pickled modules, and a file that wants
anything else called is refused.
"""

import functools
import importlib
import io
import math
import pickle
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.errors import InputError, quote
from src.files import write_atomically

INSTALL = "pip install torch --index-url https://download.pytorch.org/whl/cpu"


class TorchFile(NamedTuple):
    """Content of a PyTorch file."""

    tensors: dict[str, np.ndarray]  # by dotted name, float32
    rest: dict[str, Any]  # what else lies beside them, such as `iteration` or `config`


class NeverCalled(type):
    """Class of the stand-ins: pickle makes an instance by `__new__`, and what it would run by a call."""

    def __call__(cls, *args: Any, **kwargs: Any) -> None:
        raise InputError(f"it asks to run {quote(cls.stands_for)}, and pickled code is never run")


class StandIn(metaclass=NeverCalled):
    """An object of a class that is not known here, without any of its code: what it was made of is dropped, its state is kept."""

    stands_for = ""
    dump_patches = False  # torch.load looks for this on classes whose source a file carries; True would write files

    def __new__(cls, *args: Any, **kwargs: Any) -> "StandIn":
        self = object.__new__(cls)
        self.state = {}
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}

    def append(self, item: Any) -> None:
        """Items of a list's subclass are dropped."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """So are those of a dict's."""


class Known:
    """A function that a file may call; not the function itself, whose attributes a pickle could change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]):
        object.__setattr__(self, "_function", function)

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setattr__(self, name: str, value: Any) -> None:
        raise InputError(f"it tries to change {quote(name)} of a function")


class NumpyType:
    """A numpy dtype by its name, such as `f8`; byte order and the like, which pickle sets afterwards, are ignored."""

    def __init__(self, name: str, *_: Any):
        if name not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"):
            raise InputError(f"it holds numpy data that are no numbers ({quote(str(name))})")
        self.name = name

    def __setstate__(self, state: Any) -> None:
        pass


class PlainDict(dict):
    """What becomes of an OrderedDict: a dict without the attributes that pickle sets afterwards, which could hide its methods."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class Unpickler(pickle.Unpickler):
    """`pickle.Unpickler` that finds nothing but what `KNOWN` lists, dtypes, and stand-ins."""

    def find_class(self, module: str, name: str) -> Any:
        """What a file gets when it asks for `module.name`."""
        module = "builtins" if module == "__builtin__" else module  # as Python 2 called it, and protocol 2 does
        if (module, name) in KNOWN:
            return KNOWN[module, name]
        if module == "torch":
            torch = importlib.import_module("torch")
            if isinstance(dtype := vars(torch).get(name), torch.dtype):
                return dtype
        return stand_in(f"{module}.{name}")


@functools.lru_cache(maxsize=1000)
def stand_in(name: str) -> type[StandIn]:
    """The class that takes the place of the class or function `name`."""
    return NeverCalled("StandIn", (StandIn,), {"stands_for": name})


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Any:
    if math.prod(size) > storage.size():
        raise InputError(f"it holds a tensor of {list(size)} with data for {storage.size()} numbers")
    torch = importlib.import_module("torch")
    return torch._utils._rebuild_tensor(storage, offset, size, stride)  # without the hooks that a file may give it


def _bytes(text: str, encoding: str) -> bytes:
    return text.encode({"latin1": "latin1"}[encoding])  # how protocol 2 spells bytes; other codecs do more than that


def _number(kind: NumpyType, content: bytes) -> int | float | bool:
    return np.frombuffer(content, kind.name)[0].item()


KNOWN: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): PlainDict,
    ("collections", "defaultdict"): Known(lambda *_: {}),
    ("collections", "Counter"): Known(dict),
    **{("builtins", each.__name__): each for each in (set, frozenset, complex)},
    ("_codecs", "encode"): Known(_bytes),
    **{(f"numpy.{core}.multiarray", "scalar"): Known(_number) for core in ("core", "_core")},
    ("numpy", "dtype"): Known(NumpyType),
    # Modules pickled by PyTorch before 1.3, which includes the WaveGlow that most people hold, each carry the result of this call.
    ("torch.nn.backends.thnn", "_get_thnn_function_backend"): Known(lambda *_: None),
    ("torch", "Size"): Known(tuple),
    ("torch", "device"): Known(lambda *_: None),
    ("torch._utils", "_rebuild_tensor"): Known(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Known(_tensor),
    ("torch._utils", "_rebuild_parameter"): Known(lambda tensor, *_: tensor),
}


def read_torch(path: str | Path) -> TorchFile:
    """Read a PyTorch file, in the zip or the older format, without running code that is pickled in it.

    The tensors are those of `{name: tensor}`, of such a dict under `state_dict` or `model`, or of a pickled module in their place.

    Raises:
        InputError: PyTorch is not installed; no such file, unreadable or damaged; it asks for code to be run (named); no tensors by name.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    torch = _import_torch(path)
    try:
        content = io.BytesIO(path.read_bytes())  # with a file that has a name, torch.load would try older formats still
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    restricted = types.ModuleType("restricted_pickle")
    restricted.Unpickler = Unpickler
    restricted.load = lambda file, **options: Unpickler(file, **options).load()
    try:
        _refuse_programs(content, torch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(content, map_location="cpu", pickle_module=restricted, weights_only=False)
        return _tensors_and_rest(loaded, torch.Tensor)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # rubbish makes torch.load and what follows raise whatever there is
        raise InputError(f"{path}: cut off, damaged, or no PyTorch file") from error


def write_torch(path: str | Path, content: dict[str, Any]) -> None:
    """Write `content`, in which dicts of arrays become dicts of tensors, as a PyTorch file that appears complete or not at all.

    Raises:
        InputError: PyTorch is not installed, or the file cannot be written.
    """
    torch = _import_torch(path)

    def tensors(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: tensors(each) for name, each in value.items()}
        return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value

    buffer = io.BytesIO()
    torch.save(tensors(content), buffer)
    write_atomically(path, buffer.getvalue())


def _import_torch(path: str | Path) -> types.ModuleType:
    try:
        return importlib.import_module("torch")  # only conversion needs it, and it is large
    except ImportError as error:
        raise InputError(f"{path}: PyTorch files need PyTorch; install it with `{INSTALL}`") from error


def _refuse_programs(content: io.BytesIO, torch: types.ModuleType) -> None:
    """torch.load would run a TorchScript archive. What it takes for one is asked of its own zip reader, as others see other archives."""
    if (
        content.getbuffer()[:4] == b"PK\x03\x04"
        and "constants.pkl" in torch._C.PyTorchFileReader(content).get_all_records()
    ):
        raise InputError("a TorchScript program, not weights; save its `state_dict()`")
    content.seek(0)


def _tensors_and_rest(content: Any, tensor_type: type) -> TorchFile:
    rest: dict[str, Any] = {}
    state = content
    if isinstance(content, dict):
        place = next((name for name in ("state_dict", "model") if isinstance(content.get(name), dict | StandIn)), None)
        if place:
            state, rest = content[place], {name: value for name, value in content.items() if name != place}
    if isinstance(state, StandIn):
        state = dict(_module_tensors(state, tensor_type))
    if not isinstance(state, dict) or not state or not all(isinstance(value, tensor_type) for value in state.values()):
        raise InputError("no tensors by name in it, neither at the top nor under 'state_dict' or 'model'")
    return TorchFile({str(name): value.detach().float().numpy() for name, value in state.items()}, rest)


def _module_tensors(module: StandIn, tensor_type: type, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Parameters and buffers of a pickled module by dotted name, as its `state_dict()` would have them."""
    if depth > 50:
        raise InputError("its modules contain each other")
    transient = module.state.get("_non_persistent_buffers_set", ())
    for kind in ("_parameters", "_buffers"):
        for name, value in (module.state.get(kind) or {}).items():
            if isinstance(value, tensor_type) and name not in transient:
                yield f"{prefix}{name}", value
    for name, child in (module.state.get("_modules") or {}).items():
        if isinstance(child, StandIn):
            yield from _module_tensors(child, tensor_type, f"{prefix}{name}.", depth + 1)
