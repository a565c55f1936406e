"""In the graph: how strongly an image excites each channel, and its strongest unit carried back to pixels."""

from collections.abc import Sequence

import numpy as np

from kerasal import hooks
from kerasal.hooks.trace import cached_trace
from kerasal.objectives import channel as channel_mean
from kerasal.objectives.formulas import evaluate

import keras
import tensorflow as tf


def check_projection(
    model: keras.Model, layer: str, channels: Sequence[int], shape: tuple[int, int, int], rule: str
) -> None:
    """Refuse, before the work, what could only fail after it; the trace that this makes is used again.

    Raises:
        ValueError: the layer has no map or fewer channels, or the rule finds no ReLU.
    """
    inputs = [np.zeros((1, *shape), np.float32)]
    try:
        trace = cached_trace(_project, model, inputs, channel_mean(layer, [0]), options={"layer": layer, "rule": rule})
    except hooks.NoReLU as error:
        raise hooks.NoReLU(f"{error} Here: rule='gradient'.") from error
    count = trace.notes["channels"]
    if count is not None and max(channels) >= count:
        raise ValueError(f"There are {count} channels of {layer!r}, counted from 0. Received: {max(channels)}.")


def find_strongest(model: keras.Model, layer: str, inputs: np.ndarray) -> np.ndarray:
    """Return the strongest activation of each channel of a layer over all positions, (N, C)."""
    return hooks.activations(model, [layer], inputs, reduce=_strongest, batch_size=len(inputs), name=layer)[layer]


def project(
    model: keras.Model, layer: str, channels: Sequence[int], inputs: np.ndarray, rule: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Carry the strongest unit of one channel an image back to the input.

    The signal that starts at that unit is its activation; every other unit of the layer is zero (Zeiler & Fergus 2014,
    section 2.1). So it is the gradient of a²/2 under the backward rule.

    Returns:
        Reconstructions (N, H, W, C), activations (N,), and positions (N, 2) as (x, y) on the layer's map.
    """
    objective = channel_mean(layer, list(channels))
    trace = cached_trace(_project, model, [inputs], objective, options={"layer": layer, "rule": rule})
    back, values, places = trace([inputs], list(objective.parameters))
    return back, values, np.round(places).astype(int)


def _strongest(maps: tf.Tensor, *, name: str) -> tf.Tensor:
    return tf.reduce_max(_check_map(maps, name), axis=[1, 2])


def _project(view, *, layer: str, rule: str):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(view.inputs)
        maps = view.layout.last(layer, view.run(taps=[layer], output=False, rule=rule).layers[layer])
        maps = tf.cast(_check_map(maps, layer), tf.float32)
        view.notes["channels"] = maps.shape[3]
        (channels,) = view.parameters
        own = tf.gather(maps, tf.broadcast_to(channels, tf.shape(maps)[:1]), axis=3, batch_dims=1)
        width = tf.shape(own)[2]
        first = tf.argmax(tf.reshape(own, [tf.shape(own)[0], -1]), axis=1, output_type=tf.int32)
        places = tf.stack([tf.math.floormod(first, width), first // width], axis=1)
        values = evaluate(("neuron", layer), [channels, places], None, {layer: maps}, [])
        energy = tf.square(values) / 2
    (back,) = hooks.differentiate(tape, energy, view.inputs)
    return [back, values, places]


def _check_map(maps: tf.Tensor, layer: str) -> tf.Tensor:
    if maps.shape.rank != 4:
        raise ValueError(
            f"Layer {layer!r} has no map of units, each with a place in the image: its output is {maps.shape}. Choose "
            "a convolution, a pooling or another layer with output (N, h, w, C)."
        )
    return maps
