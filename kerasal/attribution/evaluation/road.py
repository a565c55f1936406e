"""``road``: removal of positions that are filled in from their neighbors, so that the model sees no holes."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from kerasal.attribution.evaluation.curves import rank_positions
from kerasal.attribution.evaluation.metric import metric
from kerasal.checks import check_number


@metric(reference="Rong et al. 2022, section 4", better="higher")
def road(
    scorer,
    maps,
    *,
    shares: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8),
    noise: float = 0.01,
    seed: int = 0,
):
    """Half the difference between the score without the map's weakest and without its strongest positions.

    Removed positions are imputed: each is the weighted mean of its neighbors plus noise, so that a mask leaves no
    visible hole that would tell the class by its shape. The mean over several shares is returned, as in the combined
    score of the authors' and other implementations.

    Args:
        scorer: the model's scores of changed inputs.
        maps: float (N, *positions), where larger is stronger.
        shares: shares of the positions that are removed, each above 0 and below 1.
        noise: standard deviation of the noise, as a share of each input's standard deviation.
        seed: seed of the noise.

    Returns:
        An ``Evaluation`` of values from -.5 to .5 for probabilities; ``details["strongest"]`` and
        ``details["weakest"]`` are the scores without these, (N, len(shares)).

    Raises:
        ValueError: the inputs have no neighbors (features, tokens), an option is out of range, or the maps do not fit.
    """
    if not scorer.is_ordered:
        raise ValueError(
            f"inputs must have neighboring positions to fill in removed ones, got shape {scorer.inputs.shape}. Use "
            "deletion and insertion."
        )
    check_number("noise", noise, minimum=0)
    numbers = [check_number("shares", share, above=0, below=1) for share in np.atleast_1d(shares).tolist()]
    order, count = rank_positions(maps), maps[0].size

    def change(number: int, image: int) -> np.ndarray:
        removed_count = round(numbers[number // 2] * count)
        strongest = number % 2 == 0
        removed = order[image] < removed_count if strongest else order[image] >= count - removed_count
        random = np.random.default_rng([seed, image, number])
        return _impute(scorer.inputs[image], removed, scorer.channels, noise, random)

    scores = scorer.scores(2 * len(numbers), change)
    strongest, weakest = scores[::2].T, scores[1::2].T
    return (weakest - strongest).mean(axis=1) / 2, {"strongest": strongest, "weakest": weakest}


def _impute(values: np.ndarray, removed: np.ndarray, channels: int | None, noise: float, random) -> np.ndarray:
    """Return an input whose removed positions are imputed; ``channels`` is the axis in a batch."""
    array = values[..., None] if channels is None else np.moveaxis(values, channels - 1, -1)
    filled = impute(array.astype(np.float64), removed)
    filled[removed] += noise * values.std() * random.standard_normal((int(removed.sum()), array.shape[-1]))
    return filled[..., 0] if channels is None else np.moveaxis(filled, -1, channels - 1)


def impute(values: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Return values (*positions, channels) in which each removed position is the weighted mean of its neighbors.

    A neighbor that differs along k axes has the weight 1 / 2^(k - 1): 2 : 1 for direct and diagonal neighbors of a
    pixel. Neighbors outside of the input do not count. If everything is removed, the result is the mean of each
    channel.
    """
    sides, axes = removed.shape, removed.ndim
    if removed.all():
        return np.broadcast_to(values.mean(axis=tuple(range(axes))), values.shape).copy()
    places = np.argwhere(removed)
    number = np.full(sides, -1)
    number[removed] = np.arange(len(places))
    totals, right = np.zeros(len(places)), np.zeros((len(places), values.shape[-1]))
    rows, columns, weights = [], [], []
    for offset in np.ndindex(*[3] * axes):
        step = np.array(offset) - 1
        if not step.any():
            continue
        weight = 0.5 ** (np.count_nonzero(step) - 1)
        neighbors = places + step
        inside = np.flatnonzero(((neighbors >= 0) & (neighbors < sides)).all(axis=1))
        index = tuple(neighbors[inside].T)
        unknown = number[index] >= 0
        totals[inside] += weight
        known = inside[~unknown]
        right[known] += weight * values[tuple(neighbors[known].T)]
        rows.append(inside[unknown])
        columns.append(number[index][unknown])
        weights.append(np.full(int(unknown.sum()), -weight))
    own = np.arange(len(places))
    matrix = sparse.csc_matrix(
        (np.concatenate([*weights, totals]), (np.concatenate([*rows, own]), np.concatenate([*columns, own])))
    )
    result = values.copy()
    result[removed] = spsolve(matrix, right).reshape(right.shape)
    return result
