"""Visualizations of tf-keras-vis beside ours, and small models that both can handle."""

import importlib
import warnings

import numpy as np

import keras
import tensorflow as tf

L = keras.layers
PLACES = {
    "Saliency": "saliency",
    "Gradcam": "gradcam",
    "GradcamPlusPlus": "gradcam_plus_plus",
    "Layercam": "layercam",
    "Scorecam": "scorecam",
    "ActivationMaximization": "activation_maximization",
}
CAMS = ("Gradcam", "GradcamPlusPlus", "Layercam", "Scorecam")
MAPS = ("Saliency", *CAMS)


def pair(name):
    """The class of ours and that of tf-keras-vis."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports an old place of scipy.ndimage.zoom
        theirs = importlib.import_module(f"tf_keras_vis.{PLACES[name]}")
    ours = importlib.import_module(f"kerasal.compat.tf_keras_vis.{PLACES[name]}")
    return getattr(ours, name), getattr(theirs, name)


def seeded(function, *args, **options):
    """A call after the same seeds of NumPy and TensorFlow, as an ascent and SmoothGrad draw from both."""
    np.random.seed(3)  # noqa: NPY002
    tf.random.set_seed(3)
    return function(*args, **options)


def check_equal(ours, theirs, tolerance=1e-5):
    """Results of the same structure and shape, whose difference is small beside the largest value."""
    assert type(ours) is type(theirs) or not isinstance(theirs, list)
    many = (ours, theirs) if isinstance(theirs, list) else ([ours], [theirs])
    for mine, other in zip(*many, strict=True):
        mine, other = np.asarray(mine), np.asarray(other)
        assert mine.shape == other.shape and mine.dtype == other.dtype
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance * np.abs(other).max())


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def flat_model(seed=0, name="flat", outputs=1, inputs=1):
    """A functional model without nesting; of two outputs the second is a sigmoid, of two inputs they are joined."""
    keras.utils.set_random_seed(seed)
    tensors = [keras.Input((12, 14, 3), name=f"input_{number}") for number in range(inputs)]
    parts = [L.Conv2D(6, 3, activation="relu", padding="same")(x) for x in tensors]
    x = L.MaxPooling2D()(L.Concatenate()(parts) if inputs > 1 else parts[0])
    x = L.Conv2D(8, 3, activation="relu", name="last")(x)
    x = L.GlobalAveragePooling2D()(x)
    heads = [L.Dense(5, activation="softmax", name="classes")(x), L.Dense(1, activation="sigmoid", name="binary")(x)]
    model = keras.Model(tensors if inputs > 1 else tensors[0], heads if outputs > 1 else heads[0], name=name)
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(0, 0.4, weight.shape) for weight in model.weights])
    return model
