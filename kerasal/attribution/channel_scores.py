"""The scores of many runs of a model that each treat another channel of a layer, several channels per pass.

Channels are taken in the order of their importance, as many at a time as an efficient pass has inputs.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasal.attribution.graph_bar import advance_bar, graph_bar
from kerasal.attribution.method_parts import WeightedLayer
from kerasal.checks import check_int
from kerasal.hooks.model_inputs import chunk_size

import tensorflow as tf


def channel_order(importance: tf.Tensor, channels: int | None) -> tf.Tensor:
    """Return the channels (N, k) of the largest ``importance`` (N, C), the most important first; by default all.

    Raises:
        ValueError: ``channels`` is not a positive integer.
    """
    count: Any = importance.shape[-1]
    if channels is not None:
        count = min(check_int("channels", channels, none="None to use all"), count)
    return tf.argsort(importance, direction="DESCENDING", stable=True)[:, :count]


def channel_scores(
    weighted: WeightedLayer, order: tf.Tensor, sizes: Sequence[tf.Tensor], score: Callable, progress: bool
) -> tf.Tensor:
    """Return the scores of runs that treat one channel each, (N, C); 0 for channels that are not in ``order``.

    The target of the view must be the same for all runs (``View.pin``).

    Args:
        weighted: the layer with C channels.
        order: the channels to run, (N, k).
        sizes: the tensors (N, …) that a pass repeats for each of its channels, whose size limits their number.
        score: ``score(chosen, repeated, repeat)`` returns the scores (m · N,) for the channels (m, N) of a pass, copy
            after copy. ``repeated`` is the view of m copies of the batch, and ``repeat(tensor)`` copies a tensor.
        progress: move the bar of ``channel_bar``.
    """
    view, images = weighted.view, tf.shape(order)[0]
    kept: Any = order.shape[1]
    # A target that may depend on the batch, or a stateful layer, sees one channel at a time.
    chunk = tf.clip_by_value(chunk_size(sizes) // images, 1, kept) if view.repeatable else 1
    bar = functools.partial(advance_bar, per_image=kept, part=weighted.number) if progress else lambda tensor, _: tensor

    def body(start, scores):
        ranks = tf.range(start, tf.minimum(start + chunk, kept))
        count = tf.size(ranks)
        chosen = tf.transpose(tf.gather(order, ranks, axis=1))
        repeated = view.repeat(count) if view.repeatable else view

        def repeat(tensor: tf.Tensor) -> tf.Tensor:
            if not view.repeatable:
                return tensor
            copies = tf.tile(tensor, [count, *[1] * (tensor.shape.rank - 1)])
            return tf.ensure_shape(copies, [None, *tensor.shape[1:]])

        found = bar(tf.reshape(score(chosen, repeated, repeat), [count, images]), count * images)
        return start + chunk, tf.tensor_scatter_nd_update(scores, ranks[:, None], found)

    start = bar(tf.zeros([kept, images]), tf.constant(0))
    # Sequential, because parallel iterations need the memory of several passes.
    shapes = tf.TensorShape([]), tf.TensorShape([kept, None])
    _, scores = tf.while_loop(
        lambda start, _: start < kept, body, (0, start), shape_invariants=shapes, parallel_iterations=1
    )
    rows = tf.repeat(tf.range(images), kept)
    places = tf.stack([rows, tf.reshape(order, [-1])], axis=1)
    return tf.scatter_nd(places, tf.reshape(tf.transpose(scores), [-1]), [images, weighted.channels])


@contextlib.contextmanager
def channel_bar(options: dict[str, Any], model: Any, arrays: list[np.ndarray]) -> Iterator[None]:
    """Show a progress bar with a step per channel and image, if ``progress`` is set: the context of a method's run."""
    if not options["progress"]:
        yield
        return
    with graph_bar("channels", None, images=len(arrays[0])):
        yield
