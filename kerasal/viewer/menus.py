"""The choices of the live page: the methods, the classes with the most probable first, and the layers."""

from typing import Any

import numpy as np

from kerasal.attribution import list_methods, method_spec
from kerasal.hooks import paths
from kerasal.models import ImageModel

_FIRST = ("gradcam", "layercam", "gradcam_plus_plus", "scorecam", "occlusion")
_FIRST += ("smoothgrad", "class_saliency", "integrated_gradients", "gradient_x_input")
"""Methods in the order of the menu: where the evidence is, then which pixels matter; the others follow by name."""
_SLOW = {name: {"channels": 64} for name in ("ablationcam", "scorecam")}
"""Options that limit the time of a method; the page states them."""


def method_names() -> list[str]:
    """Return the names of all methods, in the order of the menu."""
    return sorted(list_methods(), key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))


def method_options(method: str, layer: str | None) -> dict[str, Any]:
    """Return the options with which the page calls a method, for a layer or, with None, the method's default."""
    return {**_SLOW.get(method, {}), **({} if layer is None else {"layer": layer})}


def takes_layer(method: str) -> bool:
    """Return whether a method is a class activation map, which explains the class through a layer with a map.

    Gradients at a layer and occlusion take one too, but as the input to explain; methods over attentions take only the
    layers of these.
    """
    spec = method_spec(method)
    return "layer" in spec.options and spec.with_positions


def layer_paths(model: ImageModel) -> list[str]:
    """Return the paths of the layers that have maps (N, h, w, C), the last layer first.

    Layers of subclassed models do not declare the shape of their output, so all of them are listed.
    """
    pairs = paths.layers(model.keras_model)
    return [path for path, layer in reversed(pairs) if _may_have_map(layer)]


def _may_have_map(layer: Any) -> bool:
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # no call in a functional graph, or several, or several outputs
        return True
    return len(shape) == 4 and set(shape[1:3]) != {1}


def are_probabilities(scores: np.ndarray) -> bool:
    """Return whether scores (classes,) are probabilities: not negative, with the sum 1."""
    return bool(scores.min() >= 0 and abs(scores.sum() - 1) < 1e-2)


def describe_score(scores: np.ndarray, index: int) -> str:
    """Return the score of a class as text, a percentage if the scores are probabilities."""
    return f"{scores[index]:.1%}".replace("%", " %") if are_probabilities(scores) else f"{scores[index]:.3g}"


def class_names(model: ImageModel, scores: np.ndarray, top: int = 5) -> dict[int | None, str]:
    """Return the classes as the menu lists them, from index to text.

    The first entry, None, is the top class of whichever photo is shown. The ``top`` classes of the scores (classes,)
    follow with their scores, then all other classes in the order of the outputs, with their numbers.
    """
    order = np.argsort(-scores, kind="stable")[:top].tolist()
    best = order[0]
    names: dict[int | None, str] = {None: f"top class: {model.label(best)}, {describe_score(scores, best)}"}
    names |= {index: f"{model.label(index)}, {describe_score(scores, index)}" for index in order}
    rest = [index for index in range(len(scores)) if index not in names]
    return names | {index: f"{model.label(index)} ({index})" if model.labels else model.label(index) for index in rest}
