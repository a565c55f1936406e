"""The gradient of the score with respect to the input, with its sign and its channels."""

from kerasal.attribution.method import method


@method(
    reference="Simonyan, Vedaldi & Zisserman 2013, section 3: w = dS_c/dI",
    signed=True,
    question="detail",
    trust="Trust it for tiny changes of the image only; it is better computed with than looked at.",
)
def input_gradient(view):
    """Gradient of the score with respect to each channel of each pixel, with its sign (Simonyan et al. 2013).

    Returns:
        float32 (N, H, W, C), signed, in score per unit of the input.
    """
    return view.gradient()
