"""LIME: a linear model of the score, fitted to inputs in which random regions are covered."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from kerasal.attribution.method import method
from kerasal.attribution.perturbation.estimation import Estimator, estimate
from kerasal.attribution.perturbation.own_segments import own_segments
from kerasal.attribution.perturbation.regression import no_sums, outer_sums, ridge
from kerasal.attribution.perturbation.shared_parts import (
    check_sizes,
    masked_inputs,
    read_sampling,
    regions_of,
    sample_bar,
    with_errors,
)

import tensorflow as tf


def _check_samples(options: Mapping[str, Any], regions: int) -> None:
    if options["samples"] <= regions:
        raise ValueError(
            f"samples must be more than the {regions} regions, got {options['samples']}. Pass more, or fewer regions."
        )


@method(
    reference="Ribeiro, Singh & Guestrin 2016, section 3.4 and algorithm 1; constants of the authors' image code",
    family="perturbation",
    passes="{samples} forward passes",
    compared=False,
    signed=True,
    separate_sizes=True,
    at_layer=True,
    own_options=own_segments(_check_samples),
    run_context=sample_bar("lime", lambda options, regions: options["samples"]),
    check=check_sizes,
    if_zero="the score is the same whichever regions are covered",
    question="contribution",
    trust="Trust signs and order of large regions; the kernel width and the regions are choices that change it.",
)
def lime(
    view,
    *,
    samples: int = 1000,
    cells: int | tuple[int, ...] | None = None,
    segments: np.ndarray | Callable[[np.ndarray], np.ndarray] | None = None,
    fill: float | tuple[float, ...] | Literal["mean", "blur"] | np.ndarray = 0.0,
    kernel_width: float = 0.25,
    penalty: float = 1.0,
    tolerance: float | None = None,
    return_error: bool = False,
    layer: str | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    seed: int = 0,
    progress: bool = False,
):
    """Weight of each region in a linear model of the score near the input (Ribeiro, Singh & Guestrin 2016).

    In each sample every region is kept or covered with a probability of 1/2; the first sample keeps all. A ridge
    regression explains the scores by which regions are kept. Samples are weighted by exp(-d² / (2 · width²)), where d
    is the cosine distance of the kept regions to all regions. Without a target, the top class of the input is
    explained.

    Args:
        view: the model and its inputs in the graph.
        samples: number of samples, a positive integer.
        cells: number of regions along each side, or a tuple with one per axis: blocks of equal size. By default 7 in an
            image, 24 in a signal, 4 in a volume; each feature and each token of a layer is a region by itself.
        segments: regions in place of blocks, such as superpixels: integers (H, W), or of the positions of another
            input, equal where positions belong together; (N, H, W) for a map per image; or a function that returns the
            map of an input, float32 (H, W, C). Images with maps of their own are run one after another.
        fill: values that cover regions, in model inputs: a number, "mean" (the mean of each channel of the image),
            "blur" (the image blurred by a Gaussian whose standard deviation is 1/16 of its shorter side, or in a
            volume of each side), or an array that broadcasts to (H, W, C), or to another input without its batch axis,
            channels last.
        kernel_width: width of the kernel in cosine distances, a positive number; .25 as in the authors' code.
        penalty: penalty of squared coefficients, at least 0; 1 as in the authors' code.
        tolerance: stop after a multiple of 100 samples once the standard error is at most this share of the map's
            largest absolute value, for example 0.1; by default all samples are run.
        return_error: also return the largest standard error of each map, as a share of its largest absolute value.
        layer: name or path of a layer whose output is covered in place of the inputs, such as the embedding of tokens.
        precision: "float32", or "bfloat16", in which forward passes of some models take less time on processors that
            have it, .6 × for SqueezeNet, with 8 significant bits; not in exports.
        seed: seed of the samples, which are the same for every image of a batch.
        progress: show a progress bar.

    Returns:
        float32 (N, H, W), or with as many axes as the input has positions: at each position the coefficient of its
        region, signed, in units of the score. With ``return_error`` a pair of that and the error, float32 (N,).

    Raises:
        ValueError: ``samples`` is not larger than the number of regions, ``cells`` is not a positive integer, there are
            more regions than positions, ``segments`` do not fit, ``kernel_width`` or ``tolerance`` is not positive,
            ``penalty`` is negative, or ``fill`` does not fit.
    """
    sampling = read_sampling(samples, tolerance, progress, needs_error=return_error)
    if not kernel_width > 0:
        raise ValueError(f"kernel_width must be a positive number, got {kernel_width!r}.")
    if not penalty >= 0:
        raise ValueError(f"penalty must be at least 0, got {penalty!r}.")
    maps = []
    for masked in masked_inputs(view, fill, precision):
        regions = regions_of(masked, cells, segments)
        _check_samples({"samples": samples}, regions.count)
        estimator = _estimator(masked, regions, kernel_width, penalty, seed + masked.index)
        maps.append(tuple(regions.spread(values) for values in estimate(masked, estimator, sampling)))
    return with_errors(maps, return_error)


def _estimator(masked, regions, kernel_width: float, penalty: float, seed: int) -> Estimator:
    """Return the estimator of the coefficients of regions."""
    count, clean = regions.count, masked.clean_scores()

    def draw(numbers):
        def uniform(number):
            return tf.random.stateless_uniform([count], (seed, number))

        drawn = tf.map_fn(uniform, numbers, fn_output_signature=tf.TensorSpec([count], tf.float32))
        return tf.cast((drawn < 0.5) | (numbers == 0)[:, None], tf.float32)

    def add(kept, scores, member):
        share = tf.cast(tf.reduce_mean(kept, axis=1), tf.float64)
        distance = 1 - tf.sqrt(share)  # the cosine of k ones of n to n ones is k / sqrt(k n)
        weights = tf.exp(-(distance**2) / (2 * kernel_width**2))
        return outer_sums(kept, weights, scores - clean, member)  # so that a constant score gets exactly 0

    return Estimator(
        draw,
        lambda kept: regions.masks(kept > 0),
        lambda groups: no_sums(groups, masked.rows, count),
        add,
        lambda sums: ridge(sums, penalty),
        (count,),
    )
