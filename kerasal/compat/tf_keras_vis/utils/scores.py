"""The scores of tf-keras-vis, which are used as they are."""

from tf_keras_vis.utils.scores import BinaryScore, CategoricalScore, InactiveScore, Score

__all__ = ["BinaryScore", "CategoricalScore", "InactiveScore", "Score"]
