"""The position and channel axes of a model's inputs, layers and outputs.

They are read from the traced graph: convolution, pooling and resizing have a known channel axis, and the operations
before and after them keep or move the axes (``kerasal.hooks.axis_labels``). If no operation has a known channel axis,
``keras.config.image_data_format()`` decides, unless it contradicts the shape.
"""

from collections.abc import Sequence

from kerasal.hooks import paths
from kerasal.hooks.axis_labels import CHANNEL, POSITION, AxisLabels, data_format

import keras
import tensorflow as tf

_CHANNEL_COUNTS = (1, 3)  # an axis of this size holds channels if the other axes are long


def input_channels(inputs: Sequence[tf.Tensor], operations: Sequence[tf.Operation]) -> list[int | str]:
    """Return the channel axis of each input of a run, or a text with the reason why it is not known."""
    votes = AxisLabels(axis_seeds(inputs), operations, past_images=False).votes
    channels = []
    for number, x in enumerate(inputs):
        axes = {False: {}, True: {}}
        for vote in votes:
            labels = [label for label in vote.labels if isinstance(label, tuple)]
            voted = {axis for source, axis in labels if source == number}
            if len(voted) == 1 and voted != {0}:
                axes[vote.suggests].setdefault(voted.pop(), vote.operation)
        channels.append(_choose_axis(number, x, axes[False] or axes[True]))
    return channels


def channel_axes(model: keras.Model, shapes: Sequence[tuple] | None = None) -> list[int]:
    """Return the channel axis of each input of a model.

    The model is not run. It is traced once if its layers and shapes do not determine the axes.

    Args:
        model: any built Keras model.
        shapes: input shapes (N, …) for a model that declares none.

    Raises:
        ValueError: the channel axis of an image input is not known.
    """
    declared = getattr(model, "inputs", None)
    shapes = [tuple(tensor.shape) for tensor in declared] if declared else [tuple(shape) for shape in shapes or []]
    mentions_first = keras.config.image_data_format() == "channels_first" or any(
        getattr(layer, "data_format", None) == "channels_first" for _, layer in paths.layers(model)
    )
    images = [shape for shape in shapes if len(shape) == 4 and shape[1] is not None]
    if not mentions_first and not any(shape[3] is None or shape[1] <= 4 < shape[3] for shape in images):
        return [len(shape) - 1 for shape in shapes]
    channels = []
    for shape, axis in zip(shapes, _trace_channels(model, shapes), strict=True):
        if isinstance(axis, str) and len(shape) >= 4:
            raise ValueError(axis)
        channels.append(len(shape) - 1 if isinstance(axis, str) else axis)
    return channels


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


def _trace_channels(model, shapes) -> list[int | str]:
    channels = []

    def run(*inputs):
        operations = tf.compat.v1.get_default_graph().get_operations
        before = len(operations())
        model(paths.pack(model, list(inputs)), training=False)
        channels.extend(input_channels(inputs, operations()[before:]))

    specs = [tf.TensorSpec((None, *shape[1:]), tf.float32) for shape in shapes]
    tf.function(run, autograph=False).get_concrete_function(*specs)
    return channels


def axis_seeds(inputs) -> list:
    """Return labels for ``AxisLabels`` that name each axis of each input as (input number, axis)."""
    return [
        (x, tuple(frozenset(((number, axis),)) for axis in range(x.shape.rank)))
        for number, x in enumerate(inputs)
        if x.shape.rank is not None
    ]


def _choose_axis(number: int, x: tf.Tensor, axes: dict[int, str]) -> int | str:
    if len(axes) == 1:
        return next(iter(axes))
    shape = "(" + ", ".join("any" if size is None else str(size) for size in x.shape[1:]) + ")"
    remedy = (
        "If the model takes channels first, put a layer in front that states it: keras.Sequential([keras.Input((H, W, "
        "C)), keras.layers.Permute((3, 1, 2)), model])."
    )
    if axes:
        listed = " and ".join(f"axis {axis} by {operation}" for axis, operation in sorted(axes.items()))
        return f"Input {number} {shape} must have one channel axis, but the model takes {listed}. {remedy}"
    rank = x.shape.rank or 1
    last = keras.config.image_data_format() == "channels_last"
    sizes = x.shape.as_list() if rank == 4 else [None] * 4
    channels, other = (sizes[3], sizes[1]) if last else (sizes[1], sizes[3])
    if other in _CHANNEL_COUNTS and all(size is None or size > 4 for size in (channels, sizes[2])):
        return (
            f"Input {number} {shape} must have a known channel axis, but no layer of the model determines it, and "
            f"keras.config.image_data_format() does not fit the shape. {remedy}"
        )
    return rank - 1 if last or rank < 4 else 1


def moves_channels(operations) -> bool:
    """Return whether operations transpose axes or take channels first, so that channels may not come last."""
    return any(op.type == "Transpose" or data_format(op).startswith(b"NC") for op in operations)


def output_channel(labels, inputs: list[int | str], tensor: tf.Tensor) -> int | None:
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
