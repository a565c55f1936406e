"""Linear probes: the accuracy of a linear classifier trained on the frozen features of a layer.

``layer_probe``   accuracies by layer, classifier and number of training images, over several random folds
``class_files``   the image files and class names of a folder with one subfolder per class
``randomized``    a copy of a model with random weights, for comparison
``draw_probe``    a chart of the accuracies by layer
"""

from kerasal import _keras as _keras
from kerasal.probe.classifiers import class_files
from kerasal.probe.layer_features import randomized
from kerasal.probe.probe_run import draw_probe, layer_probe

__all__ = ["class_files", "draw_probe", "layer_probe", "randomized"]


def __dir__() -> list[str]:
    return sorted(__all__)
