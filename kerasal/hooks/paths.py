"""Every layer and operation of a model, at any depth, by its path: ``"vgg16/block5_conv3"``."""

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


def _children(parent) -> list[keras.Operation]:
    if isinstance(parent, keras.Model) and hasattr(parent, "operations"):  # functional: its op nodes are no layers
        return parent.operations
    if isinstance(parent, keras.Layer):
        return parent._flatten_layers(include_self=False, recursive=False)
    return []
