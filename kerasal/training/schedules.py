"""Learning rates and momenta as functions of the epoch (or the step), so that a resumed run needs to store none."""

import dataclasses
import math
from typing import Literal

Unit = Literal["epoch", "step"]


@dataclasses.dataclass(frozen=True)
class Constant:
    """The same ``value`` always."""

    value: float
    unit: Unit = "epoch"

    def __call__(self, position: int, total: int) -> float:
        """Return the value at ``position`` (from 0) of ``total``."""
        return self.value


@dataclasses.dataclass(frozen=True)
class StepFloor:
    """Multiply ``start`` by ``factor`` every ``every`` epochs (or steps), but never fall below ``floor``.

    ``StepFloor(0.03, 0.55, 100, 1e-4)`` is the coursework's: .03, .0165, .009075, ... .000138 in its last 100 of 1000
    epochs.
    """

    start: float
    factor: float
    every: int
    floor: float = 0.0
    unit: Unit = "epoch"

    def __call__(self, position: int, total: int) -> float:
        """Return the value at ``position`` (from 0); ``total`` changes nothing."""
        return max(self.floor, self.start * self.factor ** (position // self.every))


@dataclasses.dataclass(frozen=True)
class Linspace:
    """Go evenly from ``start`` to ``stop``, which the last epoch (or step) has: ``numpy.linspace`` over the run."""

    start: float
    stop: float
    unit: Unit = "epoch"

    def __call__(self, position: int, total: int) -> float:
        """Return the value at ``position`` (from 0) of ``total``."""
        return self.start + (self.stop - self.start) * position / max(1, total - 1)


@dataclasses.dataclass(frozen=True)
class Cosine:
    """Go from ``start`` down to 0 along half a cosine over the run (Loshchilov & Hutter 2016, without restarts)."""

    start: float
    unit: Unit = "epoch"

    def __call__(self, position: int, total: int) -> float:
        """Return the value at ``position`` (from 0) of ``total``."""
        return self.start * (1 + math.cos(math.pi * position / max(1, total))) / 2


Schedule = Constant | StepFloor | Linspace | Cosine


def depends_on_length(schedule: Schedule) -> bool:
    """Tell whether more epochs change the values of the first ones."""
    return isinstance(schedule, (Linspace, Cosine))
