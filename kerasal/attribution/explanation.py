"""``explain``: the attribution map of a single image, with its class and score, to draw and to save."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from kerasal import images
from kerasal.attribution.method import MethodSpec, method_function, method_spec
from kerasal.attribution.pages import attribution_page, draw_map
from kerasal.checks import check_choice
from kerasal.files import atomic_write
from kerasal.hooks.engine import fixed_target, target_scores
from kerasal.hooks.model_inputs import conform
from kerasal.labels import find
from kerasal.models.image_model import ImageModel
from kerasal.models.opener import open_model
from kerasal.objectives import Objective

_CROPS_SCALE = 256 / 224  # as in the paper, crops of 224 pixels are cut from 256


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """The attribution map of an image, with its class and score.

    A notebook shows it as three images side by side: the image, the map, and the map over the image.

    Attributes:
        map: the raw map as the method returns it, float32 (H, W), or (H, W, C) for a gradient with its channels.
        class_index: index of the class that is explained; None for an objective.
        label: name of the class, or "class 7" for a class without a name; the description of an objective.
        score: the model's output for the class, a probability if the model returns probabilities; or the value of the
            objective.
        method: name of the method.
        picture: the image as the model receives it, resized or cropped, uint8 RGB.
        layer: layer of a class activation map; None for other methods.
        options: the options that were passed to the method.
        photo: the original photo, uint8 RGB, of which the model may receive only a part.
        box: the part of ``photo`` that the model receives, (x_min, y_min, x_max, y_max) in pixels.
        gap: completeness gap of ``integrated_gradients`` with ``return_gap=True``; else None.
    """

    map: np.ndarray = dataclasses.field(repr=False)
    class_index: int | None
    label: str
    score: float
    method: str
    picture: np.ndarray = dataclasses.field(repr=False)
    layer: str | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    _model: ImageModel | None = dataclasses.field(default=None, repr=False)
    photo: np.ndarray | None = dataclasses.field(default=None, repr=False)
    box: tuple[int, int, int, int] | None = None
    gap: float | None = None

    @property
    def spec(self) -> MethodSpec:
        """The method's entry in the list of methods, with its source and whether its maps are signed."""
        return method_spec(self.method)

    def heatmap(self) -> np.ndarray:
        """Return the map as an image, uint8 RGB (H, W, 3); negative values are blue if the method is signed."""
        return draw_map(self.spec, self.picture, self._on_pixels(), options=self.options, bgr=self._bgr)[0]

    def overlay(
        self, *, on: Literal["photo", "input"] = "photo", strength: float = 0.6, colormap: str | None = None
    ) -> np.ndarray:
        """Return the map drawn over the image, uint8 RGB (H, W, 3); negative values of signed methods are blue.

        Args:
            on: ``"photo"`` draws on the original photo at its own resolution, and fades the parts that the model does
                not receive; ``"input"`` draws on the image as the model receives it.
            strength: opacity of the colors, 0..1.
            colormap: name of a colormap of matplotlib: diverging for a map with a sign, sequential for others.

        Raises:
            ValueError: an invalid argument, or a colormap that does not fit the sign of the map.
        """
        photo, box = self._ground(on)
        picture = self.picture if photo is None else photo[box[1] : box[3], box[0] : box[2]]
        drawing: dict[str, Any] = {"options": self.options, "bgr": self._bgr}
        over = draw_map(self.spec, picture, self._on_pixels(), strength=strength, colormap=colormap, **drawing)[1]
        return over if photo is None else images.place(photo, over, box)

    def page(
        self,
        *,
        on: Literal["photo", "input"] = "photo",
        strength: float = 0.6,
        colormap: str | None = None,
        tile: int | None = None,
    ) -> np.ndarray:
        """Return the image, the map and the map over the image side by side with titles, uint8 RGB.

        Args:
            on: what everything is drawn on; see ``overlay``.
            strength: opacity of the colors, 0..1.
            colormap: name of a colormap of matplotlib; see ``overlay``.
            tile: longer side of each image in pixels; by default that of the image, within 224..448.
        """
        labels, names = (self._model.labels, [self._model.name]) if self._model else ((), [])
        note = ", ".join([*names, f"layer {self.layer}"] if self.layer else names)
        photo, box = self._ground(on)
        return attribution_page(
            self.spec,
            self.picture,
            self.map,
            self.label,
            options=self.options,
            labels=labels,
            note=note,
            bgr=self._bgr,
            score=self.score,
            photo=photo,
            box=box if photo is not None else None,
            strength=strength,
            colormap=colormap,
            tile=tile,
        )

    def save(self, path: str | os.PathLike, *, dpi: int | None = None, **drawing: Any) -> pathlib.Path:
        """Write the page to an image file, or the raw map to a ``.npy`` file, and return the path.

        Args:
            path: the file.
            dpi: dots per inch that are stored in the image file for printing; the pixels stay the same.
            **drawing: options of ``page``.

        Raises:
            ValueError: the suffix is neither ``.npy`` nor that of an image format, or an option is invalid.
            OSError: the file cannot be written.
        """
        path = pathlib.Path(path)
        if path.suffix.lower() == ".npy":
            with atomic_write(path) as temporary, open(temporary, "wb") as file:
                np.save(file, np.asarray(self.map))
        else:
            images.write(path, self.page(**drawing), dpi=dpi)
        return path

    def _repr_png_(self) -> bytes:
        return images.encode_png(self.page())

    @property
    def _bgr(self) -> bool:
        convention = self._model.preprocessing if self._model else None
        return bool(convention is not None and convention.bgr)

    def _ground(self, on: str) -> tuple[np.ndarray | None, tuple[int, int, int, int]]:
        """Return the photo, or None to draw on the model's input, and the part that the model receives."""
        check_choice("on", on, ("photo", "input"))
        photo = self.photo if on == "photo" else None
        height, width = (self.picture if photo is None else photo).shape[:2]
        return photo, (self.box if photo is not None else None) or (0, 0, width, height)

    def _on_pixels(self) -> np.ndarray:
        return self.spec.to_pixels(self.map, self.picture.shape[:2], self.options)


