"""Attribution maps: a row an image, with the class that the map is for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal import attribution, objectives
from kerasal.batch.batch_job import Job
from kerasal.batch.kinds.kind import Classified, Ready
from kerasal.labels import short

_FRAME = 256 / 224  # a method that cuts crops gets them out of 256 pixels, as the paper does


class Attribution(Classified):
    """Maps as ``kerasal.attribution`` makes them, pictures as ``kerasal attribute`` draws them."""

    columns: Mapping[str, str] = {
        "class": "int32",
        "label": "string",
        "score": "float32",
        "shape": "list<int32>",
        "map": "list<float32>",
    }

    def __init__(self, job: Job):
        self.spec = attribution.method_spec(job.method)
        if "progress" in job.options:
            raise ValueError("A batch has a progress bar of its own; leave the option progress out.")
        super().__init__(job)
        if job.options.get("return_gap"):
            self.columns = {**self.columns, "gap": "float32"}
        self.target = self.number if job.channel is None else objectives.channel(*job.channel)

    def prepare(self, photograph: np.ndarray) -> Ready:
        """Bring a photograph to the size that the method takes."""
        ready = super().prepare(photograph)
        if self.spec.any_size:
            ready.picture, ready.inputs = self.opened.show(photograph, scale=_FRAME)
        return ready

    def run(self, ready: Sequence[Ready]) -> list[list[dict[str, Any]]]:
        """Return a map for each image."""
        inputs = np.concatenate([one.inputs for one in ready])
        method = getattr(attribution, self.spec.name)
        found = method(
            self.opened.keras_model,
            inputs,
            self.target,
            output=self.job.output,
            logits=self.job.logits,
            **self.job.options,
        )
        maps, *more = found if isinstance(found, tuple) else (found,)
        rows = [{} for _ in ready] if self.job.channel else self.classes(self.outputs(ready))
        for row, values in zip(rows, maps, strict=True):
            row["shape"], row["map"] = np.int32(values.shape), np.asarray(values)
        for row, gap in zip(rows, more[0] if more else (), strict=False):
            row["gap"] = float(gap)
        return [[row] for row in rows]

    def draw(self, ready: Ready, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Lay out the photograph, the map, and the map on the photograph."""
        number = rows[0].get("class")
        name = short(self.opened.labels, number) if number is not None else "the output"
        if self.job.channel is not None:
            name = f"{self.job.channel[0]}:{self.job.channel[1]}"
        convention = self.opened.preprocessing
        return attribution.attribution_page(
            self.spec,
            ready.picture,
            rows[0]["map"],
            name,
            options=self.job.options,
            labels=self.opened.labels,
            note=self.opened.name,
            bgr=convention is not None and convention.bgr,
        )
