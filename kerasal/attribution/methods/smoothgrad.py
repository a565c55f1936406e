"""SmoothGrad: the gradient, averaged over noisy copies of the image."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import (
    Reduction,
    normal_noise,
    over_points,
    reduce_channels,
    sums_channels,
    value_range,
)
from kerasal.checks import check_int

import tensorflow as tf


@method(
    reference="Smilkov et al. 2017, section 2.1; squared: Hooker et al. 2019; variance: Adebayo et al. 2018, VarGrad",
    family="gradient",
    passes="{samples} passes",
    has_sign=lambda options: sums_channels(options) and not (options["squared"] or options["variance"]),
    if_zero="the gradient is the same at all samples, so its variance is 0",
    question="sensitivity",
    trust="Trust it over class_saliency: noise that changes from sample to sample averages out.",
    at_layer=True,
)
def smoothgrad(
    view,
    *,
    samples: int = 50,
    noise: float = 0.15,
    squared: bool = False,
    variance: bool = False,
    channel_reduction: Reduction = "max_abs",
    seed: int = 0,
    layer: str | None = None,
):
    """Class saliency with less noise: the mean gradient over noisy copies of the image (Smilkov et al. 2017).

    Without a target, the top class of the image without noise is explained.

    Args:
        view: the model and its inputs in the graph.
        samples: number of noisy copies of each image, a positive integer.
        noise: standard deviation of the Gaussian noise, as a share of each image's range (its largest minus its
            smallest value).
        squared: average the squared gradients (SmoothGrad-Squared), in squared units.
        variance: return the variance of the gradients (VarGrad) in place of their mean, in squared units.
        channel_reduction: reduction over the channels of a pixel: "max_abs" (the largest absolute
            value), "mean_abs" (the mean absolute value), "norm" (the Euclidean norm) or "sum" (the signed sum).
        seed: seed of the noise, which is the same for every image of a batch.
        layer: name or path of a layer to attribute to in place of the inputs, such as the embedding of tokens; the map
            then has the positions of the layer's output, one value per token. By default the inputs are explained.

    Returns:
        float32 (N, H, W), at least 0 unless ``channel_reduction="sum"``, in score per unit of the input, or that
        squared.

    Raises:
        ValueError: ``samples`` is not a positive integer, ``noise`` is negative, or both ``squared`` and ``variance``
            are set.
    """
    check_int("samples", samples)
    if not 0 <= noise < float("inf"):
        raise ValueError(f"noise must be a finite number of at least 0, a share of the image's range, got {noise!r}.")
    if squared and variance:
        raise ValueError(
            "squared and variance must not both be True, since each selects a different statistic of the samples."
        )
    view = view.pin()
    deviations = [noise * value_range(x) for x in view.inputs]

    def noisy_copies(numbers):
        return [
            x + deviation * normal_noise(x, numbers, seed + number)
            for number, (x, deviation) in enumerate(zip(view.inputs, deviations, strict=True))
        ]

    def add(state, numbers, gradients):
        values = [tf.square(gradient) if squared else gradient for gradient in gradients]
        return [
            _update_moments(moments, numbers, value, variance) for moments, value in zip(state, values, strict=True)
        ]

    start = [[tf.zeros_like(x)] * (2 if variance else 1) for x in view.inputs]
    moments = over_points(view, samples, noisy_copies, add, start)
    results = [sums[1] / samples if variance else sums[0] for sums in moments]
    return [reduce_channels(result, channel_reduction) for result in results]


def _update_moments(moments: list[tf.Tensor], numbers: tf.Tensor, values: tf.Tensor, variance: bool) -> list[tf.Tensor]:
    """Update a mean and, for ``variance``, a sum of squared deviations by m more values (Chan, Golub & LeVeque 1979).

    The difference of two large sums would lose the digits of a small variance.
    """
    old, new = tf.cast(numbers[0], tf.float32), tf.cast(tf.size(numbers), tf.float32)
    mean = tf.reduce_mean(values, axis=0)
    shift = mean - moments[0]
    merged = [moments[0] + shift * new / (old + new)]
    if variance:
        squared_deviations = tf.reduce_sum(tf.square(values - mean), axis=0)
        merged.append(moments[1] + squared_deviations + tf.square(shift) * old * new / (old + new))
    return merged
