"""SmoothGrad: the gradient, averaged over noisy copies of the image."""

import tensorflow as tf

from kerasal.attribution.method import method
from kerasal.attribution.reduction import Reduction, reduce_channels


@method(
    reference="Smilkov et al. 2017, section 2.1; squared: Hooker et al. 2019; variance: Adebayo et al. 2018, VarGrad"
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
    if samples < 1:
        raise ValueError(f"samples is a whole number from 1 on. Received: {samples!r}.")
    if not 0 <= noise < float("inf"):
        raise ValueError(f"noise is a share of the image's range, from 0 on. Received: {noise!r}.")
    if squared and variance:
        raise ValueError("squared and variance are two statistics of the same samples; choose one.")
    view = view.pinned()
    deviations = [noise * _range(x) for x in view.inputs]

    def body(sample, means, spreads):
        noisy = [
            x + deviation * tf.random.stateless_normal(tf.shape(x)[1:], [seed + number, sample])
            for number, (x, deviation) in enumerate(zip(view.inputs, deviations, strict=True))
        ]
        gradients = view.gradient(noisy)
        # Welford's running mean and spread: the difference of two large sums would lose a small variance.
        count = tf.cast(sample + 1, tf.float32)
        values = [tf.square(gradient) if squared else gradient for gradient in gradients]
        moved = [mean + (value - mean) / count for mean, value in zip(means, values, strict=True)]
        if variance:
            spreads = [
                spread + (value - mean) * (value - new)
                for spread, value, mean, new in zip(spreads, values, means, moved, strict=True)
            ]
        return sample + 1, moved, spreads

    zeros = [tf.zeros_like(x) for x in view.inputs]
    _, means, spreads = tf.while_loop(lambda sample, *_: sample < samples, body, (0, zeros, zeros if variance else []))
    results = [spread / samples for spread in spreads] if variance else means
    return [reduce_channels(result, channel_reduction) for result in results]


def _range(x: tf.Tensor) -> tf.Tensor:
    """Return the largest minus the smallest value of each image."""
    axes = list(range(1, x.shape.rank))
    return tf.reduce_max(x, axes, keepdims=True) - tf.reduce_min(x, axes, keepdims=True)
