"""Segments of each image: several maps, or a function that returns the map of an image, as options per image.

The number of regions is a constant of a graph, so images with maps of their own are run one after another, each with a
trace of its own. Forward passes stay as fast, because the masks of an image fill a batch; the cost is the tracing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.attribution.perturbation.partition import make_regions
from kerasal.attribution.perturbation.shared_parts import ExplainedInput, explained_inputs
from kerasal.hooks.held_inputs import starts_at_layer


def own_segments(check: Callable[[Mapping[str, Any], int], None] | None = None) -> Callable:
    """Return the ``own_options`` of a method: its options for each image if ``segments`` differ between images.

    ``check(options, regions)`` raises an error if the options do not fit the number of regions of an image, so that it
    comes before the first image is run.
    """

    def options_of(options: dict, model, arrays: Sequence[np.ndarray]) -> list[dict] | None:
        segments = options["segments"]
        if segments is None or starts_at_layer(True, options):
            return None
        array, sides, _ = _with_segments(model, arrays)[0]
        if callable(segments):
            name, maps = "segments(inputs[{}])", call_on_images(segments, model, arrays)
        elif _is_several(segments, len(sides)):
            name, maps = "segments[{}]", list(segments)
        else:
            return None
        if len(maps) != len(array):
            shape = " × ".join(map(str, sides))
            raise ValueError(
                f"segments must be one map, {shape}, or one for each of the {len(array)} images, got {len(maps)} maps."
            )
        each = []
        for number, labels in enumerate(maps):
            regions = make_regions(sides, options["cells"], labels, name=name.format(number))
            if check is not None:
                check(options, regions.count)
            each.append({**options, "segments": regions.labels})
        return each

    return options_of


def call_on_images(function: Callable, model, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return what a function returns for each image, (*positions, C), a copy with its channels last.

    Raises:
        ValueError: the model has several inputs with positions.
    """
    parts = _with_segments(model, arrays)
    if len(parts) > 1:
        raise ValueError(
            f"segments must be maps for a model of {len(parts)} inputs with positions, got a function, which is called "
            "with one of them. Call it first, and pass its maps."
        )
    array, _, axis = parts[0]
    # An array also of None, which is an error where an option that is None is the default.
    return [np.asanyarray(function(x.copy())) for x in (array if axis is None else np.moveaxis(array, axis, -1))]


def _with_segments(model, arrays: Sequence[np.ndarray]) -> list[ExplainedInput]:
    """Return the inputs that segments divide: not features beside inputs with an order."""
    parts = explained_inputs(model, arrays)
    return [part for part in parts if part.array.ndim > 2] or parts


def _is_several(segments: Any, axes: int) -> bool:
    """Return whether segments are a map per image: an array with one more axis, or a list of maps of any sizes."""
    if isinstance(segments, (list, tuple)):
        return bool(segments) and np.ndim(segments[0]) == axes
    return np.ndim(segments) == axes + 1
