"""The deprecated names of callbacks of tf-keras-vis."""

from tf_keras_vis.utils.callbacks import GifGenerator, GifGenerator2D, OptimizerCallback, Print

__all__ = ["GifGenerator", "GifGenerator2D", "OptimizerCallback", "Print"]
