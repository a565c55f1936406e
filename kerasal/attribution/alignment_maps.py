"""The maps that ``alignment`` scores: of a method on each photo of a gaze data set, and their controls."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from kerasal import images
from kerasal.attribution.map_notes import ZeroMap
from kerasal.attribution.method import method_function, method_spec
from kerasal.attribution.method_facts import MethodSpec
from kerasal.attribution.shuffled_weights import shuffled_weights
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.hooks.engine import fixed_target
from kerasal.labels import find
from kerasal.models.image_model import ImageModel

_CROPS_SCALE = 256 / 224  # of the image from which methods cut crops themselves, as in the paper


class MethodRun(NamedTuple):
    """A method with its target and options, as ``alignment`` received them."""

    method: str | Callable
    target: Any
    output: str | int | None
    options: Mapping[str, Any]
    sign: Literal["positive", "absolute"]

    @property
    def spec(self) -> MethodSpec | None:
        """The method's entry in the list of methods; None for a function of the caller."""
        return method_spec(self.method) if isinstance(self.method, str) else None

    @property
    def name(self) -> str:
        """The name of the method."""
        return self.method if isinstance(self.method, str) else getattr(self.method, "__name__", "function")


class Batch(NamedTuple):
    """The maps of some photos: their numbers, non-negative ``maps`` (h, w), and ``layer``, where the method names it.

    ``random_weights`` are those of the same model with shuffled weights, or None.
    """

    numbers: list[int]
    maps: list[np.ndarray]
    random_weights: list[np.ndarray] | None
    layer: str | None


def compute_maps(
    model: ImageModel, data: GazeDataset, run: MethodRun, *, random_weights: bool, seed: int, size: int
) -> Iterator[Batch]:
    """Yield the maps of all photos in batches of up to ``size`` photos of equal input shape.

    With ``random_weights`` each target is that of the model as it is, so that both maps explain the same class.
    """
    targets = _read_target(run.target, model, len(data))
    for numbers, photos in _group_photos(model, data, size):
        inputs = np.concatenate([model.show(photo)[1] for photo in photos])
        target = targets[numbers] if isinstance(targets, np.ndarray) else targets
        logits = bool(run.options.get("logits", True))
        target = fixed_target(model.keras_model, [inputs], target, output=run.output, logits=logits)
        if run.spec is not None and run.spec.any_size:
            inputs = np.concatenate([model.show(photo, scale=_CROPS_SCALE)[1] for photo in photos])
        maps, layer = _run(run, model, inputs, target)
        shuffled = None
        if random_weights:
            with shuffled_weights(model.keras_model, seed):
                shuffled, _ = _run(run, model, inputs, target)
        yield Batch(numbers, maps, shuffled, layer)


def place_map(values: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return a non-negative map (h, w) at the size of the part of the photo that the model received, float64."""
    left, top, right, bottom = box
    # cubic resizing can overshoot below 0
    return np.maximum(images.resize(np.ascontiguousarray(values), (bottom - top, right - left)), 0).astype(np.float64)


def _read_target(target: Any, model: ImageModel, count: int) -> Any:
    """Return the target with a class name as its index, and a class per photo as an array."""
    if isinstance(target, str):
        return find(target, model.labels)
    if isinstance(target, (Sequence, np.ndarray)) and np.ndim(target) == 1:
        classes = np.asarray(target)
        if classes.dtype.kind not in "iu" or len(classes) != count:
            raise ValueError(
                f"target must have one class index per image, {count}, got {len(classes)} of {classes.dtype}."
            )
        return classes
    return target


def _group_photos(model: ImageModel, data: GazeDataset, size: int) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """Yield consecutive photos whose inputs have the same shape: their numbers and pixels."""
    numbers, photos, shape = [], [], None
    for number in range(len(data)):
        photo = data.image(number)
        wanted = model.input_size(photo)
        if photos and (wanted != shape or len(photos) == size):
            yield numbers, photos
            numbers, photos = [], []
        numbers, photos, shape = [*numbers, number], [*photos, photo], wanted
    yield numbers, photos


def _run(run: MethodRun, model: ImageModel, inputs: np.ndarray, target: Any) -> tuple[list[np.ndarray], str | None]:
    """Return the non-negative maps of a batch, and the layer that the method names."""
    spec, options = run.spec, dict(run.options)
    function = run.method if spec is None else method_function(spec.name)
    if run.output is not None:
        options["output"] = run.output
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroMap)  # constant maps are counted
        result = function(model.keras_model, inputs, target, **options)  # pyright: ignore[reportCallIssue]
    result = result[0] if isinstance(result, tuple) else result
    maps = np.asarray(result, np.float64)
    if maps.ndim not in (3, 4) or len(maps) != len(inputs) or not np.isfinite(maps).all():
        raise ValueError(
            f"{run.name} must return finite maps (N, H, W) or (N, H, W, C) of {len(inputs)} images, got {maps.shape}."
        )
    if maps.ndim == 4:  # a gradient for each channel: max_c |w_ijc|, Simonyan et al. 2013, section 3.1
        maps = np.abs(maps).max(axis=1 if model.channels_first else 3)
    if spec is not None:
        size = inputs.shape[2:4] if model.channels_first else inputs.shape[1:3]
        maps = np.stack([spec.to_pixels(values, size, run.options) for values in maps])
    maps = np.abs(maps) if run.sign == "absolute" else np.maximum(maps, 0)
    return list(maps), getattr(result, "layer", None)
