"""Names that a pickle from a stranger may use: stand-ins for classes, and the functions that may be called."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from src.convert.tensors import STORAGE_TYPES, DType, StorageType, rebuild_tensor, rebuild_typed_tensor
from src.errors import InputError, quote


class NeverCalled(type):
    """Metaclass of the stand-ins, which refuses calls: pickle makes an instance by `__new__`, and a call runs code."""

    def __call__(cls, *args: Any, **kwargs: Any) -> None:
        raise InputError(
            f"it asks to run {quote(cls.stands_for)}, and pickled code is never run; save its state_dict() alone"
        )


class StandIn(metaclass=NeverCalled):
    """An object of an unknown class, without its code. Constructor arguments are dropped, the state is kept."""

    stands_for = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> "StandIn":
        self = object.__new__(cls)
        self.state = {}
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}

    def append(self, item: Any) -> None:
        """Drop the item of a list's subclass."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Drop the item of a dict's subclass."""


class Known:
    """A function that a file may call. It wraps the function, whose own attributes a pickle could change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]):
        object.__setattr__(self, "_function", function)

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setattr__(self, name: str, value: Any) -> None:
        raise InputError(f"it tries to change {quote(name)} of a function")


class NumpyType:
    """A numpy dtype by its name, such as `f8`. Byte order and the like, which pickle sets afterwards, are ignored."""

    def __init__(self, name: str, *_: Any):
        if name not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"):
            raise InputError(f"it holds numpy data that are no numbers ({quote(str(name))})")
        self.name = name

    def __setstate__(self, state: Any) -> None:
        pass


class PlainDict(dict):
    """A dict in place of an OrderedDict, without the attributes that pickle sets, which could hide its methods."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class NumpyArray:
    """A numpy array beside the weights, such as the state of a random generator; its numbers are dropped."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


def _bytes(text: str, encoding: str) -> bytes:
    return text.encode({"latin1": "latin1"}[encoding])  # protocol 2 spells bytes so; other codecs do more than that


def _number(kind: NumpyType, content: bytes | str) -> int | float | bool:
    content = content.encode("latin1") if isinstance(content, str) else content  # Python 2 had one type for both
    return np.frombuffer(content, kind.name)[0].item()


def _from_type(function: Known, _: Any, arguments: tuple, *__: Any) -> Any:
    """Make a tensor that has attributes of its own, which are dropped."""
    if function not in _REBUILD.values() or not isinstance(arguments, tuple):
        raise InputError("it makes a tensor by a function that is not one of PyTorch's")
    return function(*arguments)


_REBUILD = {
    ("torch._utils", "_rebuild_tensor"): Known(rebuild_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Known(rebuild_tensor),
    ("torch._utils", "_rebuild_tensor_v3"): Known(rebuild_typed_tensor),
}
KNOWN: Mapping[tuple[str, str], Any] = {
    **_REBUILD,
    ("torch._utils", "_rebuild_parameter"): Known(lambda tensor, *_: tensor),
    ("torch._utils", "_rebuild_parameter_with_state"): Known(lambda tensor, *_: tensor),
    ("torch._tensor", "_rebuild_from_type_v2"): Known(_from_type),
    ("torch", "Size"): Known(tuple),
    ("torch", "device"): Known(lambda *_: None),
    # Modules pickled by PyTorch before 1.3 carry the result of this call, the WaveGlow that most people hold too.
    ("torch.nn.backends.thnn", "_get_thnn_function_backend"): Known(lambda *_: None),
    ("collections", "OrderedDict"): PlainDict,
    ("collections", "defaultdict"): Known(lambda *_: {}),
    ("collections", "Counter"): PlainDict,
    ("collections", "deque"): Known(lambda *_: []),
    ("builtins", "complex"): Known(complex),
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("_codecs", "encode"): Known(_bytes),
    ("numpy", "dtype"): Known(NumpyType),
    **{(f"numpy.{core}.multiarray", "scalar"): Known(_number) for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): Known(lambda *_: NumpyArray()) for core in ("core", "_core")},
    **{
        ("pathlib", f"{kind}Path"): Known(lambda *parts: "/".join(map(str, parts))) for kind in ("Posix", "Windows", "")
    },
    **{("torch", name): DType(name) for name in set(STORAGE_TYPES.values())},
    **{
        (module, name): StorageType(name)
        for module in ("torch", "torch.cuda", "torch.storage")
        for name in STORAGE_TYPES
    },
}
