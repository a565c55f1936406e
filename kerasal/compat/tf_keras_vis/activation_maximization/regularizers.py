"""The regularizers of tf-keras-vis, which are used as they are."""

from tf_keras_vis.activation_maximization.regularizers import Norm, Regularizer, TotalVariation2D

__all__ = ["Norm", "Regularizer", "TotalVariation2D"]
