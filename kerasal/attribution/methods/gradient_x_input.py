"""Gradient × input: each pixel's share of the score, to first order."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, reduce_channels


@method(
    reference="Shrikumar, Greenside & Kundaje 2017, section 2.1",
    signed=True,
    if_zero="the input is 0 wherever its gradient is not",
)
def gradient_x_input(view, *, channel_reduction: Reduction = "sum"):
    """Show each pixel's first-order share of the score: gradient times input, summed over the channels.

    For a model without biases whose activations are ReLUs the shares add up to the score.

    Returns:
        float32 (N, H, W), signed, in units of the score.
    """
    return [
        reduce_channels(gradient * x, channel_reduction)
        for gradient, x in zip(view.gradient(), view.inputs, strict=True)
    ]
