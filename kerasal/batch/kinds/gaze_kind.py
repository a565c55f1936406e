"""The kind of batch jobs for gaze models: a map per image of where people are predicted to look."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal import hooks, images
from kerasal.batch.batch_job import Job
from kerasal.batch.kinds.kind import Kind, check_options
from kerasal.checks import check_int
from kerasal.digests import digest_file
from kerasal.gaze import Predictor, overlay
from kerasal.gaze.gaze_prediction import finish_prediction
from kerasal.models.opener import open_model
from kerasal.names import read_key_values

_OPTIONS = ("postprocess", "size", "side")
_SIDE = 512


class Gaze(Kind):
    """A job that computes the maps of ``kerasal.gaze.predict``.

    The option ``side`` limits the longer side of maps in pixels, 512 by default; 0 gives them the size of the image.
    """

    columns: Mapping[str, str] = {"shape": "list<int32>", "map": "list<float32>"}

    def __init__(self, job: Job):
        check_options(job, _OPTIONS)
        if job.class_ is not None or job.channel is not None:
            raise ValueError(
                f"class_ and channel must be None for a gaze model, got {job.class_!r} and {job.channel!r}."
            )
        size, self.side = job.options.get("size"), job.options.get("side", _SIDE)
        check_int("side", self.side, 0)
        model = open_model(
            job.model,
            weights=job.weights,
            options=read_key_values(job.model_options, "model_options", "batch_norm=True"),
            preprocessing=job.preprocessing,
            size=_read_size(size),
            unsafe=job.unsafe,
        )
        digest = digest_file(_weights_file(job.model)) if job.is_path else hooks.digest_model(model.keras_model)
        convention = model.preprocessing or "unit"
        super().__init__(
            job, model, digest, preprocessing=convention if isinstance(convention, str) else convention.name
        )
        self.predictor = Predictor.from_image_model(model)
        self.postprocess = job.options.get("postprocess", self.predictor.postprocess)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return image

    def _map_shape(self, image: np.ndarray) -> tuple[int, int]:
        """Return the (height, width) of the map of an image: its own, or smaller by ``side``."""
        height, width = image.shape[:2]
        scale = min(1, self.side / max(height, width)) if self.side else 1
        return max(1, round(scale * height)), max(1, round(scale * width))

    def fits(self, first: Any, other: Any) -> bool:
        return first.shape == other.shape

    def batch_size(self, prepared: np.ndarray) -> int:
        return 4

    def run(self, prepared: Sequence[np.ndarray]) -> list[list[dict[str, Any]]]:
        predictions = [
            finish_prediction(self.predictor, raw, self._map_shape(image), self.postprocess)
            for image, raw in zip(prepared, self.predictor.raw(prepared), strict=True)
        ]
        return [[{"shape": np.array(item.map.shape, np.int32), "map": item.map}] for item in predictions]

    def draw(self, prepared: np.ndarray, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Return the image, its map, and the map over the image side by side."""
        values = rows[0]["map"]
        heat = images.heatmap(values - values.min(), signed=False)
        headings = ["photo", "predicted gaze", "prediction over the photo"]
        photo = images.resize(prepared, values.shape)
        pictures, legend = [photo, heat, overlay(photo, values)], [("heat", "hardly looked at", "looked at most")]
        return images.grid(
            pictures,
            columns=3,
            column_labels=headings,
            title="Where people will look",
            note=f"Predicted by {self.model.name}.",
            legend=legend,
            tile=320,
        )


def _weights_file(model: str) -> pathlib.Path:
    """Return the file with the weights: the model file itself, or that of a training run."""
    run = pathlib.Path(model) / "run.json"
    if run.is_file():
        return run.parent / json.loads(run.read_text(encoding="utf-8"))["model_file"]
    return pathlib.Path(model)


def _read_size(size: Any) -> tuple[int, int] | None:
    """Return (height, width) of two integers or of a string such as 240x320."""
    sides = size.lower().split("x") if isinstance(size, str) else size
    if sides is None:
        return None
    if len(sides) != 2 or not all(str(side).isdecimal() and int(side) for side in sides):
        raise ValueError(f"size must be (height, width) or HEIGHTxWIDTH, two positive integers, got {size!r}.")
    return int(sides[0]), int(sides[1])
