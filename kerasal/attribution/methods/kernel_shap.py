"""KernelSHAP: Shapley values of regions by weighted least squares over coalitions of kept regions."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from kerasal.attribution.method import method
from kerasal.attribution.perturbation.coalitions import MOST_EXACT, Coalitions, check_budget, make_coalitions
from kerasal.attribution.perturbation.estimation import Estimator, add_samples, estimate
from kerasal.attribution.perturbation.masked_scores import MaskedInput
from kerasal.attribution.perturbation.own_segments import own_segments
from kerasal.attribution.perturbation.partition import Regions
from kerasal.attribution.perturbation.regression import no_sums, outer_sums, with_fixed_sum
from kerasal.attribution.perturbation.shared_parts import (
    check_sizes,
    masked_inputs,
    read_sampling,
    regions_of,
    sample_bar,
    with_errors,
)

import tensorflow as tf

_ENUMERATED = 12  # regions, for which all coalitions are run by default
_SAMPLES = 2048


def _budget(options, regions: int) -> int:
    """Return the number of coalitions, without the two that the constraint needs."""
    every = 2**regions - 2
    if options["exact"] or (options["samples"] is None and regions <= _ENUMERATED):
        return every
    return min(every, options["samples"] or _SAMPLES)


def _check_regions(options, regions: int) -> None:
    """Raise an error if the budget does not fit the number of regions."""
    if options["exact"] and regions > MOST_EXACT:
        raise ValueError(
            f"exact must be False for more than {MOST_EXACT} regions, got {regions} regions: all of their coalitions "
            f"are {2**regions:.1e} forward passes per image. Omit exact, or use fewer regions."
        )
    check_budget(regions, _budget(options, regions))


@method(
    reference="Lundberg & Lee 2017, theorem 2; sum constraint: Covert & Lee 2021, equations 9 and 10",
    family="perturbation",
    passes="2 ** regions forward passes up to 12 regions, else 2048",
    signed=True,
    compared=False,
    separate_sizes=True,
    at_layer=True,
    own_options=own_segments(_check_regions),
    run_context=sample_bar("kernel_shap", _budget),
    check=check_sizes,
    if_zero="the score is the same whichever regions are covered",
    question="contribution",
    trust="Trust the shares, which add up to the score's change; they depend on regions and filling.",
)
def kernel_shap(
    view,
    *,
    samples: int | None = None,
    cells: int | tuple[int, ...] | None = None,
    segments: np.ndarray | Callable[[np.ndarray], np.ndarray] | None = None,
    fill: float | tuple[float, ...] | Literal["mean", "blur"] | np.ndarray = 0.0,
    exact: bool = False,
    tolerance: float | None = None,
    return_error: bool = False,
    layer: str | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    seed: int = 0,
    progress: bool = False,
):
    """Share of each region in the change of the score from a covered input: Shapley values (Lundberg & Lee 2017).

    A region's Shapley value is the mean change of the score when it is uncovered, over all orders in which regions are
    uncovered. Up to 12 regions all coalitions of kept regions are run, and the values are exact; else they are
    estimated from coalitions that are enumerated as far as the samples reach and drawn in complementary pairs beyond.
    The values of all regions add up to the score of the input minus that of the input whose regions are all covered.
    Without a target, the top class of the input is explained.

    Args:
        view: the model and its inputs in the graph.
        samples: number of coalitions, at least twice the number of regions; by default all of them up to 12 regions,
            else 2048.
        cells: number of regions along each side, or a tuple with one per axis: blocks of equal size. By default 7 in an
            image, 24 in a signal, 4 in a volume; each feature and each token of a layer is a region by itself.
        segments: regions in place of blocks, such as superpixels: integers (H, W), or of the positions of another
            input, equal where positions belong together; (N, H, W) for a map per image; or a function that returns the
            map of an input, float32 (H, W, C). Images with maps of their own are run one after another.
        fill: values that cover regions, in model inputs: a number, "mean" (the mean of each channel of the image),
            "blur" (the image blurred by a Gaussian whose standard deviation is 1/16 of its shorter side, or in a
            volume of each side), or an array that broadcasts to (H, W, C), or to another input without its batch axis,
            channels last.
        exact: run all coalitions, for up to 20 regions.
        tolerance: stop after a multiple of 100 drawn coalitions once the standard error is at most this share of the
            map's largest absolute value, for example 0.1; by default all are run.
        return_error: also return the largest standard error of each map, as a share of its largest absolute value.
        layer: name or path of a layer whose output is covered in place of the inputs, such as the embedding of tokens.
        precision: "float32", or "bfloat16", in which forward passes of some models take less time on processors that
            have it, .6 × for SqueezeNet, with 8 significant bits; not in exports.
        seed: seed of the coalitions, which are the same for every image of a batch.
        progress: show a progress bar.

    Returns:
        float32 (N, H, W), or with as many axes as the input has positions: at each position the value of its whole
        region, signed, in units of the score. With ``return_error`` a pair of that and the error, float32 (N,).

    Raises:
        ValueError: ``samples`` is smaller than twice the number of regions, ``exact`` is set for more than 20 regions,
            ``cells`` is not a positive integer, there are more regions than positions, ``segments`` do not fit,
            ``tolerance`` is not positive, or ``fill`` does not fit.
    """
    read_sampling(_SAMPLES if samples is None else samples, tolerance, progress)
    maps = []
    for masked in masked_inputs(view, fill, precision):
        regions = regions_of(masked, cells, segments)
        options = {"exact": exact, "samples": samples}
        _check_regions(options, regions.count)
        budget = _budget(options, regions.count)
        pair = _shapley_values(masked, regions, budget, tolerance, progress, return_error, seed + masked.index)
        maps.append(tuple(regions.spread(values) for values in pair))
    return with_errors(maps, return_error)


def _shapley_values(
    masked: MaskedInput, regions: Regions, budget: int, tolerance, bar: bool, needs_error: bool, seed: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the Shapley values of regions and their standard errors, float64 (N, regions)."""
    empty = masked.filled_scores()
    change = masked.clean_scores() - empty
    if regions.count == 1:
        return change[:, None], tf.zeros_like(change[:, None])
    coalitions = make_coalitions(regions.count, budget, seed)
    listed = _listed_sums(masked, regions, coalitions, empty, bar)

    def add(kept, scores, member):
        return outer_sums(kept, tf.ones([tf.shape(kept)[0]], tf.float64), scores - empty, member)

    def solve(sums):
        share = tf.math.divide_no_nan(tf.constant(coalitions.drawn_weight, tf.float64), sums["weight"])
        pairs = listed["pairs"] + share * sums["pairs"]
        return with_fixed_sum(pairs, listed["kept_value"] + share * sums["kept_value"], change)

    def zeros(groups):
        return no_sums(groups, masked.rows, regions.count)

    drawn = budget - len(coalitions.listed)
    if not (coalitions.drawn_weight and drawn):
        values = solve({name: value[0] for name, value in zeros(1).items()})
        return values, tf.zeros_like(values)
    estimator = Estimator(coalitions.draw, lambda kept: regions.masks(kept > 0), zeros, add, solve, (regions.count,))
    return estimate(masked, estimator, read_sampling(drawn, tolerance, bar, needs_error=needs_error))


def _listed_sums(masked: MaskedInput, regions: Regions, coalitions: Coalitions, empty, bar: bool) -> dict:
    """Return the sums over the coalitions that are enumerated."""
    count, weights = len(coalitions.listed), tf.constant(coalitions.weights, tf.float64)
    rows = tf.constant(np.hstack([coalitions.listed, np.arange(count)[:, None]]), tf.int32)

    def add(drawn, scores, member):
        kept, numbers = drawn[:, :-1], drawn[:, -1]
        return outer_sums(kept, tf.gather(weights, numbers), scores - empty, member)

    estimator = Estimator(
        lambda numbers: tf.gather(rows, numbers),
        lambda drawn: regions.masks(drawn[:, :-1] > 0),
        lambda groups: no_sums(groups, masked.rows, regions.count),
        add,
        lambda sums: sums["value"],
        (),
    )
    sums = add_samples(masked, estimator, tf.constant(0), tf.constant(count), estimator.zeros(1), bar)
    return {name: tf.reduce_sum(value, axis=0) for name, value in sums.items()}
