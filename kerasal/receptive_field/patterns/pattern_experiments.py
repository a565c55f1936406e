"""Two experiments on patterns: propagation with growing clamped values, and validation by a forward pass."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal import hooks
from kerasal.checks import check_number, refuse_mask
from kerasal.receptive_field.patterns.pattern_projection import PatternProjector, Side

import keras
import tensorflow as tf

_REACHED_SHARE = 0.1  # default threshold, as a share of the largest value at c = 1


@dataclasses.dataclass(frozen=True)
class Propagation:
    """The pattern of a unit at several clamped values, and the area that it covers.

    Attributes:
        patterns: float32 (S, h, w, C), one pattern per constant.
        constants: the S constants.
        limit: the largest value of the pattern at c = 1. All patterns are drawn in the range from 0 to this value.
        threshold: a pixel counts as covered if its largest channel exceeds this value.
        table: one row per constant, with the columns ``constant``, ``area`` (number of covered pixels) and ``maximum``.
    """

    patterns: np.ndarray
    constants: tuple[float, ...]
    limit: float
    threshold: float
    table: pd.DataFrame


def propagation(
    model: keras.Model,
    layer: str,
    channel: int,
    constants: Sequence[float] = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0),
    *,
    threshold: float | None = None,
    bias: bool = False,
    canvas: Side = "auto",
) -> Propagation:
    """Return the pattern of a unit clamped to each of several constants, and the area that each pattern covers.

    Repetition, transposed convolution without bias and ReLU are positively homogeneous, so pattern(c) = c · pattern(1)
    exactly, and patterns that are scaled to their own maximum all look the same. The growth with c is visible only on a
    common brightness scale, so ``limit`` is fixed at c = 1, and area(c) = #{pixels > threshold} never decreases. With
    ``bias`` (a variant that is not in the paper, see ``patterns``) the shape changes too, and the area may decrease.

    Args:
        model: any built Keras model with a single image input; it is not changed.
        layer: name or path of a layer with a map (N, h, w, C).
        channel: index of the channel.
        constants: the values that the unit is clamped to, each above 0.
        threshold: value above which a pixel counts as covered; by default a tenth of ``limit``.
        bias: subtract the bias of each convolution before its ReLU.
        canvas: size of the image on which the pattern is computed, as in ``patterns``.

    Raises:
        ValueError: under the conditions of ``patterns``, or if a constant or the threshold is not above 0.

    Source: He & Pugeault 2017, section 4, figure 4.6.
    """
    values = np.array(
        [check_number("constants", constant, above=0) for constant in np.atleast_1d(np.asarray(constants, float))],
        np.float32,
    )
    projector = PatternProjector(model, layer, canvas, bias=bias)
    channels = np.repeat(projector.channels(channel)[:1], len(values) + 1)
    projected = projector.canvas.crop(projector.project(channels, np.concatenate([[1.0], values])))
    limit, projected = float(projected[0].max()), projected[1:]
    threshold = _REACHED_SHARE * limit if threshold is None else check_number("threshold", threshold, above=0)
    table = pd.DataFrame(
        {
            "constant": values.astype(float),
            "area": (projected.max(axis=3) > threshold).sum(axis=(1, 2)),
            "maximum": projected.max(axis=(1, 2, 3)).astype(float),
        }
    )
    return Propagation(projected, tuple(values.tolist()), limit, threshold, table)


def validate_pattern(
    model: keras.Model,
    layer: str,
    channel: int,
    pattern: np.ndarray | None = None,
    *,
    rescale: float | None = None,
    canvas: Side = "auto",
) -> pd.DataFrame:
    """Return the response of every channel of a layer to the pattern of a channel, fed to the model as an image.

    The response of a channel is the sum of its map over all positions. The pattern is used as a model input without
    preprocessing, and the forward pass is that of the model, with its biases, ReLUs and max pooling. Because of the
    biases, the responses depend on the scale of the pattern; see ``rescale``.

    Args:
        model: any built Keras model with a single image input; it is not changed.
        layer: name or path of a layer with a map (N, h, w, C).
        channel: index of the channel whose pattern is computed.
        pattern: float (h, w, C), an image to use instead of the channel's pattern. An image of the size of the
            receptive field is placed at the unit's field on the canvas; any other is used as it is.
        rescale: scale the image so that its largest value is this number, such as 128; by default it is not scaled. An
            image without positive values is never scaled.
        canvas: size of the image on which the pattern is computed, as in ``patterns``.

    Returns:
        A frame with one row per channel of the layer and the columns ``channel``, ``activation`` (the response) and
        ``rank`` (1 is the strongest; equal responses share the best rank). Its ``attrs`` hold ``layer``, ``channel``,
        the ``rank`` of that channel, ``above`` (number of channels with a larger response) and ``silent`` (number of
        channels with a response of exactly 0).

    Raises:
        ValueError: under the conditions of ``patterns``, or if ``pattern`` is not a finite image with the channels of
            the model's input.

    Source: He & Pugeault 2017, section 4, figure 4.7.
    """
    projector = PatternProjector(model, layer, canvas)
    (index,) = projector.channels(int(channel) if isinstance(channel, np.integer) else channel)[:1]
    default = pattern is None
    image = projector.project(np.array([index]), np.ones(1)) if default else _check_pattern(projector, pattern)[None]
    (sums,) = _sum_responses(projector, image, rescale)
    rank = 1 + (sums[None, :] > sums[:, None]).sum(axis=1)
    frame = pd.DataFrame({"channel": np.arange(len(sums)), "activation": sums, "rank": rank})
    frame.attrs.update(layer=projector.path, channel=int(index), **_summarize(sums, index))
    return frame


def validate_patterns(
    model: keras.Model,
    layer: str,
    channels: int | Sequence[int] | None = None,
    *,
    patterns: np.ndarray | None = None,
    rescale: float | None = None,
    canvas: Side = "auto",
    progress: bool = False,
) -> pd.DataFrame:
    """Return, for each channel, the rank of its response to its own pattern among the responses of all channels.

    Arguments and errors are those of ``validate_pattern``; ``channels`` are by default all channels of the layer.
    ``patterns`` are the patterns of these channels, float (K, h, w, C), if they have been computed already.
    ``progress`` shows a progress bar.

    Returns:
        A frame with one row per channel and the columns ``channel``, ``rank`` of its response to its pattern (1 is the
        strongest), ``above`` (number of channels with a larger response), ``silent`` (number of channels with a
        response of exactly 0) and ``activation`` (the response).
    """
    projector = PatternProjector(model, layer, canvas)
    wanted = projector.channels(channels)
    if patterns is None:
        images = projector.project(wanted, np.ones(len(wanted)), progress=progress)
    elif len(patterns) != len(wanted):
        raise ValueError(f"patterns must be one per channel, {len(wanted)}, got {len(patterns)}.")
    else:
        images = np.stack([_check_pattern(projector, pattern) for pattern in patterns])
    sums = _sum_responses(projector, images, rescale)
    rows = [
        {"channel": int(index), **_summarize(response, index), "activation": float(response[index])}
        for index, response in zip(wanted, sums, strict=True)
    ]
    return pd.DataFrame(rows)


def _summarize(sums: np.ndarray, index: int) -> dict[str, int]:
    above = int((sums > sums[index]).sum())
    return {"rank": above + 1, "above": above, "silent": int((sums == 0).sum())}


def _check_pattern(projector: PatternProjector, pattern) -> np.ndarray:
    refuse_mask(pattern, "pattern")
    image = np.asarray(pattern, dtype=np.float32)
    channels = projector.shape[2]
    if image.ndim != 3 or image.shape[2] != channels:
        raise ValueError(f"pattern must be an image of shape (h, w, {channels}), got shape {image.shape}.")
    if not np.isfinite(image).all():
        raise ValueError("pattern must have finite values, got NaN or infinite values.")
    return projector.canvas.place(image[None])[0] if image.shape[:2] == projector.field_size else image


def _sum_responses(projector: PatternProjector, images: np.ndarray, peak: float | None) -> np.ndarray:
    """Return the sum of each channel over its map, (K, channels), for images (K, H, W, C) scaled to a ``peak``."""
    if peak is not None:
        largest = images.max(axis=(1, 2, 3), keepdims=True)
        peak = check_number("rescale", peak, above=0)
        images = images * np.divide(peak, largest, out=np.ones_like(largest), where=largest > 0)
    sums = hooks.activations(projector.model, [projector.path], images, reduce=_sum_positions, any_size=True)
    return sums[projector.path].astype(float)


def _sum_positions(maps: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(maps, axis=[1, 2])
