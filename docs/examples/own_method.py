"""Guided Grad-CAM: the fine structure of guided backpropagation, where Grad-CAM finds the evidence."""

from kerasal import attribution
from kerasal.attribution.method import method


@method(reference="Selvaraju et al. 2017, section 3.2", signed=True)
def guided_gradcam(view, *, layer: str | None = None):
    """Show fine structure that excites, where the evidence for the class is: guided backpropagation times Grad-CAM.

    Args:
        view: the model, watched.
        layer: the layer of the class activation map; by default the last map.

    Returns:
        float32 (N, H, W, C), signed.
    """
    where = attribution.method_spec("gradcam").function(view, layer=layer, resize=True)
    fine = view.gradient(rule="guided")
    return [one * place[..., None] for one, place in zip(fine, where, strict=True)]
