"""The model's outputs: a row an image, with its top class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.batch.batch_job import Job
from kerasal.batch.kinds.kind import Classified, Ready, refuse_options

_TOP, _SIDE = 5, 240


class Prediction(Classified):
    """Outputs as the model gives them."""

    columns: Mapping[str, str] = {
        "class": "int32",
        "label": "string",
        "score": "float32",
        "shape": "list<int32>",
        "output": "list<float32>",
    }

    def __init__(self, job: Job):
        refuse_options(job, ())
        super().__init__(job)

    def run(self, ready: Sequence[Ready]) -> list[list[dict[str, Any]]]:
        """Return the output for each image."""
        outputs = self.outputs(ready)
        bad = ~np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)
        if bad.any():
            raise ValueError("The model's output has NaN or infinite values. Check its weights and the preprocessing.")
        rows = self.classes(outputs)
        return [
            [{**row, "shape": np.int32(values.shape), "output": values}]
            for row, values in zip(rows, outputs, strict=True)
        ]

    def draw(self, ready: Ready, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Write the top classes under the photograph."""
        from kerasal import images
        from kerasal.labels import short

        values = rows[0]["output"]
        if values.ndim != 1:
            raise ValueError(f"An output of shape {values.shape} has no picture: write parquet or npz.")
        order = np.argsort(-values, kind="stable")[:_TOP]
        text = ", ".join(f"{short(self.opened.labels, int(i))} {values[i]:.3g}" for i in order)
        scale = max(1.0, _SIDE / ready.picture.shape[1])
        size = tuple(round(scale * side) for side in ready.picture.shape[:2])
        return images.caption(images.resize(ready.picture, size), text)
