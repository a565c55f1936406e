"""Which layers, channels and classes of a model an atlas shows: what was asked for, or a choice that fits on a page."""

import fnmatch
import re
from collections.abc import Sequence

import numpy as np

from kerasal.atlas.anatomy import Layer
from kerasal.names import unknown_name_message


def chosen_layers(layers: Sequence[Layer], wanted: Sequence[str] | None) -> list[Layer]:
    """Return the layers whose channels are shown, in the model's order.

    By default those that compute channels of their own (convolutions and dense layers), except the last, whose units
    are the classes. ``wanted`` are names, ends of paths, patterns such as ``"fire*"``, or slices of the default such as
    ``":8"`` and ``"-3:"``.

    Raises:
        ValueError: a name that no layer has, or that of a layer without channels.
    """
    usual = [layer for layer in layers if layer.own and layer.channels and not layer.result]
    if wanted is None:
        return usual
    found: set[str] = set()
    for one in wanted:
        cut = re.fullmatch(r"(-?\d*):(-?\d*)", one)
        if cut:
            found |= {layer.path for layer in usual[slice(*(int(end) if end else None for end in cut.groups()))]}
            continue
        named = [layer for layer in layers if one in (layer.path, layer.path.rpartition("/")[2])]
        named = named or [layer for layer in layers if fnmatch.fnmatchcase(layer.path, one)]
        if not named:
            raise ValueError(unknown_name_message(one, [layer.path for layer in layers], "layer"))
        silent = [layer for layer in named if not layer.channels]
        if silent and len(named) == 1:
            raise ValueError(
                f"Layer {silent[0].path!r} ({silent[0].kind}) has no channels: its output for an image has shape "
                f"{silent[0].shape or 'unknown'}; expected (h, w, channels) or (units,)."
            )
        found |= {layer.path for layer in named if layer.channels}
    return [layer for layer in layers if layer.path in found]


def sample(count: int, most: int) -> list[int]:
    """Return at most ``most`` of the numbers below ``count``, evenly spaced, the first and the last among them."""
    return list(range(count)) if count <= most else np.linspace(0, count - 1, most).round().astype(int).tolist()
