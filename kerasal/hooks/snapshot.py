"""What a trace depends on: ``model or functions -> Snapshot``, which still holds or does not; ``options -> key``.

A traced graph reads variables anew at every run. Everything else that its Python read is baked in: attributes, plain
tensors, closures, globals. A snapshot keeps all of that, by identity (and therefore alive, so that no address is used
again) or, for numbers, strings and arrays, by value. What changes it makes the traces beside it stale.
"""

import dataclasses
import operator
import types
from typing import Any

import numpy as np

from kerasal.hooks import reachable, user_code
from kerasal.hooks.reachable import Place

import keras

# Beyond this, what a function reaches is not looked through to the end, and its traces are not kept.
_MOST_OBJECTS = 100_000
_value = operator.attrgetter("_value")  # of a Keras variable: the TensorFlow variable that a trace reads


class Snapshot:
    """What the Python code of ``roots`` can read, as it is now.

    Equal numbers, strings and arrays count as unchanged, as do Keras's own notes about training and saving.
    ``python benchmarks/attribution.py --check`` prints what it costs to see whether it holds.
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
        """Tell whether nothing has changed since."""
        return (
            self.complete
            and all(space.holds() for space in self._spaces)
            and all(map(operator.is_, map(_value, self._variables), self._values))
            and all(map(_reads, self._readings))
        )

    def settle(self) -> None:
        """Forget attributes that tracing itself has set and that nothing reads, such as maps kept for a later look.

        Call it right after a trace. What is set and read stays a reason to trace again.
        """
        moved = [space for space in self._spaces if not space.holds()]
        if moved:
            loaded = set().union(*map(user_code.loaded_names, self._functions))
            for space in moved:
                space.forget_unless(loaded)

    def _walk(self, pending: list) -> None:
        seen: dict[int, Any] = {}
        while pending:
            thing = pending.pop()
            if thing is None or isinstance(thing, (bool, int, float, complex, str, bytes)) or id(thing) in seen:
                continue
            seen[id(thing)] = thing  # alive until the end, so that no address comes twice
            if len(seen) > _MOST_OBJECTS:
                self.complete = False
                return
            if isinstance(thing, types.FunctionType) and not user_code.is_constant(thing):
                self._functions.append(thing)
            if isinstance(thing, keras.Variable):
                self._variables.append(thing)
            for place in reachable.places(thing):
                pending += self._note(place)
            if isinstance(thing, keras.Operation) or not user_code.is_constant(type(thing)):
                pending.append(type(thing))

    def _note(self, place: Place) -> tuple:
        """Add a place; return what is in it, to be walked."""
        if place.read is None:
            space = _Namespace(place)
            self._spaces.append(space)
            return space.values
        values = place.read(place.holder)
        if not isinstance(place.holder, tuple):  # which stays what it is; what is in it may not
            self._readings.append([place.read, place.holder, values])
        return values


class _Namespace:
    """Attributes of one object, entries of one dictionary or some globals of a module."""

    def __init__(self, place: Place):
        self.space, self.owner, self.kind = place.holder, place.owner, type(place.owner)
        self.ignored: set[str] = set()
        self._keep(place.names or ())

    def _keep(self, names: tuple) -> None:
        self.names = names
        self.all_names = tuple(self.space) if self.owner is not None else None
        # Twice the last name, so that the getter returns a tuple also for a single one.
        self._get = operator.itemgetter(*names, names[-1]) if names else lambda space: ()
        self.values = self._get(self.space)

    def holds(self) -> bool:
        if self.owner is not None and tuple(self.space) != self.all_names and not self._gained_nothing():
            return False
        if type(self.owner) is not self.kind:
            return False
        try:
            values = self._get(self.space)
        except KeyError:
            return False
        if all(map(operator.is_, values, self.values)):
            return True
        if not all(map(_same, values, self.values)):
            return False
        self.values = values
        return True

    def forget_unless(self, loaded: set[str]) -> None:
        """Take the present values of attributes that are not in ``loaded`` for good, whatever they become."""
        shared = self.owner is None or isinstance(self.owner, (type, dict, types.ModuleType))
        if shared or user_code.is_constant(type(self.owner)):
            return
        old = dict(zip(self.names, self.values, strict=False))
        now = {name for name in self.space if reachable.is_relevant(self.owner, name)} - self.ignored
        moved = {name for name in now if name not in old or not _same(self.space[name], old[name])}
        if moved & (loaded | user_code.library_names(self.kind)) or set(old) - now:
            return
        self.ignored |= moved
        self._keep(tuple(name for name in self.space if name in now - moved))

    def _gained_nothing(self) -> bool:
        relevant = {name for name in self.space if reachable.is_relevant(self.owner, name)} - self.ignored
        if relevant != set(self.names):
            return False
        self.all_names = tuple(self.space)
        return True


def _reads(reading: list) -> bool:
    read, holder, before = reading
    values = read(holder)
    if len(values) != len(before) or not all(map(_same, values, before)):
        return False
    reading[2] = values
    return True


def _same(one: Any, other: Any) -> bool:
    """Tell whether two things are one, or equal numbers, strings, or tuples of these; 1, 1.0 and True are not equal."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, (str, bytes)):
        return one == other
    if isinstance(one, (int, float, complex)):
        return repr(one) == repr(other)  # nan is nan, and 0.0 is not -0.0
    if isinstance(one, np.generic):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, types.MethodType):
        return one.__func__ is other.__func__ and one.__self__ is other.__self__
    return type(one) is tuple and len(one) == len(other) and all(map(_same, one, other))


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
