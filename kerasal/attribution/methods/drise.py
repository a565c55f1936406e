"""D-RISE: random masks of the image, weighted by how well a detection survives them."""

from typing import Literal

import numpy as np

from kerasal.attribution.method import method
from kerasal.attribution.perturbation.random_masks import estimate_means, masks_of
from kerasal.attribution.perturbation.shared_parts import check_sizes, masked_inputs, read_sampling, sample_bar


@method(
    reference="Petsiuk et al. 2021, section 3; masks: Petsiuk, Das & Saenko 2018 (RISE), section 3",
    family="perturbation",
    passes="{samples} forward passes",
    compared=False,
    signed=True,
    has_sign=lambda options: options["subtract_mean"],
    separate_sizes=True,
    with_positions=True,
    run_context=sample_bar("drise", lambda options, regions: options["samples"]),
    check=check_sizes,
    if_zero="the score is the same under all masks, as where no detection overlaps the box that is asked about",
    question="contribution",
    trust="Trust its large parts, and those that remain with another seed: it is an estimate from random masks.",
)
def drise(
    view,
    *,
    samples: int = 1000,
    cells: int | tuple[int, ...] | None = None,
    probability: float = 0.5,
    fill: float | tuple[float, ...] | Literal["mean", "blur"] | np.ndarray = 0.0,
    subtract_mean: bool = True,
    precision: Literal["float32", "bfloat16"] = "float32",
    seed: int = 0,
    progress: bool = False,
):
    """How much a detection depends on this part: its score where random masks keep it (Petsiuk et al. 2021).

    Smooth random masks cover about half of the image, a forward pass each. The map is the mean of the masks, weighted
    by the scores of the masked images. It needs no gradients.

    The target for a detector is ``kerasal.objectives.box(…, match="cosine", objectness=…)``: the overlap with a box ×
    the cosine to a class × the objectness, for the best detection in each masked image. For a model without objectness
    use ``match="score"``, since a cosine does not tell how sure a class is. With any other target, such as a class
    index, this is RISE (Petsiuk, Das & Saenko 2018), whose authors weigh by the probability, as ``logits=False`` does
    here. Without a target, the top class of the image without a mask is explained.

    Args:
        view: the model and its inputs in the graph.
        samples: number of masks, a positive integer; 5000 in the paper. The noise of the map falls with its root.
        cells: number of cells of the random grid along each side, or a tuple with one per axis; by default 16, but at
            least 4 pixels per cell. About the size of the smallest part that the map can show.
        probability: probability that a cell is kept, above 0 and below 1.
        fill: values where a mask is 0, in model inputs: a number, "mean" (the mean of each channel of the image),
            "blur" (the image blurred by a Gaussian whose standard deviation is 1/16 of its shorter side, or in a
            volume of each side), or an array that broadcasts to (H, W, C), or to another input without its batch axis,
            channels last.
        subtract_mean: subtract the mean score of all masked images, so that 0 is a part that makes no difference; False
            returns the values of the paper, the mean score of the images in which a part is kept.
        precision: "float32", or "bfloat16", in which forward passes of some models take less time on processors that
            have it, .6 × for SqueezeNet, with 8 significant bits; not in exports.
        seed: seed of the masks, which are the same for every image of a batch.
        progress: show a progress bar.

    Returns:
        float32 (N, H, W), or with as many axes as the input has positions, in units of the score; signed with
        ``subtract_mean``. A position that no mask keeps gets 0.

    Raises:
        ValueError: ``samples`` or ``cells`` is not a positive integer, there are more cells than pixels along a side,
            ``probability`` is not above 0 and below 1, or ``fill`` does not fit.
    """
    sampling = read_sampling(samples, None, progress)
    return [
        estimate_means(masked, masks_of(masked, cells, probability, seed), sampling, subtract_mean)[0]
        for masked in masked_inputs(view, fill, precision)
    ]
