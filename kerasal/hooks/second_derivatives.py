"""Second derivatives of scores by a tensor of the graph, exact also behind layer normalizations.

``tf.nn.moments``, on which they are built, stops the gradient of the mean inside the variance. The first derivative is
right without it, since its share is 0, but the second is not.
"""

import contextlib
from collections.abc import Iterator

from kerasal.hooks.taps import NoGradient

import tensorflow as tf

_WHOLE_VARIANCE = "kerasal_whole_variance"


@tf.RegisterGradient(_WHOLE_VARIANCE)
def _pass_to_mean(op, gradient):
    """Return the gradient where the mean of a variance is held, and none at other places that stop gradients."""
    if op is None or any(user.type == "SquaredDifference" for user in op.outputs[0].consumers()):
        return gradient
    return None


@contextlib.contextmanager
def whole_variances() -> Iterator[None]:
    """Let ``differentiate_twice`` differentiate the variances of what is added to the graph in this context."""
    with tf.compat.v1.get_default_graph().gradient_override_map({"StopGradient": _WHOLE_VARIANCE}):
        yield


def differentiate_twice(scores: tf.Tensor, tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the gradient of the sum of scores (N,) by a tensor (N, …), and their Hessian times the tensor.

    Both have the shape of the tensor. They are those of the graph, because a tape ignores ``whole_variances``.

    Raises:
        NoGradient: the scores do not depend on the tensor.
        ValueError: TensorFlow has no second derivative of an operation between them.
    """
    (gradient,) = tf.gradients(scores, [tensor])
    if gradient is None:
        raise NoGradient("The scores must depend on the tensor by which they are differentiated.")
    try:
        (product,) = tf.gradients(gradient, [tensor], grad_ys=[tf.stop_gradient(tensor)])
    except LookupError as error:
        raise ValueError(
            "The score must have second derivatives, but TensorFlow has none for an operation of the model: "
            f"{str(error).split('. ')[0]}. Use gradcam, which needs the first alone."
        ) from error
    return tf.convert_to_tensor(gradient), tf.zeros_like(tensor) if product is None else tf.convert_to_tensor(product)
