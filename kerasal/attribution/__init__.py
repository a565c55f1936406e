"""Attribution: what in its input a model's score depends on. ``model, inputs (N, H, W, C), target -> maps (N, H, W)``.

Every method is called alike::

    class_saliency(model, inputs, target=None, *, output=None, logits=True, batch_size=None, **own_options)

* ``model``: any built Keras model: functional, Sequential, nested, subclassed. It is never changed or copied.
* ``inputs``: an array of preprocessed inputs, channels last or first as the model takes them; for a model with several
  inputs a list or dictionary of them, and it gets a list or dictionary of maps; a single image is a batch of one.
* ``target``: ``None`` explains each image's top class; an int that class; a sequence of ints one class an image; an
  objective (``kerasal.objectives``) anything in the model; a function of the output that returns (N,) scores, such as a
  tf-keras-vis ``Score``, anything computed from it.
* ``output``: name or position of the output that is meant, for a model with several.
* ``logits``: explain the score before the last softmax or sigmoid (the default), or the probability. Where that score
  cannot be had, as of an average of models, the output is explained with a warning, ``kerasal.hooks.NoLogits``.
* ``batch_size``: images run at once; by default as many as run fastest without needing much memory.

Maps are float32 NumPy arrays, raw, never normalized; those with channels have them where the inputs do. Options such as
``fill`` and ``baseline`` are (H, W, C) in any case. Inputs of rank 3 or less have no channel axis to reduce. The first
call for a model and a set of options traces a graph; later ones reuse it. It is released with the model.
``method.compiled(model, **options)`` gives the same as a ``tf.Module`` on tensors.
"""

import importlib

from kerasal import _keras as _keras
from kerasal.attribution.map_notes import ZeroMap
from kerasal.attribution.method import list_methods, method_function, method_spec
from kerasal.attribution.method_comparison import MethodComparison, compare_methods
from kerasal.attribution.methods.class_saliency import class_saliency
from kerasal.attribution.methods.crop_averaged_saliency import crop_averaged_saliency
from kerasal.attribution.methods.deconvnet import deconvnet
from kerasal.attribution.methods.gradcam import gradcam
from kerasal.attribution.methods.gradcam_plus_plus import gradcam_plus_plus
from kerasal.attribution.methods.gradient_x_input import gradient_x_input
from kerasal.attribution.methods.guided_backprop import guided_backprop
from kerasal.attribution.methods.input_gradient import input_gradient
from kerasal.attribution.methods.integrated_gradients import integrated_gradients
from kerasal.attribution.methods.layercam import layercam
from kerasal.attribution.methods.occlusion import occlusion
from kerasal.attribution.methods.scorecam import scorecam
from kerasal.attribution.methods.smoothgrad import smoothgrad
from kerasal.attribution.pages import attribution_page, draw_map

__all__ = [
    "MethodComparison",
    "ZeroMap",
    "attribution_page",
    "class_saliency",
    "compare_methods",
    "crop_averaged_saliency",
    "deconvnet",
    "draw_map",
    "faithfulness",
    "gradcam",
    "gradcam_plus_plus",
    "gradient_x_input",
    "guided_backprop",
    "input_gradient",
    "integrated_gradients",
    "layercam",
    "list_methods",
    "method_function",
    "method_spec",
    "occlusion",
    "scorecam",
    "smoothgrad",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str):
    if name == "faithfulness":  # which loads pandas and SciPy
        return importlib.import_module("kerasal.attribution.faithfulness")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
