"""The builder of alexnet, zfnet and simonyan_cnn: five convolutions, three poolings and three dense layers."""

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
    """A convolution with ReLU, padded by ``pad`` pixels per side; ``after`` lists the layers after it: norm, pool."""

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
    """Return a classifier with the given convolutions, followed by two dense layers with dropout and the output layer.

    Layers are named conv1, norm1, pool1 and so on, then fc6, fc7 and predictions. The initial kernels are normal
    with standard deviation .01.

    Args:
        name: name of the model.
        convolutions: the convolutions, each with its initial bias.
        classes: number of outputs.
        input_shape: (H, W, C).
        classifier_activation: activation of the output layer; ``None`` for logits.
        width: factor on the number of filters and dense units, above 0 and at most 4.
        dense_bias: initial bias of fc6 and fc7.
        constraint: Keras constraint on the kernels of the convolutions.
        jitter: layer that is applied to the input.

    Raises:
        ValueError: an option out of range, or an image that is too small for the poolings.
    """
    check_int("classes", classes, 2)
    check_size("input_shape", input_shape, ("H", "W", "C"))
    check_number("width", width, above=0, maximum=4)
    layers = keras.layers
    tensor = inputs = keras.Input(tuple(input_shape), name="image")
    if jitter is not None:
        tensor = jitter(tensor)
    for number, convolution in enumerate(convolutions, start=1):
        tensor = _convolve(tensor, convolution, number, width, constraint)
        for step in convolution.after:
            if step == "pool":
                tensor = _max_pool(tensor, number, f"input_shape must be larger for {name}, got {tuple(input_shape)}")
            else:  # AlexNet's constants: 2, 1e-4 for the sum over 5 channels (5e-4 for their mean), and .75
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


def _convolve(tensor, convolution: Convolution, number: int, width: float, constraint):
    same = convolution.stride == 1 and 2 * convolution.pad == convolution.kernel - 1
    if convolution.pad and not same:  # with a stride, "same" may pad one side more than Caffe does
        tensor = keras.layers.ZeroPadding2D(convolution.pad, name=f"pad{number}")(tensor)
    layer = GroupedConv2D if convolution.groups > 1 else keras.layers.Conv2D
    return layer(
        max(1, round(convolution.filters * width / convolution.groups)) * convolution.groups,
        convolution.kernel,
        strides=convolution.stride,
        padding="same" if same else "valid",
        groups=convolution.groups,
        activation="relu",
        kernel_initializer=_normal(),
        bias_initializer=_constant(convolution.bias),
        kernel_constraint=constraint,
        name=f"conv{number}",
    )(tensor)


def _max_pool(tensor, number: int, error: str):
    """Max-pool 3 × 3 with stride 2 and round the size up as Caffe does, by padding an even side at its end."""
    height, width = tensor.shape[1:3]
    if min(height, width) < 3:
        raise ValueError(f"{error}. pool{number} gets {height} × {width} values and needs at least 3 × 3.")
    even = height % 2 == 0 and width % 2 == 0
    return keras.layers.MaxPooling2D(3, 2, padding="same" if even else "valid", name=f"pool{number}")(tensor)


def _normal() -> Any:
    return keras.initializers.RandomNormal(stddev=0.01)


def _constant(value: float) -> Any:
    return keras.initializers.Constant(value)
