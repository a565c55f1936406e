"""The image shape that a model takes: height, width and channels, and where the channels are."""

from kerasal.checks import check_size
from kerasal.hooks import paths
from kerasal.hooks.model_inputs import format_shape, input_specs
from kerasal.hooks.positions import channel_axes

import keras


def declared_image_shape(model: keras.Model) -> tuple[int | None, ...]:
    """Return (height, width, channels) or (height, width) of a model's image input, with None for a variable size.

    Channels are last, also for a model that takes them first (see ``takes_channels_first``). For a subclassed model or
    a Sequential without an input layer, it is the shape that the model was built with.

    Raises:
        TypeError: not a ``keras.Model``.
        ValueError: the model has no weights yet, or not exactly one image input.
    """
    shape = _single_image_shape(model)
    return (*shape[1:], shape[0]) if takes_channels_first(model) else shape


def takes_channels_first(model: keras.Model) -> bool:
    """Return whether a model with one image input takes it as (N, channels, height, width).

    Raises:
        ValueError: the input is not an image, for example a volume (N, D, H, W) without channels.
    """
    shape = _single_image_shape(model)
    if len(shape) != 3:
        return False
    (axis,) = channel_axes(model, [(None, *shape)])
    if axis is None:
        raise ValueError(
            f"model must have one image input (N, H, W, C), but {model.name!r} takes {format_shape(shape)} as a volume "
            "without channels. The methods of kerasal.attribution take it as it is."
        )
    return axis == 1


def image_shape(model: keras.Model, size: tuple[int, int] | None = None) -> tuple[int, int, int]:
    """Return (height, width, channels) of the images for a model with one image input, channels last.

    Args:
        model: any built Keras model.
        size: (height, width) instead of the size that the model declares. Without either, it is 224 × 224.

    Raises:
        ValueError: the model has no weights yet, not exactly one image input, or takes channels first.
    """
    shape = _single_image_shape(model)
    if len(shape) != 3:
        raise ValueError(
            f"model must have one image input (N, H, W, C), but {model.name!r} takes {format_shape(shape)}."
        )
    if takes_channels_first(model):
        raise ValueError(
            f"Images must be channels last here, but {model.name!r} takes {format_shape(shape)}, channels first. Wrap "
            "the model: keras.Sequential([keras.Input((H, W, C)), keras.layers.Permute((3, 1, 2)), model]). Only the "
            "methods of kerasal.attribution take it without a wrapper."
        )
    declared_height, declared_width, channels = shape
    default = (declared_height or 224, declared_width or 224)
    height, width = default if size is None else check_size("size", size)
    return height, width, channels or 3


def _single_image_shape(model: keras.Model) -> tuple[int | None, ...]:
    """Return the shape of a model's only image input as the model takes it, without the batch axis."""
    specs = input_specs(model)
    if specs is None:  # a subclassed model: the shapes that it was built with
        built = (getattr(model, "_build_shapes_dict", None) or {}).values()
        shapes = [tuple(shape[1:]) for shape in built if shape]
    else:
        shapes = [shape for _, shape, _ in specs]
    shapes = shapes or [(None, None, None)]
    if len(shapes) != 1 or len(shapes[0]) not in (2, 3):
        raise ValueError(
            f"model must have one image input (N, H, W, C), but {model.name!r} takes "
            f"{', '.join(map(format_shape, shapes))}."
        )
    if len(shapes[0]) == 2 and (layer := _sequence_layer(model)) is not None:
        raise ValueError(
            f"model must have one image input (N, H, W, C), but {model.name!r} takes {format_shape(shapes[0])} and "
            f"has the layer {layer!r} for sequences (N, T, C). The methods of kerasal.attribution take it as it is. If "
            "its inputs are gray images, wrap it: keras.Sequential([keras.Input((H, W, 1)), keras.layers.Reshape((H, "
            "W)), model])."
        )
    return shapes[0]


def _sequence_layer(model: keras.Model) -> str | None:
    """Return the path of a layer for sequences, by which inputs (N, T, C) are known from gray images (N, H, W)."""
    for path, layer in paths.layers(model):
        kinds = [base.__name__ for base in type(layer).__mro__]
        if "Conv2D" in kinds or "DepthwiseConv2D" in kinds:
            return None
        if any(kind.endswith("1D") or kind in ("RNN", "Bidirectional", "MultiHeadAttention") for kind in kinds):
            return path
    return None
