"""The layout of a model while it is traced: methods see images channels last, whatever the model takes."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from kerasal.hooks.axis_labels import AxisLabels
from kerasal.hooks.positions import axis_seeds, channel_axes, input_channels, move_axis, moves_channels, output_channel

import tensorflow as tf


class Layout:
    """What is known of a model's axes while it is traced.

    ``channels`` is the channel axis of each input as the model takes it, where a routine works on images channels last;
    None where the routine leaves inputs as they are. A run of the model fills in the rest.
    """

    def __init__(self, channels: Sequence[int] | None = None):
        self.channels = channels
        self.problems: dict[int, str] = {}
        self._read = False
        self._axes: dict[str | None, int | None] = {}

    def to_model(self, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return images that are channels last as the model takes them."""
        if self.channels is None:
            return list(inputs)
        return [move_axis(x, x.shape.rank - 1, axis) for x, axis in zip(inputs, self.channels, strict=True)]

    def note(self, inputs: Sequence[tf.Tensor], operations: Sequence[tf.Operation], named: dict) -> None:
        """Read the axes of ``named`` tensors off what a run added to the graph; check what is known of the inputs.

        Raises:
            OtherChannels: the inputs' channels are elsewhere than assumed.
        """
        graph = tf.compat.v1.get_default_graph()
        if any(x.graph is not graph for x in inputs):
            return
        if not self._read:
            found = input_channels(inputs, operations)
            self.problems = {number: axis for number, axis in enumerate(found) if isinstance(axis, str)}
            self._read = True
            if self.channels is not None:
                wanted = [
                    own if isinstance(axis, str) else axis for own, axis in zip(self.channels, found, strict=True)
                ]
                if wanted != list(self.channels):
                    raise OtherChannels(wanted)
        new = {
            name: tensor for name, tensor in named.items() if name not in self._axes and (tensor.shape.rank or 0) > 2
        }
        if new and not moves_channels(operations):
            self._axes |= dict.fromkeys(new, -1)
        elif new:
            labels = AxisLabels(axis_seeds(inputs), operations)
            found = input_channels(inputs, operations)
            self._axes |= {name: output_channel(labels.of(tensor), found, tensor) for name, tensor in new.items()}

    def channel_axis(self, name: str, tensor: tf.Tensor) -> int:
        """Return the axis of a layer's output that holds its channels; raises as ``last`` does."""
        axis = self._axes.get(name, -1)
        return self.last(name, tensor) if axis is None else axis % tensor.shape.rank

    def is_last(self, name: str | None) -> bool:
        """Tell whether a layer's channels (``None``: the output's classes) are known to be its last axis."""
        return self._axes.get(name, -1) == -1

    def last(self, name: str | None, tensor: Any) -> Any:
        """Return a layer's output (``None``: the model's), or another of its kind, channels last.

        Raises:
            ValueError: the model moves its channels about, and where this layer has them is not known.
        """
        axis = self._axes.get(name, -1)
        if tensor is None or axis == -1:
            return tensor
        if axis is None:
            what = "The model's output" if name is None else f"Layer {name!r}"
            raise ValueError(
                f"{what} {tensor.shape} must have a known channel axis, but the model moves its channels about and "
                "no convolution, pooling or transposition leads there. Choose a layer that has a data_format."
            )
        return move_axis(tensor, axis, tensor.shape.rank - 1)


class OtherChannels(Exception):
    """The model takes the channels of its inputs at other axes, ``args[0]``, than was assumed."""


def channels_last(method: Callable) -> Callable:
    """Let a method see every image channels last; its results with channels come back as the model takes inputs.

    Raises:
        ValueError: the channel axis of an input cannot be told, and the maps have none.
    """

    @functools.wraps(method)
    def on_channels_last(view, **options):
        try:
            channels = channel_axes(view.model, [x.shape for x in view.inputs])
        except ValueError:  # said where a map needs it
            channels = [(x.shape.rank or 1) - 1 for x in view.inputs]
        for _ in range(2):
            layout = Layout(channels)
            moved = [move_axis(x, axis, x.shape.rank - 1) for x, axis in zip(view.inputs, channels, strict=True)]
            try:
                results = list(method(dataclasses.replace(view, inputs=moved, layout=layout), **options))
                break
            except OtherChannels as found:  # so the trace begins anew, with the images turned
                (channels,) = found.args
        for number, (x, axis) in enumerate(zip(view.inputs, channels, strict=True)):
            rank = results[number].shape.rank
            if number in layout.problems and x.shape.rank >= 4 and rank != x.shape.rank:
                raise ValueError(layout.problems[number])
            if rank == x.shape.rank:
                results[number] = move_axis(results[number], rank - 1, axis)
        return results

    return on_channels_last
