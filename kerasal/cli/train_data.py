"""From the arguments of ``kerasal train`` to a model, its recipe, and images to train and to test it on."""

import dataclasses
import pathlib
from typing import Any

from kerasal.cli.options import has_weights

_USUAL = {"epochs": 10, "batch_size": 32, "learning_rate": 1e-4, "seed": 0}
_NAMED = 5
_WATCHED_VALUES = 50_000_000  # of the images that features are watched on


@dataclasses.dataclass(frozen=True)
class Asked:
    """What was said on the command line; ``speaks``: not one of the workers that leave the talking to their chief."""

    model: str
    data: pathlib.Path | None
    classes: list[str] | None
    test_share: float
    fit: str
    augmentation: dict[str, Any]
    weights: str | None
    net_options: dict[str, Any]
    preprocessing: str | None
    unsafe: bool
    progress: bool
    speaks: bool = True


@dataclasses.dataclass(frozen=True)
class Opened:
    """All that ``training.train`` needs: ``train`` and ``test`` are arrays, or ``ClassImages`` with ``names``."""

    asked: Asked
    network: Any
    convention: Any
    recipe: dict[str, Any]
    train: Any
    test: Any
    names: list[str]

    @property
    def start(self) -> str:
        """What a run that goes on must have begun from, as ``training.train`` takes it."""
        from kerasal.training.run_folder import DRAWN, digest_start

        asked = self.asked
        given = _is_file(asked.model) or asked.weights is not None or has_weights(asked.net_options)
        return digest_start(self.network.weights) if given else DRAWN

    def count(self, part) -> int:
        """Return how many images a part has."""
        return len(part[1]) if isinstance(part, tuple) else len(part)

    def shown(self, most: int):
        """Return model inputs of up to ``most`` of the training images, fewer where they are large."""
        import numpy as np

        if isinstance(self.train, tuple):
            return self.train[0][:most]
        most = max(1, min(most, _WATCHED_VALUES // int(np.prod(self.train.shape)), len(self.train)))
        index = np.linspace(0, len(self.train) - 1, most).astype(int)
        return self.convention.apply(self.train.take(np.unique(index)))

    def next_step(self, weights: pathlib.Path, output: pathlib.Path) -> str:
        """Say what to do with the trained model."""
        if isinstance(self.train, tuple):
            return f'kerasal.create_model("{self.asked.model}", weights="{weights}")'
        name = self.names[0] if " " not in self.names[0] else f'"{self.names[0]}"'
        return f"kerasal attribute gradcam {output} PHOTO -c {name}"


def opened(asked: Asked, given: dict[str, Any]) -> Opened:
    """Open what was asked for.

    Raises:
        ValueError: no such model, or data that do not fit it.
        FileNotFoundError: there is no such file or folder.
    """
    from kerasal.cli.session import load_tensorflow

    load_tensorflow()
    from kerasal.datasets.class_folders import has_class_folders
    from kerasal.models import registry

    if _is_file(asked.model):
        recipe, mnist = dict(_USUAL), False
    else:
        spec = registry.model_spec(asked.model)
        if spec.task != "classification":
            raise ValueError(f"{asked.model} is no classifier; kerasal gaze train trains it.")
        recipe = dict(spec.recipe or _USUAL)
        mnist = recipe.pop("data", None) == "mnist"
    if asked.data is None and not mnist:
        raise ValueError(f"{asked.model} is trained on class folders: say --data FOLDER, with a folder for each class.")
    recipe |= given
    if not 0 <= recipe["seed"] < 2**32:
        raise ValueError(f"--seed is a whole number in 0..{2**32 - 1}. Received: {recipe['seed']}.")
    if mnist and not (asked.data is not None and asked.data.is_dir() and has_class_folders(asked.data)):
        return _mnist(asked, recipe)
    return _folders(asked, recipe)


def _is_file(model: str) -> bool:
    return pathlib.Path(model).exists() or model.endswith((".keras", ".h5"))


def _mnist(asked: Asked, recipe: dict) -> Opened:
    from kerasal import preprocessing as conventions
    from kerasal.datasets import mnist
    from kerasal.models import registry

    if asked.classes:
        raise ValueError("--classes chooses class folders; MNIST has its ten digits.")
    splits = mnist(asked.data)
    spec = registry.model_spec(asked.model)
    convention = conventions.get(asked.preprocessing or spec.preprocessing)
    _seeded(recipe)
    network = registry.create_model(asked.model, asked.weights, **asked.net_options)
    train, test = ((convention.apply(images[..., None]), labels) for images, labels in splits)
    return Opened(asked, network, convention, recipe, train, test, [str(digit) for digit in range(10)])


def _folders(asked: Asked, recipe: dict) -> Opened:
    from kerasal.cli.session import remark
    from kerasal.datasets import class_images
    from kerasal.datasets.class_folders import class_files
    from kerasal.datasets.labeled_images import NO_IMAGE

    names = class_files(asked.data, asked.classes)[0].names
    _seeded(recipe)
    network, convention = _network(asked, len(names))
    shape = getattr(network, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] not in (1, 3, None):
        raise ValueError(
            f"A classifier of images (H, W, C), C being 1 or 3, is expected. {network.name} takes {shape}."
        )
    shape = (shape[1] or 224, shape[2] or 224, shape[3] or 3)
    train, test = class_images(
        asked.data,
        shape,
        classes=asked.classes,
        fit=asked.fit,
        test_share=asked.test_share,
        seed=recipe["seed"],
        progress=asked.progress,
    )
    skipped = train.skipped | test.skipped
    if skipped and asked.speaks:
        damaged = {file: reason for file, reason in skipped.items() if reason != NO_IMAGE}
        shown = "; ".join(f"{file} ({reason})" for file, reason in list({**damaged, **skipped}.items())[:_NAMED])
        more = "" if len(skipped) <= _NAMED else f"; and {len(skipped) - _NAMED} more, all in skipped.csv of the run"
        remark(f"{len(skipped)} files are left out, {len(damaged)} of them damaged: {shown}{more}.")
    if asked.progress:
        remark(f"{len(train):,} images to train on, {len(test):,} to test on, of {len(names)} classes.")
    return Opened(asked, network, convention, recipe, train, test, names)


def _network(asked: Asked, classes: int):
    """Return the net and how it wants its pixels."""
    from kerasal import preprocessing as conventions
    from kerasal.cli.opening import open_model
    from kerasal.models import registry

    if _is_file(asked.model):
        if asked.weights or asked.net_options:
            raise ValueError("--weights and --net-option go with a zoo model; a file has its own.")
        found = open_model(asked.model, preprocessing=asked.preprocessing, unsafe=asked.unsafe)
        if found.preprocessing is None:
            raise ValueError(
                f"How does {asked.model} want its pixels? Say --preprocessing caffe, tf, torch, unit or none, or for "
                "example 'mean=127,std=128'."
            )
        return found.model, found.preprocessing
    spec = registry.model_spec(asked.model)
    options = dict(asked.net_options)
    if "classes" in spec.options:
        options.setdefault("classes", classes)
    network = registry.create_model(asked.model, asked.weights, **options)
    return network, conventions.get(asked.preprocessing or spec.preprocessing)


def _seeded(recipe: dict) -> None:
    import keras
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):  # on a CPU these operations are deterministic as they are
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(recipe["seed"])
