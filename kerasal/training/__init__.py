"""Routines that train: they take a model and arrays, and know neither the zoo nor a data set by name.

``train`` writes everything into one output folder and keeps its state there after every epoch, so that a run stopped
at any moment (Ctrl-C, a lost machine) goes on when it is started again, and ends bit-equal to one that was never
stopped. Weights, loss and order of a run follow from its starting weights and its ``seed`` alone.
"""

from kerasal.training.classifier import Training as Training
from kerasal.training.classifier import accuracy as accuracy
from kerasal.training.classifier import train as train

__all__ = ["Training", "accuracy", "train"]
