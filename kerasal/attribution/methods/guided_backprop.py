"""Guided backpropagation: the gradient without the signals that are negative at a ReLU."""

from kerasal.attribution.method import method


@method(
    reference="Springenberg, Dosovitskiy, Brox & Riedmiller 2015, section 3.4",
    family="gradient",
    passes="1 pass",
    signed=True,
    if_zero="no positive signal passes back through the ReLUs",
    check=lambda view: view.score(view.run(rule="guided")),
    question="detail",
    trust="Do not trust its edges as evidence for the class: it draws nearly the same ones for random weights.",
)
def guided_backprop(view):
    """Fine structure that raises the score: the gradient, clipped at 0 by every ReLU (Springenberg et al. 2015).

    The map draws the edges of the image sharply, for a network with random weights as well (Adebayo et al. 2018), so
    it is no evidence of what the class depends on.

    Returns:
        float32 (N, H, W, C), signed, in score per unit of the input.

    Raises:
        NoReLU: the model has no ReLU, a ReLU that the rule cannot reach, or another rectifier besides ReLU.
    """
    return view.gradient(rule="guided")
