"""The input gradient itself, with its sign and its channels."""

from kerasal.attribution.method import method


@method(reference="Simonyan, Vedaldi & Zisserman 2013, section 3: w = dS_c/dI", signed=True)
def input_gradient(view):
    """Show which way the score moves with each channel of each pixel: the plain gradient.

    Returns:
        float32 (N, H, W, C), signed, in score per unit of the input.
    """
    return view.gradient()
