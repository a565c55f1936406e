"""Which axes of a tensor are positions and which holds channels: of a model's inputs, its layers and its outputs.

It is read from the traced graph: a convolution, a pooling or an enlargement says it, and what stands before and after
them keeps or moves its axes (``kerasal.hooks.axis_labels``). Only where nothing in the graph tells, ``image_data_format()``
of Keras decides, unless the shape speaks against it.
"""

from collections.abc import Sequence

from kerasal.hooks import paths
from kerasal.hooks.axis_labels import CHANNEL, POSITION, AxisLabels, data_format

import keras
import tensorflow as tf

_FEW = (1, 3)  # sizes of an axis that are channels where the others are long


def input_channels(inputs: Sequence[tf.Tensor], operations: Sequence[tf.Operation]) -> list[int | str]:
    """Return the channel axis of each input of a run; in place of one that cannot be told, why."""
    votes = AxisLabels(axis_seeds(inputs), operations, beyond=False).votes
    found = []
    for number, x in enumerate(inputs):
        axes = {False: {}, True: {}}
        for vote in votes:
            own = {axis for label, axis in (one for one in vote.labels if isinstance(one, tuple)) if label == number}
            if len(own) == 1 and own != {0}:
                axes[vote.suggests].setdefault(own.pop(), vote.operation)
        found.append(_decided(number, x, axes[False] or axes[True]))
    return found


def channel_axes(model: keras.Model, shapes: Sequence[tuple] | None = None) -> list[int]:
    """Return the channel axis of each of a model's inputs; ``shapes`` (N, …) are those of a model that declares none.

    Nothing is run: where there may be a doubt, the model is traced once.

    Raises:
        ValueError: the channel axis of an image input cannot be told.
    """
    declared = getattr(model, "inputs", None)
    shapes = [tuple(tensor.shape) for tensor in declared] if declared else [tuple(shape) for shape in shapes or []]
    says_first = keras.config.image_data_format() == "channels_first" or any(
        getattr(layer, "data_format", None) == "channels_first" for _, layer in paths.layers(model)
    )
    images = [shape for shape in shapes if len(shape) == 4 and shape[1] is not None]
    if not says_first and not any(shape[3] is None or shape[1] <= 4 < shape[3] for shape in images):
        return [len(shape) - 1 for shape in shapes]
    found = []
    for shape, axis in zip(shapes, _traced_channels(model, shapes), strict=True):
        if isinstance(axis, str) and len(shape) >= 4:
            raise ValueError(axis)
        found.append(len(shape) - 1 if isinstance(axis, str) else axis)
    return found


def mixing_operation(maps: tf.Tensor, operations: Sequence[tf.Operation], channel_axis: int) -> str | None:
    """Return the name of an operation that mixes the positions of ``maps`` and keeps them apart (attention), or None.

    ``operations`` are those that lead from the maps to a score.
    """
    roles: list[frozenset] = [frozenset(), *[frozenset((POSITION,))] * (maps.shape.rank - 1)]
    roles[channel_axis] = frozenset((CHANNEL,))
    mixed = AxisLabels([(maps, tuple(roles))], operations).mixed
    return mixed[0] if mixed else None


def are_exchanged(
    inputs: Sequence[tf.Tensor], number: int, operations: Sequence[tf.Operation], maps: tf.Tensor, channel_axis: int
) -> bool:
    """Tell whether rows of ``maps`` are columns of input ``number`` (N, H, W, C), and columns are its rows."""
    if not any(op.type == "Transpose" for op in operations):
        return False
    labels = AxisLabels(axis_seeds(inputs), operations, follow=True).of(maps) or ()
    own = [{axis for label, axis in (x for x in one if isinstance(x, tuple)) if label == number} for one in labels]
    return [axes for place, axes in enumerate(own) if place not in (0, channel_axis)] == [{2}, {1}]


def _traced_channels(model, shapes) -> list[int | str]:
    found = []

    def run(*inputs):
        operations = tf.compat.v1.get_default_graph().get_operations
        before = len(operations())
        model(paths.pack(model, list(inputs)), training=False)
        found.extend(input_channels(inputs, operations()[before:]))

    specs = [tf.TensorSpec((None, *shape[1:]), tf.float32) for shape in shapes]
    tf.function(run, autograph=False).get_concrete_function(*specs)
    return found


def axis_seeds(inputs):
    return [
        (x, tuple(frozenset(((number, axis),)) for axis in range(x.shape.rank)))
        for number, x in enumerate(inputs)
        if x.shape.rank is not None
    ]


def _decided(number: int, x: tf.Tensor, axes: dict[int, str]) -> int | str:
    if len(axes) == 1:
        return next(iter(axes))
    shown = "(" + ", ".join("any" if size is None else str(size) for size in x.shape[1:]) + ")"
    remedy = (
        "Let the model begin with a layer that says it, for example keras.Sequential([keras.Input((H, W, C)), "
        "keras.layers.Permute((3, 1, 2)), model]) for images that the model takes channels first."
    )
    if axes:
        listed = " and ".join(f"axis {axis} by {operation}" for axis, operation in sorted(axes.items()))
        return f"Input {number} {shown} must have one channel axis, but the model takes {listed}. {remedy}"
    rank = x.shape.rank or 1
    last = keras.config.image_data_format() == "channels_last"
    sizes = x.shape.as_list() if rank == 4 else [None] * 4
    own, other = (sizes[3], sizes[1]) if last else (sizes[1], sizes[3])
    if other in _FEW and all(size is None or size > 4 for size in (own, sizes[2])):
        return (
            f"Input {number} {shown} must have a known channel axis, but no layer of the model tells it, and "
            f"keras.config.image_data_format() does not fit its shape. {remedy}"
        )
    return rank - 1 if last or rank < 4 else 1


def moves_channels(operations) -> bool:
    """Tell whether a run has its channels anywhere but last, or moves axes at all."""
    return any(op.type == "Transpose" or data_format(op).startswith(b"NC") for op in operations)


def output_channel(labels, inputs: list[int | str], tensor: tf.Tensor) -> int | None:
    """Return the one axis of a tensor that holds channels; the last one where nothing speaks against it."""
    last = tensor.shape.rank - 1
    roles = {CHANNEL, *enumerate(inputs)}
    own = [axis for axis, one in enumerate(labels or ()) if axis and one & roles and POSITION not in one]
    if len(own) == 1:
        return -1 if own[0] == last else own[0]
    return None if 1 in inputs and not own and tensor.shape.rank >= 4 else -1


def move_axis(tensor: tf.Tensor, source: int, target: int) -> tf.Tensor:
    """Return a tensor with one axis moved, the others in their order; the tensor itself where it stays."""
    if source == target or tensor.shape.rank is None:
        return tensor
    order = [axis for axis in range(tensor.shape.rank) if axis != source]
    order.insert(target, source)
    return tf.transpose(tensor, order)
