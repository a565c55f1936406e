"""RISE: smooth random masks of the input, weighted by the score of what they keep."""

from typing import Literal

import numpy as np

from kerasal.attribution.method import method
from kerasal.attribution.perturbation.random_masks import estimate_means, masks_of
from kerasal.attribution.perturbation.shared_parts import (
    check_sizes,
    masked_inputs,
    read_sampling,
    sample_bar,
    with_errors,
)


@method(
    reference="Petsiuk, Das & Saenko 2018, sections 3.1 and 3.2",
    family="perturbation",
    passes="{samples} forward passes",
    signed=True,
    has_sign=lambda options: options["subtract_mean"],
    separate_sizes=True,
    at_layer=True,
    run_context=sample_bar("rise", lambda options, regions: options["samples"]),
    check=check_sizes,
    if_zero="the score is the same under all masks",
    question="contribution",
    trust="Trust its large parts, and those that remain with another seed: it is an estimate from random masks.",
)
def rise(
    view,
    *,
    samples: int = 4000,
    cells: int | tuple[int, ...] | None = None,
    probability: float = 0.5,
    fill: float | tuple[float, ...] | Literal["mean", "blur"] | np.ndarray = 0.0,
    subtract_mean: bool = True,
    tolerance: float | None = None,
    return_error: bool = False,
    layer: str | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    seed: int = 0,
    progress: bool = False,
):
    """How much higher the score is where random masks keep this part (Petsiuk, Das & Saenko 2018).

    Smooth random masks cover about half of the input, a forward pass each. The map is the mean of the masks, weighted
    by the scores of the masked inputs. It needs no gradients. The authors weigh by the probability, as ``logits=False``
    does here. Without a target, the top class of the unmasked input is explained.

    Args:
        view: the model and its inputs in the graph.
        samples: number of masks, a positive integer; 4000 and 8000 in the paper. The noise of the map falls with its
            root.
        cells: number of cells of the random grid along each side, or a tuple with one per axis; by default 7, as in the
            paper, but at least 4 positions per cell. About the size of the smallest part that the map can show.
        probability: probability that a cell is kept, above 0 and below 1.
        fill: values where a mask is 0, in model inputs: a number, "mean" (the mean of each channel of the image),
            "blur" (the image blurred by a Gaussian whose standard deviation is 1/16 of its shorter side, or in a
            volume of each side), or an array that broadcasts to (H, W, C), or to another input without its batch axis,
            channels last.
        subtract_mean: subtract the mean score of all masked inputs, so that 0 is a part that makes no difference; False
            returns the values of the paper, the mean score of the inputs in which a part is kept.
        tolerance: stop after a multiple of 100 masks once the standard error is at most this share of the map's largest
            absolute value, for example 0.1; by default all masks are run.
        return_error: also return the largest standard error of each map, as a share of its largest absolute value.
        layer: name or path of a layer whose output is masked in place of the inputs, such as the embedding of tokens.
        precision: "float32", or "bfloat16", in which forward passes of some models take less time on processors that
            have it, .6 × for SqueezeNet, with 8 significant bits; not in exports.
        seed: seed of the masks, which are the same for every image of a batch.
        progress: show a progress bar.

    Returns:
        float32 (N, H, W), or with as many axes as the input has positions, in units of the score; signed with
        ``subtract_mean``. A position that no mask keeps gets 0. With ``return_error`` a pair of that and the error,
        float32 (N,).

    Raises:
        ValueError: ``samples`` or ``cells`` is not a positive integer, there are more cells than positions along a
            side, ``probability`` is not above 0 and below 1, ``tolerance`` is not positive, or ``fill`` does not fit.
    """
    sampling = read_sampling(samples, tolerance, progress, needs_error=return_error)
    maps = [
        estimate_means(masked, masks_of(masked, cells, probability, seed, most=7), sampling, subtract_mean)
        for masked in masked_inputs(view, fill, precision)
    ]
    return with_errors(maps, return_error)
