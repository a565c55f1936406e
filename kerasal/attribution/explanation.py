"""``explain``: one image, one method, one class, as something to look at, save and read off."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasal import images
from kerasal.attribution.method import MethodSpec, method_function, method_spec
from kerasal.attribution.pages import attribution_page, draw_map
from kerasal.files import replacing
from kerasal.hooks.engine import fixed_target, target_scores
from kerasal.hooks.model_inputs import conform
from kerasal.labels import find
from kerasal.models.image_model import ImageModel
from kerasal.models.opener import open_model
from kerasal.objectives import Objective

_CROPS_SCALE = 256 / 224  # a method that cuts crops gets them out of 256 pixels, as the paper does


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """What one method says of one image. A notebook shows it as a page: the image, the map, the map on the image.

    Attributes:
        map: raw, as the method returns it: float32 (H, W), or (H, W, C) for a gradient with its channels.
        class_index: the class that is explained; None for an objective.
        label: its name, or "class 7" where it has none; an objective's own text.
        score: the model's output for the class, a probability where it gives probabilities; the value of an objective.
        method: the name of the method.
        picture: what the model saw, uint8 RGB.
        layer: the layer that a class activation map is of, else None.
        options: those of the method that were given.
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

    @property
    def spec(self) -> MethodSpec:
        """What is known of the method: its source, and whether the sign of its maps means something."""
        return method_spec(self.method)

    def heatmap(self) -> np.ndarray:
        """Return the map drawn by itself, uint8 RGB (H, W, 3): blue below zero where the method has a sign."""
        return draw_map(self.spec, self.picture, self._on_pixels(), bgr=self._bgr)[0]

    def overlay(self) -> np.ndarray:
        """Return the map over the image, uint8 RGB; of a method whose sign means something, only what speaks for it."""
        values = self._on_pixels()
        if values.ndim == 2 and self.spec.signed:
            values = np.maximum(values, 0)
        return draw_map(self.spec, self.picture, values, bgr=self._bgr)[1]

    def page(self) -> np.ndarray:
        """Return the image, the map and the map on the image side by side, titled, uint8 RGB."""
        labels, names = (self._model.labels, [self._model.name]) if self._model else ((), [])
        note = ", ".join([*names, f"layer {self.layer}"] if self.layer else names)
        title, how = f"{self.label}, score {self.score:.3g}", {"options": self.options, "labels": labels, "note": note}
        return attribution_page(self.spec, self.picture, self.map, title, bgr=self._bgr, **how)

    def save(self, path: str | os.PathLike) -> pathlib.Path:
        """Write the page as an image file, or with the suffix ``.npy`` the raw map; return the path.

        Raises:
            ValueError: a suffix that is no image's.
            OSError: it cannot be written.
        """
        path = pathlib.Path(path)
        if path.suffix.lower() == ".npy":
            with replacing(path) as temporary, open(temporary, "wb") as file:
                np.save(file, np.asarray(self.map))
        else:
            images.write(path, self.page())
        return path

    def _repr_png_(self) -> bytes:
        return images.encode_png(self.page())

    @property
    def _bgr(self) -> bool:
        convention = self._model.preprocessing if self._model else None
        return bool(convention is not None and convention.bgr)

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
    """Explain one image: open the model, bring the image to it, run a method, and keep what it takes to show it.

    Args:
        model: an ``ImageModel``, or what ``kerasal.open_model`` takes: a file, a zoo name, a ``keras.Model``. Open it
            yourself to explain several images, and where preprocessing or labels have to be given.
        photo: a path, or a uint8 image (H, W, 3 or 1).
        method: a name of ``kerasal.attribution.list_methods()``.
        target: None for the top class, a class by number or name, or an objective of ``kerasal.objectives``.
        output: which output, of a model that has several.
        **options: the method's own, and ``logits`` and ``batch_size``; see ``kerasal.attribution``.

    Returns:
        ``Explanation``.

    Raises:
        NoPreprocessing: a ValueError: it is not known how the model wants its pixels.
        ValueError: no such method, class or option; a photo that is none; what the method itself refuses.
        FileNotFoundError: no such file.
    """
    spec = method_spec(method)
    opened = open_model(model)
    photos = images.read_images(photo)
    if photos is None or len(photos) != 1:
        count = "another array" if photos is None else f"{len(photos)} images"
        raise ValueError(f"photo must be one uint8 image (H, W, 3) or the path of one, got {count}.")
    if isinstance(target, str):
        target = find(target, opened.labels)
    picture, inputs = opened.show(photos[0])
    if spec.any_size:
        picture, larger = opened.show(photos[0], scale=_CROPS_SCALE)
    result = method_function(method)(
        opened.keras_model, larger if spec.any_size else inputs, target, output=output, **options
    )
    maps = result[0] if isinstance(result, tuple) else result
    arrays = conform(opened.keras_model, inputs)
    index, label = None, str(target)
    logits = bool(options.get("logits", True))
    chosen = fixed_target(opened.keras_model, arrays, target, output=output, logits=logits)
    if not isinstance(chosen, Objective) and not callable(chosen):
        if target is None and output is None and not opened.class_count:  # such as a gaze model's map
            label = "the output"
        else:
            index = int(np.ravel(chosen)[0])
            label = opened.label(index)
    value = target_scores(opened.keras_model, arrays, chosen, output=output, logits=index is None)
    own = {name: option for name, option in options.items() if name in spec.options}
    return Explanation(
        maps[0], index, label, float(value[0]), method, picture, getattr(maps, "layer", None), own, opened
    )
