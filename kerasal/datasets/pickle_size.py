"""Replace the stand-ins in a loaded pickle, and refuse a pickle whose expanded contents are too large.

A pickle may refer to a container many times. Fifty lists that each have the previous list twice take 300 bytes, but
have 2^50 elements if every reference is followed, so a loop over them, ``str`` or ``hash`` would never end. Therefore
every container is visited only once, its elements are counted once per reference, and an excessive size is refused.
"""

from collections.abc import Iterable

from kerasal.archive_check import ImplausibleFile, check_expansion

_KEY_TYPES = (str, bytes, int, float, bool, type(None))
_REFERENCE = 8
"""Number of bytes counted for each element of a container."""


class RefusedPickle(ValueError):
    """The pickle has objects other than numbers, text, plain containers and arrays."""


def check_keys(keys: Iterable) -> None:
    """Refuse keys of dictionaries and elements of sets that are not plain; hashing nested tuples may never end."""
    for key in keys:
        if not isinstance(key, _KEY_TYPES):
            raise RefusedPickle(f"it has a {type(key).__name__} as a key or in a set. Keys must be numbers or text.")


def replace_stand_ins(value, stored: int, stand_in: type):
    """Return ``value`` with each stand-in replaced by its ``value``; lists and dictionaries are modified in place.

    Contents that would be too large for the ``stored`` bytes of the file with every reference expanded, containers that
    contain themselves, and functions are refused.
    """
    replacer = _StandInReplacer(stand_in)
    result = replacer.visit(value)
    try:
        check_expansion("it", _REFERENCE * replacer.size(value), stored, ", written out in full")
    except ImplausibleFile as error:
        raise RefusedPickle(str(error)) from None
    return result


class _StandInReplacer:
    """Replace stand-ins recursively; ``sizes`` has the number of elements of each container by id, with repetitions."""

    def __init__(self, stand_in: type):
        self.stand_in = stand_in
        self.replaced: dict[int, object] = {}
        self.sizes: dict[int, int] = {}
        self._visited: list = []  # keeps objects alive, because ids of deleted objects are reused

    def visit(self, value):
        if not isinstance(value, list | dict | tuple):
            return self._replace_leaf(value)
        key = id(value)
        if key in self.replaced:
            return self.replaced[key]
        if key in self.sizes:
            raise ValueError(f"a {type(value).__name__} contains itself")
        self.sizes[key] = 0
        self._visited.append(value)
        before = list(value.values()) if isinstance(value, dict) else list(value)
        after = [self.visit(element) for element in before]
        self.sizes[key] = 1 + sum(map(self.size, before))
        if isinstance(value, tuple):
            self.replaced[key] = tuple(after)
        else:
            self.replaced[key] = value
            for position, element in zip(value if isinstance(value, dict) else range(len(value)), after, strict=True):
                value[position] = element
        return self.replaced[key]

    def size(self, value) -> int:
        """Return the number of elements of a value; containers must have been visited before."""
        if isinstance(value, str | bytes | set | frozenset):
            return 1 + len(value) // _REFERENCE
        return self.sizes[id(value)] if isinstance(value, list | dict | tuple) else 1

    def _replace_leaf(self, value):
        if isinstance(value, self.stand_in):
            return value.value
        if callable(value):
            raise ValueError("elements must be numbers, text, containers or arrays, got the name of a function")
        return value


def ordered_dict(items: Iterable = ()) -> dict:
    """Return the dictionary for an ``OrderedDict([[key, value], …])`` of Python 2."""
    result = {}
    for key, value in items:
        check_keys([key])
        result[key] = value
    return result
