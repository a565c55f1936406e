"""What a batch makes of photographs with a classifier: its outputs, an attribution map, or boxes of its top classes."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal import attribution, images, objectives
from kerasal.batch.batch_job import Job
from kerasal.batch.kinds.kind import Classified, Ready, refuse_options
from kerasal.labels import short
from kerasal.localization import find_objects
from kerasal.localization.box_pictures import draw_localizations

_TOP, _SIDE = 5, 240
_CLASS = {"class": "int32", "label": "string", "score": "float32"}


class Prediction(Classified):
    """Outputs as the model gives them."""

    columns: Mapping[str, str] = {**_CLASS, "shape": "list<int32>", "output": "list<float32>"}

    def __init__(self, job: Job):
        refuse_options(job, ())
        super().__init__(job)

    def run(self, ready: Sequence[Ready]) -> list[list[dict[str, Any]]]:
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
        values = rows[0]["output"]
        if values.ndim != 1:
            raise ValueError(f"An output of shape {values.shape} has no picture: write parquet or npz.")
        order = np.argsort(-values, kind="stable")[:_TOP]
        text = ", ".join(f"{short(self.opened.labels, int(i))} {values[i]:.3g}" for i in order)
        scale = max(1.0, _SIDE / ready.picture.shape[1])
        height, width = (round(scale * side) for side in ready.picture.shape[:2])
        return images.caption(images.resize(ready.picture, (height, width)), text)


_FRAME = 256 / 224  # a method that cuts crops gets them out of 256 pixels, as the paper does


class Attribution(Classified):
    """Maps as ``kerasal.attribution`` makes them, pictures as ``kerasal attribute`` draws them."""

    columns: Mapping[str, str] = {**_CLASS, "shape": "list<int32>", "map": "list<float32>"}

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
        inputs = np.concatenate([one.inputs for one in ready])
        options = {"output": self.job.output, "logits": self.job.logits, **self.job.options}
        found = getattr(attribution, self.spec.name)(self.opened.keras_model, inputs, self.target, **options)
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


_EDGES = ("x_min", "y_min", "x_max", "y_max")


class Localization(Classified):
    """Boxes as ``kerasal.localization`` finds them, pictures as ``kerasal localize`` draws them."""

    columns: Mapping[str, str] = {**_CLASS, **dict.fromkeys(_EDGES, "int32")}

    def __init__(self, job: Job):
        if job.channel is not None:
            raise ValueError("A channel has no box: localize looks for classes.")
        super().__init__(job)

    def prepare(self, photograph: np.ndarray) -> np.ndarray:
        """Leave a photograph as it is, once the model is known to take one."""
        self.opened.show(photograph)
        return photograph

    def at_once(self, ready: np.ndarray) -> int:
        """Localize one image after the other."""
        return 1

    def run(self, ready: Sequence[np.ndarray]) -> list[list[dict[str, Any]]]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a map without any evidence: the whole image is the guess
            return [[self._row(one) for one in self._find(photograph)] for photograph in ready]

    def draw(self, ready: np.ndarray, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Lay out map, seeds, mask and box of each class."""
        found = [row["found"] for row in rows]
        names = [row["label"] or f"class {row['class']}" for row in rows]
        note = f"{self.job.options.get('recipe', 'tuned')} recipe, {self.opened.name}"
        return draw_localizations(ready, found, names, note)

    def _find(self, photograph: np.ndarray) -> list:
        classes = {} if self.number is None else {"classes": [self.number]}
        options = {"preprocessing": self.opened.preprocessing, "output": self.job.output, **self.job.options, **classes}
        return find_objects(self.opened.keras_model, photograph, **options)

    def _row(self, one) -> dict[str, Any]:
        sides = zip(_EDGES, one.box, strict=True)
        row = {"class": one.number, "label": self.name(one.number), "score": one.score}
        return {**row, **{name: int(side) for name, side in sides}, "found": one}
