"""Gradient × input: each pixel's first-order contribution to the score."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, reduce_channels, sums_channels


@method(
    reference="Shrikumar, Greenside & Kundaje 2017, section 2.1",
    family="gradient",
    passes="1 pass",
    compared=False,
    signed=True,
    has_sign=sums_channels,
    if_zero="the input is 0 wherever its gradient is not",
    question="contribution",
    trust="Trust it where integrated_gradients agrees; a saturated score hides contributions from it.",
    at_layer=True,
)
def gradient_x_input(view, *, channel_reduction: Reduction = "sum", layer: str | None = None):
    """First-order contribution of each pixel to the score: gradient times input (Shrikumar et al. 2017).

    For a model without biases whose activations are ReLUs, the contributions add up to the score. A pixel whose input
    value is 0 always gets 0, so the map depends on the preprocessing.

    Args:
        view: the model and its inputs in the graph.
        channel_reduction: reduction of the contributions over the channels of a pixel: "sum" (signed, so that the
            values still add up), "max_abs" (the largest absolute value), "mean_abs" (the mean absolute value) or
            "norm" (the Euclidean norm).
        layer: name or path of a layer to attribute to in place of the inputs, such as the embedding of tokens; the map
            then has the positions of the layer's output, one value per token. By default the inputs are explained.

    Returns:
        float32 (N, H, W), signed with ``channel_reduction="sum"``, in units of the score.
    """
    return [
        reduce_channels(gradient * x, channel_reduction)
        for gradient, x in zip(view.gradient(), view.inputs, strict=True)
    ]
