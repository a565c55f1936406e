"""The position and channel axes of a model's inputs, layers and outputs, whatever their rank.

They are read from the traced graph: convolution, pooling and resizing have a known channel axis, and the operations
before and after them keep or move the axes (``kerasal.hooks.axis_labels``). An input has no channel axis if it holds
features (N, F), or if a convolution or pooling runs over all its axes, as for gray images (N, H, W) to which the model
adds the channel.

If no operation has a known channel axis, signals (N, T, C) have their channels last, unless the model flattens both
axes: then their sizes alone tell them apart. An axis of size 1, or of at most 4 beside one that is 8 times as long or
more, has the channels; otherwise both are positions, as of a gray image. For images and volumes
``keras.config.image_data_format()`` decides, unless it contradicts the shape.
"""

from collections.abc import Sequence
from typing import Any

from kerasal.hooks import paths
from kerasal.hooks.axis_labels import CHANNEL, POSITION, AxisLabels, data_format
from kerasal.hooks.operations import called_graph

import keras
import tensorflow as tf

_CHANNEL_COUNTS = (1, 3)  # an axis of this size holds channels if the other axes are long

_FEW, _TIMES_LONGER = 4, 8  # channels of a signal that is flattened: at most so many, in a signal so many times longer


def input_channels(inputs: Sequence[tf.Tensor], operations: Sequence[tf.Operation]) -> list[int | str | None]:
    """Return the channel axis of each input of a run; None for no channels, or a text why the axis is not known."""
    if all((x.shape.rank or 1) < 3 for x in inputs):
        return [None] * len(inputs)
    labels = AxisLabels(axis_seeds(inputs), operations, past_images=False)
    channels = []
    for number, x in enumerate(inputs):
        rank = x.shape.rank or 1
        if rank < 3:
            channels.append(None)
            continue
        required, suggested = _voted_axes(labels.votes, number, rank)
        if len(required) < 2 and rank == 3:
            # A layer of a sequence only suggests that there are channels: a mixer multiplies along the time as well.
            flattens = not suggested and labels.merges(frozenset(((number, 1), (number, 2))))
            channels.append(
                next(iter(required)) if required else flat_channels(x.shape.as_list()[1:]) if flattens else 2
            )
        else:
            channels.append(_choose_axis(number, x, required or suggested))
    return channels


def flat_channels(sizes: Sequence[int | None]) -> int | None:
    """Return the channel axis of an input (N, *sizes) with two axes that a model flattens; None if both are positions.

    See the docstring of the module.
    """
    for axis, (size, other) in ((2, (sizes[1], sizes[0])), (1, (sizes[0], sizes[1]))):
        if size == 1 or (size is not None and other is not None and size <= _FEW and other >= _TIMES_LONGER * size):
            return axis
    return None


def _voted_axes(votes, number: int, rank: int) -> tuple[dict[int | None, str], dict[int | None, str]]:
    """Return the channel axes of an input that operations require and those that they suggest, with an operation each.

    The axis is None if an operation on images runs over all axes of the input.
    """
    required, suggested = {}, {}
    for vote in votes:
        voted = {label[1] for label in vote.labels if isinstance(label, tuple) and label[0] == number}
        covered = {label[1] for label in vote.positions if isinstance(label, tuple) and label[0] == number}
        if len(voted) == 1 and voted != {0} and (not vote.suggests or rank == 3 or vote.rank >= 4):
            (suggested if vote.suggests else required).setdefault(voted.pop(), vote.operation)
        elif not voted and covered >= set(range(1, rank)):
            required.setdefault(None, vote.operation)
    return required, suggested


def channel_axes(model: keras.Model, shapes: Sequence[tuple] | None = None) -> list[int | None]:
    """Return the channel axis of each input of a model, None for an input without channels.

    The model is not run. It is traced once if its layers and shapes do not determine the axes.

    Args:
        model: any built Keras model.
        shapes: input shapes (N, …) for a model that declares none.

    Raises:
        ValueError: the channel axis of an input (N, …) with positions is not known.
    """
    declared = getattr(model, "inputs", None)
    shapes = [tuple(tensor.shape) for tensor in declared] if declared else [tuple(shape) for shape in shapes or []]
    if not _needs_trace(model, shapes):
        return last_axes(shapes)
    channels = _trace_channels(model, shapes)
    for axis in channels:
        if isinstance(axis, str):
            raise ValueError(axis)
    return channels


def last_axes(shapes: Sequence[Sequence]) -> list[int | None]:
    """Return the channel axes of inputs with these shapes (N, …) if all channels are last; features have none."""
    return [len(shape) - 1 if len(shape) > 2 else None for shape in shapes]


def position_sizes(model: keras.Model, shapes: Sequence[tuple]) -> tuple:
    """Return the sizes of the position axes of the first input that has any, of inputs with these shapes (N, …)."""
    axes = channel_axes(model, shapes)
    for number, shape in enumerate(shapes):
        if len(shape) > 2:
            return tuple(size for place, size in enumerate(shape) if place not in (0, axes[number]))
    return ()


def _needs_trace(model: keras.Model, shapes: Sequence[tuple]) -> bool:
    """Return whether the layers and shapes of a model leave the channel axes of its inputs open."""
    if any(len(shape) == 3 for shape in shapes) or keras.config.image_data_format() == "channels_first":
        return True
    ranked = [shape for shape in shapes if len(shape) > 3]
    if any(shape[1] is not None and (shape[-1] is None or shape[1] <= 4 < shape[-1]) for shape in ranked):
        return True
    # A volume (N, D, H, W) without channels has the rank of an image; only the layers tell them apart.
    volumes = any(len(shape) == 4 for shape in ranked)
    return any(
        getattr(layer, "data_format", None) == "channels_first"
        or type(layer).__name__ == "Permute"
        or (volumes and "3D" in type(layer).__name__)
        for _, layer in paths.layers(model)
    )


