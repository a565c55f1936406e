"""Linear probes: the accuracy of a linear classifier trained on the frozen features of a layer.

``layer_probe``        accuracies by layer, classifier and number of training images, over several random folds
``class_files``        the image files and class names of a folder with one subfolder per class
``randomize_weights``  a copy of a model with random weights, for comparison
``draw_probe``         a chart of the accuracies by layer
"""

from kerasal import _keras as _keras
from kerasal import names as _names
from kerasal.probe.classifiers import class_files
from kerasal.probe.layer_features import randomize_weights
from kerasal.probe.probe_run import draw_probe, layer_probe

__all__ = ["class_files", "draw_probe", "layer_probe", "randomize_weights"]

_RENAMED = {"randomized": "randomize_weights"}


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str):
    return _names.renamed_attribute(__name__, name, _RENAMED)
