"""What is computed, as it goes to a worker and into the manifest."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

FORMATS = ("parquet", "npz", "png")


@dataclasses.dataclass(frozen=True)
class Job:
    """One method of one model, with all that decides the results of an image.

    ``labels`` is what the user named, or the names themselves once they are known; ``model_sha`` is empty before, then
    the digest of the model's file, or of a zoo model itself.
    ``threads`` compute, on the CPU; None leaves that to TensorFlow.
    """

    method: str
    model: str
    format: str = "parquet"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    class_: str | None = None
    channel: tuple[str, int] | None = None
    logits: bool = True
    output: str | int | None = None
    fit: Literal["crop", "stretch"] = "crop"
    preprocessing: str | None = None
    labels: str | tuple[str, ...] | None = None
    weights: str | None = None
    net_options: tuple[str, ...] = ()
    unsafe: bool = False
    threads: int | None = 1
    shard_size: int = 32
    model_sha: str = ""

    @property
    def of_file(self) -> bool:
        """Whether the model is a file or a folder, which a job has by its absolute path, and none of the zoo's."""
        return os.path.isabs(self.model)

    def settings(self) -> dict[str, Any]:
        """Return everything that decides the results, as JSON holds it."""
        facts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del facts["unsafe"], facts["model_sha"]
        facts["class"] = facts.pop("class_")
        if isinstance(self.labels, tuple):
            digest = hashlib.sha256("\n".join(self.labels).encode()).hexdigest()
            facts["labels"] = {"count": len(self.labels), "sha256": digest} if self.labels else None
        if self.weights and os.path.exists(self.weights):
            facts["weights"] = pathlib.Path(self.weights).name
        name = pathlib.Path(self.model).name if self.of_file else self.model
        facts["model"] = {"name": name, "sha256" if self.of_file else "digest": self.model_sha}
        return json.loads(json.dumps(facts, default=_plain))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"An option of a batch is a number, a text or a list of these. Received: {value!r}.")
