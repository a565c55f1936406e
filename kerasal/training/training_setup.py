"""What ``train`` needs, from names and folders: a classifier, its recipe, and images to train and to test it on."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from kerasal import hooks
from kerasal import preprocessing as conventions
from kerasal.datasets import mnist
from kerasal.datasets.class_folders import class_files, has_class_folders
from kerasal.datasets.labeled_images import ClassImages, class_images
from kerasal.files import replacing
from kerasal.models import open_model, registry
from kerasal.names import as_text
from kerasal.receptive_field import FeatureEvolution
from kerasal.training.run_folder import DRAWN, digest_start

import keras
import tensorflow as tf

_USUAL = {"epochs": 10, "batch_size": 32, "learning_rate": 1e-4, "seed": 0}
_WATCHED_VALUES = 50_000_000  # of the images that features are watched on


@dataclasses.dataclass(frozen=True)
class TrainingSetup:
    """All that ``train`` needs.

    Attributes:
        model: with its starting weights.
        preprocessing: how it wants its pixels.
        recipe: epochs, batch_size, learning_rate and seed.
        train: images to train on: arrays, or ``ClassImages``.
        test: images to test on, likewise.
        names: of the classes.
        start: what a run that goes on must have begun from.
    """

    model: keras.Model
    preprocessing: conventions.Preprocessing
    recipe: dict[str, Any]
    train: Any
    test: Any
    names: list[str]
    start: str

    @property
    def from_folders(self) -> bool:
        """Whether the images are of class folders."""
        return isinstance(self.train, ClassImages)

    @property
    def skipped(self) -> dict[str, str]:
        """File -> reason, of the files that could not be used."""
        return dict(self.train.skipped | self.test.skipped) if self.from_folders else {}

    def sample_inputs(self, most: int) -> np.ndarray:
        """Return model inputs of up to ``most`` of the training images, fewer where they are large."""
        if not self.from_folders:
            return self.train[0][:most]
        most = max(1, min(most, _WATCHED_VALUES // int(np.prod(self.train.shape)), len(self.train)))
        index = np.linspace(0, len(self.train) - 1, most).astype(int)
        return self.preprocessing.apply(self.train.take(np.unique(index)))

    def write_skipped(self, output: str | os.PathLike) -> None:
        """Write which files were skipped, and why, into ``skipped.csv`` of the folder; nothing if none were."""
        if self.skipped:
            rows = [(as_text(name), as_text(reason)) for name, reason in sorted(self.skipped.items())]
            with replacing(pathlib.Path(output) / "skipped.csv") as temporary:
                pd.DataFrame(rows, columns=["file", "reason"]).to_csv(temporary, index=False)


def prepare_training(
    source: str | os.PathLike,
    data: str | os.PathLike | None = None,
    *,
    classes: Sequence[str] | None = None,
    test_share: float = 0.2,
    fit: Literal["crop", "stretch"] = "crop",
    recipe: Mapping[str, Any] | None = None,
    weights: str | os.PathLike | None = None,
    options: Mapping[str, Any] | None = None,
    preprocessing: str | None = None,
    unsafe: bool = False,
    progress: bool = False,
) -> TrainingSetup:
    """Open a classifier and images to train it on; Keras' random seed is set to the recipe's.

    Args:
        source: a classifier of the zoo, or a ``.keras`` or ``.h5`` file.
        data: a folder with one folder of images per class (or parts train and val with these), or MNIST: ``mnist.npz``,
            or a folder with it or the four IDX files. A zoo model for MNIST downloads it (11 MB) without.
        classes: the only class folders to use, in this order.
        test_share: of each class, where the folder has no part to test on.
        fit: cut images of class folders to the model's shape, or stretch them.
        recipe: epochs, batch_size, learning_rate or seed in place of the model's own recipe's, or of 10, 32, .0001, 0.
        weights: of a zoo model, to start from: a name or a file; by default random.
        options: of a zoo model.
        preprocessing: how the model wants its pixels; by default what is known of it.
        unsafe: allow code inside a model file to run.
        progress: show a bar.

    Raises:
        ValueError: no such model, or data that do not fit it.
        NoPreprocessing: a ValueError: it is not known how the model of a file wants its pixels.
        FileNotFoundError: there is no such file or folder.
    """
    is_file = _is_file(source)
    spec = None if is_file else registry.model_spec(os.fspath(source))
    if spec is not None and spec.task != "classification":
        raise ValueError(f"{spec.name} is no classifier; kerasal gaze train trains it.")
    own = dict((spec and spec.recipe) or _USUAL)
    of_mnist = own.pop("data", None) == "mnist"
    if data is None and not of_mnist:
        raise ValueError(f"{source} is trained on class folders: data must be a folder with a folder for each class.")
    chosen = own | dict(recipe or {})
    folders = not of_mnist or (data is not None and os.path.isdir(data) and has_class_folders(pathlib.Path(data)))
    if not folders and classes:
        raise ValueError("classes chooses class folders; MNIST has its ten digits.")
    splits = None if folders else mnist(data)
    names = class_files(data, classes)[0].names if folders else [str(digit) for digit in range(10)]
    set_seed(chosen["seed"])
    options = dict(options or {})
    if spec is None:
        opened = open_model(source, preprocessing=preprocessing, weights=weights, options=options, unsafe=unsafe)
        opened.check_pixels()
        model, convention = opened.keras_model, opened.preprocessing
    else:
        if folders and "classes" in spec.options:
            options.setdefault("classes", len(names))
        model = registry.create_model(spec.name, weights, **options)
        convention = conventions.get(preprocessing or spec.preprocessing)
    if folders:
        shape = _image_shape(model)
        more = {"classes": classes, "fit": fit, "test_share": test_share, "seed": chosen["seed"], "progress": progress}
        train, test = class_images(data, shape, **more)
    else:
        train, test = ((convention.apply(images[..., None]), labels) for images, labels in splits)
    start = describe_start(model, is_file or weights is not None, options)
    return TrainingSetup(model, convention, chosen, train, test, names, start)


def set_seed(seed: int) -> None:
    """Set the random seed that decides weights which are drawn, and make a GPU's operations deterministic."""
    if tf.config.list_physical_devices("GPU"):  # on a CPU they are as they are
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)


