"""Graph functions: the strongest activation of each channel, and the projection of a unit back to pixels."""

from collections.abc import Sequence

import numpy as np

from kerasal import hooks
from kerasal.hooks.trace import cached_trace
from kerasal.objectives import channel as channel_mean

import keras
import tensorflow as tf


def check_projection(
    model: keras.Model, layer: str, channels: Sequence[int], shape: tuple[int, ...], rule: str
) -> None:
    """Trace the projection and check its arguments before the search; the trace is cached for ``project``.

    Raises:
        ValueError: if the layer has no map or does not have these channels.
        NoReLU: if the rule needs ReLUs and the model has none.
    """
    inputs = [np.zeros((1, *shape), np.float32)]
    try:
        trace = cached_trace(_project, model, inputs, channel_mean(layer, [0]), options={"layer": layer, "rule": rule})
    except hooks.NoReLU as error:
        raise hooks.NoReLU(f"{error} Pass rule='gradient'.") from error
    count = trace.notes["channels"]
    if count is not None and max(channels) >= count:
        raise ValueError(
            f"channel must be an integer in 0..{count - 1}, got {max(channels)}. Layer {layer!r} has {count} channels."
        )


def find_strongest(model: keras.Model, layer: str, inputs: np.ndarray) -> np.ndarray:
    """Return the maximum of each channel of a layer over all positions, (N, C)."""
    return hooks.activations(model, [layer], inputs, reduce=_strongest, batch_size=len(inputs), name=layer)[layer]


def project(
    model: keras.Model, layer: str, channels: Sequence[int], inputs: np.ndarray, rule: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Project the strongest unit of a channel back to the input, for a channel of each image.

    The backward signal is the activation a of that unit, and zero for every other unit of the layer (Zeiler & Fergus
    2014, section 2.1). This equals the gradient of a²/2 under the backward rule.

    Returns:
        Reconstructions in the shape of the inputs, activations (N,), and positions of the units on the layer's map: (x,
        y) on a map of rows and columns, (N, 2), else one per axis in their order, (N, axes).
    """
    objective = channel_mean(layer, list(channels))
    trace = cached_trace(_project, model, [inputs], objective, options={"layer": layer, "rule": rule})
    reconstructions, values, positions = trace([inputs], list(objective.parameters))
    return reconstructions, values, np.round(positions).astype(int)


def _strongest(maps: tf.Tensor, *, name: str) -> tf.Tensor:
    maps = _check_map(maps, name)
    return tf.reduce_max(maps, axis=list(range(1, maps.shape.rank - 1)))


def _project(view, *, layer: str, rule: str):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(view.inputs)
        maps = view.layout.last(layer, view.run(taps=[layer], output=False, rule=rule).layers[layer])
        maps = tf.cast(_check_map(maps, layer), tf.float32)
        rank = maps.shape.rank
        view.notes["channels"] = maps.shape[rank - 1]
        (channels,) = view.parameters
        channel_maps = tf.gather(maps, tf.broadcast_to(channels, tf.shape(maps)[:1]), axis=rank - 1, batch_dims=1)
        flat = tf.reshape(channel_maps, [tf.shape(channel_maps)[0], -1])
        strongest = tf.argmax(flat, axis=1, output_type=tf.int32)
        indices = tf.unravel_index(strongest, tf.shape(channel_maps)[1:])
        positions = tf.transpose(indices[::-1] if rank == 4 else indices)
        values = tf.gather(flat, strongest, axis=1, batch_dims=1)
        energy = tf.square(values) / 2
    (reconstructions,) = hooks.differentiate(tape, energy, view.inputs)
    return [reconstructions, values, positions]


def _check_map(maps: tf.Tensor, layer: str) -> tf.Tensor:
    if maps.shape.rank not in (3, 4, 5):
        raise ValueError(
            f"Layer {layer!r} must have a map, such as (N, h, w, C), but its output is {maps.shape}. Choose a "
            "convolution, a pooling or another layer with a map."
        )
    return maps
