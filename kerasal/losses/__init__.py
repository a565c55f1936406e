"""Keras losses and metrics for training gaze models, defined as in ``kerasal.metrics``.

All take maps ``(N, H, W)`` or ``(N, H, W, 1)``. ``y_true`` is a map of fixation counts for NSS and the log-likelihood,
and a density (blurred fixations) for the others. ``NSSLoss``, ``CCLoss``, ``SimilarityLoss`` and ``LogLikelihoodLoss``
are negated metrics, since a loss is minimized.

A map without contrast, such as a constant prediction at the start of training or an image without fixations, scores 0
with a zero gradient and never NaN, where ``kerasal.metrics`` raises or warns. ``KLDLoss`` treats negative predictions
as 0. There are no other differences from ``kerasal.metrics``.

``AttributionPrior`` is a loss of another kind: of the maps of the model that is trained, in ``kerasal.training``.
"""

from collections.abc import Callable, Sequence
from typing import Any

from kerasal import _keras as _keras
from kerasal.losses.attribution_prior import AttributionPrior
from kerasal.losses.scores import (
    EPSILON,
    cc,
    center_correlation,
    center_distance,
    kld,
    log_likelihood,
    nss,
    similarity,
)

import keras

ops: Any = keras.ops  # untyped, because the type stubs declare None as the result of every function

__all__ = [
    "AttributionPrior",
    "CC",
    "CCLoss",
    "CenterCorrelationLoss",
    "CenterDistanceLoss",
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


class _NegatedScore(keras.losses.Loss):
    """The base class of losses that are a negated function of ``kerasal.losses.scores``, (N,)."""

    function: Callable[..., Any]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return -type(self).function(y_true, y_pred)


@keras.saving.register_keras_serializable(package="kerasal")
class NSSLoss(_NegatedScore):
    """Negated normalized scanpath saliency (NSS); ``y_true`` is a map of fixation counts, not a density.

    Raises:
        tf.errors.InvalidArgumentError: ``y_true`` has fractional values (not checked under XLA).
    """

    function = staticmethod(nss)


@keras.saving.register_keras_serializable(package="kerasal")
class CCLoss(_NegatedScore):
    """Negated Pearson correlation of the map with the density, in -1..1."""

    function = staticmethod(cc)


@keras.saving.register_keras_serializable(package="kerasal")
class SimilarityLoss(_NegatedScore):
    """Negated histogram intersection of the map and the density after min-max scaling, in -1..0."""

    function = staticmethod(similarity)


@keras.saving.register_keras_serializable(package="kerasal")
class LogLikelihoodLoss(_NegatedScore):
    """Negated log-likelihood of the fixations, in bits per fixation relative to a uniform map.

    ``y_true`` is a map of fixation counts. The difference between two models is the information gain of one over the
    other.
    """

    function = staticmethod(log_likelihood)


class _CenterLoss(keras.losses.Loss):
    """The base class of losses that compare maps with a Gaussian in the center of the image instead of the truth.

    Added to another loss, they are two readings of the center-bias regularizer that the coursework (GN17738, section X)
    tried after Bruckert et al. 2019, "Deep Saliency Models: The Quest For The Loss Function", without giving a formula.
    """

    function: Callable[..., Any]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return type(self).function(y_true, y_pred)


@keras.saving.register_keras_serializable(package="kerasal")
class CenterDistanceLoss(_CenterLoss):
    """Mean squared difference of the map from the center Gaussian, which pulls maps toward the center bias.

    The Gaussian is that of the baseline "center", with a maximum of 1 and standard deviations of a quarter of the
    sides; the loss is for maps in 0..1. ``y_true`` gives only the size.
    """

    function = staticmethod(center_distance)


@keras.saving.register_keras_serializable(package="kerasal")
class CenterCorrelationLoss(_CenterLoss):
    """Pearson correlation of the map with the center Gaussian, in 0..1, which pushes maps away from the center bias.

    A negative correlation counts as 0, so that avoiding the center is not rewarded. ``y_true`` gives only the size.
    """

    function = staticmethod(center_correlation)


@keras.saving.register_keras_serializable(package="kerasal")
class KLDLoss(keras.losses.Loss):
    """Kullback-Leibler divergence of the map from the density in nats, both scaled to sum 1.

    Args:
        epsilon: regularization constant, 2**-23 by default, since MIT's 2**-52 is below the resolution of float32.
        **options: options of ``keras.losses.Loss``.
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
    """Weighted sum of losses, such as ``WeightedSum([KLDLoss(), CCLoss()], [1.0, 0.2])``.

    To combine a loss of fixation counts with a loss of densities, stack the two along the last axis of ``y_true``,
    ``(N, H, W, 2)``, and select them with ``channels``.

    Args:
        losses: Keras losses.
        weights: weight of each loss.
        channels: channel of ``y_true`` for each loss; with ``None`` every loss receives all of ``y_true``.
        **options: options of ``keras.losses.Loss``.

    Raises:
        ValueError: the number of weights or channels differs from the number of losses.
    """

    def __init__(
        self, losses: Sequence[Any], weights: Sequence[float], channels: Sequence[int] | None = None, **options
    ):
        super().__init__(**options)
        self.losses: list[Any] = [keras.losses.get(loss) for loss in losses]
        self.weights = [float(weight) for weight in weights]
        self.channels = None if channels is None else [int(channel) for channel in channels]
        for argument, values in (("weights", self.weights), ("channels", self.channels)):
            if values is not None and len(values) != len(self.losses):
                raise ValueError(f"{argument} must have one entry per loss, {len(self.losses)}, got {len(values)}.")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        total = 0.0
        for position, (loss, weight) in enumerate(zip(self.losses, self.weights, strict=True)):
            truth = y_true if self.channels is None else y_true[..., self.channels[position]]
            values = loss.call(truth, y_pred) if isinstance(loss, keras.losses.Loss) else loss(truth, y_pred)
            values = ops.reshape(
                values, (ops.shape(values)[0], -1)
            )  # the losses of Keras return a value per row of pixels
            total = total + weight * ops.mean(values, axis=1)
        return total

    def get_config(self) -> dict[str, Any]:
        losses = [keras.losses.serialize(loss) for loss in self.losses]
        return {**super().get_config(), "losses": losses, "weights": self.weights, "channels": self.channels}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        losses = [keras.losses.deserialize(loss) for loss in config["losses"]]
        return cls(**{**config, "losses": losses})


class _MeanScore(keras.metrics.MeanMetricWrapper):
    """The base class of metrics that are the mean over images of a function of ``kerasal.losses.scores``."""

    function: Callable[..., Any]

    def __init__(self, name=None, dtype=None):
        function = type(self).function
        super().__init__(function, name=name or function.__name__, dtype=dtype)
        self._direction = "down" if function is kld else "up"

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


@keras.saving.register_keras_serializable(package="kerasal")
class NSS(_MeanScore):
    """Mean normalized scanpath saliency over images; ``y_true`` is a map of fixation counts."""

    function = staticmethod(nss)


@keras.saving.register_keras_serializable(package="kerasal")
class CC(_MeanScore):
    """Mean Pearson correlation of maps with densities, over images."""

    function = staticmethod(cc)


@keras.saving.register_keras_serializable(package="kerasal")
class KLD(_MeanScore):
    """Mean Kullback-Leibler divergence of maps from densities in nats, over images."""

    function = staticmethod(kld)


@keras.saving.register_keras_serializable(package="kerasal")
class Similarity(_MeanScore):
    """Mean histogram intersection of maps with densities, over images."""

    function = staticmethod(similarity)
