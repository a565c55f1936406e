"""XRAI: regions of the image, in the order of the mean contribution of their pixels."""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import expand_like, over_points
from kerasal.attribution.perturbation.own_segments import call_on_images
from kerasal.attribution.superpixels import superpixels
from kerasal.checks import check_int, refuse_mask

import tensorflow as tf

# Positions that a region must add, as a share of all: 50 pixels of 224 × 224.
_LEAST_SHARE = 0.001
_CELLS = (4, 8, 16)  # by default: superpixels along the longer side


def _check(view) -> None:
    """Raise an error if the default regions of an input are not defined, else take the gradient."""
    for number, x in enumerate(view.inputs):
        _refuse_features(x, view.layout.is_ordered(number, x))
    view.gradient()


def _call_segments(options, model, arrays) -> list[dict] | None:
    """Return the options of each image if ``segments`` is a function."""
    if not callable(options["segments"]):
        return None
    return [{**options, "segments": maps} for maps in call_on_images(options["segments"], model, arrays)]


def _refuse_features(x: tf.Tensor, ordered: bool) -> None:
    if not ordered:
        raise ValueError(
            f"segments must be integers {tuple(x.shape[1:-1])} for features, which have no order, got None. Number the "
            "groups of features, or use integrated_gradients."
        )


@method(
    family="path",
    passes="2 × ({steps} + 1) passes",
    reference="Kapishnikov et al. 2019, section 3; superpixels: Achanta et al. 2012",
    signed=True,
    if_zero="nothing between the black and the white baseline and the image affects the score",
    check=_check,
    question="contribution",
    compared=False,
    trust="Trust the order of the regions, not their borders, which are those of the segmentation.",
    with_positions=True,
    own_options=_call_segments,
    separate_sizes=True,
)
def xrai(
    view,
    *,
    steps: int = 25,
    segments: np.ndarray | Callable[[np.ndarray], np.ndarray] | None = None,
    cells: int | tuple[int, ...] | None = None,
    min_pixels: int | None = None,
):
    """Mean contribution of the pixels of each region, from the strongest region on (Kapishnikov et al. 2019).

    The contributions are those of integrated gradients, averaged over a black and a white baseline (the smallest and
    the largest value of each image), and at each pixel the largest over its channels. Regions of several segmentations
    are added one by one, always the one whose new pixels have the largest mean; that mean is their value in the map.
    Pixels in no region get the mean of theirs. Without a target, the top class of the image itself is explained.

    Args:
        view: the model and its inputs in the graph.
        steps: number of intervals of each of the two paths of integrated gradients, a positive integer.
        segments: regions for every image: integers (H, W), a number for each pixel, or several such maps (L, H, W); for
            a signal (T,), for a volume (D, H, W). They may come from scikit-image, whose felzenszwalb the authors use.
            Or a function that returns them for an input, float32 (H, W, C); images are then run one after another. By
            default, superpixels are computed (SLIC).
        cells: superpixels along the longer side of the image; a number, or one for each of several segmentations. By
            default there are three, of 4, 8 and 16.
        min_pixels: number of new pixels that a region must have; by default .1 % of the image.

    Returns:
        float32 (N, H, W), signed, in units of the score per pixel.

    Raises:
        ValueError: ``steps``, ``cells`` or ``min_pixels`` are not positive integers, ``segments`` are not integers in
            the size of the inputs, or the inputs are features without ``segments``.
    """
    check_int("steps", steps)
    if min_pixels is not None:
        check_int("min_pixels", min_pixels, none="None")
    counts = _CELLS if cells is None else cells if isinstance(cells, tuple) else (cells,)
    if not counts:
        raise ValueError("cells must hold at least one positive integer, got ().")
    for number, count in enumerate(counts):
        check_int(f"cells[{number}]" if isinstance(cells, tuple) else "cells", count)
    view = view.pin()
    results = []
    for number, (x, share) in enumerate(zip(view.inputs, _contributions(view, steps), strict=True)):
        labels = _labels(x, segments, counts, view.layout.is_ordered(number, x))
        size = share.shape[1:].num_elements()
        least = max(1, round(_LEAST_SHARE * size)) if min_pixels is None else min_pixels
        rows = tf.reshape(share, [tf.shape(x)[0], size])
        spec = tf.TensorSpec([size], tf.float64)
        ranked = tf.map_fn(functools.partial(_rank, least), (rows, labels), fn_output_signature=spec)
        results.append(tf.ensure_shape(tf.reshape(ranked, tf.shape(share)), share.shape))
    return results


