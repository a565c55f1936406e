"""Where people will look in a photograph: one pipeline for the function, the commands, batch jobs and the atlas."""

import dataclasses
import functools
import itertools
import os
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from kerasal import images
from kerasal.checks import check_choice
from kerasal.gaze.predictor import Postprocess, Predictor
from kerasal.metrics.blur import gaussian_blur
from kerasal.metrics.coursework_metrics import SMOOTH, enlarged_map
from kerasal.models.registry import create_model, model_spec
from kerasal.preprocessing import Preprocessing

import keras

import cv2  # isort: skip (after kerasal.images, which says what to do where it cannot be loaded)

_PAN_SIGMA, _PAN_SIDE = 3.0, 48
_LOWEST_SHARE = 1e-12
"""The share of a map's largest value that its log-density does not go below; ``kerasal.losses`` has the same."""


@dataclasses.dataclass(frozen=True)
class GazePrediction:
    """Where people will look in one photograph of H × W pixels.

    Attributes:
        map: float32 (H, W). Of a model of log-densities, such as the one that ships: the density divided by its largest
            value, above 0 and up to 1. Of another: its own map as ``kerasal.gaze.finish`` brings it to the photograph.
        cells: float32 (h, w), the map of the model's own size, which was enlarged.
    """

    map: np.ndarray
    cells: np.ndarray

    @functools.cached_property
    def log_density(self) -> np.ndarray:
        """The logarithm of the map as a density, float32 (H, W), nats; its exponentials sum to 1 over the photograph.

        Values below 1e-12 of the largest, and all below 0, count as that; a map without any above 0 is uniform.
        """
        highest = max(self.map.max(), 0) or 1
        shares = np.maximum(self.map / np.float32(highest), np.float32(_LOWEST_SHARE))
        return np.log(shares) - np.float32(np.log(shares.sum(dtype=np.float64)))

    @functools.cached_property
    def hotspots(self) -> np.ndarray:
        """The peaks as (x, y, height), float32 (n, 3), in pixels and 0..1, the highest first, down to a tenth of it.

        They are the cells that none of the 24 cells around them exceeds.
        """
        heights = np.maximum(self.cells, 0)
        heights = heights / (heights.max() or 1.0)
        padded = np.pad(heights, 2, constant_values=-1)
        around = np.lib.stride_tricks.sliding_window_view(padded, (5, 5)).max(axis=(2, 3))
        rows, columns = np.nonzero((heights == around) & (heights >= 0.1))
        order = np.argsort(-heights[rows, columns], kind="stable")
        scale = np.array(self.map.shape[::-1]) / np.array(self.cells.shape[::-1])
        places = (np.stack([columns, rows], axis=1)[order] + 0.5) * scale - 0.5
        return np.column_stack([places, heights[rows, columns][order]]).astype(np.float32)


def predict(
    photo: np.ndarray | str | os.PathLike,
    model: keras.Model | Predictor | None = None,
    *,
    preprocessing: str | Preprocessing | None = None,
    size: tuple[int, int] | None = None,
    target_range: Literal["unit", "pm1"] = "unit",
    postprocess: Postprocess | None = None,
    batch_size: int = 16,
) -> GazePrediction:
    """Predict where people will look in a photograph, by the model that ships or another; works offline.

    Args:
        photo: uint8 RGB (H, W, 3) or gray (H, W), or an image file.
        model: a gaze model, or a ``Predictor``, which brings the next three options along and is compiled already;
            ``None`` for the zoo's ``gaze`` with its shipped weights.
        preprocessing: how ``model`` wants its pixels; 0..1 (``"unit"``) unless given.
        size: (height, width) to look at the photograph in; see ``Predictor``.
        target_range: see ``Predictor``.
        postprocess: how the model's map is brought to the photograph, see ``finish``; as ``Predictor.postprocess``
            says unless given.
        batch_size: of the deprecated form ``predict(model, photos)``, which yields arrays; use ``predict_many``.

    Raises:
        ValueError: a photo, a model or an option that does not fit; a map that is not finite.
        FileNotFoundError: there is no such file.
    """
    options = {"preprocessing": preprocessing, "size": size, "target_range": target_range}
    if isinstance(photo, keras.Model | Predictor):
        return _predict_arrays(photo, model, postprocess=postprocess, batch_size=batch_size, **options)
    return next(predict_many([photo], model, postprocess=postprocess, batch_size=1, **options))