def describe_start(model: keras.Model, given: bool, options: Mapping[str, Any]) -> str:
    """Return what a run that goes on must have begun from: weights that were given, or are drawn by the seed."""
    given = given or any(options.get(name) is not None for name in ("weights", "backbone_weights"))
    return digest_start(model.weights) if given else DRAWN


def watch_features(
    model: keras.Model,
    inputs: np.ndarray,
    folder: str | os.PathLike,
    features: Sequence[tuple[str, Sequence[int] | None]] = (),
    *,
    preprocessing: conventions.Preprocessing | None = None,
    overwrite: bool = False,
) -> FeatureEvolution:
    """Return a callback that watches features come about in a training, on the images of ``inputs``.

    Args:
        model: that is trained.
        inputs: see ``TrainingSetup.sample_inputs``.
        folder: in which they are stored.
        features: (layer, channels) each, None for the first 8; by default those of each convolution.
        preprocessing: of the inputs.
        overwrite: replace what the folder holds.

    Raises:
        ValueError: no features were given, and the model has no convolution.
    """
    features = list(features) or [(path, None) for path, one in hooks.layers(model) if _is_convolution(one)]
    if not features:
        raise ValueError(f"{model.name} has no convolution to watch. Name features, as layer and channels.")
    chosen = {
        layer: list(range(min(8, hooks.channel_count(model, layer) or 8))) if channels is None else list(channels)
        for layer, channels in features
    }
    return FeatureEvolution(folder, inputs, chosen, preprocessing=preprocessing, overwrite=overwrite)


def _is_file(source: str | os.PathLike) -> bool:
    return os.path.exists(source) or os.fspath(source).endswith((".keras", ".h5"))


def _is_convolution(layer) -> bool:
    return isinstance(layer, keras.layers.Conv2D)


def _image_shape(model: keras.Model) -> tuple[int, int, int]:
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] not in (1, 3, None):
        raise ValueError(f"A classifier of images (H, W, C), C being 1 or 3, is expected. {model.name} takes {shape}.")
    return shape[1] or 224, shape[2] or 224, shape[3] or 3
