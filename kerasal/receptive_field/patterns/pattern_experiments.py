"""Two experiments on a pattern: its unit clamped to growing values, and the pattern fed forward to see who answers."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal import hooks
from kerasal.checks import check_number, refuse_mask
from kerasal.receptive_field.patterns.pattern_projection import PatternProjector, Side

import keras
import tensorflow as tf

_THRESHOLD = 0.1  # of the brightest value at c = 1


@dataclasses.dataclass(frozen=True)
class Propagation:
    """What ``propagation`` found.

    Attributes:
        patterns: float32 (S, h, w, C), one per constant.
        constants: the S constants.
        limit: the largest value of the pattern at c = 1, the upper end of the range in which all are drawn; the lower
            end is 0.
        threshold: what a pixel's largest channel must exceed to count as reached.
        table: a row for each constant: ``constant``, ``area`` (pixels reached), ``maximum``.
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
    """Return the pattern of one unit clamped to each of several constants, and the area that it reaches.

    Repetition, transposed convolution without bias and ReLU are positively homogeneous, so pattern(c) = c · pattern(1)
    exactly: each scaled to its own maximum, all panels would be one picture. That a pattern spreads as c grows shows on
    one brightness scale only, so ``limit`` is fixed at c = 1, and area(c) = #{pixels > threshold} can only grow. With
    ``bias`` (a variant that is not the paper's, see ``patterns``) the shape changes too, and the area need not grow.

    Args:
        model: any built Keras model with one image input; it is not changed.
        layer: name or path of a layer with a map.
        channel: the unit's channel.
        constants: the values that the unit is clamped to, each above 0.
        threshold: what counts as reached; by default a tenth of ``limit``.
        bias: let each ReLU's gate take off its convolution's bias first.
        canvas: as in ``patterns``.

    Raises:
        ValueError: what ``patterns`` refuses, or a constant or threshold that is not above 0.

    Source: He & Pugeault 2017, section 4, figure 4.6.
    """
    values = np.array(
        [check_number("a constant", one, above=0) for one in np.atleast_1d(np.asarray(constants, float))], np.float32
    )
    projector = PatternProjector(model, layer, canvas, bias=bias)
    wanted = np.repeat(projector.channels(channel)[:1], len(values) + 1)
    painted = projector.canvas.crop(projector.project(wanted, np.concatenate([[1.0], values])))
    limit, painted = float(painted[0].max()), painted[1:]
    threshold = _THRESHOLD * limit if threshold is None else check_number("threshold", threshold, above=0)
    table = pd.DataFrame(
        {
            "constant": values.astype(float),
            "area": (painted.max(axis=3) > threshold).sum(axis=(1, 2)),
            "maximum": painted.max(axis=(1, 2, 3)).astype(float),
        }
    )
    return Propagation(painted, tuple(values.tolist()), limit, threshold, table)


def validate_pattern(
    model: keras.Model,
    layer: str,
    channel: int,
    pattern: np.ndarray | None = None,
    *,
    rescale: float | None = None,
    canvas: Side = "auto",
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
    projector = PatternProjector(model, layer, canvas)
    (number,) = projector.channels(int(channel) if isinstance(channel, np.integer) else channel)[:1]
    own = pattern is None
    image = projector.project(np.array([number]), np.ones(1)) if own else _check_pattern(projector, pattern)[None]
    (sums,) = _sum_answers(projector, image, rescale)
    rank = 1 + (sums[None, :] > sums[:, None]).sum(axis=1)
    frame = pd.DataFrame({"channel": np.arange(len(sums)), "activation": sums, "rank": rank})
    frame.attrs.update(layer=projector.path, channel=int(number), **_summarize(sums, number))
    return frame


def validate_patterns(
    model: keras.Model,
    layer: str,
    channels: int | Sequence[int] | None = None,
    *,
    rescale: float | None = None,
    canvas: Side = "auto",
    progress: bool = False,
) -> pd.DataFrame:
    """Validate the patterns of several channels, each by itself; see ``validate_pattern``.

    Returns:
        A row for each channel: ``channel``, ``rank`` of its own answer to its pattern (1 the strongest), ``above`` (how
        many channels answer more), ``silent`` (how many answer exactly 0), ``activation`` (its own answer).
    """
    projector = PatternProjector(model, layer, canvas)
    wanted = projector.channels(channels)
    images = projector.project(wanted, np.ones(len(wanted)), progress=progress)
    sums = _sum_answers(projector, images, rescale)
    rows = [
        {"channel": int(number), **_summarize(answer, number), "activation": float(answer[number])}
        for number, answer in zip(wanted, sums, strict=True)
    ]
    return pd.DataFrame(rows)


def _summarize(sums: np.ndarray, number: int) -> dict[str, int]:
    above = int((sums > sums[number]).sum())
    return {"rank": above + 1, "above": above, "silent": int((sums == 0).sum())}


def _check_pattern(projector: PatternProjector, pattern) -> np.ndarray:
    refuse_mask(pattern, "pattern")
    image = np.asarray(pattern, dtype=np.float32)
    channels = projector.shape[2]
    if image.ndim != 3 or image.shape[2] != channels or not np.isfinite(image).all():
        raise ValueError(f"pattern is one finite image (h, w, {channels}). Received shape {image.shape}.")
    return projector.canvas.place(image[None])[0] if image.shape[:2] == projector.field_size else image


def _sum_answers(projector: PatternProjector, images: np.ndarray, peak: float | None) -> np.ndarray:
    """Return each channel's sum over the layer's map, (K, channels), for images (K, H, W, C) brought to a ``peak``."""
    if peak is not None:
        largest = images.max(axis=(1, 2, 3), keepdims=True)
        peak = check_number("rescale", peak, above=0)
        images = images * np.divide(peak, largest, out=np.ones_like(largest), where=largest > 0)
    sums = hooks.activations(projector.model, [projector.path], images, reduce=_sum_positions, any_size=True)
    return sums[projector.path].astype(float)


def _sum_positions(maps: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(maps, axis=[1, 2])
