"""From a model and a photograph to the boxes of what it sees there: maps of several classes in one call, then cuts."""

import dataclasses
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from kerasal import attribution, hooks
from kerasal.checks import check_int
from kerasal.hooks.model_inputs import image_shape
from kerasal.images import resize, to_channels
from kerasal.localization import segmentation
from kerasal.localization.boxes import Box, scale_box
from kerasal.localization.masks import bounding_box, fit_map
from kerasal.localization.segmentation import Segmentation
from kerasal.models.image_model import ImageModel
from kerasal.names import unknown_name_message

import keras

RECIPES: types.MappingProxyType[str, dict[str, Any]] = types.MappingProxyType(
    {
        # Simonyan, Vedaldi & Zisserman 2013, section 3.2: the map of section 3.1, averaged over ten crops of a frame
        # 8/7 as large as the network's input, and graphcut's defaults, which are the paper's.
        "simonyan": {"method": "crop_averaged_saliency"},
        # Chosen on 150 training images of ten ImageNet classes (benchmarks/localization_search.py, measured in
        # notebooks/localization.ipynb): a map that covers the object instead of grains on it, and a cut in which the
        # map speaks beside the colors.
        "tuned": {"method": "gradcam", "blur": 0.018, "prior": 25.0, "color": 4.0, "level": 0.08, "resolution": 64},
    }
)


# The paper cuts crops of 224 out of images of 256.
_FRAME = 8 / 7
# All but one: here map and picture always have the same size.
_CUT = {name: default for name, default in segmentation.DEFAULTS.items() if name != "resize"}
_OPTIONS = ("method", "recipe", "classes", "top", "preprocessing", "output", "method_options")


@dataclasses.dataclass(frozen=True)
class Localization:
    """One class in one image, with everything on the way: ``picture``, ``map``, ``cut`` are of the map's size.

    ``mask`` and ``box`` are of the image's own size, the box (x_min, y_min, x_max, y_max) with exclusive upper bounds.
    """

    number: int
    score: float
    picture: np.ndarray
    map: np.ndarray
    cut: Segmentation
    mask: np.ndarray
    box: Box


def localize(
    model: keras.Model,
    image: np.ndarray,
    *,
    method: str | Callable | None = None,
    recipe: Literal["tuned", "simonyan"] = "tuned",
    classes: Sequence[int] | None = None,
    top: int = 5,
    preprocessing: Any = "none",
    output: str | int | None = None,
    method_options: dict[str, Any] | None = None,
    **graphcut_options: Any,
) -> pd.DataFrame:
    """Find where in an image its top classes are: a map, a mask and a box for each of them.

    The image is stretched to the model's size, so that all of it is seen; the maps of all classes come from one call of
    the method, in batches; each is cut by ``graphcut``; mask and box are brought back to the image.

    Args:
        model: any built Keras classifier with one image input, output (N, classes).
        image: uint8 RGB (H, W, 3), of any size.
        method: a name in ``attribution.list_methods()``, or a function ``(model, inputs, targets) -> maps``; by default
            the recipe's. Signed maps count by their magnitude. ``"crop_averaged_saliency"`` gets the image 8/7 as large
            as the model's input, to cut crops from.
        recipe: ``"tuned"`` is what did best on the training images of the study in ``notebooks/localization.ipynb``,
            ``"simonyan"`` the paper's: the crop-averaged map, and seeds for colors alone.
        classes: numbers of the classes to look for; by default the model's ``top`` first.
        top: how many.
        preprocessing: what the model wants of pixels: a convention (``kerasal.preprocessing``) or a function.
        output: name or position of the output that is meant, for a model with several.
        method_options: of the attribution method, such as ``{"samples": 20}``.
        **graphcut_options: of ``graphcut``, instead of the recipe's: ``foreground=.9``, ``prior=0``, …

    Returns:
        One row per class, from the highest score down, or in the order of ``classes``: ``class``, its number;
        ``score``, the model's output for it; ``box`` (x_min, y_min, x_max, y_max), upper bounds exclusive, in pixels
        of ``image``; ``mask``, bool (H, W). Where a class's map is constant, as a class activation map can be 0
        everywhere, a warning says so and the box is the whole image.

    Raises:
        ValueError: not a uint8 RGB image, a model that is no classifier of one image, an unknown recipe, method or
            option, or what ``graphcut`` refuses.
    """
    options = {name: value for name, value in locals().items() if name in _OPTIONS}
    found = find_objects(model, image, **options, **graphcut_options)
    rows = [(one.number, one.score, one.box, one.mask) for one in found]
    return pd.DataFrame(rows, columns=["class", "score", "box", "mask"])


