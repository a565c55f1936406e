"""Activation maximization, as tf-keras-vis computes it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from tf_keras_vis.utils import get_num_of_steps_allowed, is_mixed_precision, listify

from kerasal.checks import check_int
from kerasal.compat.tf_keras_vis.activation_maximization.input_modifiers import Jitter, Rotate2D
from kerasal.compat.tf_keras_vis.activation_maximization.regularizers import Norm, TotalVariation2D
from kerasal.compat.tf_keras_vis.ascent_options import (
    check_names,
    endings_per_input,
    finish,
    input_ranges,
    per_input,
    regularizers_per_input,
    start_inputs,
)
from kerasal.compat.tf_keras_vis.visualization import (
    ModelVisualization,
    check_gradients,
    mean_scores,
    modify_result,
    refuse_unconnected,
)
from kerasal.hooks.model_inputs import input_specs
from kerasal.maximization.peer_objects import managed_callbacks, modified_value

import keras
import tensorflow as tf

__all__ = ["ActivationMaximization"]

_LARGEST_SCALE = 2.0**15  # of the loss of a model with float16 layers; halved until no gradient overflows


class Activations(np.ndarray):
    """An array with the method ``numpy``: tf-keras-vis returns arrays or tensors, depending on its version."""

    def numpy(self) -> np.ndarray:
        """Return the values as a plain array."""
        return np.asarray(self)


class ActivationMaximization(ModelVisualization):
    """The input that maximizes a score, by steps of an optimizer from noise (Simonyan et al. 2013, section 2)."""

    def __call__(
        self,
        score,
        seed_input=None,
        input_range=(0, 255),
        input_modifiers=[Jitter(jitter=4), Rotate2D(degree=1)],  # noqa: B006, B008  (defaults of tf-keras-vis)
        regularizers=[TotalVariation2D(weight=1.0), Norm(weight=0.3, p=1)],  # noqa: B006, B008
        steps=200,
        optimizer=None,
        gradient_modifier=None,
        callbacks=None,
        training=False,
        unconnected_gradients=tf.UnconnectedGradients.NONE,
        activation_modifiers=None,
    ) -> Any:
        """Return the inputs as an array (N, …), clipped to their range; a list for several inputs.

        Args:
            score: a ``Score`` of tf-keras-vis or a function from an output (N, …) to scores of the images, N of them;
                a list or dictionary for several outputs.
            seed_input: the inputs to start from, with or without the batch axis; by default uniform noise.
            input_range: (lowest, highest) value of the result, a list of such pairs for several inputs, or None.
            input_modifiers: functions of an input that are applied before each step; for several inputs a list of lists
                or a dictionary with their names.
            regularizers: regularizers of an input, whose values are subtracted from the score; as above.
            steps: number of steps.
            optimizer: a Keras optimizer; by default ``RMSprop(1.0, 0.999)``.
            gradient_modifier: function of the gradient by each input, or None.
            callbacks: callbacks of tf-keras-vis, which are called after each step.
            training: run the model in training mode. Its weights and statistics stay unchanged.
            unconnected_gradients: the gradient by an input on which the score does not depend; NONE is an error.
            activation_modifiers: a function of the result, or a dictionary of them with the names of the inputs.

        Raises:
            ValueError: a score is no function, their number, an input's name or a shape does not fit, the score has no
                gradient or is NaN, or an optimizer is used a second time.
            TypeError: the ends of a range have different types; a modifier, regularizer or callback is none, or returns
                something else; or the optimizer is none of Keras.
        """
        arguments = {name: value for name, value in locals().items() if name != "self" and not name.startswith("_")}
        names, specs = self._input_names(), self._specs()
        mixed = is_mixed_precision(self._modified)
        check_int("steps", steps)
        optimizer = keras.optimizers.RMSprop(learning_rate=1.0, rho=0.999) if optimizer is None else optimizer
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            raise TypeError(f"optimizer must be a Keras optimizer or None, got {optimizer!r}.")
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer = optimizer.inner_optimizer  # gradients are scaled here
        functions = self._scores(score)
        ranges = input_ranges(input_range, len(names))
        values: list[Any] = start_inputs(self._listed(seed_input), ranges, specs)
        modifiers = per_input(input_modifiers, names, "input_modifiers")
        penalties = regularizers_per_input(regularizers, names)
        endings = endings_per_input(activation_modifiers, names)

        def results(values: list) -> list:
            parts = zip(values, ranges, specs, names, strict=True)
            return [finish(value, ends, spec.dtype, endings.get(name)) for value, ends, spec, name in parts]

        with managed_callbacks(**arguments) as active, self._compiled.restored_seeds():
            variables = [tf.Variable(value) for value in values]
            for step in range(get_num_of_steps_allowed(steps)):
                for number, name in enumerate(names):
                    for modifier in modifiers[name]:
                        values[number] = modified_value(modifier, values[number], "input_modifiers")
                values = [tf.cast(value, spec.dtype) for value, spec in zip(values, specs, strict=True)]
                ascent = _ascend(self._compiled, values, functions, penalties, training, mixed, unconnected_gradients)
                gradients = ascent.gradients
                gradients = [
                    modify_result(gradient_modifier, gradient, "gradient_modifier", exact=True)
                    for gradient in gradients
                ]
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
                _apply(optimizer, gradients, variables)
                values = [tf.convert_to_tensor(variable) for variable in variables]
                for callback in active:
                    callback(
                        step,
                        results(values),
                        gradients,
                        ascent.scores,
                        ascent.outputs,
                        regularizations=ascent.penalties,
                        overall_score=ascent.losses,
                    )
        return self._unwrap([np.asarray(value).view(Activations) for value in results(values)], seed_input)

    def _listed(self, seed_input: Any) -> list | None:
        """Return the inputs to start from as a list, or None if there are none."""
        if isinstance(seed_input, Mapping):
            names = check_names(seed_input, self._input_names())
            return [seed_input[name] for name in self._input_names() if name in names]
        return listify(seed_input) or None

    def _specs(self) -> list[tf.TensorSpec]:
        """Return the shape (N, …) and type of each input."""
        specs = input_specs(self._modified) or [(None, shape, "float32") for shape in self._input_shapes()]
        return [tf.TensorSpec((None, *shape), dtype) for _, shape, dtype in specs]


@dataclasses.dataclass
class _Ascent:
    """The gradients of a step by each input, and what they come from."""

    gradients: list
    scores: list
    outputs: list
    penalties: list
    losses: list


def _ascend(compiled, values, functions, penalties, training, mixed: bool, unconnected) -> _Ascent:
    """Return the gradients of the penalties minus the scores; in float16 a larger loss keeps them from vanishing."""
    scale = _LARGEST_SCALE if mixed else 1.0
    while True:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            outputs = compiled.outputs(values, training)
            scores, regularizations = mean_scores(functions, outputs), penalties(values)
            losses = [-1.0 * score for score in scores] + [value for _, value in regularizations]
            scaled = [tf.cast(loss, tf.float32) * scale for loss in losses] if mixed else losses
        gradients = tape.gradient(scaled, values, unconnected_gradients=unconnected)
        refuse_unconnected(gradients, "every input")
        if scale == 1 or all(np.isfinite(gradient).all() for gradient in gradients):
            check_gradients(gradients, "every input")
            gradients = [gradient / scale for gradient in gradients] if mixed else gradients
            return _Ascent(gradients, scores, outputs, regularizations, losses)
        scale /= 2


def _apply(optimizer: keras.optimizers.Optimizer, gradients: list, variables: list) -> None:
    """Take a step.

    Raises:
        ValueError: the optimizer has been used for other variables.
    """
    try:
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
    except (ValueError, KeyError) as error:
        if "variable" not in str(error):
            raise
        raise ValueError(
            f"optimizer must be a new one in each call, got {type(optimizer).__name__} that was used. Make it anew."
        ) from error
