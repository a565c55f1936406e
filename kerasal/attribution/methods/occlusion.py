"""Occlusion: how far the score falls when a window of the image is covered."""

import contextlib
import dataclasses
from typing import Any, Literal

import numpy as np

from kerasal.attribution.method import method
from kerasal.attribution.window_replay import window_loop
from kerasal.attribution.window_replay.windows import filled, place, to_pixels
from kerasal.hooks.operations import map_sizes
from kerasal.hooks.positions import channel_axes
from kerasal.progress import progress_bar

import tensorflow as tf

_bars: list = []


@contextlib.contextmanager
def _bar(options: dict, model, arrays: list[np.ndarray]):
    """Show the bar that the graph moves on."""
    if not options["progress"]:
        yield
        return
    total = 0
    for array, channels in zip(arrays, channel_axes(model, [array.shape for array in arrays]), strict=True):
        height, width = np.delete(array.shape, [0, channels]).tolist()
        total += len(array) * place(height, width, options["window"], options["stride"]).count
    with progress_bar("occlusion", total) as advance:
        _bars.append(advance)
        try:
            yield
        finally:
            _bars.remove(advance)


def _advance(count: np.ndarray) -> np.int32:
    if _bars:
        _bars[-1](int(count))
    return np.int32(count)


def _finish(values: np.ndarray, options: dict) -> np.ndarray:
    return values.astype(np.int32) if options["measure"] == "class" else values


def _on_pixels(values: np.ndarray, size: tuple[int, int], options: dict) -> np.ndarray:
    return to_pixels(values, place(*size, options.get("window"), options.get("stride")))


@method(
    reference="Zeiler & Fergus 2014, section 4.2, figure 7",
    signed=True,
    own_size=True,
    around=_bar,
    finish=_finish,
    on_pixels=_on_pixels,
    if_zero="the windows hold what the fill is, or no single one changes the score",
)
def occlusion(
    view,
    *,
    window: int | None = None,
    stride: int | None = None,
    fill: float | Literal["mean", "blur"] | np.ndarray = 0.0,
    measure: Literal["score", "class", "layer"] = "score",
    layer: str | None = None,
    incremental: bool | Literal["auto"] = "auto",
    progress: bool = False,
):
    """Show how far the score falls when a window is covered: score(clean) - score(occluded), window by window.

    A square of ``window`` pixels (default: height / 4) moves in steps of ``stride`` (default: height / 16), always
    inside the image: the last one of a row is moved back to the border, so there are ceil((side - window) / stride) + 1
    along a side. The top class is that of the clean image.

    Where the graph is understood (convolutions, poolings and pointwise operations from the image on), only what a
    window changes is computed again, up to where that no longer pays; the result is that of running every occluded
    image, to rounding.

    * ``window``: side of the square in pixels; ``stride``: pixels from one to the next.
    * ``fill``: what covers: a number, ``"mean"`` (each image's, channel by channel), ``"blur"`` (the image under a
      Gaussian of 1/16 of its shorter side), or an array that broadcasts to (H, W, C).
    * ``measure``: ``"score"``; ``"class"``, the top class under each window; ``"layer"``, the total activation, under
      each window, of that map of ``layer`` (a name or path) which is strongest over the clean image.
    * ``incremental``: ``"auto"``; False runs every occluded image whole; True insists on not doing so.
    * ``progress``: show a bar.

    Returns:
        (N, rows, columns), float32 and signed, in units of the score or the activation; int32 for ``"class"``.

    Raises:
        ValueError: a window that does not fit, a fill of the wrong shape, an unknown layer, a layer without
            ``measure="layer"`` or the reverse; ``incremental=True`` for a graph that is not understood.
    """
    if (measure == "layer") != (layer is not None):
        received = f"measure={measure!r}, layer={layer!r}"
        raise ValueError(
            f'measure="layer" and layer= go together: name a layer, or leave both out. Received: {received}.'
        )
    if not (incremental is True or incremental is False or incremental == "auto"):
        raise ValueError(f'incremental is "auto", True or False. Received: {incremental!r}.')
    for tensor in view.inputs:
        if tensor.shape.rank != 4 or None in tensor.shape.as_list()[1:]:
            raise ValueError(
                f"occlusion slides over images: expected inputs (N, H, W, C) of known size. Received {tensor.shape}."
            )
    # The number of images is left open, so that nothing in the graph counts on it: it grows by the windows.
    known = view.inputs[0].shape[0]
    inputs = [
        x if known is None else tf.compat.v1.placeholder_with_default(x, [None, *x.shape[1:]]) for x in view.inputs
    ]
    view = dataclasses.replace(view, inputs=inputs)
    taps = (layer,) if measure == "layer" else ()
    wanted = {"score": None, "class": True, "layer": False}[measure]
    clean = view.run(taps=taps, output=wanted)
    if measure == "class" and clean.ranking is not clean.output:  # its logits do not tell the top class
        view = dataclasses.replace(view, settings=dataclasses.replace(view.settings, logits=False))
        clean = view.run(taps=taps, output=wanted)
    if clean.output is not None:
        clean.output.set_shape([known, *clean.output.shape[1:]])
    if layer is not None:
        value = window_loop.strongest_map(view, clean, layer)
    else:
        value = (window_loop.score_drop if measure == "score" else window_loop.top_class)(view, clean)
    return [_slide(view, i, clean, value, window, stride, fill, incremental, progress) for i in range(len(inputs))]


def _slide(view, index, clean, value, window, stride, fill, incremental, progress) -> Any:
    """Return the map of one input, the others as they are."""
    images = view.inputs[index]
    windows = place(*map_sizes(images)[:2], window, stride)
    run, rows = window_loop.choose(view, index, filled(images, fill), windows, clean, incremental)

    def measured(chosen):
        return value(run(chosen), tf.size(chosen))

    return window_loop.each_window(windows, rows, tf.shape(images)[0], measured, _advance if progress else None)
