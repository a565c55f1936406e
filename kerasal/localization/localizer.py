"""Boxes and masks of the classes that a model recognizes in an image: a map of each class, then a graph cut."""

import dataclasses
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from kerasal import attribution, hooks
from kerasal.attribution.method_parts import crop_corners
from kerasal.checks import check_int
from kerasal.hooks.image_shapes import image_shape, input_layout
from kerasal.images import resize, to_channels
from kerasal.localization import segmentation
from kerasal.localization.boxes import Box, scale_box
from kerasal.localization.masks import bounding_box, fit_map
from kerasal.localization.segmentation import Segmentation
from kerasal.models.image_model import ImageModel
from kerasal.names import RenamedAttribute, unknown_name_message

import keras

RECIPES: types.MappingProxyType[str, dict[str, Any]] = types.MappingProxyType(
    {
        # Simonyan, Vedaldi & Zisserman 2013, section 3.2: the map of section 3.1, averaged over ten crops of an image
        # 8/7 as large as the model's input, and the defaults of graphcut, which are those of the paper.
        "simonyan": {"method": "crop_averaged_saliency"},
        # Chosen on 150 training images of ten ImageNet classes (benchmarks/localization_search.py, evaluated in
        # notebooks/localization.ipynb): a map that covers the whole object, and a cut that depends on the map as well
        # as on the colors.
        "tuned": {"method": "gradcam", "blur": 0.018, "prior": 25.0, "color": 4.0, "level": 0.08, "resolution": 64},
    }
)
"""The settings of ``localize`` by name: ``tuned`` on photos, and ``simonyan``, those of the paper."""


# The paper takes crops of 224 pixels from images of 256 pixels.
_CROPS_SCALE = 8 / 7
# Without resize, because the map and the image always have the same size here.
_CUT_DEFAULTS = {name: default for name, default in segmentation.DEFAULTS.items() if name != "resize"}
_OPTIONS = ("method", "recipe", "classes", "top", "preprocessing", "output", "method_options")


@dataclasses.dataclass(frozen=True)
class Localization:
    """A class in an image, with the intermediate results.

    Attributes:
        class_index: index of the class.
        score: the output of the model for the class.
        picture: the image at the size of the map, uint8 RGB (h, w, 3).
        map: float64 (h, w), non-negative.
        cut: the graph cut at the size of the map.
        mask: bool (H, W) at the size of the image.
        box: (x_min, y_min, x_max, y_max) in pixels of the image, upper bounds exclusive.
    """

    class_index: int
    score: float
    picture: np.ndarray
    map: np.ndarray
    cut: Segmentation
    mask: np.ndarray
    box: Box

    number = RenamedAttribute("class_index")


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
    """Return the box and the mask of each of a model's top classes in an image.

    The whole image is stretched to the size of the model's input. The attribution method computes the maps of all
    classes in a single call, ``graphcut`` segments each map, and masks and boxes are scaled to the image.

    Args:
        model: a built Keras classifier with an image input and an output (N, classes).
        image: uint8 RGB (H, W, 3), of any size.
        method: a name from ``attribution.list_methods()``, or a function ``(model, inputs, targets) -> maps``; by
            default that of the recipe. Of methods that measure contributions, such as ``"occlusion"``, only
            what raises the score counts as evidence; gradients and the maps of a function are replaced by their
            magnitude. ``"crop_averaged_saliency"`` takes its crops from an image 8/7 as large as the model's input, and
            the score of a class is then the mean output over the ten crops.
        recipe: ``"tuned"``, the best on the training images of the study in ``notebooks/localization.ipynb``, or
            ``"simonyan"``, that of the paper: the crop-averaged map, and a cut by the colors alone.
        classes: class indices; by default the ``top`` classes of the model.
        top: number of classes.
        preprocessing: how pixels become model inputs: a convention (``kerasal.preprocessing``) or a function.
        output: name or position of the output, for a model with several.
        method_options: options of the attribution method, such as ``{"samples": 20}``.
        **graphcut_options: options of ``graphcut`` that replace those of the recipe: ``foreground=.9``, ``prior=0``, …

    Returns:
        A DataFrame with one row per class, from the highest score down, or in the order of ``classes``: ``class``, its
        index; ``score``, the output of the model; ``box`` (x_min, y_min, x_max, y_max), upper bounds exclusive, in
        pixels of ``image``; ``mask``, bool (H, W). If the map of a class is constant, as a class activation map that is
        0 everywhere, a warning is given and the box is the whole image.

    Raises:
        ValueError: the image is not uint8 RGB, the model is not a classifier of images, the recipe, the method or a
            class is unknown, or ``graphcut`` refuses the map or an option.
        TypeError: an option of ``graphcut`` is unknown.
    """
    options = {name: value for name, value in locals().items() if name in _OPTIONS}
    results = find_objects(model, image, **options, **graphcut_options)
    rows = [(result.class_index, result.score, result.box, result.mask) for result in results]
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
    """Return a ``Localization`` for each class, with intermediate results; arguments and errors of ``localize``."""
    check_takes_images(model)
    image = segmentation.check_cut_image(image)
    if recipe not in RECIPES:
        raise ValueError(unknown_name_message(recipe, RECIPES, "recipe of localize"))
    options = {**_CUT_DEFAULTS, **RECIPES[recipe], **segmentation.check_names(graphcut_options, _CUT_DEFAULTS)}
    method = method or options["method"]
    convention = None if callable(preprocessing) else preprocessing
    opened = ImageModel(model, convention, size=image_shape(model)[:2], fit="stretch")

    def to_inputs(array: np.ndarray) -> np.ndarray:
        pixels = to_channels(array, opened.channels)
        if callable(preprocessing):
            return np.asarray(preprocessing(pixels), np.float32)[None]
        return opened.to_inputs(pixels[None])

    height, width = opened.input_size()
    cuts_crops = isinstance(method, str) and attribution.method_spec(method).any_size
    size = (round(_CROPS_SCALE * height), round(_CROPS_SCALE * width)) if cuts_crops else (height, width)
    resized = resize(image, size)
    inputs = to_inputs(resized)
    seen = [to_inputs(crop) for crop in ten_crops(resized, (height, width))] if cuts_crops else [inputs]
    class_indices, scores = _choose_classes(model, np.concatenate(seen), classes, top, output)
    maps = _compute_maps(model, inputs, class_indices, method, output, method_options or {}, size)
    cut_options = {name: options[name] for name in _CUT_DEFAULTS}
    return [
        _localize_class(image, resized, class_index, score, values, cut_options)
        for class_index, score, values in zip(class_indices, scores, maps, strict=True)
    ]


