"""How a pattern spreads as its unit is clamped to more: one unit, several constants, one brightness scale."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal.receptive_field.patterns.painter import Painter, positive

import keras

_THRESHOLD = 0.1  # of the brightest value at c = 1


@dataclasses.dataclass(frozen=True)
class Propagation:
    """What ``propagation`` found.

    Attributes:
        patterns: float32 (S, h, w, C), one a constant.
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
    canvas: str | int | tuple[int, int] = "auto",
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
    values = np.float32([positive("a constant", one) for one in np.atleast_1d(np.asarray(constants, float))])
    painter = Painter(model, layer, canvas, bias=bias)
    wanted = np.repeat(painter.channels(channel)[:1], len(values) + 1)
    painted = painter.canvas.crop(painter.paint(wanted, np.concatenate([[1.0], values])))
    limit, painted = float(painted[0].max()), painted[1:]
    threshold = _THRESHOLD * limit if threshold is None else positive("threshold", threshold)
    table = pd.DataFrame(
        {
            "constant": values.astype(float),
            "area": (painted.max(axis=3) > threshold).sum(axis=(1, 2)),
            "maximum": painted.max(axis=(1, 2, 3)).astype(float),
        }
    )
    return Propagation(painted, tuple(values.tolist()), limit, threshold, table)
