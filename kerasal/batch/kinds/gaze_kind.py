"""Where people will look: one map per image."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal import hooks, images
from kerasal.batch.batch_job import Job
from kerasal.batch.kinds.kind import Kind, refuse_options
from kerasal.checks import check_int
from kerasal.digests import digest_file
from kerasal.gaze import Predictor, overlay, predict_many
from kerasal.models.opener import open_model
from kerasal.names import read_key_values

_OPTIONS = ("postprocess", "size", "side")
_SIDE = 512


class Gaze(Kind):
    """Maps as ``kerasal gaze predict`` makes them, of photographs of at most ``side`` pixels (0: as they are)."""

    columns: Mapping[str, str] = {"shape": "list<int32>", "map": "list<float32>"}

    def __init__(self, job: Job):
        refuse_options(job, _OPTIONS)
        if job.class_ is not None or job.channel is not None:
            raise ValueError("A gaze net has no classes or channels to choose: leave --class and --channel out.")
        size, self.side = job.options.get("size"), job.options.get("side", _SIDE)
        check_int("side", self.side, 0)
        opened = open_model(
            job.model,
            weights=job.weights,
            options=read_key_values(job.net_options, "net_options", "batch_norm=True"),
            preprocessing=job.preprocessing,
            size=_read_size(size),
            unsafe=job.unsafe,
        )
        digest = digest_file(_file(job.model)) if job.of_file else hooks.digest_model(opened.keras_model)
        pixels = opened.preprocessing or "unit"
        super().__init__(job, opened, digest, preprocessing=pixels if isinstance(pixels, str) else pixels.name)
        self.predictor = Predictor.of(opened)
        self.postprocess = job.options.get("postprocess", self.predictor.postprocess)

    def prepare(self, photograph: np.ndarray) -> np.ndarray:
        """Make a large photograph smaller: the net looks at no more, and a map of each pixel fills the disk."""
        scale = self.side / max(photograph.shape[:2]) if self.side else 1
        if scale >= 1:
            return photograph
        height, width = (max(1, round(scale * side)) for side in photograph.shape[:2])
        return images.resize(photograph, (height, width))

    def fits(self, first: Any, other: Any) -> bool:
        return first.shape == other.shape

    def at_once(self, ready: np.ndarray) -> int:
        return 4

    def run(self, ready: Sequence[np.ndarray]) -> list[list[dict[str, Any]]]:
        predictions = predict_many(ready, self.predictor, postprocess=self.postprocess)
        return [[{"shape": np.array(one.map.shape, np.int32), "map": one.map}] for one in predictions]

    def draw(self, ready: np.ndarray, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Lay out the photograph, the map, and the map on the photograph."""
        values = rows[0]["map"]
        heat = images.heatmap(values - values.min(), signed=False)
        shown = ["photograph", "where people will look", "both"]
        return images.grid([ready, heat, overlay(ready, values)], shown, columns=3, note=self.opened.name, tile=320)


def _file(model: str) -> pathlib.Path:
    """Return the file that holds the weights: of a run that of its net."""
    run = pathlib.Path(model) / "run.json"
    if run.is_file():
        return run.parent / json.loads(run.read_text(encoding="utf-8"))["model_file"]
    return pathlib.Path(model)


def _read_size(size: Any) -> tuple[int, int] | None:
    """Return (height, width) from two numbers or a text such as 240x320."""
    sides = size.lower().split("x") if isinstance(size, str) else size
    if sides is None:
        return None
    if len(sides) != 2 or not all(str(side).isdecimal() and int(side) for side in sides):
        raise ValueError(f"size must be (height, width) or HEIGHTxWIDTH, two positive integers, got {size!r}.")
    return int(sides[0]), int(sides[1])
