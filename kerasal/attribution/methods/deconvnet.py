"""The deconvolutional network: a score, or a unit's activation, projected back to pixels."""

from kerasal.attribution.method import method


@method(
    reference="Zeiler & Fergus 2014, section 2.1; Simonyan et al. 2013, section 4",
    family="gradient",
    passes="1 pass",
    compared=False,
    signed=True,
    if_zero="no positive signal passes back through the ReLUs",
    check=lambda view: view.score(view.run(rule="deconvnet")),
    question="detail",
    trust="Do not trust it as evidence for the class: its edges hardly depend on it. It is made for single units.",
)
def deconvnet(view):
    """Input pattern that excites the target, projected back by a deconvolutional network (Zeiler & Fergus 2014).

    The backward signal is unpooled with the max-pooling switches of the image, rectified at every ReLU and filtered
    with the transposed kernels. Biases drop out, batch normalization scales the signal, and local response
    normalization passes its ordinary gradient. The target is a class by default; the paper projects single units,
    ``objectives.neuron(layer, channel)``.

    Returns:
        float32 (N, H, W, C), signed, in score per unit of the input.

    Raises:
        NoReLU: the model has no ReLU, a ReLU that the rule cannot reach, or another rectifier besides ReLU.
    """
    return view.gradient(rule="deconvnet")
