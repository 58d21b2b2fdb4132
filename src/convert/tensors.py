"""Tensors as PyTorch files describe them: views into storages, turned into numpy arrays when they are wanted."""

import math
from typing import Any

import numpy as np

from src.errors import InputError

STORAGE_TYPES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
MOST_DIMENSIONS = 32  # numpy's own limit before version 2


class DType:
    """A PyTorch dtype by its name, such as `float32`."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name


class StorageType:
    """A class of PyTorch's storages, such as `FloatStorage`."""

    __slots__ = ("dtype",)

    def __init__(self, name: str):
        self.dtype = STORAGE_TYPES[name]


class Storage:
    """A row of numbers. In the older file format its bytes come after the pickle that names it."""

    __slots__ = ("content", "dtype", "numel")

    def __init__(self, dtype: str, numel: int, content: memoryview | None = None):
        self.dtype = dtype
        self.numel = numel
        self.content = content  # exactly the bytes of `numel` numbers

    @property
    def nbytes(self) -> int:
        """Bytes that the numbers take in the file."""
        return self.numel * numpy_type(self.dtype).itemsize

    def numpy(self, dtype: str) -> np.ndarray:
        """Return the numbers as a read-only array of `dtype`, which is the storage's own unless that is untyped."""
        if self.content is None:
            raise InputError("it lacks the data of a storage")
        return np.frombuffer(self.content, numpy_type(dtype))


class Tensor:
    """A view into a storage; sizes are checked against it when the view is made."""

    __slots__ = ("dtype", "offset", "shape", "storage", "strides")

    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: str):
        self.storage = storage
        self.offset = offset
        self.shape = shape
        self.strides = strides  # in elements
        self.dtype = dtype

    @property
    def nbytes(self) -> int:
        """Bytes that the tensor takes as an array of its own."""
        return math.prod(self.shape) * numpy_type(self.dtype).itemsize

    def numpy(self) -> np.ndarray:
        """Return a contiguous copy: float32 for numbers with a fraction, otherwise the tensor's own type."""
        flat = self.storage.numpy(self.dtype)
        strides = [step * flat.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides, writeable=False)
        return to_float32(view, self.dtype)


def numpy_type(dtype: str) -> np.dtype:
    """Return the little-endian numpy type of numbers of `dtype` in a file: uint16 for bfloat16, which numpy lacks."""
    return np.dtype("uint16" if dtype == "bfloat16" else dtype).newbyteorder("<")


def to_float32(array: np.ndarray, dtype: str) -> np.ndarray:
    """Return a contiguous copy of `array`, whose numbers are of `dtype`: float32 if that is a type with fractions."""
    if dtype == "bfloat16":  # the upper half of a float32
        return (np.ascontiguousarray(array).astype(np.uint32) << 16).view(np.float32).reshape(array.shape)
    native = np.dtype(dtype)
    with np.errstate(over="ignore"):  # infinity is refused by the tensor's name later
        return np.array(array, np.float32 if native.kind == "f" else native, order="C")


def rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    """Return the view that a file describes, without the hooks that it may bring.

    Raises:
        InputError: the tensor has more numbers than its storage, or lies partly outside of it.
    """
    dtype = storage.dtype if isinstance(storage, Storage) else ""
    return _view(storage, offset, shape, strides, dtype)


def rebuild_typed_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, _: Any, __: Any, dtype: Any, *___: Any
) -> Tensor:
    """Return a view into an untyped storage; otherwise like `rebuild_tensor`."""
    if not isinstance(dtype, DType):
        raise InputError("it holds a tensor of a type that is not known")
    return _view(storage, offset, shape, strides, dtype.name)


def _view(storage: Any, offset: Any, shape: Any, strides: Any, dtype: str) -> Tensor:
    described = (offset, *shape, *strides) if isinstance(shape, tuple) and isinstance(strides, tuple) else (None,)
    if not isinstance(storage, Storage) or not all(isinstance(each, int) and 0 <= each < 1 << 63 for each in described):
        raise InputError("it holds a tensor without a storage or a size")
    if len(shape) > MOST_DIMENSIONS or len(shape) != len(strides):
        raise InputError(f"it holds a tensor with {len(shape)} dimensions and {len(strides)} strides")
    numel = storage.nbytes // numpy_type(dtype).itemsize
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if math.prod(shape) > numel or (math.prod(shape) and last >= numel):
        raise InputError(f"it holds a tensor of {list(shape)} with data for {numel} numbers")
    return Tensor(storage, offset, shape, strides, dtype)
