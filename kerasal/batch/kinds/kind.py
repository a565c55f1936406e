"""What the kinds share: the model's identity, its outputs, its classes and their names."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal import hooks
from kerasal.batch.batch_job import Job
from kerasal.digests import digest_file
from kerasal.hooks.model_inputs import chunk_size
from kerasal.hooks.trace import cached_trace
from kerasal.hooks.view import Settings
from kerasal.labels import find, short
from kerasal.models.image_model import ImageModel
from kerasal.models.opener import open_model
from kerasal.names import read_key_values, unknown_name_message


@dataclasses.dataclass
class Ready:
    """A photograph as the model gets it: ``picture`` uint8 RGB, ``inputs`` (1, …), ``shown`` what it predicts from."""

    picture: np.ndarray
    inputs: np.ndarray
    shown: np.ndarray


class Kind:
    """A model, opened for one job: ``photograph -> ready -> rows, picture``.

    ``job`` is the given one with what opening it has found out; ``columns`` names what a row holds, with the types of
    Parquet. A row is a dictionary; an image has one, or as many as there are boxes in it.
    """

    columns: Mapping[str, str]

    def __init__(self, job: Job, opened: ImageModel, digest: str, **found: Any):
        self.opened = opened
        self.job = dataclasses.replace(job, model_sha=digest, **found)

    def prepare(self, photograph: np.ndarray) -> Any:
        """Bring a photograph to what is run."""
        raise NotImplementedError

    def fits(self, first: Any, other: Any) -> bool:
        """Tell whether two images can be run at once."""
        return first.inputs.shape == other.inputs.shape

    def at_once(self, ready: Any) -> int:
        """Return how many images like this one are run at once."""
        return chunk_size([ready.inputs])

    def run(self, ready: Sequence[Any]) -> list[list[dict[str, Any]]]:
        """Return the rows of each image."""
        raise NotImplementedError

    def draw(self, ready: Any, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Draw what was found in an image, uint8 RGB."""
        raise NotImplementedError


class Classified(Kind):
    """What the kinds for classifiers share: photographs as the model takes them, and its classes."""

    def __init__(self, job: Job):
        opened = open_model(
            job.model,
            preprocessing=job.preprocessing,
            labels=job.labels,
            weights=job.weights,
            options=read_key_values(job.net_options, "net_options", "batch_norm=True"),
            fit=job.fit,
            unsafe=job.unsafe,
        )
        if opened.untrained:
            raise ValueError(
                f"{job.model} has random weights, others in each process. Give it weights, or save it to a file first."
            )
        digest = digest_file(job.model) if job.of_file else hooks.digest_model(opened.keras_model)
        convention = opened.preprocessing.name if opened.preprocessing else None
        super().__init__(job, opened, digest, preprocessing=convention, labels=tuple(opened.labels))
        self.number = None if job.class_ is None else find(job.class_, opened.labels)

    def prepare(self, photograph: np.ndarray) -> Ready:
        """Bring a photograph to the model's size and preprocess it."""
        picture, inputs = self.opened.show(photograph)
        return Ready(picture, inputs, inputs)

    def outputs(self, ready: Sequence[Ready]) -> np.ndarray:
        """Return the model's output for images of one shape, (N, …)."""
        inputs = [np.concatenate([one.shown for one in ready])]
        settings = Settings(self.job.output, logits=False)
        return cached_trace(_predict, self.opened.keras_model, inputs, settings=settings)(inputs, [])[0]

    def classes(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return for each image the class that is meant, or the top one, with its name and score."""
        if outputs.ndim != 2 or outputs.shape[1] < 2:
            return [{"class": None, "label": None, "score": None} for _ in outputs]
        numbers = outputs.argmax(axis=1) if self.number is None else [self.number] * len(outputs)
        if self.number is not None and self.number >= outputs.shape[1]:
            raise ValueError(f"There are {outputs.shape[1]} classes, counted from 0. Received: {self.number}.")
        return [
            {"class": int(number), "label": self.name(number), "score": float(row[number])}
            for number, row in zip(numbers, outputs, strict=True)
        ]

    def name(self, number: int) -> str | None:
        """Return a class's name, if it has one."""
        return short(self.opened.labels, int(number)) if number < len(self.opened.labels) else None


def refuse_options(job: Job, known: Sequence[str]) -> None:
    """Refuse an option of the method that it has not.

    Raises:
        ValueError: the closest are listed.
    """
    for name in job.options:
        if name not in known:
            raise ValueError(unknown_name_message(name, known, "option", f" of {job.method}"))


def _predict(view):
    return [view.run(output=True).raw_output]
