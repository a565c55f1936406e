"""Whether code belongs to a library or to the user, which names it refers to, and what identifies it in a digest.

In the digest of a model, classes and functions of a library count by name or settings. Those of the user count by their
code, by what the code refers to, and by their attributes.
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

# Libraries whose functions and classes never change. Their layers are read nevertheless, since users modify those.
_CONSTANT = sys.stdlib_module_names | {"tensorflow", "keras", "numpy", "kerasal"}
_FOLDERS = tuple(
    os.path.dirname(os.path.realpath(str(module.__file__))) + os.sep for module in (os, tf, keras, np, kerasal)
)
_TRAINING_METHODS = frozenset((
    "__init__", "build", "build_from_config", "compile", "compile_from_config", "compute_loss", "compute_metrics",
    "evaluate", "fit", "from_config", "get_build_config", "get_compile_config", "get_config", "load_own_variables",
    "predict_step", "save_own_variables", "test_step", "train_step",
))  # fmt: skip
_HEAP_TYPE = 1 << 9  # flag of a class that was created at run time
# Libraries whose functions and classes count by name in a digest.
_LIBRARIES = {"keras", "tensorflow", "numpy", "scipy", "pandas", "kerasal", *sys.stdlib_module_names} - {"__main__"}
_CLASS_BOOKKEEPING = {"__module__", "__doc__", "__dict__", "__weakref__", "__qualname__", "__annotations__"}
_CLASS_BOOKKEEPING |= {"__annotate__", "__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"}
_CLASS_BOOKKEEPING |= {"__orig_bases__"}


def is_constant(thing: Any) -> bool:
    """Return whether a class or function is part of a library, whose code does not change.

    The code of a function must be in a file of the library, because ``functools.wraps`` copies the name of a library
    function to others. A class that is not local must be available in the library under its name.
    """
    if package(thing) not in _CONSTANT:
        return False
    if isinstance(thing, types.FunctionType):
        return _in_library(thing.__code__.co_filename)
    if isinstance(thing, type) and thing.__flags__ & _HEAP_TYPE and "<locals>" not in thing.__qualname__:
        registered = _find_by_name(thing)
        return registered is thing or (registered is None and thing.__module__ not in ("types", "builtins", "abc"))
    return True


def is_library(module: types.ModuleType) -> bool:
    """Return whether a module is part of a library that does not change."""
    return _first_part(module.__name__) in _CONSTANT


def is_user_module(module: types.ModuleType) -> bool:
    """Return whether a module is a file of the user and not of an installed package."""
    file = getattr(module, "__file__", None)
    return bool(file) and not is_library(module) and not _in_library(file)


def loaded_names(function: types.FunctionType | types.CodeType) -> set[str]:
    """Return the names of attributes and globals that a function's code reads, and the strings in the code."""
    names = set()
    for instruction in dis.get_instructions(function):
        if isinstance(instruction.argval, str) and not instruction.opname.startswith("STORE"):
            names.add(instruction.argval)
        if isinstance(instruction.argval, types.CodeType):
            names |= loaded_names(instruction.argval)
    return names


def library_names(kind: type) -> frozenset[str]:
    """Return the names that the code in a class's library bases, such as ``keras.Layer``, may read."""
    parts = [part for base in kind.__mro__ if is_constant(base) for part in vars(base).values()]
    return frozenset(name for function in _functions(parts) for name in global_names(function.__code__))


def names_in_call(kind: type) -> set[str]:
    """Return the names and strings in the code of a user's layer, except in methods for training and saving."""
    members = [vars(base).items() for base in kind.__mro__ if not is_constant(base)]
    functions = _functions([part for items in members for name, part in items if name not in _TRAINING_METHODS])
    strings = {value for function in functions for value in function.__code__.co_consts if isinstance(value, str)}
    return strings.union(*(global_names(function.__code__) for function in functions))


def _functions(parts: list) -> list[types.FunctionType]:
    """Return the functions among the members of a class, including getters of properties."""
    functions = [part.fget if isinstance(part, property) else part for part in parts]
    return [part for part in functions if isinstance(part, types.FunctionType)]


