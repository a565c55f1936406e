"""Which of a model's layers gives its last map: ``view -> path``."""

from collections.abc import Sequence

from kerasal import _keras  # noqa: F401
from kerasal.hooks import paths
from kerasal.hooks.view import View

import keras  # isort: skip
import tensorflow as tf  # isort: skip

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


def last_map(view: View, inputs: Sequence[tf.Tensor] | None = None) -> str:
    """Return the path of the last map: the last convolution's, after its normalisation and activation.

    Layers are taken in the order in which they run; after a convolution, those that keep its shape still count. The
    model is run at ``inputs``, by default the view's; nothing of that run is computed.

    Raises:
        ValueError: the model has no two-dimensional convolution.
    """
    inputs = view.inputs if inputs is None else inputs
    kinds = dict(paths.layers(view.model))
    _, seen = view.run(inputs, taps=kinds, lenient=True)
    graph = inputs[0].graph
    place = {op.name: number for number, op in enumerate(graph.get_operations())}
    ran = sorted(seen, key=lambda path: (place[seen[path].op.name], path.count("/")))
    found = None
    for path in ran:
        shape = seen[path].shape
        follows = found and shape.rank == 4 and shape[1:] == seen[found].shape[1:]
        # A dropout passes its input on at inference: the same tensor keeps the name of the layer that made it.
        same = found and seen[path] is seen[found] and path.count("/") <= found.count("/")
        if isinstance(kinds[path], _CONVOLUTIONS) or (follows and not same):
            found = path
    if found is None:
        raise ValueError(
            f"{view.model.name!r} has no two-dimensional convolution, so there is no map to show. Use a gradient "
            "method such as class_saliency, or name a layer with an (N, h, w, channels) output."
        )
    return found
