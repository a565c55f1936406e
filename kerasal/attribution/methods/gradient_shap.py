"""GradientSHAP: integrated gradients averaged over random points between an input and several baselines."""

from typing import Any

from kerasal.attribution.baselines import several_baselines
from kerasal.attribution.method import method
from kerasal.attribution.method_parts import (
    Reduction,
    expand_like,
    normal_noise,
    over_points,
    reduce_channels,
    sums_channels,
    value_range,
)
from kerasal.checks import check_int, check_number

import tensorflow as tf


@method(
    family="path",
    passes="{samples} passes",
    reference="Lundberg & Lee 2017; expected gradients: Erion et al. 2021, equation 3",
    signed=True,
    has_sign=sums_channels,
    if_zero="the image equals all its baselines, or nothing between them affects the score",
    question="contribution",
    compared=False,
    trust="Trust the shares if another seed gives the same map; they depend on the baselines.",
    at_layer=True,
)
def gradient_shap(
    view,
    *,
    samples: int = 50,
    baselines: Any = 0.0,
    noise: float = 0.0,
    channel_reduction: Reduction = "sum",
    seed: int = 0,
    layer: str | None = None,
):
    """Contribution of each pixel to the score's change from an average over baseline images (Lundberg & Lee 2017).

    Each sample draws a baseline and a point on the straight line from it to the image, both uniformly; the map is the
    mean over the samples of the gradient there, multiplied by the difference of image and baseline. With many samples
    the contributions add up to the score minus its mean over the baselines. Without a target, the top class of the
    image without noise is explained.

    Args:
        view: the model and its inputs in the graph.
        samples: number of random points for each image, a positive integer.
        baselines: model inputs with which the image is compared: a number, an array that broadcasts to an image
            (H, W, C), channels last, a signal (T, C), a volume (D, H, W, C) or features (F,), or a stack of several
            such arrays with one axis more, for example a sample of the training set (B, H, W, C).
        noise: standard deviation of Gaussian noise that each sample adds to the image, as a share of each image's range
            (its largest minus its smallest value).
        channel_reduction: reduction of the contributions over the channels of a pixel: "sum" (signed, so that the
            values still add up), "max_abs" (the largest absolute value), "mean_abs" (the mean absolute value) or
            "norm" (the Euclidean norm).
        seed: seed of the points, baselines and noise, which are the same for every image of a batch.
        layer: name or path of a layer to attribute to in place of the inputs, such as the embedding of tokens; the map
            then has the positions of the layer's output, one value per token. By default the inputs are explained.

    Returns:
        float32 (N, H, W), signed with ``channel_reduction="sum"``, in units of the score.

    Raises:
        ValueError: ``samples`` is not a positive integer, ``noise`` is negative, or ``baselines`` do not fit the inputs
            or are not finite.
    """
    check_int("samples", samples)
    check_number("noise", noise, minimum=0, remedy="It is a share of the image's range.")
    view = view.pin()
    stacks = [several_baselines(baselines, x, number, view.layout) for number, x in enumerate(view.inputs)]

    def draw(numbers):
        """Return the shares (m,) of the way, and for each input the baselines and the noisy images, (m, N, …)."""
        shares, choices = _draw(numbers, seed, stacks[0].shape[0] or 1)
        starts, ends = [], []
        for number, (x, stack) in enumerate(zip(view.inputs, stacks, strict=True)):
            starts.append(tf.gather(stack, choices)[:, None] + tf.zeros_like(x))
            noisy = noise * value_range(x) * normal_noise(x, numbers, seed + number) if noise else 0
            ends.append(x + noisy + tf.zeros_like(starts[-1]))
        return shares, starts, ends

    def points(numbers):
        shares, starts, ends = draw(numbers)
        return [start + expand_like(shares, end[0]) * (end - start) for start, end in zip(starts, ends, strict=True)]

    def add(sums, numbers, gradients):
        _, starts, ends = draw(numbers)
        parts = zip(sums, starts, ends, gradients, strict=True)
        return [total + tf.reduce_sum((end - start) * gradient, axis=0) for total, start, end, gradient in parts]

    sums = over_points(view, samples, points, add, [tf.zeros_like(x) for x in view.inputs])
    return [reduce_channels(total / samples, channel_reduction) for total in sums]


def _draw(numbers: tf.Tensor, seed: int, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the share of the way and the index among ``count`` baselines of the samples with these numbers, (m,)."""

    def sample(number):
        return tf.random.stateless_uniform([2], (seed, -1 - number))  # the noise has the numbers from 0

    drawn = tf.map_fn(sample, numbers, fn_output_signature=tf.TensorSpec([2], tf.float32))
    return drawn[:, 0], tf.minimum(tf.cast(drawn[:, 1] * count, tf.int32), count - 1)
