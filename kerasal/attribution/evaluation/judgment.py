"""``Evaluation``: the values of a metric beside those of maps without knowledge of the model, and a verdict."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kerasal.metrics import summarize

FEWEST_IMAGES = 10
"""The number of images below which no verdict is given, because a bootstrap of so few is too narrow."""

_RESAMPLES = 10_000


def known_mean(values: Any, axis: int = 0) -> Any:
    """Return the mean of the finite values along an axis, NaN where there are none."""
    array = np.asarray(values, float)
    known = np.isfinite(array)
    count = known.sum(axis=axis)
    total = np.where(known, array, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)[()]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The values of a metric for maps of images, and for control maps of the same images.

    Attributes:
        metric: name of the metric.
        better: "higher" or "lower"; "" for a property of maps that is neither good nor bad.
        values: value of each image, float64 (N,); NaN where the metric is not defined.
        controls: the values of the control maps by name, "random", "center" and "edges", each (N,); those of "random"
            are means over several random maps per image.
        reference: the name of the control with which ``verdict`` compares.
        details: further results of some metrics, such as the curve of ``deletion``.
    """

    metric: str
    better: str
    values: np.ndarray
    controls: Mapping[str, np.ndarray]
    reference: str = "random"
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def mean(self) -> float:
        """The mean over the images, without those where the metric is not defined."""
        return float(known_mean(self.values))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % bootstrap interval of the mean over images."""
        row = summarize(pd.DataFrame({"": self.values}), resamples=_RESAMPLES).iloc[0]
        return float(row["low"]), float(row["high"])

    @property
    def verdict(self) -> str:
        """The verdict against the control ``reference``; see ``verdict_against``."""
        return self.verdict_against(self.reference)

    def advantage(self, control: str = "random", *, confidence: float = 0.95) -> tuple[float, float, float]:
        """Return by how much the maps are better than a control: the mean, and its bootstrap interval over images.

        The differences are paired by image and positive where the map is better, also if lower values are better.

        Raises:
            ValueError: there is no such control, or the metric has no better direction.
        """
        if not self.better:
            raise ValueError(
                f"metric must have a better direction, but {self.metric} describes maps without judging them."
            )
        if control not in self.controls:
            raise ValueError(f"control must be one of {', '.join(self.controls) or '(none)'}, got {control!r}.")
        sign = 1 if self.better == "higher" else -1
        differences = sign * (self.values - self.controls[control])
        row = summarize(pd.DataFrame({"": differences}), resamples=_RESAMPLES, confidence=confidence).iloc[0]
        return float(row["mean"]), float(row["low"]), float(row["high"])

    def verdict_against(self, control: str, *, confidence: float = 0.95) -> str:
        """Return "better than …", "worse than …" or "not distinguishable from …" a control.

        The verdict follows from the interval of the paired differences: "better" only if all of it is above 0. It is
        "too few images (n)" for fewer than 10 images, and "" without such a control or without a better direction.
        """
        if not self.better or control not in self.controls:
            return ""
        count = int(np.isfinite(self.values - self.controls[control]).sum())
        if count < FEWEST_IMAGES:
            return f"too few images ({count})"
        _, low, high = self.advantage(control, confidence=confidence)
        if low > 0:
            return f"better than {control}"
        return f"worse than {control}" if high < 0 else f"not distinguishable from {control}"

    def table(self) -> pd.DataFrame:
        """Return a row for the maps and one per control.

        The columns are ``mean``, ``low`` and ``high`` (the 95 % interval), ``images`` (where the metric is defined),
        and for a metric with a better direction ``advantage``, ``advantage_low``, ``advantage_high`` and ``verdict``
        of the maps over that control.
        """
        rows = summarize(pd.DataFrame({"map": self.values, **self.controls}), resamples=_RESAMPLES)
        table = pd.DataFrame(rows, columns=["mean", "low", "high", "images"])
        if self.better:
            for control in self.controls:
                columns = ["advantage", "advantage_low", "advantage_high"]
                table.loc[control, columns] = self.advantage(control)
                table.loc[control, "verdict"] = self.verdict_against(control)
        table.index.name = self.metric
        return table

    def __repr__(self) -> str:
        low, high = self.interval
        text = f"{self.metric} {self.mean:.3f} [{low:.3f}, {high:.3f}]"
        text += f" ({self.better} is better)" if self.better else ""
        for name, values in self.controls.items():
            text += f", {name} {known_mean(values):.3f}"
        return f"<{text}{': ' + self.verdict if self.verdict else ''}>"
