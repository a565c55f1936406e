"""The input modifiers of tf-keras-vis, which are used as they are."""

from tf_keras_vis.activation_maximization.input_modifiers import InputModifier, Jitter, Rotate, Rotate2D, Scale

__all__ = ["InputModifier", "Jitter", "Rotate", "Rotate2D", "Scale"]
