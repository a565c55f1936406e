"""The shape of the input that a model takes: the positions, such as height and width, and where the channels are."""

import dataclasses

from kerasal.checks import check_size
from kerasal.hooks import paths
from kerasal.hooks.model_inputs import format_shape, input_specs
from kerasal.hooks.positions import channel_axes, flat_channels
from kerasal.hooks.trace import remember

import keras


@dataclasses.dataclass(frozen=True)
class InputLayout:
    """The axes of a model's only input: the sizes of its ``positions``, its ``channels``, and their axis.

    Sizes are None where the model takes any. An input without channels has ``axis`` None, and one channel.
    """

    positions: tuple[int | None, ...]
    channels: int | None
    axis: int | None

    @property
    def is_image(self) -> bool:
        """Whether there are two position axes, rows and columns."""
        return len(self.positions) == 2

    @property
    def is_ordered(self) -> bool:
        """Whether neighboring positions belong together; features (N, F) have no order."""
        return self.axis is not None or len(self.positions) > 1

    @property
    def is_last(self) -> bool:
        """Whether the channels are on the last axis of the model's input."""
        return self.axis == len(self.positions) + 1

    def model_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of an input (*positions, C) as the model takes it, without the batch axis."""
        if self.axis is None:
            return shape[:-1]
        return (*shape[: self.axis - 1], shape[-1], *shape[self.axis - 1 : -1])


def input_layout(model: keras.Model) -> InputLayout:
    """Return the axes of the input of a model with a single input of any rank.

    Raises:
        TypeError: not a ``keras.Model``.
        ValueError: the model has no weights yet, several inputs, or an input whose channel axis is not known.
    """
    shapes = _input_shapes(model)
    if len(shapes) != 1:
        raise ValueError(f"model must have one input, but {model.name!r} takes {', '.join(map(format_shape, shapes))}.")
    (axis,) = remember(model, ("channel_axes", shapes[0]), lambda: channel_axes(model, [(None, *shapes[0])]))
    positions = tuple(size for number, size in enumerate(shapes[0], 1) if number != axis)
    return InputLayout(positions, 1 if axis is None else shapes[0][axis - 1], axis)


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
            "without channels. The methods of kerasal.attribution and maximize take it as it is."
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
            "methods of kerasal.attribution and maximize take it without a wrapper."
        )
    declared_height, declared_width, channels = shape
    default = (declared_height or 224, declared_width or 224)
    height, width = default if size is None else check_size("size", size)
    return height, width, channels or 3


def _single_image_shape(model: keras.Model) -> tuple[int | None, ...]:
    """Return the shape of a model's only image input as the model takes it, without the batch axis."""
    shapes = _input_shapes(model)
    if len(shapes) != 1 or len(shapes[0]) not in (2, 3):
        raise ValueError(
            f"model must have one image input (N, H, W, C), but {model.name!r} takes "
            f"{', '.join(map(format_shape, shapes))}."
        )
    if len(shapes[0]) == 2 and (reason := _signal_reason(model, shapes[0])):
        raise ValueError(
            f"model must have one image input (N, H, W, C), but {model.name!r} takes {format_shape(shapes[0])} and "
            f"{reason}. The methods of kerasal.attribution and maximize take it "
            "as it is. If its inputs are gray images, wrap it: keras.Sequential([keras.Input((H, W, 1)), "
            "keras.layers.Reshape((H, W)), model])."
        )
    return shapes[0]


def _input_shapes(model: keras.Model) -> list[tuple[int | None, ...]]:
    """Return the shapes of a model's inputs without the batch axis; an image of any size if they are not known."""
    specs = input_specs(model)
    if specs is None:  # a subclassed model: the shapes that it was built with
        built = (getattr(model, "_build_shapes_dict", None) or {}).values()
        shapes = [tuple(shape[1:]) for shape in built if shape]
    else:
        shapes = [shape for _, shape, _ in specs]
    return shapes or [(None, None, None)]


def _signal_reason(model: keras.Model, shape: tuple[int | None, ...]) -> str:
    """Return why inputs (N, T, C) of this shape are signals, not gray images; empty if they are images."""
    if (layer := _sequence_layer(model)) is not None:
        return f"has the layer {layer!r} for sequences (N, T, C)"
    if flat_channels(shape) is not None and channel_axes(model, [(None, *shape)]) != [None]:
        return "flattens it, so that its sizes are those of a signal (N, T, C)"
    return ""


def _sequence_layer(model: keras.Model) -> str | None:
    """Return the path of a layer for sequences, by which inputs (N, T, C) are known from gray images (N, H, W)."""
    for path, layer in paths.layers(model):
        kinds = [base.__name__ for base in type(layer).__mro__]
        if "Conv2D" in kinds or "DepthwiseConv2D" in kinds:
            return None
        if any(kind.endswith("1D") or kind in ("RNN", "Bidirectional", "MultiHeadAttention") for kind in kinds):
            return path
    return None
