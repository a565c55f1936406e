"""Layers and outputs of a model by name, at any depth, with paths such as ``"vgg16/block5_conv3"``."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerasal.names import unknown_name_message

import keras


class UnknownLayer(ValueError):
    """The model has no layer of this name."""


def layers(model: keras.Model) -> list[tuple[str, keras.Operation]]:
    """Return ``(path, layer)`` for every layer and operation inside ``model``, an outer layer before its inner layers.

    Operation nodes such as ``keras.ops.relu(x)`` in a functional model are included, input placeholders are not. A
    layer that is used in two places appears twice.
    """
    pairs = []

    def walk(parent, prefix):
        for child in _children(parent):
            if isinstance(child, keras.layers.InputLayer):
                continue
            path = f"{prefix}{child.name}"
            pairs.append((path, child))
            walk(child, f"{path}/")

    walk(model, "")
    return pairs


def find(model: keras.Model, name: str) -> tuple[str, keras.Operation]:
    """Return ``(path, layer)`` for a path, or for a name or the end of a path that only a single layer has.

    Raises:
        UnknownLayer: a ValueError; no layer has this name. The error lists the closest names.
        ValueError: several different layers have it.
    """
    pairs = layers(model)
    matches = [(path, layer) for path, layer in pairs if path == name]
    if not matches:
        matches = [(path, layer) for path, layer in pairs if path.endswith(f"/{name}")]
    if not matches:
        raise UnknownLayer(unknown_name_message(name, [path for path, _ in pairs], "layer", f" in {model.name!r}"))
    if len({id(layer) for _, layer in matches}) > 1:
        names = [path for path, _ in matches]
        remedy = "Use the full path." if len(set(names)) > 1 else "Give the layers different names."
        raise ValueError(
            f"layer must name a single layer of {model.name!r}, got {name!r} for {', '.join(names)}. {remedy}"
        )
    return matches[0]


def channel_count(model: keras.Model, name: str) -> int | None:
    """Return the number of channels (or units) that a layer declares for its output; None if it declares none.

    Channels are assumed to be the last axis.

    Raises:
        ValueError: see ``find``.
    """
    shape = getattr(getattr(find(model, name)[1], "output", None), "shape", None)
    return int(shape[-1]) if shape and shape[-1] else None


def select_output(model: keras.Model, outputs, name: str | int | None):
    """Return the output with this name or index; a model with one output needs no name.

    Raises:
        ValueError: several outputs and no name, or an unknown name; the error lists the outputs.
    """
    named = name_outputs(model, outputs)
    if name is None:
        if len(named) == 1:
            return next(iter(named.values()))
        raise ValueError(
            f"output must be one of {', '.join(map(str, named))}, got None. {model.name!r} has {len(named)} outputs: "
            f"select one, or pass a target that names it, as objectives.output({next(iter(named))!r}, 0)."
        )
    if isinstance(name, int) and 0 <= name < len(named):
        return list(named.values())[name]
    if not isinstance(name, str) or name not in named:
        raise ValueError(unknown_name_message(str(name), named, "output", f" of {model.name!r}"))
    return named[name]


def name_outputs(model: keras.Model, outputs: Any) -> dict[str, Any]:
    """Return a model's outputs by name; outputs without names are numbered."""
    if isinstance(outputs, Mapping):
        return dict(outputs)
    flat = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    names = getattr(model, "output_names", None) or []
    return dict(zip(names if len(names) == len(flat) else map(str, range(len(flat))), flat, strict=True))


def pack(model: keras.Model, tensors: list, names: Sequence[str] | None = None) -> Any:
    """Return a list of tensors in the structure of the model's inputs, or as a dictionary with the user's ``names``."""
    structure = getattr(model, "_inputs_struct", None)
    if structure is not None:
        return keras.tree.pack_sequence_as(structure, tensors)
    if names is not None:
        return dict(zip(names, tensors, strict=True))
    return tensors if len(tensors) > 1 else tensors[0]


def _children(parent) -> list[keras.Operation]:
    if isinstance(parent, keras.Model) and hasattr(parent, "operations"):  # functional; operations may not be layers
        return parent.operations
    if isinstance(parent, keras.Layer):
        return parent._flatten_layers(include_self=False, recursive=False)
    return []
