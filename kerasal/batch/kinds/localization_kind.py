"""Boxes of the top classes: as many rows an image as there are classes asked for."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.batch.batch_job import Job
from kerasal.batch.kinds.kind import Classified
from kerasal.localization import find_objects
from kerasal.localization.box_pictures import figure


class Localization(Classified):
    """Boxes as ``kerasal.localization`` finds them, pictures as ``kerasal localize`` draws them."""

    columns: Mapping[str, str] = {
        "class": "int32",
        "label": "string",
        "score": "float32",
        **{name: "int32" for name in ("x_min", "y_min", "x_max", "y_max")},
    }

    def __init__(self, job: Job):
        if job.channel is not None:
            raise ValueError("A channel has no box: localize looks for classes.")
        super().__init__(job)

    def prepare(self, photograph: np.ndarray) -> np.ndarray:
        """Leave a photograph as it is, once the model is known to take one."""
        self.opened.show(photograph)
        return photograph

    def fits(self, first: Any, other: Any) -> bool:
        """Localise one image after the other."""
        return False

    def at_once(self, ready: np.ndarray) -> int:
        """Localise one image after the other."""
        return 1

    def run(self, ready: Sequence[np.ndarray]) -> list[list[dict[str, Any]]]:
        """Return a row for each class."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a map without any evidence: the whole image is the guess
            return [[self._row(one) for one in self._find(photograph)] for photograph in ready]

    def draw(self, ready: np.ndarray, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Lay out map, seeds, mask and box of each class."""
        found = [row["found"] for row in rows]
        names = [row["label"] or f"class {row['class']}" for row in rows]
        return figure(ready, found, names, f"{self.job.options.get('recipe', 'tuned')} recipe, {self.opened.name}")

    def _find(self, photograph: np.ndarray) -> list:
        classes = {} if self.number is None else {"classes": [self.number]}
        return find_objects(
            self.opened.keras_model,
            photograph,
            preprocessing=self.opened.preprocessing,
            output=self.job.output,
            **{**self.job.options, **classes},
        )

    def _row(self, one) -> dict[str, Any]:
        sides = zip(("x_min", "y_min", "x_max", "y_max"), one.box, strict=True)
        row = {"class": one.number, "label": self.name(one.number), "score": one.score}
        return {**row, **{name: int(side) for name, side in sides}, "found": one}
