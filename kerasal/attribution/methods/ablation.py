"""Feature ablation: the drop of the score when a region is covered."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from kerasal.attribution.method import method
from kerasal.attribution.perturbation.masked_scores import MaskedInput, all_scores
from kerasal.attribution.perturbation.own_segments import own_segments
from kerasal.attribution.perturbation.partition import Regions
from kerasal.attribution.perturbation.shared_parts import check_sizes, masked_inputs, regions_of, sample_bar
from kerasal.attribution.window_replay.window_maps import window_maps
from kerasal.attribution.window_replay.windows import place

import tensorflow as tf


@method(
    reference="Zeiler & Fergus 2014, section 4.2, for regions that do not overlap; feature ablation of Captum",
    family="perturbation",
    passes="1 forward pass per region, in parts where possible",
    compared=False,
    signed=True,
    separate_sizes=True,
    at_layer=True,
    own_options=own_segments(),
    run_context=sample_bar("ablation", lambda options, regions: regions),
    check=check_sizes,
    if_zero="no single region changes the score when it is covered",
    question="contribution",
    trust="Trust it for regions that act alone; a region that another can replace gets 0.",
)
def ablation(
    view,
    *,
    cells: int | tuple[int, ...] | None = None,
    segments: np.ndarray | Callable[[np.ndarray], np.ndarray] | None = None,
    fill: float | tuple[float, ...] | Literal["mean", "blur"] | np.ndarray = 0.0,
    layer: str | None = None,
    progress: bool = False,
):
    """Drop of the score when one region is covered and all others are kept: feature ablation.

    Regions are blocks, superpixels, features or tokens, and each position gets the value of its whole region. For
    blocks of equal size only what a block changes is computed again, as in ``occlusion``, whose windows overlap.
    Without a target, the top class of the input is explained.

    Args:
        view: the model and its inputs in the graph.
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
        progress: show a progress bar.

    Returns:
        float32 (N, H, W), or with as many axes as the input has positions: at each position the drop for its region,
        signed, in units of the score.

    Raises:
        ValueError: ``cells`` is not a positive integer, there are more regions than positions, or ``segments`` or
            ``fill`` do not fit.
    """
    masked = masked_inputs(view, fill)
    parts = [regions_of(one, cells, segments) for one in masked]
    if all(part.block is not None for part in parts):  # only what a block changes is computed again, where possible
        windows = [place(one.sides, part.block, part.block) for one, part in zip(masked, parts, strict=True)]
        drops = window_maps(view, lambda index, x: windows[index], fill, bar=progress)
        drops = [tf.reshape(drop, [-1, part.count]) for drop, part in zip(drops, parts, strict=True)]
    else:
        drops = [_drops(one, part, progress) for one, part in zip(masked, parts, strict=True)]
    return [part.spread(drop) for part, drop in zip(parts, drops, strict=True)]


def _drops(masked: MaskedInput, regions: Regions, bar: bool) -> tf.Tensor:
    """Return the drop of the score for each region, (N, regions)."""

    def draw(numbers):
        return regions.masks(tf.one_hot(numbers, regions.count) == 0)

    return tf.transpose(masked.clean_scores() - all_scores(masked, regions.count, draw, bar))
