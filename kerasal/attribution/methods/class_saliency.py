"""Class saliency: how strongly the score reacts to each pixel."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, reduce_channels, sums_channels


@method(
    reference="Simonyan, Vedaldi & Zisserman 2013, section 3: M_ij = max_ch |w_ijch|",
    family="gradient",
    passes="1 pass",
    has_sign=sums_channels,
    question="sensitivity",
    trust="Trust clusters of strong pixels, not single ones; it is noisy in deep models.",
    at_layer=True,
)
def class_saliency(view, *, channel_reduction: Reduction = "max_abs", layer: str | None = None):
    """Sensitivity of the score to each pixel: its absolute gradient, largest over channels (Simonyan et al. 2013).

    Args:
        view: the model and its inputs in the graph.
        channel_reduction: reduction of the gradient over the channels of a pixel: "max_abs" (the largest absolute
            value, as in the paper), "mean_abs" (the mean absolute value), "norm" (the Euclidean norm) or "sum" (the
            signed sum).
        layer: name or path of a layer to attribute to in place of the inputs, such as the embedding of tokens; the map
            then has the positions of the layer's output, one value per token. By default the inputs are explained.

    Returns:
        float32 (N, H, W), or the positions of another input, at least 0 unless ``channel_reduction="sum"``, in score
        per unit of the input.
    """
    return [reduce_channels(gradient, channel_reduction) for gradient in view.gradient()]
