"""Score-CAM: the channels of a late layer, weighted by the score of the image masked by each channel."""

import functools

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import (
    NO_EVIDENCE,
    class_activation_map,
    position_axes,
    resize_maps,
    weighted_maps,
)
from kerasal.checks import check_int

import tensorflow as tf


@method(
    reference="Wang et al. 2020, definition 2, with the weights of the authors' released code",
    family="cam",
    passes="1 forward pass per channel",
    compared=False,
    if_zero=NO_EVIDENCE,
    check=weighted_maps,
    question="region",
    trust="Trust what it shares with gradcam: it measures scores and uses no gradients.",
    with_positions=True,
)
def scorecam(view, *, layer: str | None = None, resize: bool = True, channels: int | None = None):
    """Location of the evidence without gradients: channels weighted by masked images' scores (Wang et al. 2020).

    Each channel's map, resized to the image and then scaled to 0..1, masks the image; the score of the masked image is
    the channel's weight, at the cost of a forward pass per channel. The authors' code weighs by the probability, as
    ``logits=False`` does here. Without a target, the top class of the unmasked image is explained.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the layer whose channels mask the image; by default the last layer with a value per
            position on which the target depends; in a transformer the tensor that the last attention reads.
        resize: resize each map to its input's height and width, bilinearly; otherwise it keeps the layer's size.
        channels: number of channels to use, those with the largest variance; by default all. Fewer take less time.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0; with ``resize=False`` of the layer's size. The attribute
        ``layer`` of the result is the path of the layer.

    Raises:
        ValueError: as in ``gradcam``, or ``channels`` is not a positive integer.
    """
    if channels is not None:
        check_int("channels", channels, none="None to use all")

    return class_activation_map(view.pin(), layer, resize, functools.partial(_weights, channels))


def _weights(channels, maps, _, view, number, cover):
    """Return the score with input ``number`` masked by each channel, (N, 1, …, C); 0 for channels that are not used."""
    axes = position_axes(maps)
    # Above its smallest value, so that zeros cover what the model has cropped.
    raised = maps - tf.reduce_min(maps, axis=axes, keepdims=True)
    channels_second = tf.transpose(raised, (0, maps.shape.rank - 1, *axes))
    count = maps.shape[-1]
    kept = min(channels or count, count)
    order = tf.argsort(tf.math.reduce_variance(maps, axis=axes), direction="DESCENDING")[:, :kept]

    def body(rank, scores):
        channel = order[:, rank]
        chosen = tf.gather(channels_second, channel, batch_dims=1)[..., None]
        masked = list(view.inputs)
        mask = resize_maps(cover(chosen), tf.shape(masked[number])[1:-1])
        lowest = tf.reduce_min(mask, axis=axes, keepdims=True)
        masked[number] *= tf.math.divide_no_nan(mask - lowest, tf.reduce_max(mask, axis=axes, keepdims=True) - lowest)
        return rank + 1, scores.write(rank, view.score(masked))

    scores = tf.TensorArray(tf.float32, size=kept, element_shape=[None])
    _, scores = tf.while_loop(lambda rank, _: rank < kept, body, (0, scores))
    images = tf.shape(maps)[0]
    rows = tf.repeat(tf.range(images), kept)
    positions = tf.stack([rows, tf.reshape(order, [-1])], axis=1)
    weights = tf.scatter_nd(positions, tf.reshape(tf.transpose(scores.stack()), [-1]), [images, count])
    return tf.reshape(weights, [images, *[1] * len(axes), count])
