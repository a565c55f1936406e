"""Read a pickle of arrays without running anything that it says, and without holding it in memory.

A pickle is a program: unpickled plainly, a file can run any command. Here only numbers, text, plain containers and
NumPy arrays are understood; the names of the NumPy functions that rebuild arrays lead to stand-ins of this module, so
that not even NumPy's own code is called on what the file says. Every array is handed to ``convert`` as soon as it is
read, and what the file holds of it is dropped.

This is Python's own reader written in Python (``pickle._Unpickler``): the one in C remembers every byte string that it
has read until the end, so that a file of 4 GB would be held whole whatever becomes of its arrays.
"""

import io
import math
import os
import pathlib
import pickle
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from kerasal.datasets.pickle_size import RefusedPickle, check_keys, ordered_dict, unfold

_SHORT = 1 << 12  # bytes: anything longer is the inside of an array, which nothing in the file refers to again
_AXES = 64  # as many as NumPy takes
_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
_NUMBERS = "biuf"  # booleans, whole numbers, fractions


def read_pickle(path: str | os.PathLike, convert: Callable[[np.ndarray], object] = np.array):
    """Return what the pickle at ``path`` holds, every array replaced by ``convert(array)``.

    Args:
        path: the file; protocols 0 to 5, written with NumPy 1 or 2, by Python 3 or 2.
        convert: called with each array, read-only, whose memory is given up afterwards: return a copy of some kind.

    Raises:
        FileNotFoundError: there is no such file.
        RefusedPickle: it asks for anything else, or refers so often to the same lists that it would never be read to
            its end; the message says what for.
        ValueError: it is truncated, or damaged, or a list contains itself.
    """
    path = pathlib.Path(path)
    with path.open("rb") as file:
        reader = _Reader(_Guarded(file, path.stat().st_size), convert)
        try:
            found = unfold(reader.load(), path.stat().st_size, _Array)
        except RefusedPickle as error:
            raise RefusedPickle(f"{path} is refused: {error} Nothing of it was run.") from None
        except (EOFError, pickle.UnpicklingError) as error:
            where = f"at byte {file.tell():,} of {path.stat().st_size:,}, after {reader.arrays:,} arrays"
            raise ValueError(f"{path} is truncated or damaged {where} ({error}). Get the file again.") from None
        except _DAMAGE as error:
            reason = str(error).strip() or type(error).__name__
            raise ValueError(f"{path} cannot be read as a pickle of arrays: {reason}.") from None
    return found


class _Guarded:
    """A file that says where it ends instead of returning less, or making room for lengths that cannot be true."""

    def __init__(self, file: io.BufferedReader, size: int):
        self._file, self._size = file, size

    def read(self, count: int) -> bytes:
        if count > self._size - self._file.tell():
            raise EOFError("the file ends too early")
        return self._file.read(count)

    def readline(self) -> bytes:
        return self._file.readline()


class _Dtype:
    """Stands in for ``numpy.dtype``: a number's type by its code, with the byte order that follows it."""

    def __init__(self, code, *_):
        name = code if isinstance(code, str) else "O"
        self.value = np.dtype(name)
        if self.value.kind not in _NUMBERS:
            raise RefusedPickle(f"it has an array of dtype {name!r}; expected numbers.")

    def __setstate__(self, state):
        order = state[1]
        self.value = self.value.newbyteorder(order if order in ("<", ">") else "=")


class _Array:
    """Stands in for an array: empty when it is announced, converted when its numbers follow."""

    def __init__(self, reader: "_Reader"):
        self.reader, self.value = reader, None

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        self.fill(data, dtype, shape, "F" if fortran else "C")

    def fill(self, data, dtype: _Dtype, shape: tuple, order: Literal["C", "F"]) -> None:
        data = data.encode("latin1") if isinstance(data, str) else data  # Python 2
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | bytearray):
            raise RefusedPickle("it has an array that does not consist of numbers.")
        if not isinstance(shape, tuple) or len(shape) > _AXES or not all(isinstance(side, int) for side in shape):
            raise pickle.UnpicklingError("the shape of an array is no tuple of a few whole numbers")
        if math.prod(shape) * dtype.value.itemsize != len(data) or min(shape, default=0) < 0:
            raise pickle.UnpicklingError(f"an array of shape {shape} has {len(data)} bytes")
        array = np.frombuffer(data, dtype.value).reshape(shape, order=order)
        array.flags.writeable = False
        self.reader.arrays += 1
        self.value = self.reader.convert(array)


class _Dropped:
    """Remembered in the place of an array's bytes."""


_Python: Any = pickle._Unpickler  # of which no stub knows the inside