def _contributions(view, steps: int) -> list[tf.Tensor]:
    """Return for each input the integrated gradients (N, *positions), float64: the mean over black and white."""
    sums = [tf.zeros_like(x) for x in view.inputs]
    for extreme in (tf.reduce_min, tf.reduce_max):
        starts = [tf.zeros_like(x) + extreme(x, list(range(1, x.shape.rank)), keepdims=True) for x in view.inputs]

        def points(numbers, starts=starts):
            shares = tf.cast(numbers, tf.float32) / steps
            return [start + expand_like(shares, x) * (x - start) for start, x in zip(starts, view.inputs, strict=True)]

        def add(sums, numbers, gradients, starts=starts):
            weights = tf.where((numbers == 0) | (numbers == steps), 0.5, 1.0) / steps
            parts = zip(sums, starts, view.inputs, gradients, strict=True)
            return [
                total + (x - start) * tf.reduce_sum(expand_like(weights, x) * gradient, axis=0)
                for total, start, x, gradient in parts
            ]

        sums = over_points(view, steps + 1, points, add, sums)
    return [tf.cast(tf.reduce_max(total, axis=-1) / 2, tf.float64) for total in sums]


def _labels(x: tf.Tensor, segments: Any, cells: tuple[int, ...], ordered: bool) -> tf.Tensor:
    """Return the numbers of regions of each segmentation, int32 (N, L, positions); no number is used by two of them."""
    sides = tuple(x.shape[1:-1])
    if segments is None:
        _refuse_features(x, ordered)
        stacked = tf.stack([superpixels(x, count) for count in cells], axis=1)
        return stacked + (tf.range(len(cells)) * (tf.reduce_max(stacked) + 1))[:, None]
    if callable(segments):
        raise ValueError(
            "segments must be maps in compiled and exported methods, got a function. Only a call on inputs can have "
            "maps for each."
        )
    refuse_mask(segments, "segments")
    array = np.asarray(segments)
    if (
        array.dtype.kind not in "iu"
        or array.shape[-len(sides) :] != sides
        or array.ndim not in (len(sides), len(sides) + 1)
    ):
        raise ValueError(
            f"segments must be integers in the size of the input {sides}, or several such maps (L, …), got "
            f"{array.dtype.name} {array.shape}."
        )
    maps, numbered, used = array.reshape(-1, math.prod(array.shape[-len(sides) :])), [], 0
    for values in maps:
        _, inverse = np.unique(values, return_inverse=True)
        numbered.append(inverse.ravel() + used)
        used = int(numbered[-1].max()) + 1
    labels = tf.constant(np.stack(numbered), tf.int32)
    return tf.zeros([tf.shape(x)[0], 1, 1], tf.int32) + labels


def _rank(least: int, pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Return for each position (P,) the mean share of what its region added, for a pair of shares and labels (L, P)."""
    shares, labels = pair
    regions = tf.reduce_max(labels) + 1

    def sum_over(values):
        flat = tf.reshape(tf.zeros_like(labels, tf.float64) + values, [-1])
        return tf.math.unsorted_segment_sum(flat, tf.reshape(labels, [-1]), regions)

    def measure(left):
        sizes = sum_over(tf.cast(left, tf.float64))
        means = tf.math.divide_no_nan(sum_over(tf.where(left, shares, tf.zeros_like(shares))), sizes)
        return tf.where(sizes >= least, means, tf.constant(-np.inf, tf.float64))

    def body(left, result, means):
        best = tf.argmax(means, output_type=tf.int32)
        added = left & tf.reduce_any(labels == best, axis=0)
        left &= ~added
        return left, tf.where(added, means[best], result), measure(left)

    left = tf.ones_like(shares, tf.bool)
    left, result, _ = tf.while_loop(
        lambda left, result, means: tf.reduce_any(means > -np.inf), body, (left, tf.zeros_like(shares), measure(left))
    )
    rest = tf.math.divide_no_nan(
        tf.reduce_sum(tf.where(left, shares, tf.zeros_like(shares))), tf.reduce_sum(tf.cast(left, tf.float64))
    )
    return tf.where(left, rest, result)
