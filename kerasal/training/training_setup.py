"""Open what ``train`` and ``train_gaze`` need, by names and files: model, pixel convention, starting weights, data."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from kerasal import preprocessing as conventions
from kerasal.datasets import mnist
from kerasal.datasets.class_folders import class_files, has_class_folders
from kerasal.datasets.labeled_images import ClassImages, class_images
from kerasal.gaze.predictor import is_log_density
from kerasal.models import open_model, registry
from kerasal.names import as_text
from kerasal.training.gaze_training import add_center_bias
from kerasal.training.results import write_table
from kerasal.training.run_folder import DRAWN, digest_start

import keras
import tensorflow as tf

_DEFAULTS = {"epochs": 10, "batch_size": 32, "learning_rate": 1e-4, "seed": 0}
_SAMPLE_VALUES = 50_000_000  # largest number of values of the images in sample_inputs


@dataclasses.dataclass(frozen=True)
class TrainingSetup:
    """The model, data and settings for ``train``, from ``prepare_training``.

    Attributes:
        model: the model, with its starting weights.
        preprocessing: the model's pixel convention.
        recipe: epochs, batch_size, learning_rate and seed.
        train: the training data: arrays, or ``ClassImages``.
        test: the test data, of the same type.
        names: names of the classes.
        start: description of the starting weights, which must be the same when a run is resumed.
        about: where model, weights and data are from, for run.json; see ``train``.
    """

    model: keras.Model
    preprocessing: conventions.Preprocessing
    recipe: dict[str, Any]
    train: Any
    test: Any
    names: list[str]
    start: str
    about: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def from_folders(self) -> bool:
        """Whether the images are from class folders."""
        return isinstance(self.train, ClassImages)

    @property
    def skipped(self) -> dict[str, str]:
        """The files that were skipped, with the reason for each."""
        return dict(self.train.skipped | self.test.skipped) if self.from_folders else {}

    def sample_inputs(self, most: int) -> np.ndarray:
        """Return model inputs of at most ``most`` training images (N, H, W, C), fewer if the images are large."""
        if not self.from_folders:
            return self.train[0][:most]
        most = max(1, min(most, _SAMPLE_VALUES // int(np.prod(self.train.shape)), len(self.train)))
        index = np.linspace(0, len(self.train) - 1, most).astype(int)
        return self.preprocessing.apply(self.train.load_images(np.unique(index)))

    def write_skipped(self, output: str | os.PathLike) -> None:
        """Write the skipped files and reasons to ``skipped.csv`` in the folder; if there are none, write no file."""
        if self.skipped:
            rows = [(as_text(name), as_text(reason)) for name, reason in sorted(self.skipped.items())]
            write_table(pathlib.Path(output) / "skipped.csv", pd.DataFrame(rows, columns=["file", "reason"]))


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
    """Return a classifier and its training and test data, and set Keras's global random seed to that of the recipe.

    Args:
        source: name of a classifier of the zoo, or a ``.keras`` or ``.h5`` file.
        data: a folder with a subfolder of images for each class (or with subfolders train and val that contain these);
            or MNIST: ``mnist.npz``, or a folder with this file or the four IDX files. Zoo models for MNIST download it
            (11 MB) by default.
        classes: names of the class folders to use, in this order; by default all.
        test_share: share of each class that is used for testing if the folder has no test images, in 0..1.
        fit: whether to crop or stretch images of class folders to the model's input size.
        recipe: epochs, batch_size, learning_rate or seed that replace those of the model's recipe, or the defaults 10,
            32, .0001 and 0.
        weights: starting weights of a zoo model: a name or a file; random by default.
        options: options of a zoo model.
        preprocessing: the model's pixel convention; by default that of the zoo, or that of the model file.
        unsafe: whether to allow a model file to run code.
        progress: whether to show a progress bar.

    Raises:
        ValueError: an unknown model, or data that do not fit the model.
        NoPreprocessing: (a ValueError) the pixel convention of a model file is unknown.
        FileNotFoundError: a file or folder does not exist.
    """
    is_file = os.path.exists(source) or os.fspath(source).endswith((".keras", ".h5"))
    spec = None if is_file else registry.model_spec(os.fspath(source))
    if spec is not None and spec.task != "classification":
        raise ValueError(
            f"source must be a classifier, got the gaze model {spec.name}. Use kerasal.training.train_gaze, "
            "or the command kerasal gaze train."
        )
    defaults = dict((spec and spec.recipe) or _DEFAULTS)
    uses_mnist = defaults.pop("data", None) == "mnist"
    if data is None and not uses_mnist:
        raise ValueError(f"data must be a folder with a subfolder for each class to train {source}, got None.")
    settings = defaults | dict(recipe or {})
    uses_folders = not uses_mnist or (
        data is not None and os.path.isdir(data) and has_class_folders(pathlib.Path(data))
    )
    folder = data if uses_folders else None
    if folder is None and classes:
        raise ValueError(f"classes must be None for MNIST, which has the ten digits, got {classes!r}.")
    splits = mnist(data) if folder is None else ()
    names = [str(digit) for digit in range(10)] if folder is None else class_files(folder, classes)[0].names
    _set_seed(settings["seed"])
    options = dict(options or {})
    if spec is None:
        opened = open_model(source, preprocessing=preprocessing, weights=weights, options=options, unsafe=unsafe)
        opened.check_pixels()  # raises if the preprocessing is unknown
        model, convention = opened.keras_model, opened.preprocessing or conventions.get("none")
    else:
        if folder is not None and "classes" in spec.options:
            options.setdefault("classes", len(names))
        model = registry.create_model(spec.name, weights, **options)
        convention = conventions.get(preprocessing or spec.preprocessing)
    if folder is not None:
        shape = getattr(model, "input_shape", None)
        if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] not in (1, 3, None):
            raise ValueError(
                f"model must take images (N, H, W, 1) or (N, H, W, 3), got the input shape {shape} of {model.name}."
            )
        shape = shape[1] or 224, shape[2] or 224, shape[3] or 3
        reading = {"fit": fit, "test_share": test_share, "seed": settings["seed"], "progress": progress}
        train, test = class_images(folder, shape, classes=classes, **reading)
    else:
        train, test = ((convention.apply(images[..., None]), labels) for images, labels in splits)
    start = _describe_start(model, is_file or weights is not None, options)
    about: dict[str, Any] = {"model": os.fspath(source), "options": options, "weights": weights}
    if folder is None:
        about["data"] = ["MNIST" if data is None else os.fspath(data)]
    return TrainingSetup(model, convention, settings, train, test, names, start, about)


@dataclasses.dataclass(frozen=True)
class GazeSetup:
    """The model and settings for ``train_gaze``, from ``prepare_gaze``.

    Attributes:
        model: the model, with its starting weights.
        preprocessing: the model's pixel convention.
        size: (height, width) of the training images; ``None`` if the model accepts a single size.
        start: description of the starting weights, which must be the same when a run is resumed.
    """

    model: keras.Model
    preprocessing: str
    size: tuple[int, int] | None
    start: str


def prepare_gaze(
    source: str | os.PathLike,
    *,
    weights: str | os.PathLike | None = None,
    options: Mapping[str, Any] | None = None,
    preprocessing: str | None = None,
    size: tuple[int, int] | None = None,
    center_bias: Literal["none", "fixed", "learned"] = "none",
    seed: int = 0,
    unsafe: bool = False,
) -> GazeSetup:
    """Return a gaze model with its starting weights, and set Keras's global random seed, which determines them.

    Args:
        source: name of a gaze model of the zoo, the output folder of ``train_gaze``, or a ``.keras`` file.
        weights: as in ``prepare_training``.
        options: options of a zoo model.
        preprocessing: the model's pixel convention; by default that of the zoo or of the run, otherwise ``"unit"``
            (0..1).
        size: (height, width) of the training images for a model that accepts any size; by default the model's usual
            size.
        center_bias: whether to multiply the maps by a ``"fixed"`` or ``"learned"`` Gaussian in the center.
        seed: seed of the starting weights.
        unsafe: whether to allow a model file to run code.

    Raises:
        ValueError: an unknown model, option or weights, or maps that cannot be multiplied.
        FileNotFoundError: a path does not exist.
    """
    _set_seed(seed)
    name, options, is_file = os.fspath(source), dict(options or {}), os.path.exists(source)
    if is_file:
        opened = open_model(source, preprocessing=preprocessing, weights=weights, options=options, unsafe=unsafe)
        model, default_size = opened.keras_model, opened.size
        convention = opened.preprocessing.name if opened.preprocessing else "unit"
    else:
        if pathlib.Path(name).suffix or "/" in name:
            registry.load_model(name)  # raises FileNotFoundError
        model, spec = registry.create_model(name, weights, **options), registry.model_spec(name)
        convention = preprocessing or spec.preprocessing
        default_size: Any = None
        if None in model.input_shape[1:3]:
            default_size = model.layers[-1].image_size if is_log_density(model) else spec.input_shape[:2]
    if center_bias != "none":
        model = add_center_bias(model, learned=center_bias == "learned")
    start = _describe_start(model, is_file or bool(weights), options)
    return GazeSetup(model, convention, size or default_size, start)


def _set_seed(seed: int) -> None:
    """Set Keras's global random seed, and make the operations of a GPU deterministic."""
    if tf.config.list_physical_devices("GPU"):  # those of a CPU are deterministic
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)


def _describe_start(model: keras.Model, loaded: bool, options: Mapping[str, Any]) -> str:
    """Return a description of the starting weights: their digest if they were loaded, or a note on the seed."""
    loaded = loaded or any(options.get(name) is not None for name in ("weights", "backbone_weights"))
    return digest_start(model.weights) if loaded else DRAWN
