"""Is a pattern what its unit wants to see? The pattern is fed forward, and every channel of the layer answers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal import hooks
from kerasal.checks import refuse_mask
from kerasal.receptive_field.patterns.painter import Painter, positive

import keras
import tensorflow as tf


def validate_pattern(
    model: keras.Model,
    layer: str,
    channel: int,
    pattern: np.ndarray | None = None,
    *,
    rescale: float | None = None,
    canvas: str | int | tuple[int, int] = "auto",
) -> pd.DataFrame:
    """Feed a channel's pattern forward as an image, and sum every channel of the layer's map over its positions.

    The image goes in as it is, in the space that the network takes after preprocessing; biases, ReLUs and max-pooling
    are the model's own. With biases the answer depends on the image's scale: see ``rescale``.

    Args:
        model: any built Keras model with one image input; it is not changed.
        layer: name or path of a layer with a map.
        channel: the channel that was clamped.
        pattern: float (h, w, C), what is shown instead of the channel's own pattern; of the receptive field's size, it
            is laid where the unit sees it, and of another it is shown as it is.
        rescale: multiply the image so that its largest value is this, such as 128; by default it stays as it is. An
            empty one stays empty.
        canvas: as in ``patterns``.

    Returns:
        A row for each channel of the layer: ``channel``, ``activation`` (the sum), ``rank`` (1 the strongest, ties
        share the best). ``.attrs`` holds ``layer``, ``channel``, ``rank`` of the clamped channel, ``above`` (how many
        channels answer more), ``silent`` (how many answer exactly 0).

    Raises:
        ValueError: what ``patterns`` refuses, or a pattern that is no finite image with the model's channels.

    Source: He & Pugeault 2017, section 4, figure 4.7.
    """
    painter = Painter(model, layer, canvas)
    (number,) = painter.channels(int(channel) if isinstance(channel, np.integer) else channel)[:1]
    own = pattern is None
    image = painter.paint(np.array([number]), np.ones(1)) if own else _shown(painter, pattern)[None]
    (sums,) = _answers(painter, _rescaled(image, rescale))
    rank = 1 + (sums[None, :] > sums[:, None]).sum(axis=1)
    frame = pd.DataFrame({"channel": np.arange(len(sums)), "activation": sums, "rank": rank})
    frame.attrs.update(layer=painter.path, channel=int(number), **_summary(sums, number))
    return frame


def validate_patterns(
    model: keras.Model,
    layer: str,
    channels: int | Sequence[int] | None = None,
    *,
    rescale: float | None = None,
    canvas: str | int | tuple[int, int] = "auto",
    progress: bool = False,
) -> pd.DataFrame:
    """Validate the patterns of several channels, each by itself; see ``validate_pattern``.

    Returns:
        A row for each channel: ``channel``, ``rank`` of its own answer to its pattern (1 the strongest), ``above`` (how
        many channels answer more), ``silent`` (how many answer exactly 0), ``activation`` (its own answer).
    """
    painter = Painter(model, layer, canvas)
    wanted = painter.channels(channels)
    images = painter.paint(wanted, np.ones(len(wanted)), progress=progress)
    sums = _answers(painter, _rescaled(images, rescale))
    rows = [
        {"channel": int(number), **_summary(answer, number), "activation": float(answer[number])}
        for number, answer in zip(wanted, sums, strict=True)
    ]
    return pd.DataFrame(rows)


def _summary(sums: np.ndarray, number: int) -> dict[str, int]:
    above = int((sums > sums[number]).sum())
    return {"rank": above + 1, "above": above, "silent": int((sums == 0).sum())}


def _rescaled(images: np.ndarray, peak: float | None) -> np.ndarray:
    if peak is None:
        return images
    largest = images.max(axis=(1, 2, 3), keepdims=True)
    return images * np.divide(positive("rescale", peak), largest, out=np.ones_like(largest), where=largest > 0)


def _shown(painter: Painter, pattern) -> np.ndarray:
    refuse_mask(pattern, "pattern")
    image = np.asarray(pattern, dtype=np.float32)
    channels = painter.shape[2]
    if image.ndim != 3 or image.shape[2] != channels or not np.isfinite(image).all():
        raise ValueError(f"pattern is one finite image (h, w, {channels}). Received shape {image.shape}.")
    left, top, right, bottom = painter.canvas.box
    return painter.canvas.place(image[None])[0] if image.shape[:2] == (bottom - top, right - left) else image


def _answers(painter: Painter, images: np.ndarray) -> np.ndarray:
    """Return the sum over positions of every channel of the layer's map, for images (K, H, W, C): (K, channels)."""
    sums = hooks.activations(painter.model, [painter.path], images, reduce=_sum_positions, any_size=True)
    return sums[painter.path].astype(float)


def _sum_positions(maps: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(maps, axis=[1, 2])
