"""What ``maximize`` returns."""

import dataclasses

import numpy as np
import pandas as pd

from kerasal.objectives.expression import Objective


@dataclasses.dataclass(frozen=True, eq=False)
class Maximization:
    """What ``maximize`` found.

    Attributes:
        images: uint8 (N, H, W, 3), made to be looked at.
        raw: float32 (N, H, W, C), the model inputs themselves.
        history: a row for each image and step: ``objective`` (its description), ``step``, ``score`` before that step,
            seen through the transforms if there are any; the last row of each image has the final score. With several
            copies of an objective, also ``copy``.
        dead: positions of the images whose gradient was zero at every step, so that nothing was learnt of them; ``raw``
            still holds their start.
        objectives: the objective of each image; copies stand one after the other.
    """

    images: np.ndarray
    raw: np.ndarray
    history: pd.DataFrame
    dead: list[int]
    objectives: list[Objective]

    def __repr__(self):
        count, height, width = self.images.shape[:3]
        final = self.history.loc[self.history["step"] == self.history["step"].max(), "score"]
        return (
            f"Maximization({count} image{'s' * (count != 1)} of {height} × {width}, "
            f"{self.history['step'].max()} steps, scores {final.min():.3g} to {final.max():.3g}, {len(self.dead)} dead)"
        )


def tell_history(objectives: list[Objective], scores: np.ndarray, copies: int) -> pd.DataFrame:
    """Return the table of ``scores`` (N, steps + 1), a row for each image and step."""
    count = scores.shape[1]
    table = pd.DataFrame(
        {
            "objective": np.repeat([objective.description for objective in objectives], count),
            "step": np.tile(np.arange(count), len(objectives)),
            "score": scores.ravel(),
        }
    )
    if copies > 1:
        table.insert(1, "copy", np.repeat(np.arange(len(objectives)) % copies, count))
    return table
