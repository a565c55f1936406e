"""Tests of attribution maps: does the score depend on the pixels they mark, and do they depend on the weights?

``deletion``, ``insertion``    the score as a map's strongest pixels are removed or added (Petsiuk et al. 2018)
``pointing_game``              whether a map's maximum lies inside the object's box (Zhang et al. 2018)
``cascading_randomization``    how much maps change when the weights become noise (Adebayo et al. 2018)

Inputs have any rank: pixels are the positions of the maps, such as the time steps of signals, the voxels of volumes,
the values of features or the tokens of texts, whose maps are those of an embedding (option ``layer``).
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
    """Scores as more and more pixels change.

    Attributes:
        share: share of the pixels that have changed, (steps + 1,), from 0 to 1.
        scores: score of each image at each share, (N, steps + 1).
        auc: area under each image's curve, (N,).
    """

    share: np.ndarray
    scores: np.ndarray
    auc: np.ndarray


def deletion(model, inputs, maps, target=None, *, steps: int = 50, fill=0.0, **options) -> Curve:
    """Return the scores of images whose pixels are removed in steps, from the map's strongest to its weakest.

    The lower the area under the curve, the better the map. Compare the area with that of a random map of the same
    model; areas of different models are not comparable.

    Args:
        model: any built Keras model with a single input.
        inputs: model inputs, such as images (N, H, W, C), signals (N, T, C), volumes (N, D, H, W, C), features (N, F)
            or integer tokens (N, T), or channels first if the model takes them so.
        maps: float (N, H, W), (N, T), (N, D, H, W) or (N, F), where larger is stronger. Pass absolute values if the
            sign does not matter.
        target: score to measure, as for the methods; by default each image's top class.
        steps: number of equal steps in which all pixels are removed, a positive integer.
        fill: values that replace removed pixels: a number, or an array that broadcasts to the inputs, such as blurred
            images. For tokens an index, such as that of the unknown token; 0 is usually padding.
        **options: ``output``, ``batch_size`` and ``logits`` as for the methods, but ``logits`` is False by default,
            because the paper measures probabilities.

    Raises:
        ValueError: the maps do not fit the inputs or are not finite, ``steps`` is not a positive integer, or ``fill``
            does not fit.
    """
    return _curve(model, inputs, maps, target, steps, fill, options, adds=False)


def insertion(model, inputs, maps, target=None, *, steps: int = 50, fill=0.0, **options) -> Curve:
    """Return the scores of images whose pixels are added to the fill in steps, from the strongest to the weakest.

    The higher the area under the curve, the better the map. Arguments and errors are those of ``deletion``.
    """
    return _curve(model, inputs, maps, target, steps, fill, options, adds=True)


def pointing_game(maps, boxes: Sequence[Sequence[int]], *, tolerance: int = 0) -> np.ndarray:
    """Return for each map whether its maximum lies inside the object's box, bool (N,).

    Args:
        maps: float (N, H, W) of images, (N, T) of signals, (N, D, H, W) of volumes or videos. Of several equal maxima,
            the first in row order counts.
        boxes: a box with exclusive upper bounds per map, x first: (x_min, y_min, x_max, y_max) in an image,
            (x_min, x_max) in a signal, (x_min, y_min, z_min, x_max, y_max, z_max) in a volume. x counts along the last
            axis of a map, y along the second last, z (of a video: the frame) along the third last.
        tolerance: pixels by which each box is enlarged on every side; 15 in the paper.

    Raises:
        ValueError: the number of boxes or of their sides does not fit the maps, or a box is empty.
    """
    refuse_mask(maps, "maps")
    maps, corners = np.asarray(maps), np.asarray(boxes)
    axes = maps.ndim - 1
    names = "xyz"[:axes]
    order = f"({', '.join(f'{name}_{end}' for end in ('min', 'max') for name in names)})"
    if axes not in (1, 2, 3) or corners.shape != (len(maps), 2 * axes):
        expected = {1: "(N, T) and (N, 2)", 3: "(N, D, H, W) and (N, 6)"}.get(axes, "(N, H, W) and (N, 4)")
        raise ValueError(f"maps and boxes must have the shapes {expected}, got {maps.shape} and {corners.shape}.")
    low, high = corners[:, :axes], corners[:, axes:]
    if (high <= low).any():
        raise ValueError(f"boxes must be non-empty {order}, got {corners.tolist()}.")
    peaks = np.unravel_index(maps.reshape(len(maps), -1).argmax(axis=1), maps.shape[1:])
    points = np.stack(peaks[::-1], axis=1)  # x first
    return np.all((points >= low - tolerance) & (points < high + tolerance), axis=1)


def cascading_randomization(
    model: keras.Model, inputs: Any, method: Callable, target=None, *, seed: int = 0, progress: bool = False, **options
) -> pd.DataFrame:
    """Return the similarity of maps before and after the weights become noise, layer by layer from the output down.

    The weights of a layer become noise by shuffling each of its arrays, which keeps their scale. The absolute values of
    the maps are compared with those of the original maps by Spearman's rank correlation. A method whose maps stay the
    same although the weights are noise does not explain the model. The weights are restored at the end, also after an
    error or an interruption; until then the model must not be used elsewhere.

    Args:
        model: any built Keras model.
        inputs: model inputs of any rank, of a model with a single input.
        method: a method of ``kerasal.attribution``.
        target: score to explain, as for the methods; by default the top class under the original weights.
        seed: seed of the shuffling.
        progress: show a progress bar.
        **options: options of the method.

    Returns:
        A table with a row per layer with weights, in the order of their randomization: ``layer`` (its path), and
        ``correlation``, ``lowest`` and ``highest`` (the mean, minimum and maximum over the images).
    """
    target = fixed_target(model, conform(model, inputs, integers=True), target, output=options.get("output"))
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
                correlations = [_rank_correlation(*pair) for pair in zip(before, after, strict=True)]
                rows.append((path, np.mean(correlations), np.min(correlations), np.max(correlations)))
                advance(1)
    finally:
        for weight, value in original:
            weight.assign(value)
    return pd.DataFrame(rows, columns=["layer", "correlation", "lowest", "highest"])


def _curve(model, inputs, maps, target, steps, fill, options, *, adds: bool) -> Curve:
    """Return the scores on the way from the images to the fill, or with ``adds`` from the fill to the images."""
    arrays = conform(model, inputs, integers=True)
    if len(arrays) != 1:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"model must have a single input for deletion and insertion, got {len(arrays)}: {shapes}.")
    refuse_mask(maps, "maps")
    maps = np.asarray(maps, dtype=np.float64)
    (images,), (channels,) = arrays, channel_axes(model, [arrays[0].shape])
    expected = tuple(size for axis, size in enumerate(images.shape) if axis == 0 or axis != channels)
    bad = np.count_nonzero(~np.isfinite(maps))
    if maps.shape != expected or bad:
        raise ValueError(
            f"maps must be finite and have the shape {expected}, got {maps.shape} with {bad} non-finite values."
        )
    check_int("steps", steps)
    refuse_mask(fill, "fill")
    try:
        filling = np.broadcast_to(np.asarray(fill, np.float32), images.shape)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"fill must be a number or an array that broadcasts to {images.shape}, got shape {np.shape(fill)}."
        ) from error
    if images.dtype.kind in "iu":
        whole = filling.astype(images.dtype)
        if not np.array_equal(whole, filling):
            raise ValueError(f"fill must hold integers for a model of tokens, got {fill!r}. Pass the index of a token.")
        filling = whole
    begin, end = (filling, images) if adds else (images, filling)
    options = {"logits": False, **options}
    target = fixed_target(model, [images], target, output=options.get("output"), batch_size=options.get("batch_size"))
    count = maps[0].size
    # The rank of each pixel in its image, strongest first; equal values are ranked in row order.
    rank = np.argsort(np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable"), axis=1).reshape(maps.shape)
    scores = []
    for step in range(steps + 1):
        changed = rank < round(step * count / steps)
        if channels is not None:
            changed = np.expand_dims(changed, channels)
        scores.append(target_scores(model, [np.where(changed, end, begin)], target, **options))
    scores = np.stack(scores, axis=1)
    return Curve(np.linspace(0, 1, steps + 1), scores, np.trapezoid(scores, dx=1 / steps, axis=1))


def _rank_correlation(values: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation, or 0 if a map is constant."""
    first, second = rankdata(values), rankdata(other)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
