"""Scores of two more baselines of a gaze report: the uniform map, and the other observers."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal import metrics
from kerasal.datasets import GazeDataset, observer_scores

_POINTWISE = ["nss", "auc_judd"]
"""Metrics that compare a map with fixations only, and so do not depend on how many observers made the density."""


def score_uniform(data: GazeDataset, columns: Sequence[str]) -> pd.DataFrame:
    """Return the scores of a uniform map, one row per image; metrics that are undefined for it are NaN."""
    names = list(data.names)
    fixations = [np.asarray(data.fixation_map(name)) for name in names]
    wanted = [column for column in columns if column != "auc_shuffled" or len(names) > 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # constant maps: what is undefined is NaN
        return metrics.evaluate(
            (np.ones(fixated.shape) for fixated in fixations),
            fixations,
            (np.asarray(data.density(name)) for name in names),
            metrics=wanted,
            baselines=(),
            names=names,
        )


def score_observers(data: GazeDataset, seed: int = 0) -> pd.DataFrame | None:
    """Return how well half of the observers of each image predict the fixations of the others; None if unknown.

    The fixations of a random half of the observers are blurred by 3 % of the image's width and scored at the fixations
    of the other half, and the reverse; the scores are the means of both.
    """
    rows = {}
    for number, name in enumerate(data.names):
        subjects, points = data.subjects(name), data.fixations(name)
        if points is None:
            return None
        shape = np.asarray(data.fixation_map(name)).shape
        scores = observer_scores.score_observers(points, subjects, shape, "halves", seed=[seed, number])
        if scores is None:
            return None
        rows[name] = {metric: scores[metric] for metric in _POINTWISE}
    return pd.DataFrame(rows).T
