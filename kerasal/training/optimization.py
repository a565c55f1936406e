"""Schedules of learning rate and momentum by epoch or step, and SGD with the arithmetic of PyTorch."""

import dataclasses
import math
from typing import Any, Literal

from kerasal.checks import check_number

import keras
import tensorflow as tf

Unit = Literal["epoch", "step"]


@dataclasses.dataclass(frozen=True)
class Constant:
    """A schedule with a constant ``value``."""

    value: float
    unit: Unit = "epoch"

    def __call__(self, position: int, total: int) -> float:
        """Return the value at ``position`` (from 0) of ``total``."""
        return self.value


@dataclasses.dataclass(frozen=True)
class StepFloor:
    """A schedule that multiplies ``start`` by ``factor`` every ``every`` epochs (or steps), but not below ``floor``.

    ``StepFloor(0.03, 0.55, 100, 1e-4)`` is that of the coursework: .03, .0165, .009075, ... and .000138 in the last 100
    of 1000 epochs.
    """

    start: float
    factor: float
    every: int
    floor: float = 0.0
    unit: Unit = "epoch"

    def __call__(self, position: int, total: int) -> float:
        """Return the value at ``position`` (from 0); ``total`` is ignored."""
        return max(self.floor, self.start * self.factor ** (position // self.every))


@dataclasses.dataclass(frozen=True)
class Linspace:
    """A linear schedule from ``start`` in the first epoch (or step) to ``stop`` in the last: ``numpy.linspace``."""

    start: float
    stop: float
    unit: Unit = "epoch"

    def __call__(self, position: int, total: int) -> float:
        """Return the value at ``position`` (from 0) of ``total``."""
        return self.start + (self.stop - self.start) * position / max(1, total - 1)


@dataclasses.dataclass(frozen=True)
class Cosine:
    """A schedule that falls from ``start`` to 0 along half a cosine (Loshchilov & Hutter 2016, without restarts)."""

    start: float
    unit: Unit = "epoch"

    def __call__(self, position: int, total: int) -> float:
        """Return the value at ``position`` (from 0) of ``total``."""
        return self.start * (1 + math.cos(math.pi * position / max(1, total))) / 2


Schedule = Constant | StepFloor | Linspace | Cosine


def depends_on_length(schedule: Schedule) -> bool:
    """Return whether the values of a schedule depend on the number of epochs."""
    return isinstance(schedule, (Linspace, Cosine))


@keras.saving.register_keras_serializable(package="kerasal")
class TorchSGD(keras.optimizers.Optimizer):
    """SGD with the update rule of ``torch.optim.SGD``: coupled weight decay, and a momentum without the learning rate.

    For every parameter ``w`` (including biases) with gradient ``g``, rate ``r``, momentum ``m`` and decay ``d``::

        g = g + d w;   v = m v + g;   w = w - r (g + m v)   (Nesterov)   or   w = w - r v

    ``keras.optimizers.SGD`` differs in two ways: its ``weight_decay`` is decoupled (it bypasses the momentum), and its
    momentum accumulates ``r g``, so that a change of the rate takes effect only gradually. ``momentum`` is a variable
    that can be assigned between steps, like ``learning_rate``.

    Args:
        learning_rate: a number above 0 or a Keras schedule.
        momentum: the factor ``m``, in 0..1.
        weight_decay: the factor ``d``, at least 0.
        nesterov: whether to use Nesterov momentum.
        name: name of the optimizer.
        **options: options of ``keras.optimizers.Optimizer``.

    Raises:
        ValueError: ``momentum`` or ``weight_decay`` is out of range.

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
        # weight_decay is not passed on: that of Keras is decoupled.
        super().__init__(learning_rate=learning_rate, name=name, **options)
        self.decay, self.nesterov = float(weight_decay), bool(nesterov)
        self._start = float(momentum)

    def build(self, variables: list) -> None:
        """Create a velocity for every variable."""
        if self.built:
            return
        super().build(variables)
        start: Any = lambda *_, **__: self._start  # noqa: E731  (Any: Keras annotates only names of initializers)
        self.momentum = self.add_variable((), initializer=start, name="momentum_factor")
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update a variable."""
        velocity = self.velocities[self._get_variable_index(variable)]
        if isinstance(velocity, keras.Variable):
            velocity = velocity.value
        if isinstance(variable, keras.Variable):
            variable = variable.value
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)  # IndexedSlices of an embedding become dense
        if self.decay:
            gradient += self.decay * variable
        # TensorFlow's fused kernel has the same rule and passes over the memory once instead of eight times.
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=velocity.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=tf.cast(self.momentum.value, variable.dtype),
            use_nesterov=self.nesterov,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that create this optimizer."""
        config = super().get_config()
        config.pop("weight_decay", None)
        return {**config, "momentum": self._start, "weight_decay": self.decay, "nesterov": self.nesterov}
