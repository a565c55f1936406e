"""The deprecated regularizers of tf-keras-vis, which get all inputs at once; they are used as they are."""

from tf_keras_vis.utils.regularizers import (
    L2Norm,
    LegacyRegularizer,
    Norm,
    Regularizer,
    TotalVariation,
    TotalVariation2D,
)

__all__ = ["L2Norm", "LegacyRegularizer", "Norm", "Regularizer", "TotalVariation", "TotalVariation2D"]
