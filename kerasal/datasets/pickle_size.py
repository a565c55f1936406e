"""What a pickle has read, without stand-ins, each container once: and how large it would be written out in full.

A pickle may refer to a list many times. Fifty lists that each hold the one before twice are 300 bytes, and 2^50
elements to whoever visits each reference: a loop over them, ``str`` or ``hash`` never ends. So every container is
visited once, what it holds is counted as often as it is referred to, and what is out of proportion is refused.
"""

from collections.abc import Iterable

from kerasal.archive_check import ImplausibleFile, check_expansion

_KEYS = (str, bytes, int, float, bool, type(None))
_REFERENCE = 8
"""Bytes that an element of a container is counted as."""


class RefusedPickle(ValueError):
    """The pickle asks for something else than numbers, text, plain containers and arrays."""


def check_keys(keys: Iterable) -> None:
    """Refuse what are no plain keys of a dictionary or elements of a set: a nested tuple may take for ever to hash."""
    for key in keys:
        if not isinstance(key, _KEYS):
            raise RefusedPickle(f"it has a {type(key).__name__} as a key or in a set; expected numbers or text.")


def unfold(value, stored: int, stand_in: type):
    """Return ``value`` with the ``value`` of each stand-in in its place; lists and dictionaries are changed in place.

    Refused are what would be out of proportion to the ``stored`` bytes of the file if it were written out in full, a
    container that contains itself, and functions.
    """
    unfolding = _Unfolding(stand_in)
    found = unfolding.visit(value)
    try:
        check_expansion("it", _REFERENCE * unfolding.size(value), stored, ", written out in full")
    except ImplausibleFile as error:
        raise RefusedPickle(str(error)) from None
    return found


class _Unfolding:
    """``sizes`` is the number of elements of each container, by its id, as often as they are referred to."""

    def __init__(self, stand_in: type):
        self.stand_in = stand_in
        self.done: dict[int, object] = {}
        self.sizes: dict[int, int] = {}
        self._kept: list = []  # ids are those of living objects only

    def visit(self, value):
        if not isinstance(value, list | dict | tuple):
            return self._leaf(value)
        key = id(value)
        if key in self.done:
            return self.done[key]
        if key in self.sizes:
            raise ValueError(f"a {type(value).__name__} contains itself")
        self.sizes[key] = 0
        self._kept.append(value)
        before = list(value.values()) if isinstance(value, dict) else list(value)
        after = [self.visit(one) for one in before]
        self.sizes[key] = 1 + sum(map(self.size, before))
        if isinstance(value, tuple):
            self.done[key] = tuple(after)
        else:
            self.done[key] = value
            for place, one in zip(value if isinstance(value, dict) else range(len(value)), after, strict=True):
                value[place] = one
        return self.done[key]

    def size(self, value) -> int:
        """Return how many elements a value has, one that has been visited if it is a container."""
        if isinstance(value, str | bytes | set | frozenset):
            return 1 + len(value) // _REFERENCE
        return self.sizes[id(value)] if isinstance(value, list | dict | tuple) else 1

    def _leaf(self, value):
        if isinstance(value, self.stand_in):
            return value.value
        if callable(value):
            raise ValueError("expected numbers, text, containers and arrays, found the name of a function")
        return value


def ordered_dict(items: Iterable = ()) -> dict:
    """Return the dictionary of Python 2's ``OrderedDict([[key, value], …])``."""
    found = {}
    for key, value in items:
        check_keys([key])
        found[key] = value
    return found
