"""The description of a registered model: its facts and its trained weights."""

import dataclasses
import importlib
import inspect
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from kerasal.digests import digest_file


@dataclasses.dataclass(frozen=True)
class Weights:
    """Trained weights of a model.

    Either a bundled file with its SHA-256, or, without a file, a name that is passed on to the function that builds the
    model, which may download the weights.

    Attributes:
        description: what the weights were trained on, and where they come from.
        file: the file, which is installed with kerasal or with a package that kerasal requires.
        sha256: the SHA-256 of the file, which is checked before the file is read.
        package: the name under which the package with the file is installed, if it is not kerasal.
        read: returns the arrays of a file of another format by ``layer/weight``.
        labels: class names in the order of the outputs, if they are those of these weights rather than of the model.
        options: the options of the model that has these weights, in place of the defaults.
    """

    description: str
    file: pathlib.Path | None = None
    sha256: str | None = None
    package: str = "kerasal"
    read: Callable[[pathlib.Path], Mapping[str, Any]] | None = None
    labels: tuple[str, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def verify(self, what: str) -> None:
        """Raise a ValueError that begins with ``what`` if the file is missing or differs from its SHA-256."""
        remedy = f"Install {self.package} again."
        if self.file is None or not self.file.is_file():
            raise ValueError(f"{what} are missing: there is no file {self.file}. {remedy}")
        if (digest := digest_file(self.file)) != self.sha256:
            raise ValueError(
                f"{what} are damaged: {self.file} must have the SHA-256 {self.sha256}, got {digest}. {remedy}"
            )


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """The description of a registered model, available without building it.

    Attributes:
        name: the name of the model.
        build: the function that builds it.
        preprocessing: how pixels become its inputs.
        task: ``"classification"``, ``"gaze"``, …
        input_shape: (H, W, C); for a model of any size, the size at which it is best.
        parameters: the number of weights with the default options.
        reference: the publication or source.
        weights: names of trained weights -> ``Weights``.
        recipe: the arguments of ``kerasal.training.train`` that a training uses by default, and their ``data``.
        labels: the name of its class names, see ``kerasal.labels.load``, or None; weights can have labels of their own.
        identify: returns the options to which the array shapes of a weights file belong, or None.
    """

    name: str
    build: Callable[..., Any]
    preprocessing: str
    task: str
    input_shape: tuple[int | None, ...]
    parameters: int
    reference: str
    weights: Mapping[str, Weights] = dataclasses.field(default_factory=dict)
    recipe: Mapping[str, Any] | None = None
    labels: str | None = None
    identify: Callable[[list[tuple[int, ...]]], str | None] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options of ``create_model`` and their defaults."""
        parameters = inspect.signature(self.build).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters if parameter.name != "weights"}

    @property
    def card(self) -> str:
        """The model card: the docstring of the file that defines the model."""
        return inspect.getdoc(importlib.import_module(self.build.__module__)) or ""
