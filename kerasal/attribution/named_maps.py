"""Maps that know more than their values, such as the layer that they were made from."""

from typing import Any

import numpy as np


class NamedMaps(np.ndarray):
    """An array with ``notes``, which are attributes too: ``maps.layer``. Slices keep them, sums and files do not."""

    notes: dict[str, Any]

    def __array_finalize__(self, source):
        self.notes = getattr(source, "notes", {})

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return array[()] if return_scalar else np.asarray(array)

    def __getattr__(self, name):
        if name != "notes" and name in self.notes:
            return self.notes[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


class OfEachInput(list):
    """A note that differs from input to input: its values in their order."""


def named(array: np.ndarray, notes: dict[str, Any], number: int = 0) -> np.ndarray:
    """Return ``array``, the map of input ``number``, with the notes as its attributes if there are any."""
    if not notes:
        return array
    result = array.view(NamedMaps)
    result.notes = {key: value[number] if isinstance(value, OfEachInput) else value for key, value in notes.items()}
    return result