class _Reader(_Python):
    dispatch = dict(_Python.dispatch)  # noqa: RUF012

    def __init__(self, file: _Guarded, convert: Callable):
        super().__init__(file, encoding="latin1")
        self.convert, self.arrays = convert, 0
        numpy_cores = ("numpy.core", "numpy._core")
        self._known = {
            ("numpy", "ndarray"): "ndarray",
            ("numpy", "dtype"): _Dtype,
            ("_codecs", "encode"): _encode,
            ("collections", "OrderedDict"): ordered_dict,
            ("__builtin__", "bytes"): lambda: b"",  # how protocols 0 to 2 spell it
            ("builtins", "bytes"): lambda: b"",
            **{(f"{core}.multiarray", "_reconstruct"): self._announce for core in numpy_cores},
            **{(f"{core}.numeric", "_frombuffer"): self._from_buffer for core in numpy_cores},
            **{(f"{core}.multiarray", "scalar"): _scalar for core in numpy_cores},
        }

    def find_class(self, module: str, name: str):
        if (module, name) not in self._known:
            raise RefusedPickle(
                f"it tries to import {module}.{name}; expected nothing but NumPy arrays and plain containers."
            )
        return self._known[module, name]

    def persistent_load(self, _):
        raise RefusedPickle("it refers to objects outside the file.")

    def _announce(self, *_) -> _Array:
        return _Array(self)

    def _from_buffer(self, data, dtype, shape, order: Any = "C", *_) -> _Array:
        array = _Array(self)
        array.fill(data, dtype, shape, order)
        return array

    def load_build(self):
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Array | _Dtype):
            raise RefusedPickle(f"it sets the state of a {type(self.stack[-1]).__name__}.")
        self.stack[-1].__setstate__(state)

    def load_reduce(self):
        arguments, function = self.stack.pop(), self.stack[-1]
        if not callable(function) or not isinstance(arguments, tuple):
            raise RefusedPickle(f"it calls {function!r}." if isinstance(function, str) else "it calls no function.")
        self.stack[-1] = function(*arguments)

    def remember(self, place: int) -> None:
        top = self.stack[-1]
        inside = isinstance(top, bytes | bytearray | str) and len(top) > _SHORT
        if isinstance(top, tuple):  # an array's state or arguments hold its bytes too
            inside = any(isinstance(part, bytes | bytearray | str) and len(part) > _SHORT for part in top)
        self.memo[place] = _Dropped if inside else top

    def refuse(self):
        raise RefusedPickle("it makes objects of classes; expected nothing but NumPy arrays and plain containers.")


def _check_keys_first(load: Callable, keys: slice) -> Callable:
    """Return a step of the reader that looks at the keys on the stack before it makes a container of them."""

    def load_checked(reader: _Reader) -> None:
        check_keys(reader.stack[keys])
        load(reader)

    return load_checked


_CLASSES = (pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4)
_BUFFERS = (pickle.NEXT_BUFFER, pickle.READONLY_BUFFER)
_Reader.dispatch |= {
    pickle.BUILD[0]: _Reader.load_build,
    pickle.REDUCE[0]: _Reader.load_reduce,
    pickle.DICT[0]: _check_keys_first(_Python.load_dict, slice(0, None, 2)),
    pickle.SETITEM[0]: _check_keys_first(_Python.load_setitem, slice(-2, -1)),
    pickle.SETITEMS[0]: _check_keys_first(_Python.load_setitems, slice(0, None, 2)),
    pickle.ADDITEMS[0]: _check_keys_first(_Python.load_additems, slice(None)),
    pickle.FROZENSET[0]: _check_keys_first(_Python.load_frozenset, slice(None)),
    pickle.MEMOIZE[0]: lambda reader: reader.remember(len(reader.memo)),
    pickle.PUT[0]: lambda reader: reader.remember(int(reader.readline()[:-1])),
    pickle.BINPUT[0]: lambda reader: reader.remember(reader.read(1)[0]),
    pickle.LONG_BINPUT[0]: lambda reader: reader.remember(int.from_bytes(reader.read(4), "little")),
    pickle.BYTEARRAY8[0]: lambda reader: reader.append(
        bytearray(reader.read(int.from_bytes(reader.read(8), "little")))
    ),
    **{code[0]: _Reader.refuse for code in _CLASSES + _BUFFERS},
}


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if not isinstance(encoding, str) or encoding != "latin1":
        raise RefusedPickle(f"it encodes text as {encoding!r}." if isinstance(encoding, str) else "it encodes no text.")
    return text.encode("latin1")


def _scalar(dtype: _Dtype, data):
    data = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(data, dtype.value, 1)[0].item()
