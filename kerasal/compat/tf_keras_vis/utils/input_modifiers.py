"""The deprecated place of input modifiers of tf-keras-vis."""

from tf_keras_vis.utils.input_modifiers import InputModifier, Jitter, Rotate, Rotate2D

__all__ = ["InputModifier", "Jitter", "Rotate", "Rotate2D"]
