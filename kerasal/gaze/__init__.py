"""Gaze prediction: maps of where people will look in photos, their scores, and a diagnosis of gaze models.

* ``predict`` and ``predict_many`` return a ``GazePrediction`` for each photo, by default with the bundled model.
  ``predict_folder`` writes the maps of many photos. ``Predictor(model)`` is a compiled model. ``resize_map`` resizes
  the map of a model to its photo.
* ``evaluate`` scores the maps, with the center and the mean map as baselines and the other observers as the ceiling, by
  the metrics of the MIT benchmark and of the coursework. ``ceiling`` returns how well the observers of each image
  predict one another.
* ``diagnose`` tests whether a model has learned more than the mean map or the center, and whether its output wraps
  around in 8 bits.
* ``load_vxm`` loads a model in the format of FastGaze, and ``write_predictions`` writes the ``preds.pkl`` of the
  coursework.
* ``adapt`` fits eight numbers of a model to other data, if that gains on images left out.
* ``attention_share`` returns which share of the attention the boxes in a photo get.
* ``panel``, ``filters``, ``overlay`` and ``wrap_panel`` draw figures.

A gaze model takes RGB images and returns a map of each; ``kerasal.training.train_gaze`` trains such a model. (For
the pixels on which the score of a classifier depends, see ``kerasal.attribution``.)
"""

from kerasal import _keras as _keras
from kerasal import names as _names
from kerasal.gaze.attention_shares import AttentionShare, attention_share
from kerasal.gaze.folder_prediction import FolderPrediction, predict_folder
from kerasal.gaze.gaze_adaptation import Adaptation, NoGain, adapt
from kerasal.gaze.gaze_diagnosis import Diagnosis, diagnose
from kerasal.gaze.gaze_evaluation import evaluate
from kerasal.gaze.gaze_pictures import filters, overlay, panel, wrap_panel
from kerasal.gaze.gaze_prediction import GazePrediction, predict, predict_many, resize_map
from kerasal.gaze.observer_ceiling import Ceiling, NoCeiling, ceiling
from kerasal.gaze.predictor import Predictor
from kerasal.gaze.raw_predictions import write_predictions
from kerasal.gaze.vxm import load_vxm

__all__ = [
    "Adaptation",
    "AttentionShare",
    "Ceiling",
    "Diagnosis",
    "FolderPrediction",
    "GazePrediction",
    "NoCeiling",
    "NoGain",
    "Predictor",
    "adapt",
    "attention_share",
    "ceiling",
    "diagnose",
    "evaluate",
    "filters",
    "load_vxm",
    "overlay",
    "panel",
    "predict",
    "predict_folder",
    "predict_many",
    "resize_map",
    "wrap_panel",
    "write_predictions",
]

_RENAMED = {"finish": "resize_map"}


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str):
    return _names.renamed_attribute(__name__, name, _RENAMED)
