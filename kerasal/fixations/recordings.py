"""``Recording``: the fixations on an image with what a file knows of them: observer, order and duration."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Recording:
    """The fixations on an image as a file has them.

    Attributes:
        points: 0-based coordinates (x, y), float64 (n, 2), or a map of counts (H, W), which knows nothing else.
        subject: the number of the observer of each fixation, int (n,), or None if unknown.
        order: the position of each fixation in the sequence of its observer on this image, int (n,), as the file
            counts it, or None if unknown.
        duration_ms: the duration of each fixation in milliseconds, float (n,), NaN where it is missing, or None.
    """

    points: np.ndarray
    subject: np.ndarray | None = None
    order: np.ndarray | None = None
    duration_ms: np.ndarray | None = None
