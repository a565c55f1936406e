"""How weights are stepped: rates and momenta as functions of the epoch or step, and descent in PyTorch's arithmetic."""

import dataclasses
import math
from typing import Any, Literal

from kerasal.checks import check_number

import keras
import tensorflow as tf

Unit = Literal["epoch", "step"]


@dataclasses.dataclass(frozen=True)
class Constant:
    """The same ``value`` always."""

    value: float
    unit: Unit = "epoch"

    def __call__(self, position: int, total: int) -> float:
        """Return the value at ``position`` (from 0) of ``total``."""
        return self.value


@dataclasses.dataclass(frozen=True)
class StepFloor:
    """Multiply ``start`` by ``factor`` every ``every`` epochs (or steps), but never fall below ``floor``.

    ``StepFloor(0.03, 0.55, 100, 1e-4)`` is the coursework's: .03, .0165, .009075, ... .000138 in its last 100 of 1000
    epochs.
    """

    start: float
    factor: float
    every: int
    floor: float = 0.0
    unit: Unit = "epoch"

    def __call__(self, position: int, total: int) -> float:
        """Return the value at ``position`` (from 0); ``total`` changes nothing."""
        return max(self.floor, self.start * self.factor ** (position // self.every))


@dataclasses.dataclass(frozen=True)
class Linspace:
    """Go evenly from ``start`` to ``stop``, which the last epoch (or step) has: ``numpy.linspace`` over the run."""

    start: float
    stop: float
    unit: Unit = "epoch"

    def __call__(self, position: int, total: int) -> float:
        """Return the value at ``position`` (from 0) of ``total``."""
        return self.start + (self.stop - self.start) * position / max(1, total - 1)


@dataclasses.dataclass(frozen=True)
class Cosine:
    """Go from ``start`` down to 0 along half a cosine over the run (Loshchilov & Hutter 2016, without restarts)."""

    start: float
    unit: Unit = "epoch"

    def __call__(self, position: int, total: int) -> float:
        """Return the value at ``position`` (from 0) of ``total``."""
        return self.start * (1 + math.cos(math.pi * position / max(1, total))) / 2


Schedule = Constant | StepFloor | Linspace | Cosine


def depends_on_length(schedule: Schedule) -> bool:
    """Tell whether more epochs change the values of the first ones."""
    return isinstance(schedule, (Linspace, Cosine))


@keras.saving.register_keras_serializable(package="kerasal")
class TorchSGD(keras.optimizers.Optimizer):
    """Descend as ``torch.optim.SGD`` does: coupled weight decay, and a momentum that does not hold the rate.

    For every parameter ``w``, biases included, with gradient ``g``, rate ``r``, momentum ``m`` and decay ``d``::

        g = g + d w;   v = m v + g;   w = w - r (g + m v)   (Nesterov)   or   w = w - r v

    ``keras.optimizers.SGD`` differs twice: its ``weight_decay`` is decoupled (it bypasses the momentum), and its
    momentum holds ``r g``, so that a change of rate takes effect only gradually. ``momentum`` is a variable and may be
    assigned between steps, as ``learning_rate`` may.

    Args:
        learning_rate: a number above 0 or a Keras schedule.
        momentum: in 0..1.
        weight_decay: the factor ``d``, at least 0.
        nesterov: look ahead, as above.
        **options: those of ``keras.optimizers.Optimizer``.

    Raises:
        ValueError: a momentum or a decay out of range.

    Source: ``torch.optim.SGD``; Sutskever et al. 2013, "On the importance of initialization and momentum".
    """

    def __init__(
        self,
        learning_rate: Any = 0.03,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        nesterov: bool = True,
        name: str = "torch_sgd",
        **options: Any,
    ):
        check_number("momentum", momentum, minimum=0, maximum=1)
        check_number("weight_decay", weight_decay, minimum=0)
        # Keras's own weight_decay is the decoupled one: it is not told of this one.
        super().__init__(learning_rate=learning_rate, name=name, **options)
        self.decay, self.nesterov = float(weight_decay), bool(nesterov)
        self._start = float(momentum)

    def build(self, variables: list) -> None:
        """Make one velocity a variable."""
        if self.built:
            return
        super().build(variables)
        start: Any = lambda *_, **__: self._start  # noqa: E731  (Keras' own annotation knows names only)
        self.momentum = self.add_variable((), initializer=start, name="momentum_factor")
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable."""
        velocity = self.velocities[self._get_variable_index(variable)]
        if isinstance(velocity, keras.Variable):
            velocity = velocity.value
        if isinstance(variable, keras.Variable):
            variable = variable.value
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)  # rows of an embedding become a whole array
        if self.decay:
            gradient += self.decay * variable
        # TensorFlow's fused kernel is this very rule, in one pass over memory instead of eight.
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=velocity.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=tf.cast(self.momentum.value, variable.dtype),
            use_nesterov=self.nesterov,
        )

    def get_config(self) -> dict[str, Any]:
        """Return what builds this optimizer again."""
        config = super().get_config()
        config.pop("weight_decay", None)
        return {**config, "momentum": self._start, "weight_decay": self.decay, "nesterov": self.nesterov}
