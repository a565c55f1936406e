"""``deletion`` and ``insertion``: the score as the strongest positions of a map are removed or added."""

import dataclasses
from typing import Any

import numpy as np

from kerasal.attribution.evaluation.metric import metric
from kerasal.attribution.evaluation.scorer import Scorer
from kerasal.checks import check_int


@dataclasses.dataclass(frozen=True)
class Curve:
    """Scores as more and more positions change.

    Attributes:
        share: share of the positions that have changed, (steps + 1,), from 0 to 1.
        scores: score of each image at each share, (N, steps + 1).
        auc: area under each image's curve, (N,).
    """

    share: np.ndarray
    scores: np.ndarray
    auc: np.ndarray


@metric(reference="Petsiuk, Das & Saenko 2018, section 4.1", better="lower")
def deletion(scorer, maps, *, steps: int = 50, fill: Any = 0.0, normalize: bool = False):
    """Area under the score while the map's strongest positions are removed first: small if they carry the score.

    Args:
        scorer: the model's scores of changed inputs.
        maps: float (N, *positions), where larger is stronger. Pass absolute values if the sign does not matter. Equal
            values are removed in row order.
        steps: number of equal steps in which all positions are removed, a positive integer.
        fill: values that replace removed positions: a number, or an array that broadcasts to the inputs, such as
            blurred images. For tokens an index, such as that of the unknown token; 0 is usually padding.
        normalize: scale each curve so that the unchanged input scores 1 and the fill 0; NaN where the two are equal.
            Without it, inputs with a large score count most.

    Returns:
        An ``Evaluation``; ``details["curve"]`` is the ``Curve`` of the maps.

    Raises:
        ValueError: the maps do not fit the inputs or are not finite, ``steps`` is not a positive integer, or ``fill``
            does not fit.
    """
    return _run_curve(scorer, maps, steps, fill, normalize, adds=False)


@metric(reference="Petsiuk, Das & Saenko 2018, section 4.1", better="higher")
def insertion(scorer, maps, *, steps: int = 50, fill: Any = 0.0, normalize: bool = False):
    """Area under the score while the map's strongest positions are added to the fill: large if they carry the score.

    Args:
        scorer: the model's scores of changed inputs.
        maps: float (N, *positions), where larger is stronger.
        steps: number of equal steps in which all positions are added, a positive integer.
        fill: the input to which positions are added: a number, or an array that broadcasts to the inputs.
        normalize: scale each curve so that the unchanged input scores 1 and the fill 0; NaN where the two are equal.

    Returns:
        An ``Evaluation``; ``details["curve"]`` is the ``Curve`` of the maps.

    Raises:
        ValueError: as for ``deletion``.
    """
    return _run_curve(scorer, maps, steps, fill, normalize, adds=True)


def _run_curve(scorer: Scorer, maps: np.ndarray, steps: int, fill: Any, normalize: bool, *, adds: bool):
    check_int("steps", steps)
    filling = scorer.fill(fill)
    begin, end = (filling, scorer.inputs) if adds else (scorer.inputs, filling)
    order = rank_positions(maps)
    count = maps[0].size

    def change(step: int, image: int) -> np.ndarray:
        changed = order[image] < round(step * count / steps)
        return np.where(scorer.expand(changed), end[image], begin[image])

    scores = scorer.scores(steps + 1, change).T
    if normalize:
        clean, empty = (scores[:, -1:], scores[:, :1]) if adds else (scores[:, :1], scores[:, -1:])
        with np.errstate(invalid="ignore", divide="ignore"):
            scores = np.where(clean != empty, (scores - empty) / (clean - empty), np.nan)
    areas = np.trapezoid(scores, dx=1 / steps, axis=1)
    return areas, {"curve": Curve(np.linspace(0, 1, steps + 1), scores, areas)}


def rank_positions(maps: np.ndarray) -> np.ndarray:
    """Return the rank of each position in its map, 0 for the strongest; equal values are ranked in row order."""
    flat = -maps.reshape(len(maps), -1)
    return np.argsort(np.argsort(flat, axis=1, kind="stable"), axis=1).reshape(maps.shape)
