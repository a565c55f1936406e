"""Sobol indices: the share of the score's variance that a region has a part in."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.stats import qmc

from kerasal.attribution.method import method
from kerasal.attribution.perturbation.masked_scores import all_scores
from kerasal.attribution.perturbation.own_segments import own_segments
from kerasal.attribution.perturbation.shared_parts import check_sizes, masked_inputs, regions_of, sample_bar

import tensorflow as tf


def _check_designs(designs: int) -> None:
    if designs < 2 or designs & (designs - 1):
        raise ValueError(f"designs must be a power of two, at least 2, got {designs}. Sobol sequences need it.")


@method(
    reference="Fel et al. 2021 (Look at the Variance!), section 3; estimator: Jansen 1999",
    family="perturbation",
    passes="{designs} × (regions + 1) forward passes",
    compared=False,
    separate_sizes=True,
    at_layer=True,
    own_options=own_segments(),
    run_context=sample_bar("sobol", lambda options, regions: options["designs"] * (regions + 1)),
    check=check_sizes,
    if_zero="the score is the same however regions are faded",
    question="dependence",
    trust="Trust it for regions that matter together with others; it does not tell for or against the class.",
)
def sobol(
    view,
    *,
    designs: int = 32,
    cells: int | tuple[int, ...] | None = None,
    segments: np.ndarray | Callable[[np.ndarray], np.ndarray] | None = None,
    fill: float | tuple[float, ...] | Literal["mean", "blur"] | np.ndarray = 0.0,
    layer: str | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    seed: int = 0,
    progress: bool = False,
):
    """Share of the score's variance in which each region has a part, alone or with others (Fel et al. 2021).

    Each region is faded to the filling by a number that is uniform in 0..1. The map holds the total-order Sobol index
    of each region: the variance of the score that would remain if all other regions were known, as a share of its whole
    variance. It counts interactions, so the indices add up to 1 or more. Numbers come from a scrambled Sobol sequence.
    Without a target, the top class of the input is explained.

    Args:
        view: the model and its inputs in the graph.
        designs: number of rows of the sequence, a power of two; each takes a forward pass, and one more per region.
        cells: number of regions along each side, or a tuple with one per axis: blocks of equal size. By default 7 in an
            image, 24 in a signal, 4 in a volume; each feature and each token of a layer is a region by itself.
        segments: regions in place of blocks, such as superpixels: integers (H, W), or of the positions of another
            input, equal where positions belong together; (N, H, W) for a map per image; or a function that returns the
            map of an input, float32 (H, W, C). Images with maps of their own are run one after another.
        fill: values that cover regions, in model inputs: a number, "mean" (the mean of each channel of the image),
            "blur" (the image blurred by a Gaussian whose standard deviation is 1/16 of its shorter side, or in a
            volume of each side), or an array that broadcasts to (H, W, C), or to another input without its batch axis,
            channels last.
        layer: name or path of a layer whose output is covered in place of the inputs, such as the embedding of tokens.
        precision: "float32", or "bfloat16", in which forward passes of some models take less time on processors that
            have it, .6 × for SqueezeNet, with 8 significant bits; not in exports.
        seed: seed of the sequence, which is the same for every image of a batch.
        progress: show a progress bar.

    Returns:
        float32 (N, H, W), or with as many axes as the input has positions: at each position the index of its region, at
        least 0; about 1 for a region on which the score depends alone.

    Raises:
        ValueError: ``designs`` is not a power of two, ``cells`` is not a positive integer, there are more regions than
            positions, or ``segments`` or ``fill`` do not fit.
    """
    _check_designs(designs)
    maps = []
    for masked in masked_inputs(view, fill, precision):
        regions = regions_of(masked, cells, segments)
        points = qmc.Sobol(2 * regions.count, scramble=True, rng=seed + masked.index).random(designs)
        maps.append(regions.spread(_total_order(masked, regions, points.astype(np.float32), progress)))
    return maps


def _total_order(masked, regions, points: np.ndarray, bar: bool) -> tf.Tensor:
    """Return the total-order indices (N, regions) by Jansen's estimator.

    The first half of ``points`` (designs, 2 · regions) is the design A, the second B; in design C of a region, its
    column of A is replaced by that of B.
    """
    count, designs = regions.count, len(points)
    first, second = tf.constant(points[:, :count]), tf.constant(points[:, count:])

    def draw(numbers):
        rows, columns = numbers // (count + 1), numbers % (count + 1) - 1  # column -1 is A itself
        replaced = tf.one_hot(columns, count)
        return regions.masks(tf.gather(first, rows) * (1 - replaced) + tf.gather(second, rows) * replaced)

    scores = tf.reshape(all_scores(masked, designs * (count + 1), draw, bar), [designs, count + 1, -1])
    variance = tf.math.reduce_variance(scores[:, 0], axis=0) * designs / (designs - 1)
    halves = tf.reduce_sum((scores[:, :1] - scores[:, 1:]) ** 2, axis=0) / (2 * designs)
    return tf.transpose(tf.math.divide_no_nan(halves, variance))
