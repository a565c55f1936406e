"""What weights are held to while they are trained."""

from kerasal.checks import check_number

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerasal")
class MaxFilterRMS(keras.constraints.Constraint):
    """Scale each filter of a kernel (h, w, in, out) whose RMS exceeds ``radius`` down to it; leave the others alone.

    Args:
        radius: the largest root mean square of a filter's weights.

    Raises:
        ValueError: a radius that is not above 0.

    Source: Zeiler & Fergus 2014, section 3.1: a few filters of the first layer dominate without it.
    """

    def __init__(self, radius: float = 0.1):
        self.radius = check_number("radius", radius, above=0)

    def __call__(self, kernel):
        """Return the kernel with its filters held to the radius."""
        rms = ops.sqrt(ops.mean(ops.square(kernel), axis=tuple(range(len(kernel.shape) - 1)), keepdims=True))
        return kernel * (self.radius / ops.maximum(rms, self.radius))

    def get_config(self):
        """Return what builds this constraint again."""
        return {"radius": self.radius}
