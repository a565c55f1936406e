"""Load a pickle of arrays without executing code in it and without keeping all of it in memory.

Loading a pickle with ``pickle.load`` can run any command. This reader supports only numbers, text, plain containers and
NumPy arrays. The NumPy functions that rebuild arrays are replaced by stand-ins of this module, so the file cannot call
any code of NumPy either. Every array is passed to ``convert`` as soon as it is read, and its bytes are freed.

The reader extends Python's ``pickle._Unpickler``. The implementation in C keeps all byte strings until the end, so it
would need memory for the whole file.
"""

import io
import math
import os
import pathlib
import pickle
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from kerasal.datasets.pickle_size import RefusedPickle, check_keys, ordered_dict, replace_stand_ins

_SHORT = 1 << 12  # longer byte strings are contents of arrays, to which nothing else in the file refers
_AXES = 64  # the maximum of NumPy
_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
_NUMBERS = "biuf"  # booleans, integers, floats


def read_pickle(path: str | os.PathLike, convert: Callable[[np.ndarray], object] = np.array):
    """Return the object in the pickle at ``path``, with every array replaced by ``convert(array)``.

    Args:
        path: path of a pickle of protocol 0 to 5, written with NumPy 1 or 2 and Python 2 or 3.
        convert: function that is called with each array, which is read-only and freed afterwards, so it must return a
            copy.

    Raises:
        FileNotFoundError: ``path`` does not exist.
        RefusedPickle: the pickle has other objects, or repeated references that expand to an excessive size.
        ValueError: the pickle is truncated or damaged, or a list contains itself.
    """
    path = pathlib.Path(path)
    with path.open("rb") as file:
        reader = _Reader(_BoundedFile(file, path.stat().st_size), convert)
        try:
            result = replace_stand_ins(reader.load(), path.stat().st_size, _Array)
        except RefusedPickle as error:
            raise RefusedPickle(f"{path} is refused: {error} No code in it was executed.") from None
        except (EOFError, pickle.UnpicklingError) as error:
            where = f"at byte {file.tell():,} of {path.stat().st_size:,}, after {reader.arrays:,} arrays"
            raise ValueError(f"{path} is truncated or damaged {where} ({error}). Download the file again.") from None
        except _DAMAGE as error:
            reason = str(error).strip() or type(error).__name__
            raise ValueError(f"{path} cannot be read as a pickle of arrays: {reason}.") from None
    return result


class _BoundedFile:
    """A file that raises an EOFError for a length beyond its end, before memory is allocated."""

    def __init__(self, file: io.BufferedReader, size: int):
        self._file, self._size = file, size

    def read(self, count: int) -> bytes:
        if count > self._size - self._file.tell():
            raise EOFError("the file ends too early")
        return self._file.read(count)

    def readline(self) -> bytes:
        return self._file.readline()


class _Dtype:
    """Stand-in for ``numpy.dtype``, with the type code as argument and the byte order in its state."""

    def __init__(self, code, *_):
        name = code if isinstance(code, str) else "O"
        self.value = np.dtype(name)
        if self.value.kind not in _NUMBERS:
            raise RefusedPickle(f"arrays must have numbers, got dtype {name!r}.")

    def __setstate__(self, state):
        order = state[1]
        self.value = self.value.newbyteorder(order if order in ("<", ">") else "=")


class _Array:
    """Stand-in for an array; its value is None until the numbers are read and converted."""

    def __init__(self, reader: "_Reader"):
        self.reader, self.value = reader, None

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        self.fill(data, dtype, shape, "F" if fortran else "C")

    def fill(self, data, dtype: _Dtype, shape: tuple, order: Literal["C", "F"]) -> None:
        data = data.encode("latin1") if isinstance(data, str) else data  # of Python 2
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | bytearray):
            raise RefusedPickle("arrays must have numbers, got another object.")
        if not isinstance(shape, tuple) or len(shape) > _AXES or not all(isinstance(side, int) for side in shape):
            raise pickle.UnpicklingError("the shape of an array must be a tuple of integers")
        if math.prod(shape) * dtype.value.itemsize != len(data) or min(shape, default=0) < 0:
            raise pickle.UnpicklingError(f"an array of shape {shape} has {len(data)} bytes")
        array = np.frombuffer(data, dtype.value).reshape(shape, order=order)
        array.flags.writeable = False
        self.reader.arrays += 1
        self.value = self.reader.convert(array)


class _DroppedBytes:
    """Placeholder for the bytes of an array in the unpickler's memo, which would keep them in memory."""


_Python: Any = pickle._Unpickler  # not covered by type stubs


class _Reader(_Python):
    dispatch = dict(_Python.dispatch)  # noqa: RUF012

    def __init__(self, file: _BoundedFile, convert: Callable):
        super().__init__(file, encoding="latin1")
        self.convert, self.arrays = convert, 0
        numpy_cores = ("numpy.core", "numpy._core")
        self._allowed = {
            ("numpy", "ndarray"): "ndarray",
            ("numpy", "dtype"): _Dtype,
            ("_codecs", "encode"): _encode,
            ("collections", "OrderedDict"): ordered_dict,
            ("__builtin__", "bytes"): lambda: b"",  # the name in protocols 0 to 2
            ("builtins", "bytes"): lambda: b"",
            **{(f"{core}.multiarray", "_reconstruct"): self._make_array for core in numpy_cores},
            **{(f"{core}.numeric", "_frombuffer"): self._from_buffer for core in numpy_cores},
            **{(f"{core}.multiarray", "scalar"): _scalar for core in numpy_cores},
        }

    def find_class(self, module: str, name: str):
        if (module, name) not in self._allowed:
            raise RefusedPickle(
                f"it tries to import {module}.{name}. It must have only NumPy arrays and plain containers."
            )
        return self._allowed[module, name]

    def persistent_load(self, _):
        raise RefusedPickle("it refers to objects outside the file.")

    def _make_array(self, *_) -> _Array:
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

    def remember(self, position: int) -> None:
        top = self.stack[-1]
        has_long_bytes = isinstance(top, bytes | bytearray | str) and len(top) > _SHORT
        if isinstance(top, tuple):  # the state or the arguments of an array also have its bytes
            has_long_bytes = any(isinstance(part, bytes | bytearray | str) and len(part) > _SHORT for part in top)
        self.memo[position] = _DroppedBytes if has_long_bytes else top

    def refuse(self):
        raise RefusedPickle("it creates objects of classes. It must have only NumPy arrays and plain containers.")


def _add_key_check(load: Callable, keys: slice) -> Callable:
    """Return a reader method that checks the keys on the stack before it adds them to a container."""

    def load_with_check(reader: _Reader) -> None:
        check_keys(reader.stack[keys])
        load(reader)

    return load_with_check


_CLASSES = (pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4)
_BUFFERS = (pickle.NEXT_BUFFER, pickle.READONLY_BUFFER)
_Reader.dispatch |= {
    pickle.BUILD[0]: _Reader.load_build,
    pickle.REDUCE[0]: _Reader.load_reduce,
    pickle.DICT[0]: _add_key_check(_Python.load_dict, slice(0, None, 2)),
    pickle.SETITEM[0]: _add_key_check(_Python.load_setitem, slice(-2, -1)),
    pickle.SETITEMS[0]: _add_key_check(_Python.load_setitems, slice(0, None, 2)),
    pickle.ADDITEMS[0]: _add_key_check(_Python.load_additems, slice(None)),
    pickle.FROZENSET[0]: _add_key_check(_Python.load_frozenset, slice(None)),
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
