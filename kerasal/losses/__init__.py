"""Losses and metrics for training gaze predictors, on the definitions of ``kerasal.metrics``.

All take maps ``(N, H, W)`` or ``(N, H, W, 1)``. ``y_true`` is a map of fixations for NSS and the likelihood, and a
density (blurred fixations) for the others. A loss is to be minimized, so ``NSSLoss``, ``CCLoss``, ``SimilarityLoss``
and ``LogLikelihoodLoss`` are the negated metrics.

Sums and variances are never divided by zero: a map without any contrast (all zero at the start of training, or an image
without fixations) scores 0 and has a zero gradient, never NaN. That is the only difference from ``kerasal.metrics``,
which raises or warns, and ``KLDLoss`` takes predictions below 0 for 0.
"""

from collections.abc import Callable, Sequence
from typing import Any

from kerasal import _keras as _keras
from kerasal.losses.scores import EPSILON, cc, kld, log_likelihood, nss, similarity

import keras

ops: Any = keras.ops  # whose stubs let every function return None

__all__ = [
    "CC",
    "CCLoss",
    "KLD",
    "KLDLoss",
    "LogLikelihoodLoss",
    "NSS",
    "NSSLoss",
    "Similarity",
    "SimilarityLoss",
    "WeightedSum",
]


def __dir__() -> list[str]:
    return sorted(__all__)


class _Negated(keras.losses.Loss):
    """One of the functions of ``scores``, negated: of each image, (N,)."""

    function: Callable[..., Any]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return -type(self).function(y_true, y_pred)


@keras.saving.register_keras_serializable(package="kerasal")
class NSSLoss(_Negated):
    """The negated normalized scanpath saliency; ``y_true`` is a map of fixations, not a density.

    Raises:
        tf.errors.InvalidArgumentError: ``y_true`` has fractional values (where TensorFlow can check it).
    """

    function = staticmethod(nss)


@keras.saving.register_keras_serializable(package="kerasal")
class CCLoss(_Negated):
    """The negated correlation with the density, -1 to 1."""

    function = staticmethod(cc)


@keras.saving.register_keras_serializable(package="kerasal")
class SimilarityLoss(_Negated):
    """The negated histogram intersection after min-max scaling, -1 to 0."""

    function = staticmethod(similarity)


@keras.saving.register_keras_serializable(package="kerasal")
class LogLikelihoodLoss(_Negated):
    """The negated log-likelihood of fixations, bits a fixation above a uniform map; ``y_true`` is a map of fixations.

    Its difference between two predictors is the information gain of the one over the other.
    """

    function = staticmethod(log_likelihood)


@keras.saving.register_keras_serializable(package="kerasal")
class KLDLoss(keras.losses.Loss):
    """The Kullback-Leibler divergence of the map from the density, both scaled to sum 1.

    Args:
        epsilon: the regularization, 2**-23 by default (MIT's 2**-52 is below the resolution of float32).
        **options: those of ``keras.losses.Loss``.
    """

    def __init__(self, epsilon: float = EPSILON, **options):
        super().__init__(**options)
        self.epsilon = epsilon

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return kld(y_true, y_pred, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="kerasal")
class WeightedSum(keras.losses.Loss):
    """A weighted sum of losses, such as ``WeightedSum([KLDLoss(), CCLoss()], [1.0, 0.2])``.

    ``y_true`` is what all of them take; where one takes fixations and the others a density, stack the two in the last
    axis, ``(N, H, W, 2)``, and give the ``channels``.

    Args:
        losses: Keras losses.
        weights: one number each.
        channels: which channel of ``y_true`` each loss is given; ``None`` gives all of ``y_true`` to every loss.
        **options: those of ``keras.losses.Loss``.

    Raises:
        ValueError: as many weights, or channels, as losses are expected.
    """

    def __init__(
        self, losses: Sequence[Any], weights: Sequence[float], channels: Sequence[int] | None = None, **options
    ):
        super().__init__(**options)
        self.losses: list[Any] = [keras.losses.get(loss) for loss in losses]
        self.weights = [float(weight) for weight in weights]
        self.channels = None if channels is None else [int(channel) for channel in channels]
        for argument, given in (("weights", self.weights), ("channels", self.channels)):
            if given is not None and len(given) != len(self.losses):
                raise ValueError(f"{argument}: expected {len(self.losses)}, one for each loss, received {len(given)}.")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        total = 0.0
        for position, (loss, weight) in enumerate(zip(self.losses, self.weights, strict=True)):
            truth = y_true if self.channels is None else y_true[..., self.channels[position]]
            values = loss.call(truth, y_pred) if isinstance(loss, keras.losses.Loss) else loss(truth, y_pred)
            values = ops.reshape(values, (ops.shape(values)[0], -1))  # Keras's own give one value a pixel row
            total = total + weight * ops.mean(values, axis=1)
        return total

    def get_config(self) -> dict[str, Any]:
        losses = [keras.losses.serialize(loss) for loss in self.losses]
        return {**super().get_config(), "losses": losses, "weights": self.weights, "channels": self.channels}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        losses = [keras.losses.deserialize(loss) for loss in config["losses"]]
        return cls(**{**config, "losses": losses})


class _Mean(keras.metrics.MeanMetricWrapper):
    """The mean over images of one of the functions above."""

    function: Callable[..., Any]

    def __init__(self, name=None, dtype=None):
        function = type(self).function
        super().__init__(function, name=name or function.__name__, dtype=dtype)
        self._direction = "down" if function is kld else "up"

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


@keras.saving.register_keras_serializable(package="kerasal")
class NSS(_Mean):
    """The mean NSS of the images; ``y_true`` is a map of fixations."""

    function = staticmethod(nss)


@keras.saving.register_keras_serializable(package="kerasal")
class CC(_Mean):
    """The mean correlation of the images' maps with their densities."""

    function = staticmethod(cc)


@keras.saving.register_keras_serializable(package="kerasal")
class KLD(_Mean):
    """The mean KL divergence of the images' maps from their densities, in nats."""

    function = staticmethod(kld)


@keras.saving.register_keras_serializable(package="kerasal")
class Similarity(_Mean):
    """The mean histogram intersection of the images' maps with their densities."""

    function = staticmethod(similarity)
