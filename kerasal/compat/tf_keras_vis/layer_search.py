"""The layer that a class activation map weights: the last convolution, at or before a layer that the caller names."""

from typing import Any

from kerasal.compat.tf_keras_vis.model_modifiers import path_of
from kerasal.hooks import paths

import keras

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def find_penultimate(model: keras.Model, layer: Any, seek: bool) -> str:
    """Return the path of the layer whose channels are weighted.

    Args:
        model: any built model.
        layer: an index into ``model.layers``, a name or path at any depth, a layer, or None for the last one.
        seek: take the last convolution that is not after this layer, as tf-keras-vis does: Conv1D, Conv2D or Conv3D,
            also in nested models. In a subclassed model, those inside its layers count as well.

    Raises:
        ValueError: there is no such layer, or no convolution before it.
    """
    start = _named_layer(model, -1 if layer is None else layer)
    if not seek:
        return path_of(model, start)[0]
    below = _before(paths.layers(model), model, start)
    known = _nested_models(model)
    convolutions = [(path, item) for path, item in below if isinstance(item, _CONVOLUTIONS)]
    in_models = [path for path, _ in convolutions if path.rpartition("/")[0] in known]
    if all(known.values()) and in_models:  # tf-keras-vis looks into models, not into layers
        return in_models[-1]
    if convolutions:
        return convolutions[-1][0]
    raise ValueError(
        f"penultimate_layer must be a convolution or a layer after one, got {layer!r} for {model.name!r}. Name a layer "
        "with a value per position and pass seek_penultimate_conv_layer=False."
    )


def run_of_output(model: keras.Model, path: str) -> int:
    """Return which run of a layer, from 0, makes ``layer.output``, which tf-keras-vis reads: that of its first call.

    It differs from 0 for a layer that is called several times, since Keras runs a model by depth.
    """
    layer = paths.find(model, path)[1]
    by_depth = getattr(getattr(model, "_functional", None) or model, "_nodes_by_depth", None) or {}
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if node.operation is layer]
    first = next(iter(getattr(layer, "_inbound_nodes", None) or ()), None)
    return next((number for number, node in enumerate(nodes) if node is first), 0)


def _named_layer(model: keras.Model, layer: Any) -> Any:
    """Return the layer object for an index, a name, or a layer."""
    if isinstance(layer, keras.layers.Layer):
        return layer
    if isinstance(layer, str):
        inputs = [item for item in getattr(model, "layers", []) if isinstance(item, keras.layers.InputLayer)]
        named = [item for path, item in paths.layers(model) if path.rpartition("/")[2] == layer]
        named = [*[item for item in inputs if item.name == layer], *named]
        return named[-1] if named else paths.find(model, layer)[1]
    if isinstance(layer, int) and -len(model.layers) <= layer < len(model.layers):
        return model.layers[layer]
    raise ValueError(
        f"penultimate_layer must be a layer, its name or an index below {len(model.layers)}, got {layer!r}. "
        f"{model.name!r} has {len(model.layers)} layers."
    )


def _before(pairs: list, model: keras.Model, start: Any) -> list:
    """Return the layers up to ``start`` and those inside it; none if it is an input."""
    if start in model.layers and isinstance(start, keras.layers.InputLayer):
        return []
    inside = path_of(model, start)[0]
    last = max(number for number, (path, _) in enumerate(pairs) if path == inside or path.startswith(f"{inside}/"))
    return pairs[: last + 1]


def _nested_models(model: keras.Model) -> dict[str, bool]:
    """Return the paths of the models inside a model, "" for itself, and whether each is made of its layers alone."""
    known = {"": _is_functional(model)}
    for path, layer in paths.layers(model):
        if isinstance(layer, keras.Model) and path.rpartition("/")[0] in known:
            known[path] = _is_functional(layer)
    return known


def _is_functional(model: keras.Model) -> bool:
    return bool(getattr(model, "outputs", None))
