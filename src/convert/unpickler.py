"""A restricted unpickler for files from strangers: no code in a file runs, and work and memory stay bounded.

It knows containers, numbers, and the tensors of PyTorch. Any other class becomes a stand-in that holds the object's
state, which is enough to take tensors out of pickled modules. A file that asks for any other function to be called is
refused.

The standard library's Python unpickler does the parsing, because its opcodes can be counted and replaced one by one. A
pickle has at most `LONGEST` bytes and `MOST_OPCODES` opcodes, so that reading one ends within seconds and takes below
512 MB.
"""

import io
import pickle
from collections.abc import Callable, Iterable
from typing import Any

from src.convert.pickled import KNOWN, Known, NeverCalled, NumpyArray, NumpyType, PlainDict, StandIn
from src.convert.tensors import DType, Storage, StorageType
from src.errors import InputError, quote

LONGEST = 16 << 20  # bytes; the pickle of a checkpoint with 1,000 tensors has 0.1 MB
MOST_OPCODES = 1_000_000  # that checkpoint has 20,000
MOST_CLASSES = 10_000  # a class takes 1 kB, its name in the pickle a few bytes
MOST_COPIED = 16 << 20  # characters and items that calls may copy out of what was read before
MOST_TUPLE_KEYS = 1000  # hashes of tuples are easy to make equal, and a dict of n equal ones takes n^2 steps
LONGEST_NAME = 1000


def _hashable(keys: Iterable[Any]) -> list[Any]:
    """Return `keys` if each is hashed in constant time, to a value that a file cannot choose at will.

    Raises:
        InputError: nested tuples, long integers, frozen sets and the like, with which a small file keeps a computer
            busy for hours.
    """
    keys = list(keys)
    for key in keys:
        for part in key if isinstance(key, tuple) and len(key) <= 16 else (key,):
            plain = part is None or isinstance(part, str | bytes | float | StandIn | type | DType | StorageType)
            if not plain and not (isinstance(part, int) and abs(part) < 1 << 63):
                raise InputError("it holds a dict or set with keys that are neither texts nor numbers")
    return keys


class _Opcodes(dict):
    """The handlers of pickle's opcodes; a look-up counts."""

    left = MOST_OPCODES

    def __getitem__(self, code: int) -> Callable[..., None]:
        self.left -= 1
        if self.left < 0:
            raise InputError(f"its pickle has more than {MOST_OPCODES:,} opcodes, and that of a checkpoint far fewer")
        return super().__getitem__(code)


