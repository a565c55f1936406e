"""Where people look, as a net predicts it: maps for photographs, their scores, and what went wrong with them.

* ``Predictor(net)`` and ``predict``: maps of photographs of any size; ``finish`` brings a net's map to theirs.
* ``evaluate``: the maps' scores beside the centre and the mean map, by the benchmark and the coursework.
* ``diagnose``: has the net learned more than the mean map or the centre, and does its output wrap around?
* ``load_vxm``: a net in the format of FastGaze.
* ``panel``, ``filters``, ``overlay``, ``wrap_panel``: what to look at.

A gaze net takes RGB images and makes one map an image; training one is ``kerasal.training.train_gaze``. (What a score
depends on is another thing: ``kerasal.attribution``.)
"""

from kerasal import _keras as _keras
from kerasal.gaze.gaze_diagnosis import Diagnosis as Diagnosis
from kerasal.gaze.gaze_diagnosis import diagnose as diagnose
from kerasal.gaze.gaze_evaluation import evaluate as evaluate
from kerasal.gaze.gaze_pictures import filters as filters
from kerasal.gaze.gaze_pictures import overlay as overlay
from kerasal.gaze.gaze_pictures import panel as panel
from kerasal.gaze.gaze_pictures import wrap_panel as wrap_panel
from kerasal.gaze.predictor import Predictor as Predictor
from kerasal.gaze.predictor import finish as finish
from kerasal.gaze.predictor import predict as predict
from kerasal.gaze.vxm import load_vxm as load_vxm

__all__ = [
    "Diagnosis",
    "Predictor",
    "diagnose",
    "evaluate",
    "filters",
    "finish",
    "load_vxm",
    "overlay",
    "panel",
    "predict",
    "wrap_panel",
]
