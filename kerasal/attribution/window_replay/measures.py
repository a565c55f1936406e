"""What is read off the model for each window: a score, a class, or the activation of a layer's strongest map."""

from kerasal.hooks.view import View
from kerasal.objectives.expression import walk
from kerasal.objectives.formulas import pin

import tensorflow as tf


def score_drop(view: View, clean):
    """Return the function of (output, taps, K) that gives score(clean) - score(occluded), (K, N).

    Each image's top class is that of the clean image. A function of the user's is called for one window at a time,
    since it may hold something of each image.
    """
    output, seen = clean
    images = tf.shape(view.inputs[0])[0]
    before = view.value(output, seen)
    structure, parameters = pin(view.structure, view.parameters, None if output is None else view.top_classes(output))
    calls = any(node[0] == "callable" for node in walk(view.structure))

    def drop(new_output, new_seen, windows):
        def one_window(tensors):
            return view.evaluate(structure, parameters, _like(tensors.get("output"), output), tensors["taps"], [])

        tensors = {"taps": new_seen} if new_output is None else {"output": new_output, "taps": new_seen}
        if calls:
            apart = tf.nest.map_structure(lambda x: tf.reshape(x, [windows, images, *_sizes(x)]), tensors)
            after = tf.map_fn(
                lambda one: tf.broadcast_to(one_window(one), [images]), apart, fn_output_signature=tf.float32
            )
        else:
            repeated = [
                tf.tile(tf.broadcast_to(x, [images, *x.shape[1:]]), [windows, *[1] * (x.shape.rank - 1)])
                for x in parameters
            ]
            after = view.evaluate(structure, repeated, new_output, new_seen, [])
            after = tf.reshape(tf.broadcast_to(after, [windows * images]), [windows, images])
        return before[None] - after

    return drop


def top_class(view: View, clean):
    """Return the function of (output, taps, K) that gives the class with the highest score, (K, N)."""
    images = tf.shape(view.inputs[0])[0]

    def classes(new_output, new_seen, windows):
        new_output = view.layout.last(None, new_output)
        axes = list(range(1, new_output.shape.rank - 1))
        vectors = tf.reduce_mean(new_output, axis=axes) if axes else new_output
        return tf.reshape(tf.cast(tf.argmax(vectors, axis=-1), tf.float32), [windows, images])

    return classes


def strongest_map(view: View, clean, layer: str):
    """Return the function of (output, taps, K) that gives the total of the layer's strongest map, (K, N).

    The strongest map is, for each image, the channel with the largest total over the clean image.

    Raises:
        ValueError: the layer's output has no maps.
    """
    before = view.layout.last(layer, clean[1][layer])
    if before.shape.rank is None or before.shape.rank < 3:
        raise ValueError(f"layer {layer!r} has no maps: expected an output (N, h, w, C). Received {before.shape}.")
    images = tf.shape(view.inputs[0])[0]

    def totals(tensor):
        return tf.reduce_sum(tf.cast(tensor, tf.float32), axis=list(range(1, tensor.shape.rank - 1)))

    strongest = tf.argmax(totals(before), axis=-1)

    def total(new_output, new_seen, windows):
        picked = tf.gather(
            totals(view.layout.last(layer, new_seen[layer])), tf.tile(strongest, [windows]), batch_dims=1
        )
        return tf.reshape(picked, [windows, images])

    return total


def _sizes(tensor: tf.Tensor) -> list:
    static, dynamic = tensor.shape[1:].as_list(), tf.shape(tensor)[1:]
    return [dynamic[i] if size is None else size for i, size in enumerate(static)]


def _like(tensor, example):
    """Give a tensor the number of images that is known of its example: some functions loop over them."""
    return tensor if tensor is None else tf.ensure_shape(tensor, [example.shape[0], *tensor.shape[1:]])
