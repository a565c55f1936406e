"""Whose code it is: a library's, which does not change, or the user's, and which names that refers to."""

import dis
import os
import sys
import types
from typing import Any

import numpy as np

import kerasal

import keras
import tensorflow as tf

# Libraries whose functions and classes are constants. Their layers are read nevertheless, since users change those.
_CONSTANT = sys.stdlib_module_names | {"tensorflow", "keras", "numpy", "kerasal"}
_FOLDERS = tuple(os.path.dirname(os.path.realpath(module.__file__)) + os.sep for module in (os, tf, keras, np, kerasal))
_TRAINING_METHODS = frozenset((
    "__init__", "build", "build_from_config", "compile", "compile_from_config", "compute_loss", "compute_metrics",
    "evaluate", "fit", "from_config", "get_build_config", "get_compile_config", "get_config", "load_own_variables",
    "predict_step", "save_own_variables", "test_step", "train_step",
))  # fmt: skip
_HEAP_TYPE = 1 << 9  # of a class that was made while the program ran


def is_constant(thing: Any) -> bool:
    """Tell whether a class or function is part of a library, whose code does not change.

    A function only is if its code lies in the library: ``functools.wraps`` gives others its name. So is a class only
    if it can be found there, but for local ones.
    """
    if package(thing) not in _CONSTANT:
        return False
    if isinstance(thing, types.FunctionType):
        return _in_library(thing.__code__.co_filename)
    if isinstance(thing, type) and thing.__flags__ & _HEAP_TYPE and "<locals>" not in thing.__qualname__:
        found = sys.modules.get(thing.__module__)
        for name in thing.__qualname__.split("."):
            found = getattr(found, name, None)
        return found is thing or (found is None and thing.__module__ not in ("types", "builtins", "abc"))
    return True


def is_library(module: types.ModuleType) -> bool:
    """Tell whether a module belongs to the libraries that do not change."""
    return _first_part(module.__name__) in _CONSTANT


def is_own_module(module: types.ModuleType) -> bool:
    """Tell whether a module is the user's: a file, and not one of an installed package."""
    file = getattr(module, "__file__", None)
    return bool(file) and not is_library(module) and not _in_library(file)


def loaded_names(function: types.FunctionType | types.CodeType) -> set[str]:
    """Return the names that a function's code reads, attributes and globals, and the strings in it."""
    names = set()
    for instruction in dis.get_instructions(function):
        if isinstance(instruction.argval, str) and not instruction.opname.startswith("STORE"):
            names.add(instruction.argval)
        if isinstance(instruction.argval, types.CodeType):
            names |= loaded_names(instruction.argval)
    return names


def library_names(kind: type) -> frozenset[str]:
    """Return the names that the code of a class's library bases, such as ``keras.Layer``, may read."""
    parts = [part for base in kind.__mro__ if is_constant(base) for part in vars(base).values()]
    functions = [part.fget if isinstance(part, property) else part for part in parts]
    return frozenset(
        name for part in functions if isinstance(part, types.FunctionType) for name in global_names(part.__code__)
    )


def names_in_call(kind: type) -> set[str]:
    """Return the names that the code of a user's layer refers to, but for its training and saving."""
    own = [vars(base).items() for base in kind.__mro__ if not is_constant(base)]
    methods = [part for items in own for name, part in items if name not in _TRAINING_METHODS]
    methods = [part.fget if isinstance(part, property) else part for part in methods]
    functions = [part for part in methods if isinstance(part, types.FunctionType)]
    return {name for function in functions for name in (*global_names(function.__code__), *_strings(function))}


def package(thing: Any) -> str:
    """Return the name of the top package that a class or function says it is from."""
    module = getattr(thing, "__module__", None)
    return _first_part(module) if isinstance(module, str) else ""  # a class written in Cython has a descriptor there


def _first_part(module: str) -> str:
    return module.split(".")[0]


def _in_library(file: str) -> bool:
    return file.startswith("<frozen") or "site-packages" in file or os.path.realpath(file).startswith(_FOLDERS)


def _strings(function: types.FunctionType) -> list[str]:
    return [constant for constant in function.__code__.co_consts if isinstance(constant, str)]


def global_names(code: types.CodeType) -> tuple[str, ...]:
    """Return the names of globals and attributes in code, and in the code within it."""
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names += global_names(constant)
    return tuple(dict.fromkeys(names))
