"""What functions, classes and objects consist of, for the digest of a model that refers to them.

What belongs to a library counts by its name or settings; the user's own by its code, what that code refers to, and its
attributes.
"""

import sys
import types
from typing import Any

from kerasal.hooks.ownership import is_own_module

_LIBRARIES = {"keras", "tensorflow", "numpy", "scipy", "pandas", "kerasal", *sys.stdlib_module_names} - {"__main__"}
_OF_CLASSES = {"__module__", "__doc__", "__dict__", "__weakref__", "__qualname__", "__annotations__", "__annotate__"}
_OF_CLASSES |= {"__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl", "__orig_bases__"}


def function_parts(function: types.FunctionType) -> tuple:
    """Return a function's code, defaults, closure and the globals it names; of a library's function its name."""
    if _in_library(function.__module__) and _found_by_name(function):
        return ("function", function.__module__, function.__qualname__)
    cells = [_cell(cell) for cell in function.__closure__ or ()]
    return (
        "function",
        function.__code__,
        function.__defaults__,
        function.__kwdefaults__,
        cells,
        {name: function.__globals__[name] for name in _names(function.__code__) if _counts(function, name)},
    )


def _found_by_name(function: types.FunctionType) -> bool:
    """Tell a library's function from one that only says so, as one that was read from a model file does."""
    found = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is function


def _counts(function: types.FunctionType, name: str) -> bool:
    found = function.__globals__.get(name)
    return found is not None and not (isinstance(found, types.ModuleType) and not is_own_module(found))


def _names(code: types.CodeType) -> list[str]:
    """Return the names that code refers to, and the code within it."""
    inner = [name for one in code.co_consts if isinstance(one, types.CodeType) for name in _names(one)]
    return sorted({*code.co_names, *inner})


def code_parts(code: types.CodeType) -> tuple:
    """Return what code does, without where it is written."""
    shape = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    constants = ["..." if one is ... else one for one in code.co_consts]
    return "code", code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, shape


def _cell(cell) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "empty"


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
    if kind.__module__.split(".")[0] == "keras" and hasattr(value, "get_config") and "Seed" not in kind.__name__:
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
    return not _in_library(kind.__module__)


def _in_library(module: str | None) -> bool:
    return isinstance(module, str) and module.split(".")[0] in _LIBRARIES


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
