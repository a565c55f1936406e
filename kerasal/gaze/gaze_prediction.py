"""Prediction of where people will look in photos, for ``predict``, the commands, batch jobs and the atlas."""

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
from kerasal.gaze.predictor import Postprocess, Predictor, warn_of_assumption
from kerasal.metrics.blur import gaussian_blur
from kerasal.metrics.coursework_metrics import SMOOTH, enlarged_map
from kerasal.models.image_model import ImageModel
from kerasal.models.recognition import recognize
from kerasal.models.registry import load_model, model_spec
from kerasal.preprocessing import Preprocessing

import keras

import cv2  # isort: skip (after kerasal.images, which explains what to do if it cannot be loaded)

_PAN_SIGMA, _PAN_SIDE = 3.0, 48
_LOWEST_SHARE = 1e-12
"""Log-densities are clipped at this fraction of the largest value; ``kerasal.losses`` uses the same."""


@dataclasses.dataclass(frozen=True)
class GazePrediction:
    """Where people will look in a photo of H × W pixels.

    Attributes:
        map: float32 (H, W). For a model of log-densities, such as the bundled one: the density divided by its largest
            value, above 0 and at most 1. For other models: the output resized by ``kerasal.gaze.resize_map``.
        cells: float32 (h, w), the output of the model before it was resized.
    """

    map: np.ndarray
    cells: np.ndarray

    @functools.cached_property
    def log_density(self) -> np.ndarray:
        """The log-density of gaze, float32 (H, W), in nats; its exponentials sum to 1 over the photo.

        Map values below 1e-12 of the largest are raised to that; a map without positive values gives a uniform density.
        """
        highest = max(self.map.max(), 0) or 1
        shares = np.maximum(self.map / np.float32(highest), np.float32(_LOWEST_SHARE))
        return np.log(shares) - np.float32(np.log(shares.sum(dtype=np.float64)))

    @functools.cached_property
    def hotspots(self) -> np.ndarray:
        """The peaks of the map as rows (x, y, height), float32 (n, 3), from the highest down to a tenth of its height.

        Peaks are cells that are at least as high as the 24 cells around them; x and y are in pixels, heights 0..1.
        """
        heights = np.maximum(self.cells, 0)
        heights = heights / (heights.max() or 1.0)
        padded = np.pad(heights, 2, constant_values=-1)
        neighborhood_max = np.lib.stride_tricks.sliding_window_view(padded, (5, 5)).max(axis=(2, 3))
        rows, columns = np.nonzero((heights == neighborhood_max) & (heights >= 0.1))
        order = np.argsort(-heights[rows, columns], kind="stable")
        scale = np.array(self.map.shape[::-1]) / np.array(self.cells.shape[::-1])
        places = (np.stack([columns, rows], axis=1)[order] + 0.5) * scale - 0.5
        return np.column_stack([places, heights[rows, columns][order]]).astype(np.float32)


def predict(
    photo: np.ndarray | str | os.PathLike,
    model: keras.Model | ImageModel | Predictor | None = None,
    *,
    preprocessing: str | Preprocessing | None = None,
    size: tuple[int, int] | None = None,
    target_range: Literal["unit", "pm1"] = "unit",
    postprocess: Postprocess | None = None,
    batch_size: int = 16,
) -> GazePrediction:
    """Return where people will look in a photo, as predicted by the bundled model or by ``model``.

    The bundled model works offline.

    Args:
        photo: uint8 RGB (H, W, 3) or gray (H, W), or the path of an image file.
        model: a gaze model, an opened model (``kerasal.open_model``) or a ``Predictor``, which is already compiled; the
            latter two contain the next three options. With None, the zoo's ``gaze`` with the first of its weights.
        preprocessing: how pixels become inputs of ``model``; by default that of the zoo, or the one that follows from
            the arithmetic at the start of the model, such as ``Rescaling``, and otherwise 0..1 (``"unit"``).
        size: (height, width) to which photos are resized; see ``Predictor``.
        target_range: see ``Predictor``.
        postprocess: method of resizing the map to the photo; see ``resize_map``. By default the predictor's.
        batch_size: only for the deprecated form ``predict(model, photos)``, which yields arrays; use ``predict_many``.

    Returns:
        ``GazePrediction``.

    Raises:
        ValueError: the photo, the model or an option is invalid, or the map is not finite.
        FileNotFoundError: the image file does not exist.
    """
    options = {"preprocessing": preprocessing, "size": size, "target_range": target_range}
    if isinstance(photo, keras.Model | Predictor):
        return _predict_arrays(photo, model, postprocess=postprocess, batch_size=batch_size, **options)
    return next(predict_many([photo], model, postprocess=postprocess, batch_size=1, **options))


def predict_many(
    photos: Iterable[np.ndarray | str | os.PathLike],
    model: keras.Model | ImageModel | Predictor | None = None,
    *,
    preprocessing: str | Preprocessing | None = None,
    size: tuple[int, int] | None = None,
    target_range: Literal["unit", "pm1"] = "unit",
    postprocess: Postprocess | None = None,
    batch_size: int = 16,
) -> Iterator[GazePrediction]:
    """Return an iterator over the ``GazePrediction`` of each photo.

    Photos are read as they are needed and predicted in batches of ``batch_size``. The other arguments and the
    errors are those of ``predict``.
    """
    predictor = _make_predictor(model, preprocessing, size, target_range)
    chosen = predictor.postprocess if postprocess is None else postprocess
    first, second = itertools.tee(map(_read_photo, photos))
    raw_maps = predictor.raw(second, batch_size)
    pairs = zip(first, raw_maps, strict=True)
    return (finish_prediction(predictor, raw, photo.shape[:2], chosen) for photo, raw in pairs)


