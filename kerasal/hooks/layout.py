"""The channel axes of a model during tracing; methods receive inputs channels last, whatever the model takes.

A method sees every input as (N, *positions, C): images (N, H, W, C), signals (N, T, C), volumes (N, D, H, W, C). An
input without channels, such as features (N, F), has a last axis of size 1 there.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasal.hooks.axis_labels import AxisLabels
from kerasal.hooks.positions import (
    axis_seeds,
    channel_axes,
    input_channels,
    last_axes,
    move_axis,
    moves_channels,
    output_channel,
)

import tensorflow as tf


class Layout:
    """The channel axes of a model's inputs and layers, which are read while the model is traced.

    ``channels`` is the channel axis of each of the model's inputs (None for an input without channels) if a method
    works on inputs channels last, and None if the method leaves the inputs unchanged. ``problems`` holds, by input
    number, why a channel axis is not known. ``check=False`` relies on ``channels`` for runs of a part of the model.
    """

    def __init__(self, channels: Sequence[int | None] | None = None, *, check: bool = True):
        self.channels, self._check = channels, check
        self.problems: dict[int, str] = {}
        self._inputs_read = False
        self._axes: dict[str | None, int | None] = {}

    def to_model(self, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return channels-last inputs in the layout that the model takes."""
        if self.channels is None:
            return list(inputs)
        return [restore_channels(x, axis) for x, axis in zip(inputs, self.channels, strict=True)]

    def align_array(self, array: np.ndarray, number: int) -> np.ndarray:
        """Return a user's array, which broadcasts to an image of input ``number``, for the input as a method sees it.

        It has its channels last; for an input without channels it gets an axis of size 1 in their place.
        """
        return array if self.has_channels(number) else array[..., None]

    def has_channels(self, number: int) -> bool:
        """Return whether input ``number`` has a channel axis in the model."""
        return self.channels is None or self.channels[number] is not None

    def is_ordered(self, number: int, x: tf.Tensor) -> bool:
        """Return whether neighbors along the axes of ``x``, input ``number``, belong together; not in features."""
        return self.has_channels(number) or x.shape.rank > 3

    def note(self, inputs: Sequence[tf.Tensor], operations: Sequence[tf.Operation], named: dict) -> None:
        """Read the channel axes of ``named`` tensors from the operations of a run, and check those of the inputs.

        Raises:
            OtherChannels: the channel axes of the inputs differ from ``channels``.
        """
        graph = tf.compat.v1.get_default_graph()
        if any(x.graph is not graph for x in inputs):
            return
        if not self._inputs_read:
            axes = input_channels(inputs, operations)
            self.problems = {number: axis for number, axis in enumerate(axes) if isinstance(axis, str)}
            self._inputs_read = True
            if self.channels is not None and self._check:
                actual = [
                    assumed if isinstance(axis, str) else axis
                    for assumed, axis in zip(self.channels, axes, strict=True)
                ]
                if actual != list(self.channels):
                    raise OtherChannels(actual)
        new = {
            name: tensor for name, tensor in named.items() if name not in self._axes and (tensor.shape.rank or 0) > 2
        }
        if new and not moves_channels(operations):
            self._axes |= dict.fromkeys(new, -1)
        elif new:
            labels = AxisLabels(axis_seeds(inputs), operations)
            axes = input_channels(inputs, operations)
            self._axes |= {name: output_channel(labels.get(tensor), axes, tensor) for name, tensor in new.items()}

    def channel_axis(self, name: str, tensor: tf.Tensor) -> int:
        """Return the channel axis of a layer's output; raises as ``last`` does."""
        axis = self._axes.get(name, -1)
        return self.last(name, tensor) if axis is None else axis % tensor.shape.rank

    def is_last(self, name: str | None) -> bool:
        """Return whether a layer's channels (``None``: the output's classes) are on its last axis."""
        return self._axes.get(name, -1) == -1

    def last(self, name: str | None, tensor: Any) -> Any:
        """Return a layer's output, or a tensor with the same axes, with the channels moved to the last axis.

        ``name`` is the layer, or None for the model's output.

        Raises:
            ValueError: the model moves its channels, and the channel axis of this layer is not known.
        """
        axis = self._axes.get(name, -1)
        if tensor is None or axis == -1:
            return tensor
        if axis is None:
            what = "The model's output" if name is None else f"Layer {name!r}"
            raise ValueError(
                f"{what} {tensor.shape} must have a known channel axis, but the model moves its channels and no "
                "convolution, pooling or transposition determines this axis. Choose a layer that has a data_format."
            )
        return move_axis(tensor, axis, tensor.shape.rank - 1)


class OtherChannels(Exception):
    """The channel axes of the model's inputs, ``args[0]``, differ from the assumed axes."""


def channels_last(method: Callable) -> Callable:
    """Decorate a method so that it receives inputs channels last; its results have the layout of the model's inputs.

    A result with the rank of the input (N, *positions, C) has channels, which are moved back; a map (N, *positions) has
    none.

    Raises:
        ValueError: the channel axis of an input is not known, and the result has no channels.
    """

    @functools.wraps(method)
    def on_channels_last(view, **options):
        shapes = [x.shape for x in view.held.join(view.inputs)]
        try:
            channels = channel_axes(view.model, shapes)
        except ValueError:  # raised below if the result needs the channel axis
            channels = last_axes(shapes)
        channels = [axis for number, axis in enumerate(channels) if number not in view.held.tensors]
        for _ in range(2):
            layout = Layout(channels)
            moved = [move_to_last(x, axis) for x, axis in zip(view.inputs, channels, strict=True)]
            try:
                results = list(method(dataclasses.replace(view, inputs=moved, layout=layout), **options))
                break
            except OtherChannels as other:  # trace again with inputs in the layout that the model takes
                (channels,) = other.args
        for number, (x, axis) in enumerate(zip(moved, channels, strict=True)):
            has_channels = results[number].shape.rank == x.shape.rank
            if number in layout.problems and not has_channels:
                raise ValueError(layout.problems[number])
            if has_channels:
                results[number] = restore_channels(results[number], axis)
        return results

    return on_channels_last


def restore_channels(x: tf.Tensor, axis: int | None) -> tf.Tensor:
    """Return a channels-last tensor with its channels moved to ``axis``; None removes the axis, which has size 1."""
    return tf.squeeze(x, [-1]) if axis is None else move_axis(x, x.shape.rank - 1, axis)


def move_to_last(x: tf.Tensor, axis: int | None) -> tf.Tensor:
    """Return a tensor with its channels on the last axis, which is added if there are none."""
    return tf.expand_dims(x, -1) if axis is None else move_axis(x, axis, x.shape.rank - 1)
