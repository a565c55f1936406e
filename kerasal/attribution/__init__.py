"""Attribution: which parts of its input a model's score depends on. ``model, inputs (N, H, W, C) -> maps (N, H, W)``.

The same holds for inputs of any rank: maps have the positions of the inputs and no channels.

========================================  ============  =======================================================
inputs                                    maps          positions
========================================  ============  =======================================================
images (N, H, W, C), gray (N, H, W)       (N, H, W)     pixels
signals, sequences, embeddings (N, T, C)  (N, T)        time steps
volumes (N, D, H, W, C)                   (N, D, H, W)  voxels
videos (N, T, H, W, C)                    (N, T, H, W)  pixels of all frames
features (N, F)                           (N, F)        features
========================================  ============  =======================================================

All methods have the same signature::

    class_saliency(model, inputs, target=None, *, output=None, logits=True, batch_size=None, **options)

* ``model``: any built Keras model: functional, Sequential, nested or subclassed. It is never changed or copied.
* ``inputs``: an array of preprocessed inputs, channels last or first as the model takes them; a single input is treated
  as a batch of size 1. A model with several inputs takes a list or dictionary of arrays, and the maps are returned in
  the same structure. Integer inputs, such as token indices or categories, are held fixed and have None in place of a
  map; so have features (N, F) beside an image in class activation maps and ``drise``, which need positions. Tokens are
  explained at the layer that embeds them, with the option ``layer`` of the gradient methods and of occlusion.
* ``target``: the score to explain. ``None`` is each image's top class, an int the same class for all images, a sequence
  of ints one class per image; an objective (``kerasal.objectives``) is any unit, channel or layer, a class over a
  region of a segmentation, a detection, or the similarity to an embedding; a function of the model's output that
  returns (N,) scores, such as a tf-keras-vis ``Score``, is anything computed from the output. If a model has several
  outputs and ``output`` is not set, the function receives a dictionary of all of them, by name. It receives logits
  where an output comes from a softmax or a sigmoid, and what the model returns with ``logits=False``.
* ``output``: name or position of the output to explain, for a model with several outputs. Objectives may also name the
  outputs that they read (``objectives.output``, ``objectives.box``).
* ``logits``: explain the score before the last softmax or sigmoid (the default) rather than the probability. If the
  model has no such score, for example as an average of several models, its output is explained instead, with the
  warning ``kerasal.hooks.NoLogits``.
* ``batch_size``: number of images run at once; by default the fastest number that needs little memory.

Maps are float32 NumPy arrays, raw and never normalized. Maps with channels have them on the same axis as the inputs.
Options such as ``fill`` and ``baseline`` have their channels last in either case. Which axis holds the channels is read
from the graph of the model (``kerasal.hooks.positions``); where several operations disagree, methods raise an error. An
input (N, T, C) that the model flattens before anything else has no channels to reduce, and its maps are (N, T, C). The
first call for a model and a set of options traces a graph, which later calls reuse and which is released
with the model. ``method.compiled(model, **options)`` returns the same computation as a ``tf.Module`` on tensors.
"""

import importlib