def check_takes_images(model: keras.Model) -> None:
    """Raise ValueError if a model takes no images: the graph cut separates the colors of neighboring pixels."""
    layout = input_layout(model)
    if not layout.is_image:
        raise ValueError(
            f"model must take images to be localized in, since the graph cut separates the colors of their pixels, but "
            f"{model.name!r} takes {'features' if not layout.is_ordered else 'signals or volumes'}. Compute a map with "
            "kerasal.attribution and compare it with a share of its maximum, as in map > 0.2 * map.max()."
        )


def ten_crops(image: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """Return the four corners and the center of an image (H, W, C), and their mirror images, each of ``size``.

    Source: Simonyan et al. 2013, section 3.1, after the classification procedure of Krizhevsky et al. 2012.
    """
    height, width = size
    bottom, right = image.shape[0] - height, image.shape[1] - width
    crops = [image[top : top + height, left : left + width] for top, left in crop_corners(bottom, right)]
    return [*crops, *(crop[:, ::-1] for crop in crops)]


def _localize_class(image, resized, class_index: int, score: float, values: np.ndarray, options: dict) -> Localization:
    if values.min() == values.max():
        warnings.warn(
            f"The map of class {class_index} is {values.flat[0]:g} everywhere, so its box is the whole image.",
            UserWarning,
            stacklevel=4,
        )
        everything, nothing = np.ones(values.shape, bool), np.zeros(values.shape, bool)
        cut = Segmentation(nothing, nothing, everything, everything)
    else:
        cut = segmentation.segment(resized, values, **options)
    box = scale_box(bounding_box(cut.mask), cut.mask.shape, image.shape[:2])
    mask = segmentation.enlarge_mask(cut.mask, image.shape[:2])
    if not mask.any():  # the component vanished when the mask was reduced
        mask[box[1] : box[3], box[0] : box[2]] = True
    return Localization(int(class_index), float(score), resized, values, cut, mask, box)


def _choose_classes(model, inputs, classes, top: int, output) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the classes to localize, and the mean outputs of the model over ``inputs`` for them."""
    with hooks.unchanged(model):
        values = hooks.select_output(model, model(inputs, training=False), output)
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"{model.name!r} must be a classifier with the output (N, classes), got {values.shape}.")
    values = values.mean(axis=0)
    if classes is None:
        class_indices = np.argsort(-values, kind="stable")[: check_int("top", top)]
    else:
        class_indices = np.atleast_1d(np.asarray(classes))
        if class_indices.ndim != 1 or class_indices.dtype.kind not in "iu" or not class_indices.size:
            raise ValueError(f"classes must be a non-empty list of class indices, got {classes!r}.")
        if class_indices.min() < 0 or class_indices.max() >= len(values):
            raise ValueError(f"classes must be in 0..{len(values) - 1}, got {classes!r}.")
    return class_indices, values[class_indices]


def _compute_maps(model, inputs, class_indices, method, output, options: dict, size: tuple[int, int]) -> np.ndarray:
    """Return the maps of all classes from a single call of the method, float64 (N, H, W)."""
    repeated = np.repeat(inputs, len(class_indices), axis=0)
    targets = [int(number) for number in class_indices]
    contributions = not callable(method) and attribution.method_spec(method).question == "contribution"
    if callable(method):
        maps = np.asarray(method(model, repeated, targets, **options))
    else:
        spec = attribution.method_spec(method)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", attribution.ZeroMap)  # _localize_class warns for each class
            maps = np.asarray(getattr(attribution, method)(model, repeated, targets, output=output, **options))
        maps = np.stack([spec.to_pixels(values, size, options) for values in maps])
    maps = maps.astype(np.float64)
    maps = np.maximum(maps, 0) if contributions else np.abs(maps)
    maps = maps.max(axis=-1) if maps.ndim == 4 else maps
    if maps.ndim != 3 or len(maps) != len(class_indices):
        raise ValueError(f"method must return {len(class_indices)} maps (N, H, W), got shape {maps.shape}.")
    return np.stack([fit_map(values, size, resize=True) for values in maps])
