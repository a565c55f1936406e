"""The kinds of batch jobs for classifiers: model outputs, attribution maps, and boxes of classes."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal import attribution, images, objectives
from kerasal.attribution.smooth import smooth
from kerasal.batch.batch_job import Job
from kerasal.batch.kinds.kind import ClassifierKind, PreparedImage, check_options
from kerasal.labels import format_score, short
from kerasal.localization import find_objects
from kerasal.localization.box_pictures import draw_localizations

_TOP, _SIDE = 5, 240
_CLASS = {"class": "int32", "label": "string", "score": "float32"}


class Prediction(ClassifierKind):
    """A job that computes the outputs of the model."""

    columns: Mapping[str, str] = {**_CLASS, "shape": "list<int32>", "output": "list<float32>"}

    def __init__(self, job: Job):
        check_options(job, ())
        super().__init__(job)

    def run(self, prepared: Sequence[PreparedImage]) -> list[list[dict[str, Any]]]:
        outputs = self.compute_outputs(prepared)
        bad = ~np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)
        if bad.any():
            raise ValueError(
                "The model's output must be finite, got NaN or infinite values. Check its weights and preprocessing."
            )
        rows = self.class_rows(outputs)
        return [
            [{**row, "shape": np.int32(values.shape), "output": values}]
            for row, values in zip(rows, outputs, strict=True)
        ]

    def draw(self, prepared: PreparedImage, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Return the image with the names and scores of its top classes below."""
        values = rows[0]["output"]
        if values.ndim != 1:
            raise ValueError(
                f"The output per image must have shape (classes,) for png, got {values.shape}. Use parquet or npz."
            )
        order = np.argsort(-values, kind="stable")[:_TOP]
        text = ", ".join(f"{short(self.model.labels, int(i))} {format_score(float(values[i]))}" for i in order)
        scale = max(1.0, _SIDE / prepared.image.shape[1])
        height, width = (round(scale * side) for side in prepared.image.shape[:2])
        return images.caption(images.resize(prepared.image, (height, width)), text)


_CROPS_SCALE = 256 / 224  # the paper takes crops of 224 pixels from images of 256 pixels


class Attribution(ClassifierKind):
    """A job that computes attribution maps by one method; the pictures are those of ``kerasal attribute``."""

    columns: Mapping[str, str] = {**_CLASS, "shape": "list<int32>", "map": "list<float32>"}

    def __init__(self, job: Job):
        self.spec = attribution.method_spec(job.method)
        if "progress" in job.options:
            raise ValueError("options must not include progress. Use the argument progress of batch.run.")
        if "progress" in (job.smoothing or ()):
            raise ValueError("smoothing must not include progress. Use the argument progress of batch.run.")
        smoothing = job.smoothing
        self.method = getattr(attribution, self.spec.name) if smoothing is None else smooth(job.method, **smoothing)
        super().__init__(job)
        self.extra = self.spec.extra_name(job.options)
        if self.extra is not None:
            self.columns = {**self.columns, self.extra: "float32"}
        self.target = self.class_index if job.channel is None else objectives.channel(*job.channel)

    def prepare(self, image: np.ndarray) -> PreparedImage:
        """Resize an image to the size that the method takes and preprocess it."""
        prepared = super().prepare(image)
        if self.spec.any_size:
            prepared.image, prepared.inputs = self.model.show(image, scale=_CROPS_SCALE)
        return prepared

    def run(self, prepared: Sequence[PreparedImage]) -> list[list[dict[str, Any]]]:
        inputs = np.concatenate([item.inputs for item in prepared])
        options = {"output": self.job.output, "logits": self.job.logits, **self.job.options}
        result = self.method(self.model.keras_model, inputs, self.target, **options)
        maps, *extras = result if isinstance(result, tuple) else (result,)
        rows = [{} for _ in prepared] if self.job.channel else self.class_rows(self.compute_outputs(prepared))
        for row, values in zip(rows, maps, strict=True):
            row["shape"], row["map"] = np.int32(values.shape), np.asarray(values)
        for row, value in zip(rows, extras[0] if extras else (), strict=False):
            row[str(self.extra)] = float(value)
        return [[row] for row in rows]

    def draw(self, prepared: PreparedImage, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Return the image, its map, and the map over the image side by side."""
        index = rows[0].get("class")
        name = short(self.model.labels, index) if index is not None else "the output"
        if self.job.channel is not None:
            name = f"{self.job.channel[0]}:{self.job.channel[1]}"
        convention, smoothed = self.model.preprocessing, ", smoothed over noisy copies"
        return attribution.attribution_page(
            self.spec,
            prepared.image,
            rows[0]["map"],
            name,
            options=self.job.options,
            labels=self.model.labels,
            note=self.model.name + (smoothed if self.job.smoothing is not None else ""),
            bgr=convention is not None and convention.bgr,
            score=rows[0].get("score"),
        )


_EDGES = ("x_min", "y_min", "x_max", "y_max")


class Localization(ClassifierKind):
    """A job that computes the boxes of classes; the pictures are those of ``kerasal localize``."""

    columns: Mapping[str, str] = {**_CLASS, **dict.fromkeys(_EDGES, "int32")}

    def __init__(self, job: Job):
        if job.channel is not None:
            raise ValueError(f"channel must be None for localize, which finds classes, got {job.channel!r}.")
        super().__init__(job)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Return the image itself, after a check that the model takes images."""
        self.model.show(image)
        return image

    def batch_size(self, prepared: np.ndarray) -> int:
        """Return 1: images are localized separately."""
        return 1

    def run(self, prepared: Sequence[np.ndarray]) -> list[list[dict[str, Any]]]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a map that is zero, for which the box is the whole image
            return [[self._row(item) for item in self._localize(image)] for image in prepared]

    def draw(self, prepared: np.ndarray, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Return a picture of the map, the seeds, the mask and the box of each class."""
        localizations = [row["localization"] for row in rows]
        names = [row["label"] or f"class {row['class']}" for row in rows]
        note = f"{self.job.options.get('recipe', 'tuned')} recipe, {self.model.name}"
        return draw_localizations(prepared, localizations, names, note)

    def _localize(self, image: np.ndarray) -> list:
        classes = {} if self.class_index is None else {"classes": [self.class_index]}
        options = {"preprocessing": self.model.preprocessing, "output": self.job.output, **self.job.options, **classes}
        return find_objects(self.model.keras_model, image, **options)

    def _row(self, localization) -> dict[str, Any]:
        edges = zip(_EDGES, localization.box, strict=True)
        row = {
            "class": localization.class_index,
            "label": self.label(localization.class_index),
            "score": localization.score,
        }
        return {**row, **{name: int(edge) for name, edge in edges}, "localization": localization}
