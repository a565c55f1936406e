"""Layers and outputs by name: every layer and operation of a model, at any depth, as ``"vgg16/block5_conv3"``."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerasal.names import unknown_name_message

import keras


def layers(model: keras.Model) -> list[tuple[str, keras.Operation]]:
    """List ``(path, layer)`` of everything inside ``model``, outer before inner.

    Operation nodes (``keras.ops.relu(x)`` in a functional model) count, input placeholders do not. A layer that is used
    in two places stands at both.
    """
    found = []

    def walk(parent, prefix):
        for child in _children(parent):
            if isinstance(child, keras.layers.InputLayer):
                continue
            path = f"{prefix}{child.name}"
            found.append((path, child))
            walk(child, f"{path}/")

    walk(model, "")
    return found


def find(model: keras.Model, name: str) -> tuple[str, keras.Operation]:
    """Return ``(path, layer)`` for a full path, or for a name or the end of a path that fits only one layer.

    Raises:
        ValueError: no layer fits (the closest are listed), or several different ones do.
    """
    everything = layers(model)
    fitting = [(path, layer) for path, layer in everything if path == name]
    if not fitting:
        fitting = [(path, layer) for path, layer in everything if path.endswith(f"/{name}")]
    if not fitting:
        raise ValueError(unknown_name_message(name, [path for path, _ in everything], "layer", f" in {model.name!r}"))
    if len({id(layer) for _, layer in fitting}) > 1:
        raise ValueError(
            f"Several layers of {model.name!r} are named {name!r}: {', '.join(path for path, _ in fitting)}. Use the "
            "full path" + ("." if len({path for path, _ in fitting}) > 1 else ", after giving them different names.")
        )
    return fitting[0]


def channel_count(model: keras.Model, name: str) -> int | None:
    """Return how many channels (or units) a layer declares that it gives; None if it does not say.

    Raises:
        ValueError: see ``find``.
    """
    shape = getattr(getattr(find(model, name)[1], "output", None), "shape", None)
    return int(shape[-1]) if shape and shape[-1] else None


def select_output(model: keras.Model, outputs, name: str | int | None):
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
    if not isinstance(name, str) or name not in named:
        raise ValueError(unknown_name_message(str(name), named, "output", f" of {model.name!r}"))
    return named[name]


def pack(model: keras.Model, tensors: list, names: Sequence[str] | None = None) -> Any:
    """Give the flat tensors the structure in which the model takes its inputs, or else the ``names`` of the user's."""
    structure = getattr(model, "_inputs_struct", None)
    if structure is not None:
        return keras.tree.pack_sequence_as(structure, tensors)
    if names is not None:
        return dict(zip(names, tensors, strict=True))
    return tensors if len(tensors) > 1 else tensors[0]


def _children(parent) -> list[keras.Operation]:
    if isinstance(parent, keras.Model) and hasattr(parent, "operations"):  # functional: its op nodes are no layers
        return parent.operations
    if isinstance(parent, keras.Layer):
        return parent._flatten_layers(include_self=False, recursive=False)
    return []
