"""Class saliency: how strongly the score reacts to each pixel."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, reduce_channels, sums_channels


@method(
    reference="Simonyan, Vedaldi & Zisserman 2013, section 3: M_ij = max_ch |w_ijch|",
    has_sign=sums_channels,
    question="sensitivity",
    trust="Trust clusters of strong pixels, not single ones; it is noisy in deep models.",
)
def class_saliency(view, *, channel_reduction: Reduction = "max_abs"):
    """Sensitivity of the score to each pixel: its absolute gradient, largest over channels (Simonyan et al. 2013).

    Args:
        view: the model and its inputs in the graph.
        channel_reduction: reduction of the gradient over the channels of a pixel: "max_abs" (the largest absolute
            value, as in the paper), "mean_abs" (the mean absolute value), "norm" (the Euclidean norm) or "sum" (the
            signed sum).

    Returns:
        float32 (N, H, W), or the positions of another input, at least 0 unless ``channel_reduction="sum"``, in score
        per unit of the input.
    """
    return [reduce_channels(gradient, channel_reduction) for gradient in view.gradient()]
