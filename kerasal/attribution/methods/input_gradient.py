"""The gradient of the score with respect to the input, with its sign and its channels."""

from kerasal.attribution.method import method


@method(
    reference="Simonyan, Vedaldi & Zisserman 2013, section 3: w = dS_c/dI",
    family="gradient",
    passes="1 pass",
    compared=False,
    signed=True,
    question="detail",
    trust="Trust it for tiny changes of the image only; it is better computed with than looked at.",
    at_layer=True,
)
def input_gradient(view, *, layer: str | None = None):
    """Gradient of the score with respect to each channel of each pixel, with its sign (Simonyan et al. 2013).

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of a layer to attribute to in place of the inputs, such as the embedding of tokens; the map
            then has the positions of the layer's output, one value per token. By default the inputs are explained.

    Returns:
        float32 (N, H, W, C), signed, in score per unit of the input.
    """
    return view.gradient()
