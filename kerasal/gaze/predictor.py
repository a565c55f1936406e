"""Maps of where people will look: a gaze net applied to photographs of any size."""

from collections.abc import Iterable, Iterator
from typing import Literal, get_args

import numpy as np
from PIL import Image

from kerasal import preprocessing as conventions
from kerasal.checks import check_choice
from kerasal.gaze.gaze_maps import as_maps, fitted, image_size, is_log_density, map_size, prepare
from kerasal.hooks import unchanged
from kerasal.hooks.trace import Retraced
from kerasal.images import check_image, size_of_area
from kerasal.metrics.blur import gaussian_blur
from kerasal.metrics.coursework_metrics import SMOOTH, enlarged_map
from kerasal.process import check_process

import keras
import tensorflow as tf

import cv2  # isort: skip (after kerasal.images, which says what to do where it cannot be loaded)

Postprocess = Literal["examiners", "pan", "none"]

AREA = 240 * 320
"""The pixels on which a net of any size looks at a photograph, unless it is given a size."""

_PAN_SIGMA, _PAN_SIDE = 3.0, 48


class Predictor:
    """A gaze net, compiled once and again when it has changed, that gives raw maps of photographs.

    Args:
        net: RGB images in, one map an image out; see ``kerasal.training.train_gaze``.
        preprocessing: how it wants its pixels.
        size: (height, width) to look at photographs in, for a net that takes any size. One that gives log-densities
            (``layers.LogDensity``) needs none: it looks at each photograph in its own proportions, on ``AREA`` pixels.
        target_range: the range of the maps it was trained on: 0..1 (``"unit"``), or -1..1 (``"pm1"``), which is brought
            to 0..1.

    Raises:
        ValueError: no such net.
    """

    def __init__(
        self,
        net: keras.Model,
        preprocessing: str | conventions.Preprocessing = "unit",
        *,
        size: tuple[int, int] | None = None,
        target_range: Literal["unit", "pm1"] = "unit",
    ):
        check_process()
        check_choice("target_range", target_range, ("unit", "pm1"))
        self.net, self.convention = net, conventions.get(preprocessing)
        self._pm1, self._log = target_range == "pm1", is_log_density(net)
        self.size = self.map_size = None
        if not (self._log and size is None and None in net.input_shape[1:3]):
            self.size, self.map_size = image_size(net, size), map_size(net, size)
        pixels = tf.TensorSpec((None, *(self.size or (None, None)), 3), tf.uint8)
        self._graph = Retraced(self.forward, [pixels], net, autograph=True)

    def raw(self, photographs: Iterable[np.ndarray], batch_size: int = 16) -> Iterator[np.ndarray]:
        """Yield the net's own map (h, w) of each photograph, uint8 RGB of any size; float32, not clipped.

        Raises:
            ValueError: no such photograph.
        """
        check_process()
        batch: list[np.ndarray] = []
        for photograph in photographs:
            photograph = check_image(photograph, "A photograph")
            ready = fitted(photograph, self.size or size_of_area(photograph.shape[:2], AREA))
            if len(batch) == batch_size or (batch and batch[0].shape != ready.shape):
                yield from self._graph.current()(tf.constant(np.stack(batch))).numpy()
                batch = []
            batch.append(ready)
        if batch:
            yield from self._graph.current()(tf.constant(np.stack(batch))).numpy()

    def forward(self, pixels: tf.Tensor) -> tf.Tensor:
        """Return the net's maps (N, h, w) of a tensor of pixels, uint8 (N, H, W, 3) of the size that it looks at."""
        with unchanged(self.net):
            outputs = self.net(prepare(pixels, self.convention), training=False)
        size = self.map_size or tuple(tf.unstack(tf.shape(outputs)[1:3]))
        maps = tf.cast(as_maps(outputs, size, log=self._log), tf.float32)
        return (maps + 1) / 2 if self._pm1 else maps


def predict(
    net: keras.Model,
    photographs: Iterable[np.ndarray],
    *,
    preprocessing: str | conventions.Preprocessing = "unit",
    size: tuple[int, int] | None = None,
    target_range: Literal["unit", "pm1"] = "unit",
    postprocess: Postprocess = "examiners",
    batch_size: int = 16,
) -> Iterator[np.ndarray]:
    """Yield a map (H, W), float32, of each photograph, uint8 RGB (H, W, 3) of any size.

    Args:
        net: a gaze net, or a ``Predictor``, which brings the next three options along.
        photographs: read one after the other.
        preprocessing: how the net wants its pixels.
        size: see ``Predictor``.
        target_range: see ``Predictor``.
        postprocess: see ``finish``.
        batch_size: photographs at a time.

    Raises:
        ValueError: a net, an option or a photograph that does not fit; a map that is not finite.
    """
    import itertools

    predictor = net
    if not isinstance(net, Predictor):
        predictor = Predictor(net, preprocessing, size=size, target_range=target_range)
    first, second = itertools.tee(photographs)
    for photograph, raw in zip(first, predictor.raw(second, batch_size), strict=True):
        yield finish(raw, photograph.shape[:2], postprocess)


def finish(raw: np.ndarray, shape: tuple[int, int], postprocess: Postprocess = "examiners") -> np.ndarray:
    """Bring a net's map to the size of its photograph, float32 (H, W).

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
        return _blurred(enlarged_map(raw, shape), SMOOTH).astype(np.float32)
    values = np.asarray(raw, np.float64)
    if postprocess == "pan":
        values = _blurred(values, _PAN_SIGMA * min(values.shape) / _PAN_SIDE)
    enlarged = Image.fromarray(values.astype(np.float32)).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(enlarged)


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Blur as ``metrics.blur.gaussian_blur`` does, to 1e-12 and many times faster: here every image waits for it."""
    radius = int(4 * sigma + 0.5)
    if values.min() == values.max():  # rounding would give it a contrast
        return values
    if radius >= min(values.shape):  # OpenCV mirrors once, a blur so wide needs more
        return gaussian_blur(values, sigma)
    return cv2.GaussianBlur(values, (2 * radius + 1, 2 * radius + 1), sigma, borderType=cv2.BORDER_REFLECT)
