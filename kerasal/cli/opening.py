"""From the MODEL argument to a loaded model with its pixel convention and class names."""

import dataclasses
import json
import pathlib
import warnings
from typing import Any

import numpy as np

from kerasal import labels as class_names
from kerasal import preprocessing as conventions
from kerasal.cli.options import has_weights, options_of
from kerasal.cli.session import load_tensorflow, remark

_ASSETS = pathlib.Path(__file__).parent.parent / "assets"
# Photographs that ship, and the ImageNet classes that are right for each.
_KNOWN_PHOTOGRAPHS = {
    "cat": (281, 282, 285),
    "coffee": (504, 967),
    "rocket": (657, 744, 812),
    "admiral": (457, 652, 906),
}
PHOTOGRAPHS = [_ASSETS / f"{name}.jpg" for name in _KNOWN_PHOTOGRAPHS]


@dataclasses.dataclass
class OpenedModel:
    """A model, ready to be shown photographs."""

    model: Any
    preprocessing: conventions.Preprocessing | None
    labels: list[str]
    how: str
    untrained: bool = False

    def size(self, photograph: np.ndarray | None = None) -> tuple[int, int]:
        """Return the (height, width) that the model takes; a free one is the photograph's, at most 512 pixels long."""
        height, width = self.shape()[:2]
        if photograph is not None:
            scale = min(1.0, 512 / max(photograph.shape[:2]))
            height = height or max(1, round(photograph.shape[0] * scale))
            width = width or max(1, round(photograph.shape[1] * scale))
        return height or 224, width or 224

    def shape(self) -> tuple:
        """Return the declared input shape (H, W, C); refuse a model that takes no single image."""
        declared = getattr(self.model, "inputs", None) or []
        shape = tuple(declared[0].shape[1:]) if declared else tuple(getattr(self.model, "input_shape", None) or ())[1:]
        if len(declared) > 1 or len(shape) not in (2, 3):
            raise ValueError(
                f"The command line shows photographs to models with one image input (H, W, C); "
                f"{self.model.name!r} takes {[tuple(one.shape[1:]) for one in declared] or shape}. "
                "Use kerasal from Python for others."
            )
        return shape

    def show(self, photograph: np.ndarray, fit: str = "crop", scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Return the picture that the model gets, uint8 RGB, and the model input (1, H, W, C) made of it.

        ``scale`` makes both larger than the model takes them, for a method that cuts crops itself.
        """
        from kerasal import images

        shape = self.shape()
        size = tuple(round(scale * side) for side in self.size(photograph))
        picture = images.crop_square(photograph, size, fit)
        pixels = picture
        if len(shape) == 2 or shape[2] == 1:
            pixels = images.to_channels(picture, 1)
            picture = images.to_channels(pixels, 3)
        elif shape[2] not in (3, None):
            raise ValueError(f"{self.model.name!r} takes {shape[2]} channels; a photograph has 3, or 1 when grey.")
        if self.preprocessing is None:
            raise ValueError(
                f"How does {self.model.name!r} want its pixels? Say --preprocessing caffe, tf, torch, unit or none, or "
                "for example 'mean=127,std=128'. (For classifiers with the 1,000 ImageNet classes it is found out.)"
            )
        inputs = self.preprocessing.apply(pixels)[None]
        return picture, inputs[..., 0] if len(shape) == 2 else inputs


def open_model(
    text: str,
    *,
    preprocessing: str | None = None,
    labels: str | None = None,
    weights: str | None = None,
    net_options: list[str] | None = None,
    unsafe: bool = False,
) -> OpenedModel:
    """Load what MODEL names, and say on the error stream what had to be assumed."""
    convention = None if preprocessing is None else conventions.get(preprocessing)
    names = class_names.load(labels) if labels else None
    own = options_of(net_options)
    load_tensorflow()
    from kerasal.models import registry

    file, run = _run_of(pathlib.Path(text))
    if file.exists() and not (file.is_dir() and text in registry.list_models()):
        if weights or own:
            raise ValueError("--weights and --net-option go with a zoo model; a model file has its own.")
        if convention is None and "preprocessing" in run:
            convention = conventions.get(run["preprocessing"])
        names = names or run.get("labels") or []
        opened = OpenedModel(registry.load_model(file, unsafe=unsafe), convention, names, file.name)
        _assume(opened)
        _check_labels(opened)
        return opened
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always", UserWarning)
        model = registry.create_model(text, weights, **own) if weights or own else registry.load_model(text)
    for one in remarks:
        remark(str(one.message))
    spec = registry.model_spec(text)
    trained = has_weights(own) or (not own and any(origin.file for origin in spec.weights.values()))
    untrained = not weights and not trained
    if untrained:
        known = ", ".join(spec.weights) or "FILE"
        remark(f"{text} has random weights here: its pictures mean nothing. Give it weights with --weights {known}.")
    if names is None and spec.labels:
        names = class_names.load(spec.labels)
    return OpenedModel(model, convention or conventions.get(spec.preprocessing), names or [], text, untrained)


def _run_of(path: pathlib.Path) -> tuple[pathlib.Path, dict[str, Any]]:
    """Return the model file, ``path`` or that of the run of ``kerasal train`` in it, and what the run says of it."""
    note = (path if path.is_dir() else path.parent) / "run.json"
    if path.is_dir() and (path / "checkpoint.npz").is_file() and not note.is_file():
        raise ValueError(
            f"The run in {path} is not finished. Start it again to go on, or give the path of a model file."
        )
    if not note.is_file() or (path.is_dir() and (path / "saved_model.pb").is_file()):
        return path, {}
    try:
        facts = json.loads(note.read_text(encoding="utf-8"))
        file = note.parent / facts["model_file"]
    except (ValueError, KeyError, TypeError):  # somebody else's
        return path, {}
    if facts.get("task") != "classification" or (path.is_file() and path.name != file.name):
        return path, {}
    return file, facts


def _check_labels(opened: OpenedModel) -> None:
    shape = getattr(opened.model, "output_shape", None)
    classes = shape[-1] if isinstance(shape, tuple) and len(shape) == 2 else None
    if opened.labels and classes not in (None, 1, len(opened.labels)):
        raise ValueError(
            f"The labels name {len(opened.labels)} classes, but {opened.model.name!r} has {classes} outputs."
        )


def _assume(opened: OpenedModel) -> None:
    """Fill in what the user left out for an ImageNet classifier, and say so."""
    shape = getattr(opened.model, "output_shape", None)
    if not (isinstance(shape, tuple) and len(shape) == 2 and shape[1] == 1000):
        return
    if not opened.labels:
        opened.labels = class_names.load("imagenet")
        remark("Class names: ImageNet's, since the model has 1,000 outputs (--labels FILE for others).")
    inputs = opened.shape()
    if opened.preprocessing is None and len(inputs) == 3 and inputs[2] == 3:
        opened.preprocessing, share, second = _recognise(opened.model, opened.size())
        remark(
            f"Preprocessing: {opened.preprocessing.name}, found out by which convention lets the model recognise four "
            f"photographs best (mean probability {share:.2f}, next {second:.2f}); --preprocessing sets it."
        )


def _recognise(model, size: tuple[int, int]) -> tuple[conventions.Preprocessing, float, float]:
    """Return the convention under which the model gives the shipped photographs' classes most probability."""
    from kerasal import hooks, images

    pictures = np.stack([images.crop_square(images.read(file), size) for file in PHOTOGRAPHS])
    found = []
    for convention in conventions.CONVENTIONS.values():
        with hooks.unchanged(model):
            outputs = np.asarray(model(convention.apply(pictures), training=False), dtype=np.float64)
        if (outputs < 0).any() or not np.allclose(outputs.sum(axis=1), 1, atol=1e-2):  # logits
            outputs = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            outputs /= outputs.sum(axis=1, keepdims=True)
        right = [outputs[i, list(classes)].sum() for i, classes in enumerate(_KNOWN_PHOTOGRAPHS.values())]
        found.append((float(np.mean(right)), convention))
    found.sort(key=lambda one: -one[0])
    return found[0][1], found[0][0], found[1][0]
