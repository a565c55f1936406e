"""The settings of a run of a model, and its results."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kerasal.objectives.model_outputs import ModelOutputs

import tensorflow as tf


def output_key(name: str | None) -> str:
    """Return the key of an output with a name among the names of layers in a ``Layout``."""
    return f"output {name}"


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options of a run besides the target.

    ``output`` is the name or index of the output to explain, and ``logits`` selects the input of its softmax or
    sigmoid. ``names`` are the names of the inputs if the user passed a dictionary. ``any_size`` allows images of
    another size than the model declares; layers that need the declared size may then fail silently.
    """

    output: str | int | None = None
    logits: bool = True
    names: tuple[str, ...] | None = None
    any_size: bool = False

    def for_inputs(self, inputs: Any) -> "Settings":
        """Return these settings with the names of the inputs, if the inputs are a dictionary."""
        return dataclasses.replace(self, names=tuple(inputs) if isinstance(inputs, Mapping) else None)


@dataclasses.dataclass(frozen=True)
class Run:
    """The results of running a model on a batch of images.

    ``output`` is the selected output or its logits; None if it was not requested. ``raw_output`` is that output before
    logits are taken, if known. ``ranking`` is whichever of the two decides the top class. ``layers`` are the outputs of
    the tapped layers by name, and ``rows`` is the number of images. ``outputs`` are all outputs by name, for a target
    that reads them.
    """

    output: tf.Tensor | None
    layers: dict[str, tf.Tensor]
    rows: tf.Tensor
    raw_output: tf.Tensor | None = None
    ranking: tf.Tensor | None = None
    outputs: ModelOutputs = dataclasses.field(default_factory=ModelOutputs)
