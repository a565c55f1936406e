"""Where people look, as a model predicts it: maps for photographs, their scores, and what went wrong with them.

* ``predict`` and ``predict_many``: where people will look in a photograph, as a ``GazePrediction``; the model that does
  it ships. ``predict_folder`` writes the maps of many photographs. ``Predictor(model)``: a model compiled once.
  ``finish`` brings a model's own map to its photograph.
* ``evaluate``: the maps' scores beside the center and the mean map, by the benchmark and the coursework.
* ``diagnose``: has the model learned more than the mean map or the center, and does its output wrap around?
* ``load_vxm``: a model in the format of FastGaze.
* ``panel``, ``filters``, ``overlay``, ``wrap_panel``: what to look at.

A gaze model takes RGB images and makes one map per image; ``kerasal.training.train_gaze`` trains one. (What a score
depends on is another thing: ``kerasal.attribution``.)
"""

from kerasal import _keras as _keras
from kerasal.gaze.folder_prediction import FolderPrediction, predict_folder
from kerasal.gaze.gaze_diagnosis import Diagnosis, diagnose
from kerasal.gaze.gaze_evaluation import evaluate
from kerasal.gaze.gaze_pictures import filters, overlay, panel, wrap_panel
from kerasal.gaze.gaze_prediction import GazePrediction, finish, predict, predict_many
from kerasal.gaze.predictor import Predictor
from kerasal.gaze.vxm import load_vxm

__all__ = [
    "Diagnosis",
    "FolderPrediction",
    "GazePrediction",
    "Predictor",
    "diagnose",
    "evaluate",
    "filters",
    "finish",
    "load_vxm",
    "overlay",
    "panel",
    "predict",
    "predict_folder",
    "predict_many",
    "wrap_panel",
]


def __dir__() -> list[str]:
    return sorted(__all__)
