"""Training of classifiers and gaze models. ``prepare_training`` and ``prepare_gaze`` open a model and its data.

``train`` trains a classifier, ``ablate`` several variants of a classifier, and ``train_gaze`` a gaze model (by a
``Recipe``, see ``RECIPES``). Each writes all its files, including a checkpoint, to one output folder. A run that was
stopped at any moment (by Ctrl-C, or a lost machine) is resumed by the same call, and its result is bit-equal to that of
an uninterrupted run. The trained weights depend only on the starting weights, the settings and the ``seed``.

``strategy="mirrored"`` splits every batch between the GPUs of a machine, ``"multi-worker"`` also between machines,
which connect with ``join_workers``. All processes compute the same history and stop together; only the chief writes
files, and all others read its checkpoint.

``PriorModel`` trains any model with a loss of its own maps (``kerasal.losses.AttributionPrior``) in Keras' ``fit``, and
``AttributionPenalty`` is that loss for a training step of your own.
"""

from kerasal import _keras as _keras
from kerasal.training.attribution_penalty import AttributionPenalty
from kerasal.training.classifier import Training, accuracy, train
from kerasal.training.gaze_training import GazeTraining, add_center_bias, train_gaze
from kerasal.training.optimization import Constant, Cosine, Linspace, StepFloor, TorchSGD
from kerasal.training.prior_model import PriorModel
from kerasal.training.training_inputs import Augmentation
from kerasal.training.training_pictures import watch_features
from kerasal.training.training_recipes import RECIPES, Recipe, recipe
from kerasal.training.training_setup import (
    GazeSetup,
    TrainingSetup,
    prepare_gaze,
    prepare_training,
)
from kerasal.training.variants import ablate
from kerasal.training.workers import join_workers

__all__ = [
    "RECIPES",
    "AttributionPenalty",
    "Augmentation",
    "Constant",
    "Cosine",
    "GazeSetup",
    "GazeTraining",
    "Linspace",
    "PriorModel",
    "Recipe",
    "StepFloor",
    "TorchSGD",
    "Training",
    "TrainingSetup",
    "ablate",
    "accuracy",
    "add_center_bias",
    "join_workers",
    "prepare_gaze",
    "prepare_training",
    "recipe",
    "train",
    "train_gaze",
    "watch_features",
]


def __dir__() -> list[str]:
    return sorted(__all__)