def package(thing: Any) -> str:
    """Return the name of the top-level package in the ``__module__`` of a class or function."""
    module = getattr(thing, "__module__", None)
    return _first_part(module) if isinstance(module, str) else ""  # in Cython classes it may be a descriptor


def _first_part(module: str) -> str:
    return module.split(".")[0]


def _in_library(file: str) -> bool:
    return file.startswith("<frozen") or "site-packages" in file or os.path.realpath(file).startswith(_FOLDERS)


def _find_by_name(thing: Any) -> Any:
    """Return the object under the module and name that a class or function states, or None."""
    registered = sys.modules.get(thing.__module__)
    for name in thing.__qualname__.split("."):
        registered = getattr(registered, name, None)
    return registered


def global_names(code: types.CodeType) -> tuple[str, ...]:
    """Return the names of globals and attributes in code and in the functions nested in it."""
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names += global_names(constant)
    return tuple(dict.fromkeys(names))


def function_parts(function: types.FunctionType) -> tuple:
    """Return a function's code, defaults, closure and globals; for a library function, its name."""
    # A function from a model file may state a library's name without being the library's function.
    if _is_library_name(function.__module__) and _find_by_name(function) is function:
        return ("function", function.__module__, function.__qualname__)
    cells = [cell_contents(cell, "empty") for cell in function.__closure__ or ()]
    used = {name: function.__globals__.get(name) for name in sorted(global_names(function.__code__))}
    used = {
        name: value
        for name, value in used.items()
        if value is not None and (not isinstance(value, types.ModuleType) or is_user_module(value))
    }
    return "function", function.__code__, function.__defaults__, function.__kwdefaults__, cells, used


def code_parts(code: types.CodeType) -> tuple:
    """Return the parts of code that determine what it does, without the file and lines where it is written."""
    shape = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    constants = ["..." if value is ... else value for value in code.co_consts]
    return "code", code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, shape


def cell_contents(cell: types.CellType, empty: Any) -> Any:
    """Return the content of a closure's cell, or ``empty`` if the cell has none yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return empty


def class_parts(kind: type) -> tuple:
    """Return the name of a class; for a user's class, also the members of the class and its user-defined bases."""
    bases = [base for base in kind.__mro__ if is_user_class(base)]
    members = [{key: value for key, value in vars(base).items() if key not in _CLASS_BOOKKEEPING} for base in bases]
    return ("class", full_name(kind) if not bases else kind.__name__, members)


def object_parts(value: Any) -> tuple:
    """Return the class and attributes of an object; for an object of a library, its settings or text."""
    kind = type(value)
    if is_user_class(kind):
        slots = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ()) if hasattr(value, name)]
        return class_parts(kind), getattr(value, "__dict__", {}), {name: getattr(value, name) for name in slots}
    if _first_part(kind.__module__) == "keras" and hasattr(value, "get_config") and "Seed" not in kind.__name__:
        try:
            return full_name(kind), without_layers(value.get_config())
        except Exception:
            return (full_name(kind),)
    inner = getattr(value, "python_function", getattr(value, "__wrapped__", None))  # for example of a tf.function
    if inner is not None:
        return full_name(kind), inner
    text = "" if callable(value) else repr(value)
    return full_name(kind), getattr(value, "__name__", ""), "" if " at 0x" in text else text


def is_user_class(kind: type) -> bool:
    """Return whether a class belongs to the user and not to a library."""
    return not _is_library_name(kind.__module__)


def _is_library_name(module: str | None) -> bool:
    return isinstance(module, str) and _first_part(module) in _LIBRARIES


def full_name(kind: type) -> str:
    """Return the name of a class with its module."""
    return f"{kind.__module__}.{kind.__qualname__}"


def without_layers(settings: Any) -> Any:
    """Return settings in which those of inner layers are replaced by the class, since the layers are read directly."""
    if isinstance(settings, dict):
        inner = settings.get("config")
        if "class_name" in settings and isinstance(inner, dict) and "trainable" in inner:
            return settings["class_name"]
        return {key: without_layers(item) for key, item in settings.items()}
    return [without_layers(item) for item in settings] if isinstance(settings, (list, tuple)) else settings
