"""``LiveModel``: an opened model that computes what the live page shows, one result at a time, and keeps the last."""

import collections
import dataclasses
import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal import gaze
from kerasal.attribution.explanation import Explanation, explain
from kerasal.models import ImageModel
from kerasal.viewer.menus import layer_paths, method_options
from kerasal.viewer.photo_list import Photo

_KEPT = 32


@dataclasses.dataclass(frozen=True)
class Shown:
    """A result, with the warnings of the library that belong to it."""

    value: Any
    warnings: tuple[str, ...] = ()


class LiveModel:
    """A model behind the live page, which several tabs of the browser may use at once.

    Args:
        model: the opened model.

    Raises:
        NoPreprocessing: a ValueError; the preprocessing of the model is unknown.
        ValueError: the model takes no images.
    """

    def __init__(self, model: ImageModel):
        model.check_pixels()
        self.model = model
        self._lock = threading.Lock()
        self._kept: collections.OrderedDict[tuple, Shown] = collections.OrderedDict()

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs, if there are several; else empty."""
        names = list(self.model.output_shapes)
        return names if len(names) > 1 else []

    @functools.cached_property
    def layers(self) -> list[str]:
        """The layers that the page offers, the last first."""
        return layer_paths(self.model)

    def scores(self, photo: Photo) -> np.ndarray:
        """Return the scores of a classifier for a photo, float64 (classes,)."""
        return self._keep(("scores", photo.key), lambda: self.model.outputs(self.model.inputs(photo.pixels))[0]).value

    def explain(
        self,
        photo: Photo,
        method: str,
        class_index: int | None = None,
        layer: str | None = None,
        output: str | None = None,
    ) -> Shown:
        """Return the ``Explanation`` of a photo with the warnings about it. Raises the errors of ``kerasal.explain``.

        Args:
            photo: the photo.
            method: name of the method.
            class_index: the class; None for the top class, or for the output of a model that is no classifier.
            layer: a layer for a method that takes one; None for its default.
            output: the output to explain, for a model with several.
        """

        def compute() -> Explanation:
            options = method_options(method, layer)
            return explain(self.model, photo.pixels, method, class_index, output=output, **options)

        return self._keep((method, photo.key, class_index, layer, output), compute)

    def gaze_map(self, photo: Photo) -> np.ndarray:
        """Return where people will look in a photo, float32 (H, W), predicted by this gaze model or the bundled one."""
        return self._keep(("gaze", photo.key), lambda: gaze.predict(photo.to_draw(), self._predictor).map).value

    @functools.cached_property
    def _predictor(self) -> gaze.Predictor | None:
        return gaze.Predictor.from_image_model(self.model) if self.model.task == "gaze" else None

    def _keep(self, key: tuple, compute: Callable[[], Any]) -> Shown:
        """Return a result that was kept, or compute it, one at a time, with its warnings."""
        with self._lock:
            if key not in self._kept:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always", UserWarning)
                    value = compute()
                texts = [str(item.message) for item in caught if issubclass(item.category, UserWarning)]
                self._kept[key] = Shown(value, tuple(dict.fromkeys(texts)))
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


def describe_error(error: Exception) -> str:
    """Return an error as a readable text for the page."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    is_known = isinstance(error, (ValueError, TypeError, OSError, RuntimeError)) and text
    return text if is_known else f"{type(error).__name__}: {text}"