def find_objects(
    model: keras.Model,
    image: np.ndarray,
    *,
    method: str | Callable | None = None,
    recipe: Literal["tuned", "simonyan"] = "tuned",
    classes: Sequence[int] | None = None,
    top: int = 5,
    preprocessing: Any = "none",
    output: str | int | None = None,
    method_options: dict[str, Any] | None = None,
    **graphcut_options: Any,
) -> list[Localization]:
    """Do what ``localize`` does, and return everything on the way: a ``Localization`` a class."""
    image = segmentation.check_cut_image(image)
    if recipe not in RECIPES:
        raise ValueError(unknown_name_message(recipe, RECIPES, "recipe of localize"))
    options = {**_CUT, **RECIPES[recipe], **segmentation.check_names(graphcut_options, _CUT)}
    method = method or options["method"]
    convention = None if callable(preprocessing) else preprocessing
    opened = ImageModel(model, convention, size=image_shape(model)[:2], fit="stretch")

    def to_inputs(picture: np.ndarray) -> np.ndarray:
        pixels = to_channels(picture, opened.channels)
        if callable(preprocessing):
            return np.asarray(preprocessing(pixels), np.float32)[None]
        return opened.to_inputs(pixels[None])

    height, width = opened.input_size()
    small = to_inputs(resize(image, (height, width)))
    numbers, scores = _choose_classes(model, small, classes, top, output)
    cuts_crops = isinstance(method, str) and attribution.method_spec(method).any_size
    size = (round(_FRAME * height), round(_FRAME * width)) if cuts_crops else (height, width)
    picture = resize(image, size)
    inputs = to_inputs(picture) if cuts_crops else small
    maps = _compute_maps(model, inputs, numbers, method, output, method_options or {}, size)
    cut_options = {name: options[name] for name in _CUT}
    return [
        _localize_class(image, picture, number, score, values, cut_options)
        for number, score, values in zip(numbers, scores, maps, strict=True)
    ]


def _localize_class(image, picture, number: int, score: float, values: np.ndarray, options: dict) -> Localization:
    if values.min() == values.max():
        warnings.warn(
            f"The map of class {number} is {values.flat[0]:g} everywhere, so its box is the whole image.",
            UserWarning,
            stacklevel=4,
        )
        everything, nothing = np.ones(values.shape, bool), np.zeros(values.shape, bool)
        cut = Segmentation(nothing, nothing, everything, everything)
    else:
        cut = segmentation.segment(picture, values, **options)
    box = scale_box(bounding_box(cut.mask), cut.mask.shape, image.shape[:2])
    mask = segmentation.enlarge_mask(cut.mask, image.shape[:2])
    if not mask.any():  # a part smaller than a pixel of a smaller image
        mask[box[1] : box[3], box[0] : box[2]] = True
    return Localization(int(number), float(score), picture, values, cut, mask, box)


def _choose_classes(model, inputs, classes, top: int, output) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers and the outputs of the classes to look for."""
    with hooks.unchanged(model):
        values = hooks.select_output(model, model(inputs, training=False), output)
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"Expected a classifier, output (N, classes). {model.name!r} gives {values.shape}.")
    values = values[0]
    if classes is None:
        numbers = np.argsort(-values, kind="stable")[: check_int("top", top)]
    else:
        numbers = np.atleast_1d(np.asarray(classes))
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not numbers.size:
            raise ValueError(f"classes are numbers of classes, at least one. Received: {classes!r}.")
        if numbers.min() < 0 or numbers.max() >= len(values):
            raise ValueError(f"There are {len(values)} classes, counted from 0. Received: {classes!r}.")
    return numbers, values[numbers]


def _compute_maps(model, inputs, numbers, method, output, options: dict, size: tuple[int, int]) -> np.ndarray:
    """Return a map (H, W) of each class, all from one call."""
    repeated = np.repeat(inputs, len(numbers), axis=0)
    targets = [int(number) for number in numbers]
    if callable(method):
        maps = np.asarray(method(model, repeated, targets, **options))
    else:
        spec = attribution.method_spec(method)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", attribution.ZeroMap)  # the warning of its box says it for each class
            maps = np.asarray(getattr(attribution, method)(model, repeated, targets, output=output, **options))
        maps = np.stack([spec.to_pixels(one, size, options) for one in maps])
    maps = np.abs(maps.astype(np.float64))
    maps = maps.max(axis=-1) if maps.ndim == 4 else maps
    if maps.ndim != 3 or len(maps) != len(numbers):
        raise ValueError(f"Expected {len(numbers)} maps (N, H, W) of the method. Received shape {maps.shape}.")
    return np.stack([fit_map(one, size, resize=True) for one in maps])
