"""The preprocessing of an ImageNet classifier, recognized by four photographs that ship."""

import pathlib

import numpy as np

from kerasal import hooks, images
from kerasal.preprocessing import CONVENTIONS, Preprocessing

import keras

_ASSETS = pathlib.Path(__file__).parent.parent / "assets"
# Photographs that ship, and the ImageNet classes that are right for each.
_CLASSES = {
    "cat": (281, 282, 285),
    "coffee": (504, 967),
    "rocket": (657, 744, 812),
    "admiral": (457, 652, 906),
}
PHOTOGRAPHS = [_ASSETS / f"{name}.jpg" for name in _CLASSES]


def recognize_preprocessing(model: keras.Model, size: tuple[int, int]) -> tuple[Preprocessing, float, float]:
    """Return the convention under which a model gives the shipped photographs' classes most probability.

    Args:
        model: a classifier of the 1,000 ImageNet classes that takes RGB images, channels last.
        size: the (height, width) that it takes.

    Returns:
        The convention, the mean probability of the right classes under it, and that under the next best one.
    """
    pictures = np.stack([images.fit_image(images.read(file), size) for file in PHOTOGRAPHS])
    shares = []
    for convention in CONVENTIONS.values():
        with hooks.unchanged(model):
            outputs = np.asarray(model(convention.apply(pictures), training=False), dtype=np.float64)
        if (outputs < 0).any() or not np.allclose(outputs.sum(axis=1), 1, atol=1e-2):  # logits
            outputs = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            outputs /= outputs.sum(axis=1, keepdims=True)
        right = [outputs[i, list(classes)].sum() for i, classes in enumerate(_CLASSES.values())]
        shares.append((float(np.mean(right)), convention))
    shares.sort(key=lambda pair: -pair[0])
    return shares[0][1], shares[0][0], shares[1][0]
