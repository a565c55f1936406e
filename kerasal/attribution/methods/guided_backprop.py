"""Guided backpropagation: the gradient, kept to what excites."""

from kerasal.attribution.method import method


@method(reference="Springenberg, Dosovitskiy, Brox & Riedmiller 2015, section 3.4", signed=True)
def guided_backprop(view):
    """Show fine structure that excites: the gradient, with every negative signal stopped at every ReLU.

    It draws edges of the image sharply, also for a network with random weights (Adebayo et al. 2018): not a proof of
    what the class depends on.

    Returns:
        float32 (N, H, W, C), signed, in score per unit of the input.

    Raises:
        NoReLU: the model has no ReLU, one that the rule cannot reach, or another rectifier beside it.
    """
    return view.gradient(rule="guided")
