"""HSIC: how strongly the score depends on whether a region is kept."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from kerasal.attribution.method import method
from kerasal.attribution.perturbation.masked_scores import all_scores
from kerasal.attribution.perturbation.own_segments import own_segments
from kerasal.attribution.perturbation.shared_parts import check_sizes, masked_inputs, regions_of, sample_bar
from kerasal.checks import check_int

import tensorflow as tf


@method(
    reference="Novello, Fel & Vigouroux 2022, section 3; estimator: Gretton et al. 2005, definition 2",
    family="perturbation",
    passes="{samples} forward passes",
    compared=False,
    separate_sizes=True,
    at_layer=True,
    own_options=own_segments(),
    run_context=sample_bar("hsic", lambda options, regions: options["samples"]),
    check=check_sizes,
    if_zero="the score is the same whichever regions are covered",
    question="dependence",
    trust="Trust its strongest regions; it finds any dependence with few passes and does not tell for or against.",
)
def hsic(
    view,
    *,
    samples: int = 1500,
    cells: int | tuple[int, ...] | None = None,
    segments: np.ndarray | Callable[[np.ndarray], np.ndarray] | None = None,
    fill: float | tuple[float, ...] | Literal["mean", "blur"] | np.ndarray = 0.0,
    bandwidth: float | Literal["median distance", "median score"] = "median distance",
    layer: str | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    seed: int = 0,
    progress: bool = False,
):
    """How strongly the score depends on whether each region is kept (Novello, Fel & Vigouroux 2022).

    In each sample every region is kept or covered with a probability of 1/2. The map holds the Hilbert-Schmidt
    independence criterion between a region's presence and the score, with a Dirac kernel for the presence and a
    Gaussian kernel for the score. It is 0 if the two are independent, and finds dependences of any form. Memory grows
    with the square of ``samples``: 18 MB for 1500. Without a target, the top class of the input is explained.

    Args:
        view: the model and its inputs in the graph.
        samples: number of samples, an integer of at least 2.
        cells: number of regions along each side, or a tuple with one per axis: blocks of equal size. By default 7 in an
            image, 24 in a signal, 4 in a volume; each feature and each token of a layer is a region by itself.
        segments: regions in place of blocks, such as superpixels: integers (H, W), or of the positions of another
            input, equal where positions belong together; (N, H, W) for a map per image; or a function that returns the
            map of an input, float32 (H, W, C). Images with maps of their own are run one after another.
        fill: values that cover regions, in model inputs: a number, "mean" (the mean of each channel of the image),
            "blur" (the image blurred by a Gaussian whose standard deviation is 1/16 of its shorter side, or in a
            volume of each side), or an array that broadcasts to (H, W, C), or to another input without its batch axis,
            channels last.
        bandwidth: standard deviation of the Gaussian kernel in units of the score: a positive number, "median distance"
            (the median absolute difference of two samples whose scores differ) or "median score" (the median score, as
            in the authors' code, for scores that are probabilities).
        layer: name or path of a layer whose output is covered in place of the inputs, such as the embedding of tokens.
        precision: "float32", or "bfloat16", in which forward passes of some models take less time on processors that
            have it, .6 × for SqueezeNet, with 8 significant bits; not in exports.
        seed: seed of the samples, which are the same for every image of a batch.
        progress: show a progress bar.

    Returns:
        float32 (N, H, W), or with as many axes as the input has positions: at each position the criterion of its
        region times the number of samples, at least 0.

    Raises:
        ValueError: ``samples`` is less than 2, ``bandwidth`` is not positive, ``cells`` is not a positive integer,
            there are more regions than positions, or ``segments`` or ``fill`` do not fit.
    """
    if check_int("samples", samples) < 2:
        raise ValueError(f"samples must be at least 2, got {samples}.")
    if not isinstance(bandwidth, str) and not bandwidth > 0:
        raise ValueError(f"bandwidth must be a positive number or the name of one, got {bandwidth!r}.")
    maps = []
    for masked in masked_inputs(view, fill, precision):
        regions = regions_of(masked, cells, segments)
        kept = _presence(samples, regions.count, seed + masked.index)

        def draw(numbers, regions=regions, kept=kept):
            return regions.masks(tf.gather(kept, numbers) > 0)

        scores = tf.transpose(all_scores(masked, samples, draw, progress))
        centered = tf.cast(kept, tf.float64)
        centered -= tf.reduce_mean(centered, axis=0)

        def criterion(values, centered=centered):
            return _criterion(centered, values, bandwidth)

        spec = tf.TensorSpec([regions.count], tf.float64)
        # An image at a time, because a kernel matrix holds the square of the number of samples.
        maps.append(regions.spread(tf.map_fn(criterion, scores, parallel_iterations=1, fn_output_signature=spec)))
    return maps


def _presence(samples: int, regions: int, seed: int) -> tf.Tensor:
    """Return which regions are kept in each sample, float32 (samples, regions) of 0 and 1."""
    return tf.cast(tf.random.stateless_uniform([samples, regions], (seed, 0)) < 0.5, tf.float32)


def _criterion(centered: tf.Tensor, scores: tf.Tensor, bandwidth) -> tf.Tensor:
    """Return n · HSIC of each column of ``centered`` (n, R), the presence less its mean, and the scores (n,).

    A Dirac kernel of presences is 1 - (x - x')². Its centered matrix is 2 x xᵀ of the centered presence, so that
    the trace of the product with the kernel matrix L of the scores is the quadratic form 2 xᵀ L x.
    """
    distances = scores[:, None] - scores
    if bandwidth == "median distance":
        width = _median(tf.boolean_mask(tf.abs(distances), distances != 0))
    elif bandwidth == "median score":
        width = _median(scores)
    else:
        width = tf.constant(bandwidth, tf.float64)
    kernel = tf.exp(-0.5 * tf.math.divide_no_nan(distances, width) ** 2)
    samples = tf.cast(tf.size(scores), tf.float64)
    criterion = 2 * tf.reduce_sum(centered * tf.matmul(kernel, centered), axis=0) / samples
    differ = tf.reduce_max(scores) > tf.reduce_min(scores)  # else the kernel is constant, and the rest is rounding
    return tf.where(differ, tf.maximum(criterion, 0), 0)


def _median(values: tf.Tensor) -> tf.Tensor:
    """Return the median of values (n,); of an even number the mean of the two in the middle, of none 0."""
    ordered, count = tf.sort(values), tf.size(values)
    middle = tf.gather(tf.pad(ordered, [[0, 1]]), tf.maximum([(count - 1) // 2, count // 2], 0))
    return tf.reduce_mean(middle)
