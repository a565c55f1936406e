"""The base classes of the kinds of batch jobs: they load the model and compute its digest, outputs and classes."""

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
class PreparedImage:
    """An image at the model's size: ``image`` (uint8 RGB), ``inputs`` of the method and ``model_inputs``, (1, …) each.

    ``inputs`` are larger than ``model_inputs`` for a method that takes crops.
    """

    image: np.ndarray
    inputs: np.ndarray
    model_inputs: np.ndarray


class Kind:
    """A model, loaded for a job, and the computation of its results: image -> prepared image -> rows, picture.

    Attributes:
        model: the loaded model.
        job: the job, completed with the digest, the preprocessing and the labels of the model.
        columns: the columns of a row, with their Parquet types. A row is a dictionary; an image has one row, or one per
            box.
    """

    columns: Mapping[str, str]

    def __init__(self, job: Job, model: ImageModel, digest: str, **fields: Any):
        self.model = model
        self.job = dataclasses.replace(job, model_digest=digest, **fields)

    def prepare(self, image: np.ndarray) -> Any:
        """Return an image, uint8 RGB (H, W, 3), in the form that ``run`` takes."""
        raise NotImplementedError

    def fits(self, first: Any, other: Any) -> bool:
        """Return whether two prepared images can be in the same batch."""
        return first.inputs.shape == other.inputs.shape

    def batch_size(self, prepared: Any) -> int:
        """Return the largest batch size for images of the shape of this one."""
        return chunk_size([prepared.inputs])

    def run(self, prepared: Sequence[Any]) -> list[list[dict[str, Any]]]:
        """Return the rows of each image."""
        raise NotImplementedError

    def draw(self, prepared: Any, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Return the picture of an image and its results, uint8 RGB."""
        raise NotImplementedError


class ClassifierKind(Kind):
    """The base class of the kinds for classifiers: image preparation, outputs and classes."""

    def __init__(self, job: Job):
        model = open_model(
            job.model,
            preprocessing=job.preprocessing,
            labels=job.labels,
            weights=job.weights,
            options=read_key_values(job.model_options, "model_options", "batch_norm=True"),
            fit=job.fit,
            unsafe=job.unsafe,
        )
        if model.untrained:
            raise ValueError(
                f"{job.model} must have trained weights, got random weights, which differ in each process. Set "
                "weights, or save the model to a file first."
            )
        digest = digest_file(job.model) if job.is_path else hooks.digest_model(model.keras_model)
        convention = model.preprocessing.name if model.preprocessing else None
        super().__init__(job, model, digest, preprocessing=convention, labels=tuple(model.labels))
        self.class_index = None if job.class_ is None else find(job.class_, model.labels)

    def prepare(self, image: np.ndarray) -> PreparedImage:
        """Resize an image to the model's size and preprocess it."""
        pixels, inputs = self.model.show(image)
        return PreparedImage(pixels, inputs, inputs)

    def compute_outputs(self, prepared: Sequence[PreparedImage]) -> np.ndarray:
        """Return the model's output (N, …) for images of the same shape."""
        inputs = [np.concatenate([item.model_inputs for item in prepared])]
        settings = Settings(self.job.output, logits=False)
        return cached_trace(_predict, self.model.keras_model, inputs, settings=settings)(inputs, [])[0]

    def class_rows(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return the index, label and score of the class of the job, or of the top class, for each image."""
        if outputs.ndim != 2 or outputs.shape[1] < 2:
            return [{"class": None, "label": None, "score": None} for _ in outputs]
        indices = outputs.argmax(axis=1) if self.class_index is None else [self.class_index] * len(outputs)
        if self.class_index is not None and self.class_index >= outputs.shape[1]:
            raise ValueError(f"class_ must be a class index in 0..{outputs.shape[1] - 1}, got {self.class_index}.")
        return [
            {"class": int(index), "label": self.label(index), "score": float(scores[index])}
            for index, scores in zip(indices, outputs, strict=True)
        ]

    def label(self, index: int) -> str | None:
        """Return the label of a class, or None if it has none."""
        return short(self.model.labels, int(index)) if index < len(self.model.labels) else None


def check_options(job: Job, known: Sequence[str]) -> None:
    """Check that the method of a job has all options of the job.

    Raises:
        ValueError: the method lacks an option; the error lists the closest names.
    """
    for name in job.options:
        if name not in known:
            raise ValueError(unknown_name_message(name, known, "option", f" of {job.method}"))


def _predict(view):
    return [view.run(output=True).raw_output]
