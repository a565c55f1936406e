"""DeepLIFT: the difference of the score from a baseline's, distributed by the differences in every layer."""

from typing import Literal

import numpy as np

from kerasal.attribution.baselines import baseline_input
from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, reduce_channels, sums_channels
from kerasal.hooks.rescale_rule import rescale_multipliers

import tensorflow as tf


def _multiply(view, starts: list[tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Return the contributions to the score's change from the inputs ``starts``, and that change (N,)."""
    operations = tf.compat.v1.get_default_graph().get_operations
    before = len(operations())
    scores = view.score(view.inputs)
    after = len(operations())
    references = view.score(starts)
    multipliers = rescale_multipliers(scores, view.inputs, operations()[before:after], references, starts)
    shares = [m * (x - start) for m, x, start in zip(multipliers, view.inputs, starts, strict=True)]
    return shares, scores - references


@method(
    family="relevance",
    passes="a pass and a forward pass",
    reference="Shrikumar, Greenside & Kundaje 2017, sections 3.2 and 3.5 (rescale rule)",
    signed=True,
    has_sign=sums_channels,
    if_zero="the image equals its baseline, or no difference between them reaches the score",
    check=lambda view: _multiply(view.pin(), [tf.zeros_like(x) for x in view.inputs]),
    question="contribution",
    trust="Trust the shares as those of this baseline; they add up exactly, whatever the model.",
    at_layer=True,
)
def deeplift(
    view,
    *,
    baseline: float | tuple[float, ...] | Literal["blur"] | np.ndarray = 0.0,
    return_gap: bool = False,
    channel_reduction: Reduction = "sum",
    layer: str | None = None,
):
    """Contribution of each pixel to the score's change from a baseline image, in one pass (Shrikumar et al. 2017).

    The difference of the score is passed back through the network, at each activation by the quotient of the
    differences of its output and input (the rescale rule), at each maximum to the values that are largest in the image
    and in the baseline. The contributions add up to the score's change. Without a target, the top class of the image
    itself is explained.

    Args:
        view: the model and its inputs in the graph.
        baseline: model input with which the image is compared: a number, an array that broadcasts to an image
            (H, W, C), channels last, a signal (T, C), a volume (D, H, W, C) or features (F,), or "blur" for the image
            blurred by a Gaussian whose standard deviation is 5 % of its longer side, or in a volume of each side (not
            for features, which have no order).
        return_gap: also return the completeness gap, the sum of the contributions minus the score's change; it is 0
            up to rounding.
        channel_reduction: reduction of the contributions over the channels of a pixel: "sum" (signed, so that the
            values still add up), "max_abs" (the largest absolute value), "mean_abs" (the mean absolute value) or
            "norm" (the Euclidean norm).
        layer: name or path of a layer to attribute to in place of the inputs, such as the embedding of tokens; the map
            then has the positions of the layer's output, one value per token. By default the inputs are explained.

    Returns:
        float32 (N, H, W), signed with ``channel_reduction="sum"``, in units of the score; with ``return_gap`` a pair
        of that and the gap, float32 (N,).

    Raises:
        NoRescaleRule: the score depends on the image through an operation without a rule, such as the products of an
            attention, a gate or a layer normalization, a softmax, or a loop; the error names it.
        ValueError: ``baseline`` does not fit the inputs or is not finite.
    """
    view = view.pin()
    starts = [baseline_input(baseline, x, number, view.layout) for number, x in enumerate(view.inputs)]
    shares, change = _multiply(view, starts)
    maps = [reduce_channels(share, channel_reduction) for share in shares]
    if not return_gap:
        return maps
    total = sum(tf.reduce_sum(share, list(range(1, share.shape.rank))) for share in shares)
    return [*maps, total - change]
