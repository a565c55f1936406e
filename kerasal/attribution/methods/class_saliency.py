"""Class saliency: how strongly the score reacts to each pixel."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, reduce_channels


@method(reference="Simonyan, Vedaldi & Zisserman 2013, section 3: M_ij = max_ch |w_ijch|")
def class_saliency(view, *, channel_reduction: Reduction = "max_abs"):
    """Show how strongly the score reacts to each pixel: the gradient's size, the largest over the channels.

    Returns:
        float32 (N, H, W), from 0 on, in score per unit of the input. ``channel_reduction`` is ``"max_abs"`` (the
        paper's), ``"mean_abs"``, ``"norm"`` (Euclidean) or ``"sum"`` (signed).
    """
    return [reduce_channels(gradient, channel_reduction) for gradient in view.gradient()]