class Unpickler(pickle._Unpickler):
    """`pickle.Unpickler` that finds only what `KNOWN` lists, and stand-ins.

    Args:
        file: bytes that begin with a pickle.
        storage: makes the storage of a persistent id (type, key, number of elements, view of another storage).
    """

    def __init__(self, file: io.BytesIO, storage: Callable[..., Storage] | None = None):
        super().__init__(file, encoding="latin1")
        self.dispatch = _Opcodes(HANDLERS)
        self._storage = storage
        self._classes: dict[str, type[StandIn]] = {}
        self._copied = 0
        self._tuple_keys = 0

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for `module.name` here."""
        module = "builtins" if module == "__builtin__" else module  # as Python 2 called it, and protocol 2 does
        if (module, name) in KNOWN:
            return KNOWN[module, name]
        full = f"{module[:LONGEST_NAME]}.{name[:LONGEST_NAME]}"
        if full not in self._classes:
            if len(self._classes) == MOST_CLASSES:
                raise InputError(f"it names more than {MOST_CLASSES:,} classes")
            self._classes[full] = NeverCalled("StandIn", (StandIn,), {"stands_for": full})
        return self._classes[full]

    def persistent_load(self, saved: Any) -> Any:
        """Return the storage that a persistent id describes, or the class that old modules carry with its source."""
        if isinstance(saved, tuple) and len(saved) >= 2 and saved[0] == "module":
            return saved[1]
        if self._storage is None or not isinstance(saved, tuple) or len(saved) < 5 or saved[0] != "storage":
            raise InputError("it refers to data outside of it")
        kind, key, _, numel, *view = saved[1:]
        if not isinstance(kind, StorageType):
            raise InputError(
                f"it holds numbers of a kind that is not known ({quote(getattr(kind, 'stands_for', '?'))})"
            )
        if not isinstance(numel, int) or numel < 0:
            raise InputError("it holds a storage without a size")
        return self._storage(kind.dtype, str(key), numel, view[0] if view else None)

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(arguments, tuple) or not isinstance(function, Known | type):
            raise InputError("it calls what is no function")
        if isinstance(function, NeverCalled):
            return function(*arguments)  # refuses
        self._copied += sum(len(each) for each in (arguments, *arguments) if hasattr(type(each), "__len__"))
        if self._copied > MOST_COPIED:
            raise InputError("it copies the same data over and over")
        if isinstance(function, type) and arguments:  # a dict or set out of another container
            content = list(arguments[0].items() if isinstance(arguments[0], dict) else arguments[0])
            self._check_keys((key for key, _ in content) if function is PlainDict else content)
            return function(content)
        return function(*arguments)

    def _check_keys(self, keys: Iterable[Any]) -> None:
        self._tuple_keys += sum(isinstance(key, tuple) for key in _hashable(keys))
        if self._tuple_keys > MOST_TUPLE_KEYS:
            raise InputError("it holds dicts or sets with too many tuples as keys")

    def _instantiate(self, cls: Any, arguments: list[Any]) -> None:
        if isinstance(cls, NeverCalled) and not arguments:
            self.append(cls.__new__(cls))
        else:
            self.append(self._call(cls, tuple(arguments)))

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], arguments)

    def _new(self) -> None:
        self.stack.pop()
        cls = self.stack.pop()
        if not isinstance(cls, NeverCalled):
            raise InputError("it makes an instance of what is no class")
        self.append(cls.__new__(cls))

    def _new_with_keywords(self) -> None:
        self.stack.pop()
        self._new()

    def _build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], StandIn | NumpyType | NumpyArray | PlainDict):
            raise InputError(f"it tries to change a {type(self.stack[-1]).__name__}")
        self.stack[-1].__setstate__(state)

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict | StandIn) or len(items) % 2:
            raise InputError("it sets items of what is no dict")
        self._check_keys(items[::2])
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key] = value

    def _append_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list | StandIn):
            raise InputError("it appends to what is no list")
        for item in items:
            target.append(item)

    def _add_items(self) -> None:
        items = self.pop_mark()
        if not isinstance(self.stack[-1], set):
            raise InputError("it adds to what is no set")
        self._check_keys(items)
        self.stack[-1].update(items)

    def _frozen_set(self) -> None:
        items = self.pop_mark()
        self._check_keys(items)
        self.append(frozenset(items))

    def _dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._set_items(items)


# Out-of-band buffers and the extension registry are not among them: a file cannot bring either.
HANDLERS = {
    code: handler for code, handler in pickle._Unpickler.dispatch.items() if code not in b"\x82\x83\x84\x96\x97\x98"
} | {
    code[0]: handler
    for code, handler in {
        pickle.REDUCE: Unpickler._reduce,
        pickle.NEWOBJ: Unpickler._new,
        pickle.NEWOBJ_EX: Unpickler._new_with_keywords,
        pickle.BUILD: Unpickler._build,
        pickle.SETITEM: lambda self: self._set_items([self.stack.pop(-2), self.stack.pop()]),
        pickle.SETITEMS: lambda self: self._set_items(self.pop_mark()),
        pickle.APPEND: lambda self: self._append_items([self.stack.pop()]),
        pickle.APPENDS: lambda self: self._append_items(self.pop_mark()),
        pickle.ADDITEMS: Unpickler._add_items,
        pickle.FROZENSET: Unpickler._frozen_set,
        pickle.DICT: Unpickler._dict,
    }.items()
}