def predict_many(
    photos: Iterable[np.ndarray | str | os.PathLike],
    model: keras.Model | Predictor | None = None,
    *,
    preprocessing: str | Preprocessing | None = None,
    size: tuple[int, int] | None = None,
    target_range: Literal["unit", "pm1"] = "unit",
    postprocess: Postprocess | None = None,
    batch_size: int = 16,
) -> Iterator[GazePrediction]:
    """Yield the prediction of each photo, ``batch_size`` at a time; they are read one after the other.

    The other arguments and the errors are those of ``predict``.
    """
    predictor = _make_predictor(model, preprocessing, size, target_range)
    chosen = predictor.postprocess if postprocess is None else postprocess
    first, second = itertools.tee(map(_read_photo, photos))
    raws = predictor.raw(second, batch_size)
    return (complete(predictor, raw, photo.shape[:2], chosen) for photo, raw in zip(first, raws, strict=True))


def finish(raw: np.ndarray, shape: tuple[int, int], postprocess: Postprocess = "examiners") -> np.ndarray:
    """Bring a model's map to the size of its photograph, float32 (H, W).

    ``"examiners"`` is the coursework's: values below 0 as 0 and above 1 as 1, 8 bits, enlarged bicubically, blurred by
    2 pixels. ``"pan"`` blurs the small map first, by 3 of its 48 pixels, and then enlarges it (Pan et al.'s script; the
    result is neither clipped nor rounded). ``"none"`` only enlarges.

    Raises:
        ValueError: another word, or a map that is not finite.
    """
    check_choice("postprocess", postprocess, get_args(Postprocess))
    if not np.isfinite(raw).all():
        raise ValueError(f"The net's map holds {np.count_nonzero(~np.isfinite(raw))} NaN or infinite values.")
    if postprocess == "examiners":
        return _blur(enlarged_map(raw, shape), SMOOTH).astype(np.float32)
    values = np.asarray(raw, np.float64)
    if postprocess == "pan":
        values = _blur(values, _PAN_SIGMA * min(values.shape) / _PAN_SIDE)
    enlarged = Image.fromarray(values.astype(np.float32)).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(enlarged)


def complete(predictor: Predictor, raw: np.ndarray, shape: tuple[int, int], postprocess: Postprocess) -> GazePrediction:
    """Return the prediction for a photograph of ``shape`` from what ``predictor.raw`` gave of it; see ``finish``.

    ``benchmarks/gaze_resampling.py`` chose how a density is enlarged.
    """
    values = finish(raw, shape, postprocess)
    if predictor.gives_log_density and postprocess == "none":
        # Beside a peak the bicubic filter falls below every cell, even below 0: no density is that low there.
        values = np.maximum(values, raw.min())
        values = values / values.max()
    return GazePrediction(values, raw)


def _predict_arrays(model, photos, *, postprocess, batch_size, **options) -> Any:
    """Yield the maps alone: what ``predict(model, photos)`` did until 0.1.0."""
    warnings.warn(
        "gaze.predict takes a photo, and the model second. For the maps of several photos write "
        "(one.map for one in gaze.predict_many(photos, model)).",
        DeprecationWarning,
        stacklevel=3,
    )
    predictions = predict_many(photos, model, postprocess=postprocess or "examiners", batch_size=batch_size, **options)
    return (one.map for one in predictions)


def _make_predictor(model, preprocessing, size, target_range) -> Predictor:
    if isinstance(model, Predictor):
        return model
    if model is not None:
        return Predictor(model, preprocessing or "unit", size=size, target_range=target_range)
    if preprocessing is not None or target_range != "unit":
        raise ValueError("preprocessing and target_range go with a model of your own. Pass it, or leave them out.")
    return _shipped_predictor(None if size is None else tuple(size))


@functools.lru_cache(maxsize=4)
def _shipped_predictor(size: tuple[int, int] | None) -> Predictor:
    """Return the zoo's gaze model with the weights that ship, compiled."""
    return Predictor(create_model("gaze", weights="kerasal"), model_spec("gaze").preprocessing, size=size)


def _read_photo(photo) -> np.ndarray:
    """Return a photo, an array or a file, as uint8 RGB (H, W, 3)."""
    photo = images.read(photo) if isinstance(photo, str | os.PathLike) else photo
    if np.ndim(photo) == 2 or np.shape(photo)[2:] == (1,):
        photo = images.check_image(photo, "A photograph", (None, 1))
        return images.to_channels(photo.reshape(*photo.shape[:2], 1), 3)
    return images.check_image(photo, "A photograph")


def _blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Blur as ``metrics.blur.gaussian_blur`` does, to 1e-12 and many times faster: here every image waits for it."""
    radius = int(4 * sigma + 0.5)
    if values.min() == values.max():  # rounding would give it a contrast
        return values
    if radius >= min(values.shape):  # OpenCV mirrors once, a blur so wide needs more
        return gaussian_blur(values, sigma)
    return cv2.GaussianBlur(values, (2 * radius + 1, 2 * radius + 1), sigma, borderType=cv2.BORDER_REFLECT)
