"""The real DINOv2 ViT-S/14 as a classifier of photos, for ``transformer_maps.py``."""

import importlib.util
import pathlib

import numpy as np
from sklearn.linear_model import LogisticRegression

from kerasal import images, preprocessing
from kerasal.progress import progress_bar

import keras

SIDE = 112
PREPROCESSING = "mean=123.675/116.28/103.53,std=58.395/57.12/57.375"


def load_backbone(path: pathlib.Path, size):
    """Return the model of the file, with an input of this size."""
    spec = importlib.util.spec_from_file_location("backbone", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.dinov2_small(size)


def to_inputs(photos, size):
    """Return preprocessed inputs of photos, enlarged or reduced to a size without cropping."""
    resized = np.stack([images.resize(images.to_channels(photo, 3), size) for photo in photos])
    return preprocessing.get(PREPROCESSING).apply(resized)


def class_token(backbone):
    """Return the model up to its class token."""
    return keras.Model(backbone.input, backbone.output[:, 0])


def fit_head(features_model, folder: pathlib.Path, wnids, per_class: int, batch: int = 32) -> LogisticRegression:
    """Return a regression of the classes on the class token of training images."""
    features, labels = [], []
    with progress_bar("class tokens of training images", per_class * len(wnids)) as advance:
        for number, wnid in enumerate(wnids):
            files = sorted((folder / "train" / wnid).iterdir())[:per_class]
            for start in range(0, len(files), batch):
                part = [images.read(file) for file in files[start : start + batch]]
                features.append(features_model.predict_on_batch(to_inputs(part, (SIDE, SIDE))))
                labels += [number] * len(part)
                advance(len(part))
    return LogisticRegression(C=0.1, max_iter=2000).fit(np.concatenate(features), labels)


def classifier(features_model, head: LogisticRegression) -> keras.Model:
    """Return the network with the regression as its last layer, without a softmax."""
    dense = keras.layers.Dense(len(head.classes_), name="head")
    model = keras.Model(features_model.input, dense(features_model.output), name="dinov2_classifier")
    dense.set_weights([head.coef_.T, head.intercept_])
    return model


def randomized(model: keras.Model, seed: int) -> keras.Model:
    """Return a copy with random weights of the same standard deviations, apart from the last layer."""
    copy = keras.models.clone_model(model)
    random = np.random.default_rng(seed)
    weights = [random.normal(0, max(array.std(), 1e-3), array.shape) for array in model.get_weights()]
    copy.set_weights([*weights[:-2], *model.get_weights()[-2:]])
    return copy
