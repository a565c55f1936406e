"""The minimum cut of a grid whose pixels are each drawn to the object or the background, and to their neighbours.

    E(mask) = Σ_p U_p(mask_p) + Σ_pq [mask_p ≠ mask_q] γ exp(-β‖z_p - z_q‖²) / dist(p, q)

p and q run over 8-connected neighbours, and β = 1 / (2 mean ‖z_p - z_q‖²).
"""

import cv2
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

GAMMA = 50.0
# Flows are whole numbers: costs are counted in hundredths.
_STEPS = 100
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


def cut_by_colour(picture: np.ndarray, foreground: np.ndarray, background: np.ndarray, labels: np.ndarray):
    """Return the cut for U = -log of the colour models' densities and γ = 50, by OpenCV: one, the models held fixed.

    ``labels`` are OpenCV's: GC_FGD and GC_BGD are kept, the rest is free.
    """
    found, _, _ = cv2.grabCut(
        picture, labels.copy(), None, background[None].copy(), foreground[None].copy(), 1, cv2.GC_EVAL_FREEZE_MODEL
    )
    return (found == cv2.GC_FGD) | (found == cv2.GC_PR_FGD)


def cut_by_evidence(picture: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Return the cut for any evidence U(background) - U(object), (H, W), by SciPy's maximum flow.

    OpenCV takes its U from colours alone; where that is all there is, both give the same mask.
    """
    count = evidence.size
    source, sink = count, count + 1
    one, other, weights = _edges(picture)
    evidence = evidence.ravel()
    drawn, repelled = np.flatnonzero(evidence > 0), np.flatnonzero(evidence < 0)
    rows = np.concatenate([one, other, np.full(drawn.size, source), repelled])
    columns = np.concatenate([other, one, drawn, np.full(repelled.size, sink)])
    values = np.concatenate([weights, weights, evidence[drawn], -evidence[repelled]])
    whole = np.round(np.minimum(values, 1e6) * _STEPS).astype(np.int32)
    capacities = csr_array((whole, (rows, columns)), shape=(count + 2, count + 2))
    left = capacities - maximum_flow(capacities, source, sink, method="dinic").flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    reached = np.zeros(count + 2, bool)
    reached[breadth_first_order(left, source, return_predecessors=False)] = True
    return reached[:count].reshape(picture.shape[:2])


def _edges(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return both ends and the weight of each pair of neighbours."""
    height, width = picture.shape[:2]
    numbers = np.arange(height * width, dtype=np.int32).reshape(height, width)
    colours = picture.astype(np.float64)
    ones, others, distances, lengths = [], [], [], []
    for down, right in _NEIGHBOURS:
        here = slice(0, height - down), slice(max(0, -right), width - max(0, right))
        there = slice(down, height), slice(max(0, right), width + min(0, right))
        ones.append(numbers[here].ravel())
        others.append(numbers[there].ravel())
        distances.append(((colours[here] - colours[there]) ** 2).sum(axis=-1).ravel())
        lengths.append(np.full(ones[-1].size, np.hypot(down, right)))
    distances = np.concatenate(distances)
    mean = distances.mean() if distances.size else 0.0
    beta = 1 / (2 * mean) if mean > 0 else 0.0
    weights = GAMMA * np.exp(-beta * distances) / np.concatenate(lengths)
    return np.concatenate(ones), np.concatenate(others), weights
