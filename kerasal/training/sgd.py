"""Stochastic gradient descent in PyTorch's arithmetic, in which the published gaze recipes are written."""

from kerasal.checks import check_number

import keras
import tensorflow as tf


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

    def __init__(self, learning_rate=0.03, momentum=0.9, weight_decay=0.0, nesterov=True, name="torch_sgd", **options):
        check_number("momentum", momentum, minimum=0, maximum=1)
        check_number("weight_decay", weight_decay, minimum=0)
        # Keras's own weight_decay is the decoupled one: it is not told of this one.
        super().__init__(learning_rate=learning_rate, name=name, **options)
        self.decay, self.nesterov = float(weight_decay), bool(nesterov)
        self._start = float(momentum)

    def build(self, variables):
        """Make one velocity a variable."""
        if self.built:
            return
        super().build(variables)
        self.momentum = self.add_variable((), initializer=lambda *_, **__: self._start, name="momentum_factor")
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient, variable, learning_rate):
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

    def get_config(self):
        """Return what builds this optimizer again."""
        config = super().get_config()
        config.pop("weight_decay", None)
        return {**config, "momentum": self._start, "weight_decay": self.decay, "nesterov": self.nesterov}
