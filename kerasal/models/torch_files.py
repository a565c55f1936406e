"""Read the arrays of a PyTorch file without PyTorch and without executing code in the file.

This is the format that ``torch.save`` wrote before PyTorch 1.6: four pickles (a magic number, a version, the machine's
type sizes, and the object), the sorted keys of the storages, and for each storage its length and its numbers. Newer
files are zip archives, which this reader refuses.
"""

import collections
import io
import math
import os
import pathlib
import pickle
from typing import Any, NamedTuple

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_DTYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8", "LongStorage": "<i8"}


class _StorageType(NamedTuple):
    dtype: str


class _Tensor(NamedTuple):
    """A tensor before its numbers are read; ``offset`` and ``strides`` count elements of the storage."""

    storage: tuple[str, str, int]  # key, dtype, length
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the arrays of a ``state_dict`` in a PyTorch file by name, in the order of the file.

    Args:
        path: a file that ``torch.save(model.state_dict(), path)`` wrote in the format before PyTorch 1.6.

    Raises:
        FileNotFoundError: ``path`` does not exist.
        ValueError: the file is damaged, is of another format, or contains objects other than arrays. No code in it was
            executed.
    """
    path = pathlib.Path(path)
    data = path.read_bytes()
    file = io.BytesIO(data)
    try:
        if _Reader(file).load() != _MAGIC or _Reader(file).load() != _VERSION:
            raise ValueError("it does not begin with the magic number of the format")
        if _Reader(file).load().get("little_endian") is not True:
            raise ValueError("its numbers are not little-endian")
        tensors, keys = _Reader(file).load(), _Reader(file).load()
        if not isinstance(tensors, dict) or not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
            raise ValueError("it contains objects other than named arrays")
        storages = _read_storages(data, file.tell(), keys, {tensor.storage[0]: tensor for tensor in tensors.values()})
        return {str(name): _view(storages[tensor.storage[0]], tensor) for name, tensor in tensors.items()}
    except Exception as error:  # a damaged pickle raises almost any class
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise ValueError(
            f"{path} must be a state_dict in the format of PyTorch before 1.6: {reason}. No code in it was executed. "
            "Download the file again."
        ) from None


class _Reader(pickle.Unpickler):
    """An unpickler that knows ordered dictionaries, tensors and storages, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _make_tensor
        if module == "torch" and name in _DTYPES:
            return _StorageType(_DTYPES[name])
        raise ValueError(f"it tries to import {module}.{name}")

    def persistent_load(self, pid: Any) -> tuple[str, str, int]:
        kind, storage_type, key, _, length, view = pid
        if kind != "storage" or view is not None:
            raise ValueError(f"it refers to a {kind!r} outside the file")
        return str(key), storage_type.dtype, int(length)


def _make_tensor(storage, offset, shape, strides, *_) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _read_storages(data: bytes, position: int, keys: list[str], tensors: dict[str, _Tensor]) -> dict[str, np.ndarray]:
    """Return the storages by key; in the file they follow each other in the order of ``keys``."""
    storages = {}
    for key in keys:
        _, dtype, length = tensors[key].storage
        if int.from_bytes(data[position : position + 8], "little") != length:
            raise ValueError(f"the storage {key} does not have {length} elements")
        storages[key] = np.frombuffer(data, dtype, length, position + 8)
        position += 8 + storages[key].nbytes
    if position != len(data):
        raise ValueError(f"{len(data) - position:+,} bytes follow the last storage")
    return storages


def _view(storage: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """Return a tensor as a contiguous array; the bounds are checked, because NumPy's strides are not."""
    sides = list(zip(tensor.shape, tensor.strides, strict=True))
    last = tensor.offset + sum((side - 1) * stride for side, stride in sides)
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0 or (math.prod(tensor.shape) and last >= storage.size):
        raise ValueError(f"a tensor of shape {tensor.shape} exceeds its storage of {storage.size} elements")
    strides = [stride * storage.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)
    return np.ascontiguousarray(view).reshape(tensor.shape)
