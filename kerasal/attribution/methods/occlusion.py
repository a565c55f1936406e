"""Occlusion: the drop of the score when a window of the image is covered."""

import contextlib
from typing import Any, Literal

import numpy as np

from kerasal.attribution.graph_bar import graph_bar
from kerasal.attribution.method import method
from kerasal.attribution.window_replay.window_maps import window_maps
from kerasal.attribution.window_replay.windows import Windows, place, to_pixels
from kerasal.hooks.held_inputs import explained_numbers, starts_at_layer
from kerasal.hooks.positions import channel_axes

import tensorflow as tf


@contextlib.contextmanager
def _occlusion_bar(options: dict, model, arrays: list[np.ndarray]):
    """Show a progress bar, which the graph moves; with ``progress=False``, do nothing."""
    if not options["progress"] or starts_at_layer(True, options):
        yield
        return
    steps, axes = 0, channel_axes(model, [array.shape for array in arrays])
    explained = explained_numbers(model, arrays)
    alone = not any(arrays[number].ndim > 2 for number in explained)
    for array, channels in ((arrays[number], axes[number]) for number in explained):
        sides = [size for axis, size in enumerate(array.shape) if axis not in (0, channels)]
        steps += len(array) * _windows(sides, options["window"], options["stride"], array.ndim > 2, alone).count
    with graph_bar("occlusion", steps):
        yield


def _windows(sides, window, stride, ordered: bool, alone: bool) -> Windows:
    """Return the windows of an input; beside inputs with positions, features are covered one at a time."""
    if not (ordered or alone):
        window = stride = None
    return place(sides, window, stride, ordered=ordered)


def _finish(values: np.ndarray, options: dict) -> np.ndarray:
    return values.astype(np.int32) if options["measure"] == "class" else values


def _on_pixels(values: np.ndarray, size: tuple[int, ...], options: dict) -> np.ndarray:
    if values.shape == tuple(size):  # a window per position, as of features
        return values
    return to_pixels(values, place(size, options.get("window"), options.get("stride")))


def _check_inputs(view) -> None:
    """Raise an error if the size of an input is not known."""
    for tensor in view.inputs:
        if tensor.shape.rank is None or None in tensor.shape.as_list()[1:]:
            raise ValueError(f"inputs must have a known size for occlusion, got {tensor.shape}.")


@method(
    reference="Zeiler & Fergus 2014, section 4.2, figure 7",
    family="perturbation",
    passes="1 forward pass per window, in parts where possible",
    signed=True,
    has_sign=lambda options: options["measure"] == "score",
    separate_sizes=True,
    at_layer=True,
    run_context=_occlusion_bar,
    finish=_finish,
    on_pixels=_on_pixels,
    check=lambda view: (_check_inputs(view), view.score()),
    if_zero="the fill equals what the windows cover, or no single window changes the score",
    question="contribution",
    trust="Trust it first, since it measures what covering a part does; but no model was trained on covered images.",
)
def occlusion(
    view,
    *,
    window: int | tuple[int, ...] | None = None,
    stride: int | tuple[int, ...] | None = None,
    fill: float | tuple[float, ...] | Literal["mean", "blur"] | np.ndarray = 0.0,
    measure: Literal["score", "class", "layer"] = "score",
    layer: str | None = None,
    incremental: bool | Literal["auto"] = "auto",
    progress: bool = False,
):
    """Drop of the score when a square window covers this part of the image (Zeiler & Fergus 2014).

    A window moves over the image in equal steps and always stays inside it: the last window of a row or column is
    moved back to the border, so there are ceil((side - window) / stride) + 1 windows along a side. The value of a
    window is score(clean image) - score(occluded image). Without a target, the top class of the clean image is
    explained. In a signal the window is an interval, in a volume or video a box; of features (N, F), each is covered
    by itself.

    If the graph consists of two-dimensional convolutions, poolings and pointwise operations from the image on, only
    what a window changes is recomputed, up to the layer where that stops being faster. The result is the same as that
    of running every occluded image, up to rounding. Other models run once per window, a few windows at a time. In a
    transformer only the patch embedding is computed in parts, 1.9 % of a forward pass of DINOv2 ViT-S/14: after the
    first attention over all tokens, every token differs.

    Args:
        view: the model and its inputs in the graph.
        window: side of the square window in pixels, or a tuple with a side per axis, such as (height, width); by
            default a quarter of the image's shorter side, or in a volume of each side.
        stride: distance in pixels from each window to the next, or a tuple with one per axis; by default 1/16 of the
            image's shorter side, or in a volume 1/8 of each side.
        fill: values that cover the window, in model inputs: a number, "mean" (the mean of each channel of the image),
            "blur" (the image blurred by a Gaussian whose standard deviation is 1/16 of its shorter side, or in a
            volume of each side), or an array that broadcasts to (H, W, C), or to another input without its batch axis,
            channels last.
        measure: what each value of the map is: "score" (the drop of the score), "class" (the top class of the occluded
            image) or "layer" (the total activation of the layer's strongest channel for the clean image).
        layer: name or path of a layer. With measure "layer" its activation is measured; otherwise windows cover its
            output in place of the inputs, such as the embedding of tokens, by default one token at a time.
        incremental: "auto" recomputes only what a window changes where that is possible and faster; False runs the
            whole model for every window; True raises an error if the graph does not allow the recomputation.
        progress: show a progress bar; there is none for windows over the output of a layer.

    Returns:
        float32 (N, rows, columns), or with as many axes as the input has positions, a value per window, signed, in
        units of the score or the activation; int32 for ``measure="class"``.

    Raises:
        ValueError: the window is larger than the input, ``fill`` does not fit, the layer is unknown or missing for
            ``measure="layer"``, or the graph does not allow ``incremental=True``.
    """
    if measure == "layer" and layer is None:
        raise ValueError('layer must be passed with measure="layer", got None.')
    if not (incremental is True or incremental is False or incremental == "auto"):
        raise ValueError(f'incremental must be "auto", True or False, got {incremental!r}.')
    _check_inputs(view)
    return window_maps(
        view, lambda index, x: _windows_of(view, index, x, window, stride), fill, measure, layer, incremental, progress
    )


def _windows_of(view, index: int, x: tf.Tensor, window, stride) -> Windows:
    """Return the windows of input ``index``; tokens of a layer are covered one at a time by default."""
    sides: Any = x.shape.as_list()[1:-1]
    alone = not any(view.layout.is_ordered(number, x) for number, x in enumerate(view.inputs))
    by_token = view.held.layer is not None and len(sides) == 1
    return _windows(sides, window, stride, view.layout.is_ordered(index, x) and not by_token, alone or by_token)
