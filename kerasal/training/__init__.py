"""Routines that train: they take a model and data; ``prepare_training`` makes both of names and folders.

``train`` is for classifiers, ``ablate`` for variants of one, ``train_gaze`` for gaze predictors (by a ``Recipe``, see
``RECIPES``). Each writes everything into one output folder and keeps its state there, so that a run stopped at any
moment (Ctrl-C, a lost machine) goes on when it is started again, and ends bit-equal to one that was never stopped.
Weights, loss and order of a run follow from its starting weights and its ``seed`` alone.

With ``strategy="mirrored"`` they split every batch between the GPUs of a machine, with ``"multi-worker"`` between
machines, which meet by ``join_workers``. Every process then knows the values of all images, so that all have one
history and stop together; the chief alone writes, and all read its one checkpoint.
"""

from kerasal import _keras as _keras
from kerasal.training.ablation import ablate
from kerasal.training.classifier import Training, accuracy, train
from kerasal.training.gaze_training import GazeTraining, add_center_bias, train_gaze
from kerasal.training.optimization import Constant, Cosine, Linspace, StepFloor, TorchSGD
from kerasal.training.training_inputs import Augmentation
from kerasal.training.training_pictures import watch_features
from kerasal.training.training_recipes import RECIPES, Recipe, recipe
from kerasal.training.training_setup import (
    GazeSetup,
    TrainingSetup,
    prepare_gaze,
    prepare_training,
)
from kerasal.training.workers import join_workers

__all__ = [
    "RECIPES",
    "Augmentation",
    "Constant",
    "Cosine",
    "GazeSetup",
    "GazeTraining",
    "Linspace",
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
