"""The model modifiers of tf-keras-vis; ``kerasal.compat.tf_keras_vis.model_modifiers`` recognizes them."""

from kerasal.compat.tf_keras_vis.model_modifiers import (
    ExtractIntermediateLayer,
    ExtractIntermediateLayerForGradcam,
    GuidedBackpropagation,
    ModelModifier,
    ReplaceToLinear,
)

__all__ = [
    "ExtractIntermediateLayer",
    "ExtractIntermediateLayerForGradcam",
    "GuidedBackpropagation",
    "ModelModifier",
    "ReplaceToLinear",
]
