"""The description of a batch that is sent to the workers and recorded in the manifest."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

FORMATS = ("parquet", "npz", "png")
_KEYS = {"model_options": "net_options"}  # keys of the manifest that differ from the names of the fields


@dataclasses.dataclass(frozen=True)
class Job:
    """A method, a model and everything else that determines the results of an image.

    Attributes:
        method: a name in ``kerasal.batch.methods()``.
        model: the absolute path of a model file or folder, or the name of a zoo model.
        format: ``"parquet"``, ``"npz"`` or ``"png"``.
        options: the options of the method.
        smoothing: the arguments of ``attribution.smooth``, such as ``{"samples": 25}``; None calls the method once.
        class_: the class to explain or locate, by name or index; None for the top classes.
        channel: (layer, index) of a channel to explain instead of a class.
        logits: explain logits rather than probabilities.
        output: the model output to use, of several.
        fit: ``"crop"`` images to the model's aspect ratio, or ``"stretch"`` them.
        preprocessing: the preprocessing of the model, by name.
        labels: the source of the class names; the names themselves once the model is loaded.
        weights: the weights of a zoo model.
        model_options: options of a zoo model, each ``KEY=VALUE``.
        unsafe: load model files that contain code.
        threads: the number of CPU threads per process; None leaves the choice to TensorFlow.
        shard_size: the number of images per shard.
        model_digest: the digest of the model's file, or of the weights of a zoo model; empty until the model is loaded.
    """

    method: str
    model: str
    format: str = "parquet"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    smoothing: Mapping[str, Any] | None = None
    class_: str | None = None
    channel: tuple[str, int] | None = None
    logits: bool = True
    output: str | int | None = None
    fit: Literal["crop", "stretch"] = "crop"
    preprocessing: str | None = None
    labels: str | tuple[str, ...] | None = None
    weights: str | None = None
    model_options: tuple[str, ...] = ()
    unsafe: bool = False
    threads: int | None = 1
    shard_size: int = 32
    model_digest: str = ""

    @property
    def is_path(self) -> bool:
        """Whether the model is a file or a folder rather than a zoo model."""
        return os.path.isabs(self.model)

    def settings(self) -> dict[str, Any]:
        """Return everything that determines the results, as JSON values for the manifest."""
        facts = {_KEYS.get(field.name, field.name): getattr(self, field.name) for field in dataclasses.fields(self)}
        del facts["unsafe"], facts["model_digest"]
        if self.smoothing is None:  # as in the manifests of earlier versions, so that their batches continue
            del facts["smoothing"]
        facts["class"] = facts.pop("class_")
        if isinstance(self.labels, tuple):
            digest = hashlib.sha256("\n".join(self.labels).encode()).hexdigest()
            facts["labels"] = {"count": len(self.labels), "sha256": digest} if self.labels else None
        if self.weights and os.path.isfile(self.weights):
            facts["weights"] = pathlib.Path(self.weights).name
        name = pathlib.Path(self.model).name if self.is_path else self.model
        facts["model"] = {"name": name, "sha256" if self.is_path else "digest": self.model_digest}
        return json.loads(json.dumps(facts, default=_to_list))


def _to_list(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"An option of a batch must be a number, a string or a list of these, got {value!r}.")
