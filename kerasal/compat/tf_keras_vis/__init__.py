"""The visualizations of tf-keras-vis 0.8 on this package's engine, with the same arguments, defaults and results.

Replace ``tf_keras_vis`` by ``kerasal.compat.tf_keras_vis`` in the imports: ``saliency.Saliency``, ``gradcam.Gradcam``,
``gradcam_plus_plus.GradcamPlusPlus``, ``layercam.Layercam``, ``scorecam.Scorecam`` and
``activation_maximization.ActivationMaximization`` are in modules of the same names. Scores, model modifiers,
regularizers, input modifiers and callbacks are those of tf-keras-vis itself, so both imports may be mixed.

The differences are these. Models of every kind work: Sequential, nested and subclassed models and transformers. The
model is neither cloned nor changed for tf-keras-vis' own model modifiers. The forward and the backward pass are
compiled, once per model, which makes the first call slower and the others faster.
"""

import importlib

from kerasal import _keras as _keras

_ORIGIN = {
    "ActivationMaximization": "activation_maximization",
    "ClonedModel": "model_modifiers",
    "Gradcam": "gradcam",
    "GradcamPlusPlus": "gradcam_plus_plus",
    "Layercam": "layercam",
    "ModelVisualization": "visualization",
    "Saliency": "saliency",
    "ScoreCAM": "scorecam",
    "Scorecam": "scorecam",
}

__all__ = list(_ORIGIN)


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str):
    if name in _ORIGIN:
        return getattr(importlib.import_module(f"{__name__}.{_ORIGIN[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
