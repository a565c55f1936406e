"""The deconvolutional network: a score, or a unit, carried back to pixels through switches."""

from kerasal.attribution.method import method


@method(
    reference="Zeiler & Fergus 2014, section 2.1; Simonyan et al. 2013, section 4",
    signed=True,
    if_zero="no positive signal comes back through the ReLUs",
)
def deconvnet(view):
    """Show the input pattern that caused an activation: unpool with switches, rectify the signal, filter transposed.

    The target is a class by default; Zeiler & Fergus project single units: ``objectives.neuron(layer, channel)``.
    Biases drop out, batch normalization scales, and local response normalization passes its own gradient.

    Returns:
        float32 (N, H, W, C), signed, in score per unit of the input.

    Raises:
        NoReLU: the model has no ReLU, one that the rule cannot reach, or another rectifier beside it.
    """
    return view.gradient(rule="deconvnet")
