"""Guided Grad-CAM: guided backpropagation where Grad-CAM locates the evidence."""

from kerasal import attribution
from kerasal.attribution.method import method


@method(reference="Selvaraju et al. 2017, section 3.2", signed=True)
def guided_gradcam(view, *, layer: str | None = None):
    """Guided backpropagation times Grad-CAM: fine structures at the location of the evidence.

    Args:
        view: the model and its inputs in the graph.
        layer: the layer of the class activation map; by default the last feature map.

    Returns:
        float32 (N, H, W, C), signed.
    """
    location = attribution.method_spec("gradcam").function(view, layer=layer, resize=True)
    fine = view.gradient(rule="guided")
    return [gradient * cam[..., None] for gradient, cam in zip(fine, location, strict=True)]
