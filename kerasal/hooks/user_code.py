"""Whose code it is: a library's, which does not change, or the user's; which names that refers to; what it consists of.

For the digest of a model, what belongs to a library counts by its name or settings; the user's own by its code, what
that code refers to, and its attributes.
"""

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
_FOLDERS = tuple(
    os.path.dirname(os.path.realpath(str(module.__file__))) + os.sep for module in (os, tf, keras, np, kerasal)
)
_TRAINING_METHODS = frozenset((
    "__init__", "build", "build_from_config", "compile", "compile_from_config", "compute_loss", "compute_metrics",
    "evaluate", "fit", "from_config", "get_build_config", "get_compile_config", "get_config", "load_own_variables",
    "predict_step", "save_own_variables", "test_step", "train_step",
))  # fmt: skip
_HEAP_TYPE = 1 << 9  # of a class that was made while the program ran
# Libraries whose functions and classes count by name in a digest.
_LIBRARIES = {"keras", "tensorflow", "numpy", "scipy", "pandas", "kerasal", *sys.stdlib_module_names} - {"__main__"}
_OF_CLASSES = {"__module__", "__doc__", "__dict__", "__weakref__", "__qualname__", "__annotations__", "__annotate__"}
_OF_CLASSES |= {"__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl", "__orig_bases__"}


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
        found = _find_by_name(thing)
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
    return frozenset(name for function in _functions(parts) for name in global_names(function.__code__))


def names_in_call(kind: type) -> set[str]:
    """Return the names that the code of a user's layer refers to, but for its training and saving."""
    own = [vars(base).items() for base in kind.__mro__ if not is_constant(base)]
    functions = _functions([part for items in own for name, part in items if name not in _TRAINING_METHODS])
    strings = {one for function in functions for one in function.__code__.co_consts if isinstance(one, str)}
    return strings.union(*(global_names(function.__code__) for function in functions))


def _functions(parts: list) -> list[types.FunctionType]:
    """Return the functions among the members of a class, properties included."""
    found = [part.fget if isinstance(part, property) else part for part in parts]
    return [part for part in found if isinstance(part, types.FunctionType)]


def package(thing: Any) -> str:
    """Return the name of the top package that a class or function says it is from."""
    module = getattr(thing, "__module__", None)
    return _first_part(module) if isinstance(module, str) else ""  # a class written in Cython has a descriptor there


def _first_part(module: str) -> str:
    return module.split(".")[0]


def _in_library(file: str) -> bool:
    return file.startswith("<frozen") or "site-packages" in file or os.path.realpath(file).startswith(_FOLDERS)


def _find_by_name(thing: Any) -> Any:
    """Return what is found under the module and name that a class or function says it has."""
    found = sys.modules.get(thing.__module__)
    for name in thing.__qualname__.split("."):
        found = getattr(found, name, None)
    return found


def global_names(code: types.CodeType) -> tuple[str, ...]:
    """Return the names of globals and attributes in code, and in the code within it."""
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names += global_names(constant)
    return tuple(dict.fromkeys(names))


def function_parts(function: types.FunctionType) -> tuple:
    """Return a function's code, defaults, closure and the globals it names; of a library's function its name."""
    # One that was read from a model file only says that it is a library's.
    if _of_library(function.__module__) and _find_by_name(function) is function:
        return ("function", function.__module__, function.__qualname__)
    cells = [cell_contents(cell, "empty") for cell in function.__closure__ or ()]
    used = {name: function.__globals__.get(name) for name in sorted(global_names(function.__code__))}
    used = {
        name: value
        for name, value in used.items()
        if value is not None and (not isinstance(value, types.ModuleType) or is_own_module(value))
    }
    return "function", function.__code__, function.__defaults__, function.__kwdefaults__, cells, used


def code_parts(code: types.CodeType) -> tuple:
    """Return what code does, without where it is written."""
    shape = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    constants = ["..." if one is ... else one for one in code.co_consts]
    return "code", code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, shape


def cell_contents(cell: types.CellType, empty: Any) -> Any:
    """Return what a closure's cell holds, or ``empty`` where it is not filled yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return empty


def class_parts(kind: type) -> tuple:
    """Return a class by its name; of the user's own also what it and those it is derived from define."""
    own = [one for one in kind.__mro__ if is_own(one)]
    members = [{key: value for key, value in vars(one).items() if key not in _OF_CLASSES} for one in own]
    return ("class", full_name(kind) if not own else kind.__name__, members)


def object_parts(value: Any) -> tuple:
    """Return an object by its class and attributes; one of a library by its settings or its text."""
    kind = type(value)
    if is_own(kind):
        slots = [name for one in kind.__mro__ for name in getattr(one, "__slots__", ()) if hasattr(value, name)]
        return class_parts(kind), getattr(value, "__dict__", {}), {name: getattr(value, name) for name in slots}
    if _first_part(kind.__module__) == "keras" and hasattr(value, "get_config") and "Seed" not in kind.__name__:
        try:
            return full_name(kind), without_layers(value.get_config())
        except Exception:
            return (full_name(kind),)
    inner = getattr(value, "python_function", getattr(value, "__wrapped__", None))  # such as of a tf.function
    if inner is not None:
        return full_name(kind), inner
    text = "" if callable(value) else repr(value)
    return full_name(kind), getattr(value, "__name__", ""), "" if " at 0x" in text else text


def is_own(kind: type) -> bool:
    """Tell whether a class is the user's, and no library's."""
    return not _of_library(kind.__module__)


def _of_library(module: str | None) -> bool:
    return isinstance(module, str) and _first_part(module) in _LIBRARIES


def full_name(kind: type) -> str:
    """Return a class's name with its module."""
    return f"{kind.__module__}.{kind.__qualname__}"


def without_layers(settings: Any) -> Any:
    """Reduce the settings of layers within a wrapper's to their class: they are looked at themselves."""
    if isinstance(settings, dict):
        inner = settings.get("config")
        if "class_name" in settings and isinstance(inner, dict) and "trainable" in inner:
            return settings["class_name"]
        return {key: without_layers(one) for key, one in settings.items()}
    return [without_layers(one) for one in settings] if isinstance(settings, (list, tuple)) else settings