def mixing_operation(maps: tf.Tensor, operations: Sequence[tf.Operation], channel_axis: int) -> str | None:
    """Return the name of an operation that combines positions of ``maps``, such as attention, or None.

    Only operations that still return a value per position count. ``operations`` lead from the maps to a score.
    """
    roles: list[frozenset] = [frozenset(), *[frozenset((POSITION,))] * (maps.shape.rank - 1)]
    roles[channel_axis] = frozenset((CHANNEL,))
    mixed = AxisLabels([(maps, tuple(roles))], operations).mixed
    return mixed[0] if mixed else None


def is_transposed(
    inputs: Sequence[tf.Tensor], number: int, operations: Sequence[tf.Operation], maps: tf.Tensor, channel_axis: int
) -> bool:
    """Return whether ``maps`` have the rows and columns of input ``number`` (N, H, W, C) exchanged."""
    if not any(op.type == "Transpose" for op in operations):
        return False
    labels = AxisLabels(axis_seeds(inputs), operations, keep_seeds=True).get(maps) or ()
    sources = [
        {axis for source, axis in (label for label in axis_labels if isinstance(label, tuple)) if source == number}
        for axis_labels in labels
    ]
    return [axes for place, axes in enumerate(sources) if place not in (0, channel_axis)] == [{2}, {1}]


def _trace_channels(model, shapes) -> list[Any]:
    channels = []

    def run(*inputs):
        operations = tf.compat.v1.get_default_graph().get_operations
        before = len(operations())
        model(paths.pack(model, list(inputs)), training=False)
        channels.extend(input_channels(inputs, operations()[before:]))

    declared = getattr(model, "inputs", None) or [None] * len(shapes)
    specs = [
        tf.TensorSpec((None, *shape[1:]), tf.float32 if tensor is None or "float" in tensor.dtype else tensor.dtype)
        for shape, tensor in zip(shapes, declared, strict=True)
    ]
    tf.function(run, autograph=False).get_concrete_function(*specs)
    return channels


def axis_seeds(inputs) -> list:
    """Return labels for ``AxisLabels`` that name each axis of each input as (input number, axis)."""
    return [
        (x, tuple(frozenset(((number, axis),)) for axis in range(x.shape.rank)))
        for number, x in enumerate(inputs)
        if x.shape.rank is not None
    ]


def _choose_axis(number: int, x: tf.Tensor, axes: dict[int | None, str]) -> int | str | None:
    if len(axes) == 1:
        return next(iter(axes))
    sizes = x.shape.as_list()
    shape = "(" + ", ".join("any" if size is None else str(size) for size in sizes[1:]) + ")"
    positions = {3: "T", 4: "H, W", 5: "D, H, W"}.get(len(sizes), "…")
    order = ", ".join(map(str, (len(sizes) - 1, *range(1, len(sizes) - 1))))
    remedy = (
        "If the model takes channels first, put a layer in front that states it: keras.Sequential([keras.Input(("
        f"{positions}, C)), keras.layers.Permute(({order})), model])."
    )
    if axes:
        listed = " and ".join(
            f"{'no axis' if axis is None else f'axis {axis}'} by {axes[axis]}"
            for axis in sorted(axes, key=lambda axis: axis or 0)
        )
        return f"Input {number} {shape} must have one channel axis, but the model takes {listed}. {remedy}"
    last = keras.config.image_data_format() == "channels_last"
    channels, other = (sizes[-1], sizes[1]) if last else (sizes[1], sizes[-1])
    if other in _CHANNEL_COUNTS and all(size is None or size > 4 for size in (channels, *sizes[2:-1])):
        return (
            f"Input {number} {shape} must have a known channel axis, but no layer of the model determines it, and "
            f"keras.config.image_data_format() does not fit the shape. {remedy}"
        )
    return len(sizes) - 1 if last else 1


def moves_channels(operations) -> bool:
    """Return whether operations transpose axes or take channels first, so that channels may not come last."""
    for op in operations:
        graph = called_graph(op)
        inside = graph is not None and moves_channels(graph.get_operations())
        if inside or op.type == "Transpose" or data_format(op).startswith(b"NC"):
            return True
    return False


def output_channel(labels, inputs: list[int | str | None], tensor: tf.Tensor) -> int | None:
    """Return the channel axis of a tensor (-1 for the last, also by default); None if it is not known."""
    last = tensor.shape.rank - 1
    roles = {CHANNEL, *enumerate(inputs)}
    channels = [axis for axis, label in enumerate(labels or ()) if axis and label & roles and POSITION not in label]
    if len(channels) == 1:
        return -1 if channels[0] == last else channels[0]
    return None if 1 in inputs and not channels and tensor.shape.rank >= 4 else -1


def move_axis(tensor: tf.Tensor, source: int, target: int) -> tf.Tensor:
    """Return a tensor with an axis moved and the order of the others kept."""
    if source == target or tensor.shape.rank is None:
        return tensor
    order = [axis for axis in range(tensor.shape.rank) if axis != source]
    order.insert(target, source)
    return tf.transpose(tensor, order)
