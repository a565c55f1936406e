"""What alexnet, zfnet and simonyan_cnn have in common: five convolutions, three poolings and three dense layers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from kerasal.checks import check_int, check_number, check_size
from kerasal.layers import GroupedConv2D, LocalResponseNormalization

import keras

DENSE = 4096
DROPOUT = 0.5


@dataclasses.dataclass(frozen=True)
class Convolution:
    """One convolution with ReLU: ``pad`` pixels on every side; ``after`` lists what follows, "norm" and "pool"."""

    filters: int
    kernel: int
    stride: int = 1
    pad: int = 0
    after: tuple[str, ...] = ()
    bias: float = 0.0
    groups: int = 1


def build(
    name: str,
    convolutions: Sequence[Convolution],
    *,
    classes: int,
    input_shape: tuple,
    classifier_activation: str | None,
    width: float,
    dense_bias: float = 0.0,
    constraint: Any = None,
    jitter: Any = None,
) -> keras.Model:
    """Build the net: normal weights of standard deviation .01, and the biases of ``convolutions`` and ``dense_bias``.

    Layers are conv1, norm1, pool1 and so on, then fc6 and fc7, which start with ``dense_bias``, and predictions.
    ``width`` is a factor on filters and dense units, ``constraint`` is on the kernels of the convolutions, and
    ``jitter`` a layer on the input. Unusable options, or an image that is too small for the poolings, are a ValueError.
    """
    check_int("classes", classes, 2)
    check_size("input_shape", input_shape, ("H", "W", "C"))
    check_number("width", width, above=0, maximum=4)
    layers = keras.layers
    tensor = inputs = keras.Input(tuple(input_shape), name="image")
    if jitter is not None:
        tensor = jitter(tensor)
    for number, one in enumerate(convolutions, start=1):
        tensor = _convolved(tensor, one, number, width, constraint)
        for step in one.after:
            if step == "pool":
                tensor = _pooled(tensor, number, f"input_shape {tuple(input_shape)} is too small for {name}")
            else:  # the paper's constants: 2, 1e-4 for the sum (so five times that for the mean), and .75
                tensor = LocalResponseNormalization(5, 5e-4, 0.75, 2.0, name=f"norm{number}")(tensor)
    tensor = layers.Flatten(name="flatten")(tensor)
    for number in (6, 7):
        dense = layers.Dense(
            max(1, round(DENSE * width)),
            activation="relu",
            kernel_initializer=_normal(),
            bias_initializer=_constant(dense_bias),
            name=f"fc{number}",
        )
        tensor = layers.Dropout(DROPOUT, name=f"dropout{number}")(dense(tensor))
    last = layers.Dense(classes, activation=classifier_activation, kernel_initializer=_normal(), name="predictions")
    return keras.Model(inputs, last(tensor), name=name)


def _convolved(tensor, one: Convolution, number: int, width: float, constraint):
    same = one.stride == 1 and 2 * one.pad == one.kernel - 1
    if one.pad and not same:  # "same" would put the odd pixel elsewhere than Caffe does
        tensor = keras.layers.ZeroPadding2D(one.pad, name=f"pad{number}")(tensor)
    layer = GroupedConv2D if one.groups > 1 else keras.layers.Conv2D
    return layer(
        max(1, round(one.filters * width / one.groups)) * one.groups,
        one.kernel,
        strides=one.stride,
        padding="same" if same else "valid",
        groups=one.groups,
        activation="relu",
        kernel_initializer=_normal(),
        bias_initializer=_constant(one.bias),
        kernel_constraint=constraint,
        name=f"conv{number}",
    )(tensor)


def _pooled(tensor, number: int, too_small: str):
    """Pool 3 × 3 in steps of 2, an even side padded by one at its end, which is how Caffe rounds sizes up."""
    height, width = tensor.shape[1:3]
    if min(height, width) < 3:
        raise ValueError(f"{too_small}: pool{number} would get {height} × {width} values, and needs 3 × 3.")
    even = height % 2 == 0 and width % 2 == 0
    return keras.layers.MaxPooling2D(3, 2, padding="same" if even else "valid", name=f"pool{number}")(tensor)


def _normal() -> Any:
    return keras.initializers.RandomNormal(stddev=0.01)


def _constant(value: float) -> Any:
    return keras.initializers.Constant(value)
