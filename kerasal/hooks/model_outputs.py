"""A model's outputs: which one is meant, and its logits, found in the graph behind it."""

import warnings
from collections.abc import Mapping

from kerasal.hooks import softmax
from kerasal.names import unknown_name_message

import keras
import tensorflow as tf


class NoLogits(UserWarning):
    """The output comes from a softmax or sigmoid whose logits cannot be had; the output itself was explained."""


def select(model: keras.Model, outputs, name: str | int | None):
    """Return the one output that is meant, by name or position; a model with one output needs no name.

    Raises:
        ValueError: several outputs and no name, or a name that does not exist; the outputs are listed.
    """
    if isinstance(outputs, Mapping):
        named = dict(outputs)
    else:
        flat = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        names = getattr(model, "output_names", None) or []
        named = dict(zip(names if len(names) == len(flat) else map(str, range(len(flat))), flat, strict=True))
    if name is None:
        if len(named) == 1:
            return next(iter(named.values()))
        raise ValueError(f"{model.name!r} has {len(named)} outputs; say which with output=, one of {list(named)}.")
    if isinstance(name, int) and 0 <= name < len(named):
        return list(named.values())[name]
    if name not in named:
        raise ValueError(unknown_name_message(str(name), named, "output", f" of {model.name!r}"))
    return named[name]


def logits(output: tf.Tensor) -> tf.Tensor:
    """Return what went into the softmax or sigmoid that made ``output``, or ``output`` itself if none did.

    The graph is walked backward from the output, so the squashing may be a layer's ``activation``, a ``Softmax`` or
    ``Activation`` layer, an op node or a line of somebody's ``call``, in a nested model or not. What may follow it
    is in ``kerasal.hooks.softmax``.

    Warns:
        NoLogits: what follows the softmax cannot be undone, and ``output`` itself is returned.

    Raises:
        ValueError: a softmax is there, but inside a compiled function (a SavedModel), where it cannot be undone.
    """
    found = softmax.find(output)
    if found is None:
        return output
    if found.logits is None:
        warnings.warn(found.message(), NoLogits, stacklevel=2)
        return output
    return found.logits
