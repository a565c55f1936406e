"""Score-CAM: the channels of a late layer, weighted by the score of the image masked by each channel."""

import functools

from kerasal.attribution.channel_scores import channel_bar, channel_order, channel_scores
from kerasal.attribution.method import method
from kerasal.attribution.method_parts import (
    NO_EVIDENCE,
    WeightedLayer,
    class_activation_map,
    position_axes,
    resize_maps,
    weighted_maps,
)

import tensorflow as tf


@method(
    reference="Wang et al. 2020, definition 2, with the weights of the authors' released code",
    family="cam",
    passes="1 forward pass per channel",
    compared=False,
    if_zero=NO_EVIDENCE,
    check=weighted_maps,
    run_context=channel_bar,
    question="region",
    trust="Trust what it shares with gradcam: it measures scores and uses no gradients.",
    with_positions=True,
)
def scorecam(
    view, *, layer: str | None = None, resize: bool = True, channels: int | None = None, progress: bool = False
):
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
        progress: show a progress bar.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0; with ``resize=False`` of the layer's size. The attribute
        ``layer`` of the result is the path of the layer.

    Raises:
        ValueError: as in ``gradcam``, or ``channels`` is not a positive integer.
    """
    return class_activation_map(view.pin(), layer, resize, functools.partial(_weights, channels, progress))


def _weights(channels: int | None, progress: bool, maps: tf.Tensor, _, weighted: WeightedLayer) -> tf.Tensor:
    """Return the score of the input masked by each channel, (N, 1, …, C); 0 for channels that are not used."""
    axes, view, number = position_axes(maps), weighted.view, weighted.number
    # Above its smallest value, so that zeros cover what the model has cropped.
    raised = maps - tf.reduce_min(maps, axis=axes, keepdims=True)
    channels_second = tf.transpose(raised, (0, maps.shape.rank - 1, *axes))
    order = channel_order(tf.math.reduce_variance(maps, axis=axes), channels)

    def masked_scores(chosen, repeated, repeat):
        masks = tf.gather(channels_second, tf.transpose(chosen), batch_dims=1)  # (N, m, *positions)
        masks = tf.transpose(masks, (1, 0, *range(2, maps.shape.rank)))
        masks = tf.reshape(masks, tf.concat([[-1], tf.shape(maps)[1:-1], [1]], axis=0))
        inputs = [repeat(x) for x in view.inputs]
        masks = resize_maps(weighted.cover(masks), tf.shape(inputs[number])[1:-1])
        lowest = tf.reduce_min(masks, axis=axes, keepdims=True)
        shares = tf.math.divide_no_nan(masks - lowest, tf.reduce_max(masks, axis=axes, keepdims=True) - lowest)
        inputs[number] = tf.ensure_shape(shares * inputs[number], inputs[number].shape)
        return repeated.score(inputs)

    scores = channel_scores(weighted, order, view.inputs, masked_scores, progress)
    return tf.reshape(scores, [-1, *[1] * len(axes), maps.shape[-1]])
