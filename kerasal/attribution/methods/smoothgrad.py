"""SmoothGrad: the gradient, averaged over noisy copies of the image."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, over_points, reduce_channels
from kerasal.checks import check_int

import tensorflow as tf


@method(
    reference="Smilkov et al. 2017, section 2.1; squared: Hooker et al. 2019; variance: Adebayo et al. 2018, VarGrad",
    if_zero="the gradient is the same at all samples, so its variance is 0",
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
):
    """Show how strongly the score reacts to each pixel, with less grain: the mean gradient over noisy copies.

    The noise is normal, with a standard deviation of ``noise`` times the range (largest minus smallest value) of each
    image. It follows from ``seed`` and is the same for every image of a batch. A target left open is the top class of
    the image without noise.

    Returns:
        float32 (N, H, W), from 0 on unless ``channel_reduction="sum"``. ``squared`` averages squared gradients
        (SmoothGrad-Squared), ``variance`` gives their variance (VarGrad); both are in squared units.

    Raises:
        ValueError: fewer than one sample, negative noise, or ``squared`` together with ``variance``.
    """
    check_int("samples", samples)
    if not 0 <= noise < float("inf"):
        raise ValueError(f"noise is a share of the image's range, from 0 on. Received: {noise!r}.")
    if squared and variance:
        raise ValueError("squared and variance are two statistics of the same samples; choose one.")
    view = view.pin()
    deviations = [noise * _range(x) for x in view.inputs]

    def noisy(numbers):
        return [
            x + deviation * _normal(x, numbers, seed + number)
            for number, (x, deviation) in enumerate(zip(view.inputs, deviations, strict=True))
        ]

    def add(state, numbers, gradients):
        values = [tf.square(gradient) if squared else gradient for gradient in gradients]
        return [_merge(moments, numbers, value, variance) for moments, value in zip(state, values, strict=True)]

    start = [[tf.zeros_like(x)] * (2 if variance else 1) for x in view.inputs]
    moments = over_points(view, samples, noisy, add, start)
    results = [one[1] / samples if variance else one[0] for one in moments]
    return [reduce_channels(result, channel_reduction) for result in results]


def _normal(x: tf.Tensor, numbers: tf.Tensor, seed: int) -> tf.Tensor:
    """Return (m, 1, …) noise for one image, which follows from the seed and a sample's number alone."""

    def one(number):
        return tf.random.stateless_normal(tf.shape(x)[1:], (seed, number))

    signature = tf.TensorSpec(x.shape[1:], tf.float32)
    return tf.map_fn(one, numbers, fn_output_signature=signature)[:, None]


def _merge(moments: list[tf.Tensor], numbers: tf.Tensor, values: tf.Tensor, variance: bool) -> list[tf.Tensor]:
    """Add (m, …) values to a mean and, if asked, a sum of squared deviations (Chan, Golub & LeVeque 1979).

    The difference of two large sums would lose a small variance.
    """
    before, new = tf.cast(numbers[0], tf.float32), tf.cast(tf.size(numbers), tf.float32)
    mean = tf.reduce_mean(values, axis=0)
    moved = mean - moments[0]
    merged = [moments[0] + moved * new / (before + new)]
    if variance:
        spread = tf.reduce_sum(tf.square(values - mean), axis=0)
        merged.append(moments[1] + spread + tf.square(moved) * before * new / (before + new))
    return merged


def _range(x: tf.Tensor) -> tf.Tensor:
    axes = list(range(1, x.shape.rank))
    return tf.reduce_max(x, axes, keepdims=True) - tf.reduce_min(x, axes, keepdims=True)