def resize_map(raw: np.ndarray, shape: tuple[int, int], postprocess: Postprocess = "examiners") -> np.ndarray:
    """Return the map of a model resized to its photo, float32 (H, W).

    Args:
        raw: the output of the model, (h, w).
        shape: (H, W) of the photo.
        postprocess: ``"examiners"``, as in the coursework: clipped to 0..1, rounded to 8 bits, enlarged bicubically,
            blurred with a sigma of 2 pixels. ``"pan"``, as in the script of Pan et al.: blurred with a sigma of 3
            pixels on a map of 48 × 48, in proportion on other maps, and then enlarged, neither clipped nor rounded.
            ``"none"``: only enlarged.

    Raises:
        ValueError: ``postprocess`` is unknown, or the map is not finite.
    """
    check_choice("postprocess", postprocess, get_args(Postprocess))
    if not np.isfinite(raw).all():
        count = np.count_nonzero(~np.isfinite(raw))
        raise ValueError(f"The map of the model must have finite values, got {count} NaN or infinite values.")
    if postprocess == "examiners":
        return _blur(enlarged_map(raw, shape), SMOOTH).astype(np.float32)
    values = np.asarray(raw, np.float64)
    if postprocess == "pan":
        values = _blur(values, _PAN_SIGMA * min(values.shape) / _PAN_SIDE)
    enlarged = Image.fromarray(values.astype(np.float32)).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(enlarged)


def finish_prediction(
    predictor: Predictor, raw: np.ndarray, shape: tuple[int, int], postprocess: Postprocess
) -> GazePrediction:
    """Return the prediction for a photo of ``shape`` from the output of ``predictor.raw``; see ``resize_map``.

    The interpolation of densities was chosen by ``benchmarks/gaze_resampling.py``.
    """
    values = resize_map(raw, shape, postprocess)
    if predictor.gives_log_density and postprocess == "none":
        # Next to a peak, bicubic interpolation undershoots all cells, even below 0.
        values = np.maximum(values, raw.min())
        values = values / values.max()
    return GazePrediction(values, raw)


def _predict_arrays(model, photos, *, postprocess, batch_size, **options) -> Any:
    """Yield only the maps, as ``predict(model, photos)`` did until version 0.1.0."""
    warnings.warn(
        "gaze.predict(model, photos) is called gaze.predict_many(photos, model) now. It returns predictions with the "
        "attribute map instead of maps.",
        DeprecationWarning,
        stacklevel=3,
    )
    predictions = predict_many(photos, model, postprocess=postprocess or "examiners", batch_size=batch_size, **options)
    return (prediction.map for prediction in predictions)


def _make_predictor(model, preprocessing, size, target_range) -> Predictor:
    if isinstance(model, Predictor):
        return model
    if isinstance(model, ImageModel):
        if preprocessing is not None or size is not None or target_range != "unit":
            raise ValueError(
                "preprocessing, size and target_range must be left out for an opened model, which has them, got "
                f"preprocessing={preprocessing!r}, size={size!r} and target_range={target_range!r}. Pass them to "
                "kerasal.open_model."
            )
        return Predictor.from_image_model(model)
    if model is not None:
        known = preprocessing or recognize(model).preprocessing
        if known is None:
            warn_of_assumption(model.name)
        return Predictor(model, known or "unit", size=size, target_range=target_range)
    if preprocessing is not None or target_range != "unit":
        raise ValueError(
            "preprocessing and target_range must be left out for the bundled model, got "
            f"preprocessing={preprocessing!r} and target_range={target_range!r}. Pass the model to which they apply."
        )
    return _bundled_predictor(None if size is None else tuple(size))


@functools.lru_cache(maxsize=4)
def _bundled_predictor(size: tuple[int, int] | None) -> Predictor:
    """Return a predictor with the zoo's gaze model and its bundled weights."""
    return Predictor(load_model("gaze"), model_spec("gaze").preprocessing, size=size)


def _read_photo(photo) -> np.ndarray:
    """Return a photo, which is an array or a file, as uint8 RGB (H, W, 3)."""
    photo = images.read(photo) if isinstance(photo, str | os.PathLike) else photo
    if np.ndim(photo) == 2 or np.shape(photo)[2:] == (1,):
        photo = images.check_image(photo, "A photo", (None, 1))
        return images.to_channels(photo.reshape(*photo.shape[:2], 1), 3)
    return images.check_image(photo, "A photo")


def _blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Return the result of ``metrics.blur.gaussian_blur`` to within 1e-12, but many times faster."""
    radius = int(4 * sigma + 0.5)
    if values.min() == values.max():  # rounding errors would make a constant map vary
        return values
    if radius >= min(values.shape):  # OpenCV reflects the border only once
        return gaussian_blur(values, sigma)
    return cv2.GaussianBlur(values, (2 * radius + 1, 2 * radius + 1), sigma, borderType=cv2.BORDER_REFLECT)