from kerasal import _keras as _keras
from kerasal.attribution.attention_weights import attention
from kerasal.attribution.map_notes import ToleranceNotReached, ZeroMap
from kerasal.attribution.method import list_methods, method_function, method_spec
from kerasal.attribution.method_comparison import MethodComparison, compare_methods
from kerasal.attribution.methods.ablation import ablation
from kerasal.attribution.methods.ablationcam import ablationcam
from kerasal.attribution.methods.attention_gradcam import attention_gradcam
from kerasal.attribution.methods.attention_rollout import attention_rollout
from kerasal.attribution.methods.blur_ig import blur_ig
from kerasal.attribution.methods.class_saliency import class_saliency
from kerasal.attribution.methods.crop_averaged_saliency import crop_averaged_saliency
from kerasal.attribution.methods.deconvnet import deconvnet
from kerasal.attribution.methods.deeplift import deeplift
from kerasal.attribution.methods.drise import drise
from kerasal.attribution.methods.eigencam import eigencam
from kerasal.attribution.methods.eigengradcam import eigengradcam
from kerasal.attribution.methods.finer_cam import finer_cam
from kerasal.attribution.methods.gradcam import gradcam
from kerasal.attribution.methods.gradcam_plus_plus import gradcam_plus_plus
from kerasal.attribution.methods.gradient_shap import gradient_shap
from kerasal.attribution.methods.gradient_x_input import gradient_x_input
from kerasal.attribution.methods.guided_backprop import guided_backprop
from kerasal.attribution.methods.guided_ig import guided_ig
from kerasal.attribution.methods.hirescam import hirescam
from kerasal.attribution.methods.hsic import hsic
from kerasal.attribution.methods.input_gradient import input_gradient
from kerasal.attribution.methods.integrated_gradients import integrated_gradients
from kerasal.attribution.methods.kernel_shap import kernel_shap
from kerasal.attribution.methods.layercam import layercam
from kerasal.attribution.methods.legrad import legrad
from kerasal.attribution.methods.lime import lime
from kerasal.attribution.methods.lrp import lrp
from kerasal.attribution.methods.occlusion import occlusion
from kerasal.attribution.methods.raw_attention import raw_attention
from kerasal.attribution.methods.rise import rise
from kerasal.attribution.methods.scorecam import scorecam
from kerasal.attribution.methods.shapleycam import shapleycam
from kerasal.attribution.methods.smoothgrad import smoothgrad
from kerasal.attribution.methods.sobol import sobol
from kerasal.attribution.methods.transformer_relevance import transformer_relevance
from kerasal.attribution.methods.xgradcam import xgradcam
from kerasal.attribution.methods.xrai import xrai
from kerasal.attribution.pages import attribution_page, draw_map
from kerasal.attribution.smooth import smooth
from kerasal.names import unknown_name_message

__all__ = [
    "MethodComparison",
    "ToleranceNotReached",
    "ZeroMap",
    "ablation",
    "ablationcam",
    "attention",
    "attention_gradcam",
    "attention_rollout",
    "attribution_page",
    "blur_ig",
    "class_saliency",
    "compare_methods",
    "crop_averaged_saliency",
    "deconvnet",
    "deeplift",
    "draw_map",
    "drise",
    "eigencam",
    "eigengradcam",
    "evaluation",
    "explanation_sheet",
    "finer_cam",
    "gradcam",
    "gradcam_plus_plus",
    "gradient_shap",
    "gradient_x_input",
    "guided_backprop",
    "hsic",
    "guided_ig",
    "hirescam",
    "input_gradient",
    "integrated_gradients",
    "kernel_shap",
    "layercam",
    "legrad",
    "lime",
    "lrp",
    "list_methods",
    "method_function",
    "method_spec",
    "occlusion",
    "rank",
    "raw_attention",
    "rise",
    "scorecam",
    "smooth",
    "shapleycam",
    "smoothgrad",
    "sobol",
    "transformer_relevance",
    "xrai",
    "xgradcam",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str):
    if name == "evaluation":  # imported on first use, because it loads pandas and SciPy
        return importlib.import_module("kerasal.attribution.evaluation")
    if name == "rank":
        return importlib.import_module("kerasal.attribution.ranking").rank
    if name == "faithfulness":
        raise AttributeError(
            "kerasal.attribution has no attribute 'faithfulness'. Its metrics are in kerasal.attribution.evaluation, "
            "and deletion(…).auc is deletion(…).values now.",
            name=name,
        )
    if name == "explanation_sheet":
        return importlib.import_module("kerasal.attribution.map_sheet").explanation_sheet
    raise AttributeError(unknown_name_message(name, __all__, "attribute", f" of {__name__}"), name=name)
