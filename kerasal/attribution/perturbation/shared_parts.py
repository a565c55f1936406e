"""Parts that the perturbation methods share: their inputs under masks, checks, regions and the progress bar."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasal.attribution.graph_bar import graph_bar
from kerasal.attribution.perturbation.estimation import GROUPS, Sampling
from kerasal.attribution.perturbation.lower_precision import check_precision, precision_context
from kerasal.attribution.perturbation.masked_scores import MaskedInput
from kerasal.attribution.perturbation.partition import Regions, make_regions
from kerasal.attribution.window_replay.windows import fill_values
from kerasal.checks import check_int
from kerasal.hooks.held_inputs import explained_numbers, starts_at_layer
from kerasal.hooks.positions import channel_axes
from kerasal.hooks.view import View

import tensorflow as tf


class ExplainedInput(NamedTuple):
    """An input that is explained, (N, …), with its number of positions along each axis, and the axis of its channels.

    The axis is None for an input without channels, such as features.
    """

    array: np.ndarray
    sides: tuple[int, ...]
    channel_axis: int | None


def explained_inputs(model, arrays: Sequence[np.ndarray]) -> list[ExplainedInput]:
    """Return the inputs of a model that are explained."""
    axes = channel_axes(model, [array.shape for array in arrays])
    parts = []
    for number in explained_numbers(model, arrays):
        sides = (size for axis, size in enumerate(arrays[number].shape) if axis not in (0, axes[number]))
        parts.append(ExplainedInput(arrays[number], tuple(sides), axes[number]))
    return parts


def check_sizes(view: View) -> None:
    """Raise an error if the size of an input is not known, or the target does not fit the model."""
    for tensor in view.inputs:
        if tensor.shape.rank is None or None in tensor.shape.as_list()[1:]:
            raise ValueError(f"inputs must have a known size for masks, got {tensor.shape}.")
    view.score()


def masked_inputs(view: View, fill: Any, precision: str = "float32") -> list[MaskedInput]:
    """Return each input of a view with its filling; the target is fixed to that of the unmasked inputs."""
    check_precision(precision)
    check_sizes(view)
    view = view.pin()
    return [MaskedInput(view, number, _filling(view, number, x, fill)) for number, x in enumerate(view.inputs)]


def _filling(view: View, number: int, x: tf.Tensor, fill: Any) -> tf.Tensor:
    ordered = view.layout.is_ordered(number, x)
    return fill_values(x, fill, has_channels=view.layout.has_channels(number), ordered=ordered)


def regions_of(masked: MaskedInput, cells: Any, segments: Any) -> Regions:
    """Return the regions of an input; beside inputs with an order, features are covered one at a time."""
    view = masked.view
    ordered = view.layout.is_ordered(masked.index, masked.x)
    others = any(view.layout.is_ordered(number, x) for number, x in enumerate(view.inputs))
    if not ordered and others:
        cells = segments = None
    return make_regions(masked.sides, cells, segments, ordered=ordered, by_position=masked.is_tokens)


def read_sampling(samples: int, tolerance: float | None, bar: bool, *, needs_error: bool = False) -> Sampling:
    """Return how many samples are run.

    Raises:
        ValueError: ``samples`` is not a positive integer, or less than the groups of samples from which the standard
            error is estimated, if one is needed; or ``tolerance`` is not a positive number.
    """
    check_int("samples", samples)
    if tolerance is not None and not tolerance > 0:
        raise ValueError(f"tolerance must be a positive number or None, got {tolerance!r}.")
    if samples < GROUPS and (needs_error or tolerance is not None):
        raise ValueError(f"samples must be at least {GROUPS} for a standard error, got {samples} that are random.")
    return Sampling(samples, tolerance, needs_error, bar)


def with_errors(maps: list[tuple[tf.Tensor, tf.Tensor]], return_error: bool) -> list[tf.Tensor]:
    """Return maps from pairs of a map and its standard error, and with ``return_error`` their largest errors (N,)."""
    values = [value for value, _ in maps]
    if not return_error:
        return values
    errors = []
    for value, error in maps:
        axes = list(range(1, value.shape.rank))
        largest = tf.reduce_max(tf.abs(value), axes)
        errors.append(tf.cast(tf.math.divide_no_nan(tf.reduce_max(error, axes), largest), tf.float32))
    return values + errors


def sample_bar(name: str, passes: Callable[[Mapping[str, Any], int], int]) -> Callable:
    """Return the ``run_context`` of a method: a progress bar with a step per masked input, if ``progress`` is set.

    ``passes(options, regions)`` returns the number of masks of an input with this number of regions. The method runs in
    the precision that its option says, if it has one. Options are a list if they differ between images.
    """

    @contextlib.contextmanager
    def run(options: dict | list[dict], model, arrays) -> Iterator[None]:
        each = options if isinstance(options, list) else [options]
        with precision_context(each[0].get("precision", "float32")), bar(each, model, arrays):
            yield

    @contextlib.contextmanager
    def bar(each: list[dict], model, arrays) -> Iterator[None]:
        if not each[0]["progress"] or starts_at_layer(True, each[0]):
            yield
            return
        steps, times = 0, len(arrays[0]) // len(each)
        for array, sides, _ in explained_inputs(model, arrays):
            ordered = array.ndim > 2
            steps += times * sum(passes(options, _count(sides, options, ordered=ordered)) for options in each)
        with graph_bar(name, steps):
            yield

    return run


def _count(sides: Sequence[int], options: Mapping[str, Any], *, ordered: bool) -> int:
    """Return the number of regions; 0 where they cannot be made, of which the method tells."""
    if "segments" not in options:
        return 0
    try:
        return make_regions(sides, options["cells"], options["segments"], ordered=ordered).count
    except ValueError:
        return 0
