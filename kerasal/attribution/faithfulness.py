"""Doubt a map: does it name what the score depends on, and does it depend on what the model has learnt?

``deletion``, ``insertion``    the score as the map's strongest pixels are taken away, or added (Petsiuk et al. 2018)
``pointing_game``              is the map's maximum inside the object's box? (Zhang et al. 2018)
``cascading_randomization``    does the map change when the model's weights become noise? (Adebayo et al. 2018)
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from kerasal import hooks
from kerasal.checks import check_int, refuse_mask
from kerasal.hooks.engine import fixed_target, target_scores
from kerasal.hooks.model_inputs import conform
from kerasal.hooks.positions import channel_axes
from kerasal.progress import progress_bar

import keras


@dataclasses.dataclass(frozen=True)
class Curve:
    """Scores while images change: ``share`` (steps + 1,) of pixels, ``scores`` (N, steps + 1), ``auc`` (N,)."""

    share: np.ndarray
    scores: np.ndarray
    auc: np.ndarray


def deletion(model, inputs, maps, target=None, *, steps: int = 50, fill=0.0, **how) -> Curve:
    """Take away the pixels that the map calls strongest, first to last, and watch the score fall.

    A low area under the curve speaks for the map; compare it with that of a random map, never with another model's.

    Args:
        model: any built Keras model with one image input.
        inputs: model inputs (N, H, W, C), or channels first if the model takes them so.
        maps: (N, H, W), the larger the stronger; take ``abs`` of signed maps first if sign does not matter.
        target: as for the methods; by default each image's top class.
        steps: in how many equal steps the pixels go.
        fill: what takes their place: a number, or an array that fits (N, H, W, C), such as blurred images.
        **how: ``output``, ``batch_size``, and ``logits``, which is False here: the paper's curves are of probabilities.

    Raises:
        ValueError: maps that do not fit the inputs or hold NaN, no steps, or a fill that does not fit.
    """
    return _curve(model, inputs, maps, target, steps, fill, how, adds=False)


def insertion(model, inputs, maps, target=None, *, steps: int = 50, fill=0.0, **how) -> Curve:
    """Begin with nothing but the fill, add the pixels that the map calls strongest, and watch the score rise.

    A high area under the curve speaks for the map. Arguments and errors as in ``deletion``.
    """
    return _curve(model, inputs, maps, target, steps, fill, how, adds=True)


def pointing_game(maps, boxes: Sequence[tuple[int, int, int, int]], *, tolerance: int = 0) -> np.ndarray:
    """Tell for each map whether its maximum lies in the box, widened by ``tolerance`` pixels (the paper: 15).

    ``boxes`` are (x_min, y_min, x_max, y_max) with exclusive upper bounds, one a map. Of several equal maxima the first
    counts, row by row.

    Raises:
        ValueError: not one box a map, or an empty box.
    """
    refuse_mask(maps, "maps")
    maps, corners = np.asarray(maps), np.asarray(boxes)
    if maps.ndim != 3 or corners.shape != (len(maps), 4):
        raise ValueError(f"Expected maps (N, H, W) and boxes (N, 4). Received {maps.shape} and {corners.shape}.")
    if (corners[:, 2:] <= corners[:, :2]).any():
        raise ValueError(f"Boxes are (x_min, y_min, x_max, y_max), not empty. Received {corners.tolist()}.")
    y, x = np.unravel_index(maps.reshape(len(maps), -1).argmax(axis=1), maps.shape[1:])
    low, high = corners[:, :2] - tolerance, corners[:, 2:] + tolerance
    return (x >= low[:, 0]) & (x < high[:, 0]) & (y >= low[:, 1]) & (y < high[:, 1])


def cascading_randomization(
    model: keras.Model, inputs: Any, method: Callable, target=None, *, seed: int = 0, progress: bool = False, **options
) -> pd.DataFrame:
    """Make the model's weights noise, layer by layer from the output down, and see whether the maps follow.

    A layer's weights become noise by shuffling each of its arrays, which keeps their scale. The maps' sizes (absolute
    values) are compared with the original ones by Spearman's rank correlation. A map that stays the same while the
    model forgets everything does not explain the model. The weights are put back at the end, also after an error or
    an interruption; meanwhile nobody else should use the model.

    Args:
        model: any built Keras model.
        inputs: model inputs (N, H, W, C), one input.
        method: a method of ``kerasal.attribution``.
        target: as for the methods; by default the top class under the original weights.
        seed: of the shuffling.
        progress: show a progress bar.
        **options: the method's own options.

    Returns:
        A row for each layer with weights, in the order in which they were lost: ``layer``, ``correlation`` (mean over
        the images) and ``lowest``, ``highest`` over them.
    """
    target = fixed_target(model, conform(model, inputs), target, output=options.get("output"))
    layers = [
        (path, layer)
        for path, layer in hooks.layers(model)
        if isinstance(layer, keras.Layer) and layer.weights and not hooks.layers(layer)
    ]
    original = [(weight, weight.numpy()) for weight in model.weights]
    random = np.random.default_rng(seed)
    before = np.abs(method(model, inputs, target, **options))
    rows = []
    try:
        with progress_bar("Randomizing", len(layers), progress) as advance:
            for path, layer in reversed(layers):
                for weight in layer.weights:
                    if weight.dtype.startswith(("float", "bfloat")):
                        weight.assign(random.permutation(weight.numpy().ravel()).reshape(weight.shape))
                after = np.abs(method(model, inputs, target, **options))
                found = [_rank_correlation(one, other) for one, other in zip(before, after, strict=True)]
                rows.append((path, np.mean(found), np.min(found), np.max(found)))
                advance(1)
    finally:
        for weight, value in original:
            weight.assign(value)
    return pd.DataFrame(rows, columns=["layer", "correlation", "lowest", "highest"])


def _curve(model, inputs, maps, target, steps, fill, how, *, adds: bool) -> Curve:
    """Check all, and score the way between the images and the fill, the strongest pixels first."""
    arrays = conform(model, inputs)
    if len(arrays) != 1 or arrays[0].ndim != 4:
        raise ValueError("Deletion and insertion need a model with one image input (N, H, W, C).")
    refuse_mask(maps, "maps")
    maps = np.asarray(maps, dtype=np.float64)
    (images,), (channels,) = arrays, channel_axes(model, [arrays[0].shape])
    wanted = tuple(size for axis, size in enumerate(images.shape) if axis != channels)
    if maps.shape != wanted or not np.isfinite(maps).all():
        raise ValueError(f"Expected finite maps of shape {wanted}. Received shape {maps.shape}.")
    check_int("steps", steps)
    refuse_mask(fill, "fill")
    try:
        filling = np.broadcast_to(np.asarray(fill, np.float32), images.shape)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"fill is a number or an array that fits {images.shape}. Received shape {np.shape(fill)}."
        ) from error
    begin, end = (filling, images) if adds else (images, filling)
    how = {"logits": False, **how}
    target = fixed_target(model, [images], target, output=how.get("output"), batch_size=how.get("batch_size"))
    count = maps[0].size
    # The place of each pixel in its own image, strongest first; of equal ones the first in the row comes first.
    place = np.argsort(np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable"), axis=1).reshape(maps.shape)
    scores = []
    for step in range(steps + 1):
        changed = place < round(step * count / steps)
        scores.append(target_scores(model, [np.where(np.expand_dims(changed, channels), end, begin)], target, **how))
    scores = np.stack(scores, axis=1)
    return Curve(np.linspace(0, 1, steps + 1), scores, np.trapezoid(scores, dx=1 / steps, axis=1))


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's correlation; a constant map agrees with nothing."""
    first, second = rankdata(one), rankdata(other)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
