"""The maps among the outputs of a model's layers: tensors with a value for each position of an input."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from kerasal.hooks.axis_factors import BATCH, BATCH_SIZE, Axes, Axis, Factor, channel
from kerasal.hooks.dependencies import reached_inputs
from kerasal.hooks.map_positions import Positions
from kerasal.hooks.position_tracer import PositionTracer
from kerasal.hooks.positions import input_channels
from kerasal.hooks.view import View

import keras
import tensorflow as tf

CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)
RECURRENT = (keras.layers.RNN, keras.layers.Bidirectional)


@dataclasses.dataclass(frozen=True)
class LayerMap:
    """The output of a run of a layer, with the layer's path and the axes of its positions and channels.

    ``path`` is the name of an operation if the output of no layer is this tensor; ``run`` is then None, else the number
    of the run, from 0.
    """

    path: str
    tensor: tf.Tensor
    positions: Positions
    run: int | None = None

    @property
    def grid(self) -> tuple:
        """Number of positions along each position axis of the input."""
        return self.positions.grid

    def to_input_axes(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return a tensor with the axes of the map, such as its gradient, as (N, *positions, C) of the input."""
        return self.positions.to_map(tensor)

    def covers(self, number: int, x: tf.Tensor) -> bool:
        """Return whether the map has positions along all position axes of input ``number``, (N, *positions, C)."""
        return self.positions.sources == tuple((number, place) for place in range(x.shape.rank - 2))


def trace_positions(
    view: View,
    inputs: Sequence[tf.Tensor],
    operations: Sequence[tf.Operation],
    runs: Mapping[str, Sequence[tf.Tensor]],
    kinds: Mapping[str, keras.Operation],
) -> PositionTracer:
    """Trace the positions of ``inputs`` through a run, with the time axes of recurrent and time-distributed layers."""
    if view.layout.channels is not None:  # the method sees inputs channels last
        channels = [x.shape.rank - 1 for x in inputs]
    else:
        known = input_channels(inputs, operations)
        channels = [x.shape.rank - 1 if isinstance(axis, str) else axis for x, axis in zip(inputs, known, strict=True)]
    reached = reached_inputs(inputs, operations)
    fixed = {}
    for path, tensors in runs.items():
        keeps_time = _time_axis(kinds[path]) if path in kinds else None  # else a short name of the same layer
        for tensor in tensors:
            numbers = reached.get(tensor.ref(), set())
            if keeps_time is not None and len(numbers) == 1 and (tensor.shape.rank or 0) >= 3:
                fixed[tensor.ref()] = keeps_time(tensor, next(iter(numbers)))
    return PositionTracer(inputs, channels, operations, fixed)


def find_maps(tracer: PositionTracer, runs: Mapping[str, Sequence[tf.Tensor]]) -> list[LayerMap]:
    """Return the maps among the outputs of layers, in the order in which the layers ran."""
    maps = []
    for path, tensors in runs.items():
        numbers = {tensor.ref(): run for run, tensor in reversed(list(enumerate(tensors)))}
        for run in sorted(numbers.values()):
            positions = tracer.positions(tensors[run])
            if positions is not None:
                maps.append(LayerMap(path, tensors[run], positions, run))
    place = {op.name: number for number, op in enumerate(tf.compat.v1.get_default_graph().get_operations())}
    return sorted(maps, key=lambda layer_map: (place[layer_map.tensor.op.name], layer_map.path.count("/")))


def _time_axis(layer: keras.Operation) -> Callable | None:
    """Return a function that fixes the axes of the output of a layer with a time axis, or None for other layers."""
    if isinstance(layer, keras.layers.TimeDistributed):
        return lambda tensor, number: lambda axes: _with_time(axes, tensor, number)
    if isinstance(layer, RECURRENT) and getattr(layer, "return_sequences", False):
        return lambda tensor, number: lambda axes: _recurrent_axes(layer, tensor, number)
    return None


def _with_time(axes: Axes, tensor: tf.Tensor, number: int) -> Axes:
    return (axes[0], Axis((Factor((number, 0), tensor.shape[1]),)), *axes[2:])


def _recurrent_axes(layer, tensor: tf.Tensor, number: int) -> Axes:
    """Return (batch, time, …): the channels of a recurrent convolution are where its ``data_format`` says.

    A layer that goes backwards returns the last time step first.
    """
    sizes = tensor.shape.as_list()
    first = getattr(getattr(layer, "cell", None), "data_format", "channels_last") == "channels_first"
    channel_axis = 2 if first and len(sizes) > 3 else len(sizes) - 1
    axes, place = [Axis((Factor(BATCH, sizes[0] or BATCH_SIZE),))], 0
    for axis in range(1, len(sizes)):
        if axis == channel_axis:
            axes.append(channel(sizes[axis]))
        else:
            backwards = place == 0 and getattr(layer, "go_backwards", False)
            axes.append(Axis((Factor((number, place), sizes[axis], steps=(("flip",),) if backwards else ()),)))
            place += 1
    return tuple(axes)
