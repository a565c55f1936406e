"""Snapshots of everything that a trace depends on, and hashable keys for options.

A traced graph reads variables at every run. Everything else that the Python code reads is fixed in the graph:
attributes, plain tensors, closures, globals. A snapshot records these objects by identity (and keeps them alive so that
no address is reused), and numbers, strings and arrays by value. If any of them changes, the trace is out of date.
"""

import dataclasses
import operator
import types
from typing import Any

import numpy as np

from kerasal.hooks import reachable, user_code
from kerasal.hooks.reachable import Place

import keras

# If a function reaches more objects than this, the search stops, and traces of the function are not cached.
_MAX_OBJECTS = 100_000
_value = operator.attrgetter("_value")  # the TensorFlow variable of a Keras variable


class Snapshot:
    """Everything that the Python code of ``roots`` can read, as it is now.

    Equal numbers, strings and arrays count as unchanged, and so does what Keras records for training and saving.
    ``python benchmarks/attribution.py --check`` prints the time of a call of ``holds``.
    """

    def __init__(self, *roots: Any):
        self._spaces: list[_Namespace] = []
        self._readings: list[list] = []
        self._variables: list[keras.Variable] = []
        self._functions: list[types.FunctionType] = []
        self.complete = True
        self._walk(list(roots))
        self._values = list(map(_value, self._variables))

    def holds(self) -> bool:
        """Return whether nothing has changed since the snapshot."""
        return (
            self.complete
            and all(space.holds() for space in self._spaces)
            and all(map(operator.is_, map(_value, self._variables), self._values))
            and all(map(_is_unchanged, self._readings))
        )

    def settle(self) -> None:
        """Ignore attributes that the tracing itself has set and no code reads, such as layer outputs stored for later.

        Call it right after a trace. An attribute that is set and also read remains a reason to trace again.
        """
        changed = [space for space in self._spaces if not space.holds()]
        if changed:
            loaded = set().union(*map(user_code.loaded_names, self._functions))
            for space in changed:
                space.ignore_changes(loaded)

    def _walk(self, pending: list) -> None:
        seen: dict[int, Any] = {}
        while pending:
            thing = pending.pop()
            if thing is None or isinstance(thing, (bool, int, float, complex, str, bytes)) or id(thing) in seen:
                continue
            seen[id(thing)] = thing  # kept alive during the search, so that no id is reused
            if len(seen) > _MAX_OBJECTS:
                self.complete = False
                return
            if isinstance(thing, types.FunctionType) and not user_code.is_constant(thing):
                self._functions.append(thing)
            if isinstance(thing, keras.Variable):
                self._variables.append(thing)
            for place in reachable.places(thing):
                pending += self._record(place)
            if isinstance(thing, keras.Operation) or not user_code.is_constant(type(thing)):
                pending.append(type(thing))

    def _record(self, place: Place) -> tuple:
        """Record a place and return the objects in it."""
        if place.read is None:
            space = _Namespace(place)
            self._spaces.append(space)
            return space.values
        values = place.read(place.holder)
        if not isinstance(place.holder, tuple):  # a tuple cannot change, though the objects in it can
            self._readings.append([place.read, place.holder, values])
        return values


class _Namespace:
    """Attributes of an object, entries of a dictionary or some globals of a module."""

    def __init__(self, place: Place):
        self.space, self.owner, self.kind = place.holder, place.owner, type(place.owner)
        self.ignored: set[str] = set()
        self._store(place.names or ())

    def _store(self, names: tuple) -> None:
        self.names = names
        self.all_names = tuple(self.space) if self.owner is not None else None
        # The last name appears twice so that the getter returns a tuple also for a single name.
        self._get = operator.itemgetter(*names, names[-1]) if names else lambda space: ()
        self.values = self._get(self.space)

    def holds(self) -> bool:
        if self.owner is not None and tuple(self.space) != self.all_names and not self._has_same_relevant_names():
            return False
        if type(self.owner) is not self.kind:
            return False
        try:
            values = self._get(self.space)
        except KeyError:
            return False
        if all(map(operator.is_, values, self.values)):
            return True
        if not all(map(_is_same, values, self.values)):
            return False
        self.values = values
        return True

    def ignore_changes(self, loaded: set[str]) -> None:
        """Ignore present and future changes of attributes that are not in ``loaded``."""
        shared = self.owner is None or isinstance(self.owner, (type, dict, types.ModuleType))
        if shared or user_code.is_constant(type(self.owner)):
            return
        old = dict(zip(self.names, self.values, strict=False))
        names = {name for name in self.space if reachable.is_relevant(self.owner, name)} - self.ignored
        changed = {name for name in names if name not in old or not _is_same(self.space[name], old[name])}
        if changed & (loaded | user_code.library_names(self.kind)) or set(old) - names:
            return
        self.ignored |= changed
        self._store(tuple(name for name in self.space if name in names - changed))

    def _has_same_relevant_names(self) -> bool:
        relevant = {name for name in self.space if reachable.is_relevant(self.owner, name)} - self.ignored
        if relevant != set(self.names):
            return False
        self.all_names = tuple(self.space)
        return True


def _is_unchanged(reading: list) -> bool:
    read, holder, previous = reading
    values = read(holder)
    if len(values) != len(previous) or not all(map(_is_same, values, previous)):
        return False
    reading[2] = values
    return True


def _is_same(first: Any, second: Any) -> bool:
    """Return whether two objects are identical, or equal numbers, strings or tuples of them; 1 and 1.0 differ."""
    if first is second:
        return True
    if type(first) is not type(second):
        return False
    if isinstance(first, (str, bytes)):
        return first == second
    if isinstance(first, (int, float, complex)):
        return repr(first) == repr(second)  # NaN equals NaN, and 0.0 differs from -0.0
    if isinstance(first, np.generic):
        return first.dtype == second.dtype and first.tobytes() == second.tobytes()
    if isinstance(first, types.MethodType):
        return first.__func__ is second.__func__ and first.__self__ is second.__self__
    return type(first) is tuple and len(first) == len(second) and all(map(_is_same, first, second))


def make_hashable(value: Any) -> Any:
    """Return a hashable key for options, in which arrays count by their content."""
    if isinstance(value, dict):
        return tuple((key, make_hashable(item)) for key, item in sorted(value.items()))
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, (list, tuple)):
        return tuple(map(make_hashable, value))
    if _is_plain(value):
        return value
    if _is_record(value):
        return type(value), *(make_hashable(getattr(value, field.name)) for field in dataclasses.fields(value))
    return _Identity(value)


class _Identity:
    """A key for an object, which keeps the object alive so that its id is not reused."""

    def __init__(self, thing: Any):
        self.thing = thing

    def __hash__(self):
        return id(self.thing)

    def __eq__(self, other):
        return isinstance(other, _Identity) and self.thing is other.thing


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic))


def _is_record(value: Any) -> bool:
    """Return whether an object equals its fields: a frozen dataclass without other attributes."""
    parameters = vars(type(value)).get("__dataclass_params__")
    if parameters is None or not parameters.frozen or isinstance(value, type):
        return False
    extra = set(getattr(value, "__dict__", ())) - {field.name for field in dataclasses.fields(value)}
    return not extra or type(value).__module__.startswith("kerasal.")  # their cached properties depend on the fields


def stateful_objects(options: Any) -> list:
    """Return the functions and objects in options, whose state may change."""
    if isinstance(options, dict):
        options = options.values()
    elif not isinstance(options, (list, tuple)):
        return [] if _is_plain(options) or isinstance(options, np.ndarray) else [options]
    return [thing for value in options for thing in stateful_objects(value)]
