"""The outputs of a model by name, as objectives and functions of the user read them."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kerasal.names import unknown_name_message

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class ModelOutputs:
    """The outputs of a run of a model.

    Attributes:
        values: the outputs by name as targets read them: logits where logits are explained and known.
        returned: the outputs by name as the model returns them.
        kinds: "Softmax", "LogSoftmax" or "Sigmoid" by name for outputs that come from one; the key None is the selected
            output.
        probabilities: names of the outputs that are the softmax or sigmoid itself.
        logits: whether ``values`` are logits where the kind is known.
        turn: ``turn(name, tensor)`` returns an output with its channels last.
        positions: returns the sizes of the position axes of the model's first input, None where they are not known.
        model_name: name of the model, for errors.
    """

    values: Mapping[str, tf.Tensor] = dataclasses.field(default_factory=dict)
    returned: Mapping[str, tf.Tensor] = dataclasses.field(default_factory=dict)
    kinds: Mapping[str | None, str] = dataclasses.field(default_factory=dict)
    probabilities: Collection[str | None] = ()
    logits: bool = True
    turn: Callable[[str | None, tf.Tensor], tf.Tensor] = lambda name, tensor: tensor
    positions: Callable[[], tuple] = tuple
    model_name: str = "model"

    def key(self, name: str | int) -> str:
        """Return the name of an output; a ValueError lists the closest names."""
        names = list(self.returned)
        if isinstance(name, int) and 0 <= name < len(names):
            return names[name]
        if name not in self.returned:
            raise ValueError(unknown_name_message(str(name), names, "output", f" of {self.model_name!r}"))
        return str(name)

    def raw(self, name: str | int) -> tf.Tensor:
        """Return an output as the model returns it."""
        return self.returned[self.key(name)]

    def kind(self, name: str | int | None) -> str:
        """Return "Softmax", "LogSoftmax" or "Sigmoid" if an output comes from one, else ""."""
        return self.kinds.get(None if name is None else self.key(name), "")

    def are_probabilities(self, name: str | int | None) -> bool:
        """Return whether an output is a softmax or sigmoid itself, and not a logarithm or another function of it."""
        return (None if name is None else self.key(name)) in self.probabilities

    def call(self, reference: Any) -> Any:
        """Return a user's function of the outputs by name, as the model returns them."""
        return live_function(reference)(dict(self.returned))

    def image_size(self) -> tuple[int, int]:
        """Return (height, width) of the model's first input, which must be an image of a fixed size."""
        positions = self.positions()
        if len(positions) != 2 or None in positions:
            raise ValueError(
                "inputs must be images of a known size for a box, but the positions of the first input of "
                f"{self.model_name!r} are {positions}."
            )
        return positions[0], positions[1]


def live_function(reference: Any) -> Callable:
    """Return the function of a weak reference.

    Raises:
        RuntimeError: the function was garbage-collected.
    """
    function = reference()
    if function is None:
        raise RuntimeError(
            "The target function was garbage-collected. Keep a reference to it while the compiled method is used."
        )
    return function
