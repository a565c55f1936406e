"""Inputs that a method holds fixed: integers, which have no gradient, and all inputs where it starts at a layer.

A view of a model of several inputs may explain only some of them: its ``inputs``. The others, such as token indices or
the metadata beside an image, are held. To attribute a score to an inner layer, such as an embedding of tokens, all
inputs of the model are held, and the only input of the view is the layer's output, which replaces it in the model.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from kerasal.hooks import paths
from kerasal.hooks.dependencies import operations_below
from kerasal.hooks.layout import Layout, channels_last, move_to_last, restore_channels
from kerasal.hooks.operations import SHAPES
from kerasal.hooks.taps import NoGradient

import tensorflow as tf


@dataclasses.dataclass(frozen=True, eq=False)
class HeldInputs:
    """Inputs of a model that stay as they are, by number, in the layout of the model.

    ``layer`` is the path of the layer whose output is the view's only input, of the type ``dtype``; else None.
    """

    tensors: Mapping[int, tf.Tensor] = dataclasses.field(default_factory=dict)
    layer: str | None = None
    dtype: Any = None

    def join(self, explained: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return all inputs of the model; held inputs are repeated if ``explained`` holds several copies of a batch."""
        if not self.tensors:
            return list(explained)
        first = explained[0]
        held = {number: _repeat_like(tensor, first) for number, tensor in self.tensors.items()}
        rest = [] if self.layer else list(explained)
        return [held[number] if number in held else rest.pop(0) for number in range(len(held) + len(rest))]

    def replacements(self, explained: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return the outputs of layers that ``explained`` replaces, by name."""
        return {} if self.layer is None else {self.layer: tf.cast(explained[0], self.dtype)}


def explained_numbers(model, arrays: Sequence[Any], *, with_positions: bool = False) -> list[int]:
    """Return the numbers of the inputs that have a gradient; the others are integers.

    ``arrays`` are arrays or tensors (N, …). ``with_positions`` leaves out features (N, F) beside other inputs.

    Raises:
        ValueError: all inputs are integers.
    """
    floating = [number for number, array in enumerate(arrays) if tf.as_dtype(array.dtype).is_floating]
    if not floating:
        raise ValueError(
            f"inputs of {model.name!r} must hold floating-point values, but all are integers, which have no gradient. "
            f"Attribute to the layer that converts them: layer={_converting_layer(model)!r} of a gradient or "
            "perturbation method."
        )
    placed = [number for number in floating if len(arrays[number].shape) > 2]
    return placed if with_positions and placed else floating


def explain_inputs(function, *, with_positions: bool, at_layer: bool):
    """Decorate a graph function so that its view holds only the inputs that it explains, channels last."""
    on_channels_last = channels_last(function)

    @functools.wraps(function)
    def on_explained_inputs(view, **options):
        if starts_at_layer(at_layer, options):
            return _run_at_layer(function, view, options)
        numbers = explained_numbers(view.model, view.inputs, with_positions=with_positions)
        return on_channels_last(hold_others(view, numbers), **options)

    return on_explained_inputs


def starts_at_layer(at_layer: bool, options: Mapping[str, Any]) -> bool:
    """Return whether a method with these options explains the output of a layer in place of the inputs."""
    return at_layer and options.get("layer") is not None and options.get("measure") != "layer"


def hold_others(view, numbers: Sequence[int]) -> Any:
    """Return a view whose inputs are those with these numbers; the others are held."""
    held = {number: tensor for number, tensor in enumerate(view.inputs) if number not in numbers}
    if not held:
        return view
    return dataclasses.replace(view, inputs=[view.inputs[number] for number in numbers], held=HeldInputs(held))


def start_at(view, layer: str) -> Any:
    """Return a view whose only input is the output of a layer, channels last; the model's inputs are held.

    Raises:
        ValueError: an unknown layer, a layer that runs several times, or one without a floating-point output (N, …, C).
    """
    path, runs = paths.find(view.model, layer)[0], {}
    tensor = view.run(taps=[path], output=False, runs=runs).layers[path]
    if len({output.ref() for output in runs[path]}) > 1:
        raise ValueError(
            f"layer must run once to attribute to its output, but {layer!r} runs {len(runs[path])} times. Choose a "
            "later layer."
        )
    if not tensor.dtype.is_floating or (tensor.shape.rank or 0) < 2:
        raise ValueError(
            f"layer must have a floating-point output (N, …, C), got {tensor.dtype.name} {tensor.shape} of {layer!r}. "
            "Choose a later layer, such as an embedding."
        )
    axis = None if tensor.shape.rank == 2 else view.layout.channel_axis(path, tensor)
    held = HeldInputs(dict(enumerate(view.inputs)), path, tensor.dtype)
    moved = move_to_last(tf.cast(tensor, tf.float32), axis)
    return dataclasses.replace(view, inputs=[moved], held=held, layout=Layout([axis], check=False))


def refuse_independent(view, scores: tf.Tensor, inputs: Sequence[tf.Tensor], error: NoGradient) -> None:
    """Raise an error that explains a missing gradient if the scores depend on none of the explained inputs.

    Raises:
        NoGradient: the target reads held inputs only.
    """
    below = operations_below([scores], SHAPES)
    if view.held.layer is not None or any(x.op in below for x in inputs):
        return
    embedding = first_embedding(view.model)
    remedy = (
        f"Attribute to the layer that embeds the integers: layer={embedding!r}"
        if embedding
        else "Choose another target"
    )
    raise NoGradient(
        "The target must depend on an input with floating-point values, but it depends on none of those of "
        f"{view.model.name!r}. {remedy}."
    ) from error


def _run_at_layer(function, view, options: dict[str, Any]) -> list:
    """Return the results of a method for the output of a layer; results with channels have the layer's layout."""
    inner = start_at(view, options["layer"])
    first, *rest = function(inner, **{**options, "layer": None})
    if first.shape.rank == inner.inputs[0].shape.rank:
        first = restore_channels(first, inner.layout.channels[0])
    return [first, *rest]


def _repeat_like(tensor: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """Return a tensor (N, …) with as many rows as ``first``, which holds one or more copies of the batch."""
    rows, wanted = tensor.shape[0], first.shape[0]
    if rows is not None and rows == wanted:
        return tensor
    times: Any = tf.shape(first)[0] // tf.shape(tensor)[0]
    return tf.tile(tensor, [times, *[1] * (tensor.shape.rank - 1)])


def first_embedding(model) -> str | None:
    """Return the path of a model's first layer that embeds indices, or None."""
    return next((path for path, layer in paths.layers(model) if "Embedding" in type(layer).__name__), None)


def _converting_layer(model) -> str:
    """Return the path of the first layer that embeds indices, or else of the first layer, such as a ``Rescaling``."""
    return first_embedding(model) or next((path for path, _ in paths.layers(model)), "NAME")
