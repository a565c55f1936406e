"""Which of a model's maps a class activation map weights by default: the last one that convolutions computed."""

from kerasal.hooks.called_functions import first_call, has_types
from kerasal.hooks.layer_maps import CONVOLUTIONS, RECURRENT, LayerMap
from kerasal.hooks.operations import CONVOLVING, skip_operations

import keras

# Layers that compute new features; TimeDistributed runs another layer at each time step.
_MOVING = ("Identity", "Reshape")
COMPUTING = (*CONVOLUTIONS, *RECURRENT, keras.layers.TimeDistributed)


def last_cut(maps: list[LayerMap], kinds: dict, cuts: set) -> LayerMap | None:
    """Return the last map that every path goes through and that convolutions computed, or that keeps such a map's size.

    This is a convolution, or a layer that joins the branches of several, such as a concatenation with the size of a map
    in the branches. There are paths around a branch, a gate and the weights of a pooling, so they do not count.
    """
    last, sizes, convolved = None, set(), False
    for layer_map in maps:
        convolved |= _computes(layer_map, kinds)
        if layer_map.tensor.ref() not in cuts:
            sizes.add(layer_map.grid)
        elif _computes(layer_map, kinds):
            last, sizes, convolved = layer_map, set(), False
        else:
            follows = last is not None and layer_map.grid == last.grid and _is_new(layer_map, last)
            if follows or (convolved and layer_map.grid in sizes):
                last = layer_map
            sizes, convolved = set(), False
    return last


def last_convolution(maps: list[LayerMap], kinds: dict) -> LayerMap | None:
    """Return the last convolution's map, or a later map that keeps its shape or multiplies it."""
    last = None
    for layer_map in maps:
        if _computes(layer_map, kinds) or (last is not None and _follows(layer_map, last)):
            last = layer_map
    return last


def _computes(layer_map: LayerMap, kinds: dict) -> bool:
    """Return whether a layer that computes features, or a compiled function that convolves, returns this map."""
    call = skip_operations(layer_map.tensor, _MOVING).op
    return isinstance(kinds[layer_map.path], COMPUTING) or first_call([call], has_types(CONVOLVING)) is not None


def _follows(later: LayerMap, earlier: LayerMap) -> bool:
    if not _is_new(later, earlier):
        return False
    # A map of a single channel that multiplies all channels is a gate, as in spatial attention, and holds no features.
    is_gated = _channels(earlier) == 1 and later.tensor.op.type == "Mul"
    return later.grid == earlier.grid and (is_gated or _channels(later) == _channels(earlier))


def _channels(layer_map: LayerMap) -> int | None:
    return layer_map.tensor.shape[layer_map.positions.channel_axis]


def _is_new(later: LayerMap, earlier: LayerMap) -> bool:
    # A flattening or, in inference mode, a dropout returns the values of its input. An inner layer is more specific.
    if later.tensor is earlier.tensor:
        return later.path.count("/") > earlier.path.count("/")
    return skip_operations(later.tensor, _MOVING) is not skip_operations(earlier.tensor, _MOVING)
