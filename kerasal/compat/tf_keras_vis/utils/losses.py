"""The deprecated names of scores of tf-keras-vis."""

from tf_keras_vis.utils.losses import BinaryLoss, CategoricalLoss, InactiveLoss, Loss

__all__ = ["BinaryLoss", "CategoricalLoss", "InactiveLoss", "Loss"]