def explain(
    model: Any,
    photo: Any,
    method: str = "gradcam",
    target: Any = None,
    *,
    output: str | int | None = None,
    **options: Any,
) -> Explanation:
    """Return the attribution map of an image, for a model that is opened from a file, by name or as it is.

    The image is resized and preprocessed for the model.

    Args:
        model: an ``ImageModel``, or any model that ``kerasal.open_model`` takes: a file, the name of a zoo model or a
            ``keras.Model``. To explain several images, or to pass preprocessing or labels, call ``open_model`` first.
        photo: path of an image file, or a uint8 image (H, W, 3) or (H, W, 1).
        method: name of a method; see ``kerasal.attribution.list_methods()``.
        target: None for the top class, the index or name of a class, or an objective of ``kerasal.objectives``.
        output: name or position of the output to explain, for a model with several outputs.
        **options: options of the method, and ``logits`` and ``batch_size``; see ``kerasal.attribution``.

    Returns:
        An ``Explanation`` with the raw map, the class, its label and score.

    Raises:
        NoPreprocessing: a ValueError: the model's preprocessing is unknown and must be passed to ``open_model``.
        ValueError: the method, class or an option is unknown, ``photo`` is not a single image, or the method raises.
        FileNotFoundError: the model or image file does not exist.
    """
    spec = method_spec(method)
    image_model = open_model(model)
    photos = images.read_images(photo)
    if photos is None or len(photos) != 1:
        array = np.asarray(photo)
        count = f"{len(photos)} images" if photos is not None else f"an array of {array.dtype} {array.shape}"
        remedy = ""
        if photos is None and array.dtype.kind == "f":
            remedy = " Convert it: (photo * 255).astype('uint8') for values of 0..1, photo.astype('uint8') for 0..255."
        raise ValueError(f"photo must be a single uint8 image (H, W, 3) or its path, got {count}.{remedy}")
    if isinstance(target, str):
        target = find(target, image_model.labels)
    picture, inputs = image_model.show(photos[0])
    if spec.any_size:
        picture, larger_inputs = image_model.show(photos[0], scale=_CROPS_SCALE)
    result = method_function(method)(
        image_model.keras_model, larger_inputs if spec.any_size else inputs, target, output=output, **options
    )
    maps, *gaps = result if isinstance(result, tuple) else (result,)
    arrays = conform(image_model.keras_model, inputs)
    index, label = None, str(target)
    logits = bool(options.get("logits", True))
    fixed = fixed_target(image_model.keras_model, arrays, target, output=output, logits=logits)
    if not isinstance(fixed, Objective) and not callable(fixed):
        if target is None and output is None and not image_model.class_count:  # no classes, as for a gaze model's map
            label = "the output"
        else:
            index = int(np.ravel(fixed)[0])
            label = image_model.label(index)
    value = target_scores(image_model.keras_model, arrays, fixed, output=output, logits=index is None)
    method_options = {name: option for name, option in options.items() if name in spec.options}
    return Explanation(
        maps[0],
        index,
        label,
        float(value[0]),
        method,
        picture,
        getattr(maps, "layer", None),
        method_options,
        image_model,
        photo=images.to_channels(photos[0], 3),
        box=images.crop_box(photos[0].shape, picture.shape[:2], image_model.fit),
        gap=float(gaps[0][0]) if gaps else None,
    )
