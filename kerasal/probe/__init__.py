"""What a layer knows: how well a linear classifier reads the classes off its frozen features.

``layer_probe``   accuracies by layer, classifier and number of training images, over several random folds
``class_files``   the images and labels of a folder with one folder a class
``randomized``    a copy of a model with random weights, to compare with
``draw_probe``    the accuracies by depth, as curves
"""

from kerasal import _keras as _keras
from kerasal.probe.classifiers import class_files
from kerasal.probe.layer_features import randomized
from kerasal.probe.probe_run import draw_probe, layer_probe

__all__ = ["class_files", "draw_probe", "layer_probe", "randomized"]


def __dir__() -> list[str]:
    return sorted(__all__)
