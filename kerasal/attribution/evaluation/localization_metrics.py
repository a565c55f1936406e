"""Metrics of maps against the place of the object: ``pointing_game``, ``relevance_mass``, ``relevance_rank``.

They ask whether a map lies on the object. A model may rightly read the background, so a low value can be the model's.
"""

from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from kerasal.attribution.evaluation.metric import metric
from kerasal.checks import check_number


@metric(reference="Zhang et al. 2018, section 4.2", better="higher")
def pointing_game(maps, truth, *, tolerance: float = 0):
    """Whether a map's maximum lies on the object: 1 or 0.

    Args:
        maps: float (N, H, W) of images, (N, T) of signals, (N, D, H, W) of volumes or videos. Of several equal maxima,
            the first in row order counts; a map of a single value has no maximum.
        truth: bool masks of the shape of the maps, or a box with exclusive upper bounds per map, x first: (x_min,
            y_min, x_max, y_max) in an image, (x_min, x_max) in a signal, (x_min, y_min, z_min, x_max, y_max, z_max) in
            a volume. x counts along the last axis of a map, y along the second last, z along the third last.
        tolerance: distance in positions up to which a maximum beside the object counts; 15 pixels in the paper.

    Returns:
        An ``Evaluation`` of values 0 and 1; NaN for a map of a single value.

    Raises:
        ValueError: the truth has another shape, or is empty for a map; ``tolerance`` is negative.
    """
    check_number("tolerance", tolerance, minimum=0)
    masks = read_truth(truth, maps.shape)
    peaks = maps.reshape(len(maps), -1).argmax(axis=1)
    hits = []
    for mask, peak in zip(masks, peaks, strict=True):
        distances = np.asarray(distance_transform_edt(~mask)) if tolerance else ~mask
        hits.append(distances.ravel()[peak] <= tolerance)
    return np.where(np.ptp(maps.reshape(len(maps), -1), axis=1) > 0, np.array(hits, float), np.nan)


@metric(reference="Arras, Osman & Samek 2022, section 3.3; with boxes, Wang et al. 2020, section 4.3", better="higher")
def relevance_mass(maps, truth):
    """Share of a map's positive sum that lies on the object; with boxes, the energy-based pointing game.

    Args:
        maps: float (N, *positions).
        truth: masks or boxes, as for ``pointing_game``.

    Returns:
        An ``Evaluation`` of values in 0..1; NaN for a map without positive values.

    Raises:
        ValueError: the truth has another shape, or is empty for a map.
    """
    masks, positive = read_truth(truth, maps.shape), np.maximum(maps, 0).reshape(len(maps), -1)
    totals = positive.sum(axis=1)
    inside = (positive * masks.reshape(len(maps), -1)).sum(axis=1)
    return np.divide(inside, totals, out=np.full(len(maps), np.nan), where=totals > 0)


@metric(reference="Arras, Osman & Samek 2022, section 3.3", better="higher")
def relevance_rank(maps, truth):
    """Share of the object that is covered by as many of the map's highest positions as the object has.

    Args:
        maps: float (N, *positions). Equal values are ranked in row order.
        truth: masks or boxes, as for ``pointing_game``.

    Returns:
        An ``Evaluation`` of values in 0..1; NaN for a map of a single value.

    Raises:
        ValueError: the truth has another shape, or is empty for a map.
    """
    masks, flat = read_truth(truth, maps.shape).reshape(len(maps), -1), maps.reshape(len(maps), -1)
    order = np.argsort(-flat, axis=1, kind="stable")
    found = [mask[row[: mask.sum()]].mean() for mask, row in zip(masks, order, strict=True)]
    return np.where(np.ptp(flat, axis=1) > 0, found, np.nan)


def read_truth(truth: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return masks or boxes as masks of the shape of maps, bool (N, *positions).

    Raises:
        ValueError: the truth is neither masks of this shape nor a box per map, or it is empty for a map.
    """
    array, axes = np.asarray(truth), len(shape) - 1
    if array.dtype == bool and array.shape == shape:
        empty = np.flatnonzero(~array.reshape(len(array), -1).any(axis=1))
        if empty.size:
            raise ValueError(f"truth must mark at least one position of each map, got none for map {empty[0]}.")
        return array
    names = [f"{name}_{end}" for end in ("min", "max") for name in "xyz"[:axes]]
    order = f"({', '.join(names)})"
    if array.shape != (shape[0], 2 * axes) or axes > 3 or array.dtype.kind not in "iuf":
        raise ValueError(
            f"truth must be bool masks of the shape {shape} or boxes {order} of the shape {(shape[0], 2 * axes)}, got "
            f"{array.dtype} {array.shape}."
        )
    low, high = array[:, :axes][:, ::-1], array[:, axes:][:, ::-1]  # in the order of the axes
    if (high <= low).any():
        raise ValueError(f"truth must hold non-empty boxes {order}, got {array.tolist()}.")
    inside = np.ones(shape, bool)
    for axis, side in enumerate(shape[1:]):
        places = np.arange(side)
        within = (places >= low[:, axis, None]) & (places < high[:, axis, None])
        inside &= within.reshape([shape[0], *[side if other == axis else 1 for other in range(axes)]])
    if not inside.reshape(len(inside), -1).any(axis=1).all():
        raise ValueError(f"truth must hold boxes inside of the maps {shape[1:]}, got {array.tolist()}.")
    return inside
