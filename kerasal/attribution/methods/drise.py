"""D-RISE: random masks of the image, weighted by how well a detection survives them."""

import contextlib
from typing import Literal

import numpy as np

from kerasal.attribution.graph_bar import graph_bar
from kerasal.attribution.method import method
from kerasal.attribution.random_masks import make_masks, masked_means
from kerasal.checks import check_int
from kerasal.hooks.held_inputs import explained_numbers

import tensorflow as tf


@contextlib.contextmanager
def _bar(options: dict, model, arrays: list[np.ndarray]):
    """Show a progress bar with a step per masked input; with ``progress=False``, do nothing."""
    if not options["progress"]:
        yield
        return
    explained = explained_numbers(model, arrays, with_positions=True)
    with graph_bar("drise", options["samples"] * len(arrays[0]) * len(explained)):
        yield


def _check(view) -> None:
    """Raise an error if the size of an input is not known, or the target does not fit the model."""
    for tensor in view.inputs:
        if tensor.shape.rank is None or None in tensor.shape.as_list()[1:]:
            raise ValueError(f"inputs must have a known size for random masks, got {tensor.shape}.")
    view.score()


@method(
    reference="Petsiuk et al. 2021, section 3; masks: Petsiuk, Das & Saenko 2018 (RISE), section 3",
    family="perturbation",
    passes="{samples} forward passes",
    compared=False,
    signed=True,
    has_sign=lambda options: options["subtract_mean"],
    separate_sizes=True,
    with_positions=True,
    run_context=_bar,
    check=_check,
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
    fill: float | Literal["mean", "blur"] | np.ndarray = 0.0,
    subtract_mean: bool = True,
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
        seed: seed of the masks, which are the same for every image of a batch.
        progress: show a progress bar.

    Returns:
        float32 (N, H, W), or with as many axes as the input has positions, in units of the score; signed with
        ``subtract_mean``. A position that no mask keeps gets 0.

    Raises:
        ValueError: ``samples`` or ``cells`` is not a positive integer, there are more cells than pixels along a side,
            ``probability`` is not above 0 and below 1, or ``fill`` does not fit.
    """
    check_int("samples", samples)
    _check(view)
    view = view.pin()
    maps = []
    for number, x in enumerate(view.inputs):
        ordered = view.layout.is_ordered(number, x)
        masks = make_masks(x.shape.as_list()[1:-1], cells, probability, seed + number, ordered=ordered)
        means, overall = masked_means(view, number, masks, samples, fill, progress)
        if subtract_mean:
            means -= tf.reshape(overall, [-1, *[1] * len(masks.sides)])
        maps.append(tf.cast(tf.where(tf.math.is_nan(means), tf.zeros_like(means), means), tf.float32))
    return maps
