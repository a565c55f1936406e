"""Score-CAM: a late layer's channels, weighted by the score of the image seen through each of them."""

import functools

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import NO_EVIDENCE, class_activation_map
from kerasal.checks import check_int

import tensorflow as tf


@method(reference="Wang et al. 2020, definition 2, with the weights of the authors' released code", if_zero=NO_EVIDENCE)
def scorecam(view, *, layer: str | None = None, resize: bool = True, channels: int | None = None):
    """Show where in the image the evidence lies, without gradients: channels weighted by the score of what they pass.

    Each channel's map, scaled to 0..1 and to the size of the image, masks the image; the score of the masked image is
    the channel's weight: one forward pass a channel. The authors' code weighs by the probability, which is
    ``logits=False``. ``channels`` keeps only those of largest variance, which is faster. A target left open is the top
    class of the whole image. Made by this package's own hooks. ``layer`` and ``resize``, and what is raised, are as in
    ``gradcam``.

    Returns:
        float32 (N, H, W), from 0 on; or (N, h, w) of the layer's own size.
    """
    if channels is not None:
        check_int("channels", channels, none="None for all")

    return class_activation_map(view.pin(), layer, resize, functools.partial(_weights, channels))


def _weights(kept, maps, _, view, number):
    """Return the score of input ``number`` seen through each channel, (N, 1, 1, C); 0 for channels left out."""
    lowest = tf.reduce_min(maps, axis=[1, 2], keepdims=True)
    masks = tf.math.divide_no_nan(maps - lowest, tf.reduce_max(maps, axis=[1, 2], keepdims=True) - lowest)
    count = maps.shape[-1]
    kept = min(kept or count, count)
    order = tf.argsort(tf.math.reduce_variance(maps, axis=[1, 2]), direction="DESCENDING")[:, :kept]

    def body(place, scores):
        channel = order[:, place]
        mask = tf.gather(tf.transpose(masks, (0, 3, 1, 2)), channel, batch_dims=1)[..., None]
        seen = list(view.inputs)
        seen[number] *= tf.image.resize(mask, tf.shape(seen[number])[1:3])
        return place + 1, scores.write(place, view.score(seen))

    scores = tf.TensorArray(tf.float32, size=kept, element_shape=[None])
    _, scores = tf.while_loop(lambda place, _: place < kept, body, (0, scores))
    images = tf.shape(maps)[0]
    rows = tf.repeat(tf.range(images), kept)
    places = tf.stack([rows, tf.reshape(order, [-1])], axis=1)
    weights = tf.scatter_nd(places, tf.reshape(tf.transpose(scores.stack()), [-1]), [images, count])
    return weights[:, None, None, :]
