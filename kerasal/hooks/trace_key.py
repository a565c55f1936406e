"""What of a routine's settings a trace depends on: made hashable, and the objects in them whose state may change."""

import dataclasses
from typing import Any

import numpy as np


def frozen(value: Any) -> Any:
    """Turn options into something hashable; arrays go by their content."""
    if isinstance(value, dict):
        return tuple((key, frozen(one)) for key, one in sorted(value.items()))
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, (list, tuple)):
        return tuple(map(frozen, value))
    if _is_plain(value):
        return value
    if _is_record(value):
        return type(value), *(frozen(getattr(value, field.name)) for field in dataclasses.fields(value))
    return _Identity(value)


class _Identity:
    """Stands for one object in a key, and keeps it alive so that its address is not used again."""

    def __init__(self, thing: Any):
        self.thing = thing

    def __hash__(self):
        return id(self.thing)

    def __eq__(self, other):
        return isinstance(other, _Identity) and self.thing is other.thing


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic))


def _is_record(value: Any) -> bool:
    """Tell whether an object is what its fields are: a frozen dataclass without anything beside them."""
    parameters = vars(type(value)).get("__dataclass_params__")
    if parameters is None or not parameters.frozen or isinstance(value, type):
        return False
    extra = set(getattr(value, "__dict__", ())) - {field.name for field in dataclasses.fields(value)}
    return not extra or type(value).__module__.startswith("kerasal.")  # whose cached properties follow from the fields


def open_objects(options: Any) -> list:
    """Return the functions and objects among some options, whose state may change."""
    if isinstance(options, dict):
        options = options.values()
    elif not isinstance(options, (list, tuple)):
        return [] if _is_plain(options) or isinstance(options, np.ndarray) else [options]
    return [thing for value in options for thing in open_objects(value)]
