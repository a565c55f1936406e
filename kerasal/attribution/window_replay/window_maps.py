"""Maps of what covering each window of an input changes, for all inputs of a view."""

import dataclasses
from collections.abc import Callable
from typing import Any

from kerasal.attribution.window_replay import window_loop
from kerasal.attribution.window_replay.windows import Windows, fill_values
from kerasal.hooks.view import Run, View

import tensorflow as tf


def window_maps(
    view: View,
    windows_of: Callable[[int, tf.Tensor], Windows],
    fill: Any,
    measure: str = "score",
    layer: str | None = None,
    incremental: Any = "auto",
    bar: bool = False,
) -> list[tf.Tensor]:
    """Return for each input a value per window, float32 (N, *windows.shape), with the other inputs unchanged.

    ``windows_of(index, x)`` returns the windows of an input; the other arguments are those of ``occlusion``.

    Raises:
        ValueError: ``fill`` does not fit, or the graph does not allow ``incremental=True``.
    """
    # The batch size is left open, because the occluded images multiply it by the number of windows.
    batch_size = view.inputs[0].shape[0]
    inputs = [
        x if batch_size is None else tf.compat.v1.placeholder_with_default(x, [None, *x.shape[1:]]) for x in view.inputs
    ]
    view = dataclasses.replace(view, inputs=inputs)
    taps = (layer,) if measure == "layer" and layer is not None else ()
    needs_output = {"score": None, "class": True, "layer": False}[measure]
    clean = view.run(taps=taps, output=needs_output)
    if measure == "class" and clean.ranking is not clean.output:  # the logits do not determine the top class
        view = dataclasses.replace(view, settings=dataclasses.replace(view.settings, logits=False))
        clean = view.run(taps=taps, output=needs_output)
    if clean.output is not None:
        clean.output.set_shape([batch_size, *clean.output.shape[1:]])
    if measure == "layer" and layer is not None:
        value = window_loop.strongest_map(view, clean, layer)
    else:
        value = (window_loop.score_drop if measure == "score" else window_loop.top_class)(view, clean)
    return [_map(view, i, clean, value, windows_of(i, x), fill, incremental, bar) for i, x in enumerate(inputs)]


def _map(view: View, index: int, clean: Run, value: Callable, windows: Windows, fill, incremental, bar) -> tf.Tensor:
    """Return the map of input ``index``."""
    images, ordered = view.inputs[index], view.layout.is_ordered(index, view.inputs[index])
    filling = fill_values(images, fill, has_channels=view.layout.has_channels(index), ordered=ordered)
    run, rows = window_loop.choose_runner(view, index, filling, windows, clean, incremental)

    def measure_windows(numbers):
        return value(run(numbers), tf.size(numbers))

    return window_loop.map_windows(windows, rows, tf.shape(images)[0], measure_windows, bar)
