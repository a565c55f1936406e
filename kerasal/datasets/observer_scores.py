"""How well people predict people: the fixations of some observers, blurred, scored at the fixations of the others."""

from typing import Literal

import numpy as np

from kerasal.checks import check_choice
from kerasal.datasets.gaze_dataset import SIGMA
from kerasal.metrics.blur import blur_fixations
from kerasal.metrics.distributions import cc
from kerasal.metrics.pointwise import nss
from kerasal.metrics.roc_areas import auc_judd

SPLITS = {
    "halves": "a random half of the observers predicts the other half, and the reverse",
    "one": "each observer alone predicts all others",
    "others": "all others predict each observer",
}
"""The ways to divide observers into those who predict and those who are predicted."""

_FEWEST = {"halves": 4, "one": 2, "others": 2}


def score_observers(
    points: np.ndarray,
    subjects: np.ndarray | None,
    shape: tuple[int, int],
    split: Literal["halves", "one", "others"],
    *,
    sigma: float | None = None,
    jitter: bool = False,
    seed: int | list[int] = 0,
) -> dict[str, float] | None:
    """Return how well some observers of an image predict the others: the mean NSS, AUC (Judd) and CC over the splits.

    The fixations of those who predict are blurred, and scored at the fixations of those who are predicted. NSS and AUC
    do not depend on how many observers are predicted, so they compare with scores of a map at all fixations. CC
    compares with the blurred fixations of those who are predicted, and falls if these are few.

    Args:
        points: fixations (x, y) in pixels, (n, 2).
        subjects: the number of the observer of each fixation, (n,); None if unknown.
        shape: (H, W) of the image.
        split: a key of ``SPLITS``: who predicts whom.
        sigma: standard deviation of the blur in pixels; by default 3 % of the width.
        jitter: break ties in the AUC at random, in the mean over all orders; see ``metrics.auc_judd``.
        seed: seed of the random halves.

    Returns:
        ``{"nss", "auc_judd", "cc"}``, or None if the observers are unknown or too few: 4 for halves, otherwise 2.
    """
    check_choice("split", split, tuple(SPLITS))
    if subjects is None:
        return None
    observers = np.unique(subjects)
    if len(observers) < _FEWEST[split]:
        return None
    if split == "halves":
        chosen = np.random.default_rng(seed).permutation(observers)
        first = np.isin(subjects, chosen[: len(chosen) // 2])
        predicting = [first, ~first]
    else:
        predicting = [(subjects == observer) == (split == "one") for observer in observers]
    width = SIGMA * shape[1] if sigma is None else sigma
    scores = []
    for part in predicting:
        values, truth = blur_fixations(points[part], width, shape), points[~part]
        density = blur_fixations(truth, width, shape)
        scores.append((nss(values, truth), auc_judd(values, truth, jitter=jitter), cc(values, density)))
    return dict(zip(("nss", "auc_judd", "cc"), np.mean(scores, axis=0).tolist(), strict=True))
