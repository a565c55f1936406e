"""The regions and boxes that an objective asks about, to be drawn over the image."""

from typing import Any

import numpy as np

from kerasal.objectives.expression import Objective, walk
from kerasal.objectives.formulas import parameter_count


def target_areas(target: Any, size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Return the areas that a target asks about in the first image, each once; empty for targets without any.

    Args:
        target: a target of attribution; only an ``Objective`` can have areas.
        size: (height, width) of the model's input, in whose pixels boxes are.

    Returns:
        Masks (h, w), bool, with the positions of the model's output, and boxes (x_min, y_min, x_max, y_max) in shares
        of the image; see ``images.outline``. Regions of signals and volumes are left out.
    """
    if not isinstance(target, Objective):
        return ()
    areas: list[np.ndarray] = []
    start = 0
    for kind, *_ in walk(target.structure):
        stop = start + parameter_count(kind)
        parameters, start = target.parameters[start:stop], stop
        area = None
        if kind == "region" and parameters[1].ndim == 3:
            area = parameters[1][0] > 0
        elif kind == "box":
            height, width = size
            area = parameters[1][0] / np.array([width, height, width, height], np.float32)
        if area is not None and not any(np.array_equal(area, known) for known in areas):
            areas.append(area)
    return tuple(areas)
