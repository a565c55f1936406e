"""Weights that are shuffled for a while: the control for whether a map shows what a model has learned.

Shuffling keeps the mean and the scale of each array. The weights are restored also after an error or an interruption;
until then the model must not be used elsewhere.
"""

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

import keras


@contextlib.contextmanager
def restored_weights(model: keras.Model) -> Iterator[None]:
    """Restore all weights of a model at the end of this context."""
    original = [(weight, weight.numpy()) for weight in model.weights]
    try:
        yield
    finally:
        for weight, value in original:
            weight.assign(value)


@contextlib.contextmanager
def shuffled_weights(model: keras.Model, seed: int) -> Iterator[None]:
    """Shuffle each weight array of a model inside this context."""
    with restored_weights(model):
        shuffle(model.weights, np.random.default_rng(seed))
        yield


def shuffle(weights: Sequence, random: np.random.Generator) -> None:
    """Shuffle the values of each array of floating-point numbers."""
    for weight in weights:
        if weight.dtype.startswith(("float", "bfloat")):
            weight.assign(random.permutation(weight.numpy().ravel()).reshape(weight.shape))
