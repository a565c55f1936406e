"""``average_drop`` and ``increase_in_confidence``: the score of what a map keeps of the input."""

from typing import Any

import numpy as np

from kerasal.attribution.evaluation.metric import metric
from kerasal.attribution.evaluation.scorer import Scorer


@metric(reference="Chattopadhay et al. 2018, section 5.1", better="lower")
def average_drop(scorer, maps, *, fill: Any = 0.0):
    """Share of the score that is lost if the input is multiplied by the map: 0 if none is lost.

    A map that is large everywhere loses nothing, so this metric alone does not tell a good map; the random map has the
    same values in other places.

    Args:
        scorer: the model's scores of changed inputs; the score should be a probability.
        maps: float (N, *positions); the positive part of each, divided by its maximum, is the share that is kept.
        fill: values where nothing is kept, as for ``deletion``.

    Returns:
        An ``Evaluation`` of values in 0..1; NaN where the score is not positive.

    Raises:
        ValueError: the maps or ``fill`` do not fit, or the inputs are integers.
    """
    clean, kept = _masked_scores(scorer, maps, fill)
    drops = np.full(len(clean), np.nan)
    return np.divide(np.maximum(clean - kept, 0), clean, out=drops, where=clean > 0)


@metric(reference="Chattopadhay et al. 2018, section 5.1", better="higher")
def increase_in_confidence(scorer, maps, *, fill: Any = 0.0):
    """Whether the score is higher if the input is multiplied by the map: 1 or 0.

    Args:
        scorer: the model's scores of changed inputs.
        maps: float (N, *positions); the positive part of each, divided by its maximum, is the share that is kept.
        fill: values where nothing is kept, as for ``deletion``.

    Returns:
        An ``Evaluation`` of values 0 and 1.

    Raises:
        ValueError: the maps or ``fill`` do not fit, or the inputs are integers.
    """
    clean, kept = _masked_scores(scorer, maps, fill)
    return (kept > clean).astype(float)


def _masked_scores(scorer: Scorer, maps: np.ndarray, fill: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of the inputs and of what the maps keep of them."""
    if scorer.inputs.dtype.kind in "iu":
        raise ValueError(
            "inputs must be floating point to keep a share of them, got integer tokens. Use deletion and insertion."
        )
    filling = scorer.fill(fill)
    positive = np.maximum(maps, 0)
    largest = positive.reshape(len(maps), -1).max(axis=1)
    weights = positive / np.where(largest > 0, largest, 1).reshape(-1, *[1] * (maps.ndim - 1))

    def change(_, image: int) -> np.ndarray:
        kept = scorer.expand(weights[image])
        return (filling[image] + kept * (scorer.inputs[image] - filling[image])).astype(np.float32)

    return scorer.clean, scorer.scores(1, change)[0]
