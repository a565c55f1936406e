"""The convolutional part of EfficientNet-Lite0, which ``efficientnet_lite0`` and the encoder of ``gaze`` share."""

from collections.abc import Iterator
from typing import NamedTuple

import keras


class Stage(NamedTuple):
    """Blocks of the same kind: of Tan & Le 2019, table 1, without squeeze and excitation."""

    expansion: int
    kernel: int
    stride: int
    filters: int
    repeats: int


STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)


def block_outputs(tensor, *, width: float = 1.0, normalized: bool, blocks: int = 16) -> Iterator:
    """Yield the outputs of the first blocks for an image tensor (N, H, W, 3).

    Args:
        tensor: the input.
        width: factor on the number of filters.
        normalized: whether each convolution is followed by a batch normalization; otherwise it has a bias.
        blocks: the number of blocks, at most 16.
    """
    tensor = convolution(tensor, "stem", normalized, keras.layers.Conv2D, round_filters(32, width), 3, strides=2)
    tensor = keras.layers.ReLU(6.0, name="stem_relu6")(tensor)
    shapes = [
        (stage, stage.stride if repeat == 0 else 1, round_filters(stage.filters, width))
        for stage in STAGES
        for repeat in range(stage.repeats)
    ]
    for number, (stage, stride, filters) in enumerate(shapes[:blocks]):
        tensor = _block(tensor, f"block{number}", stage, stride, filters, normalized)
        yield tensor


def _block(tensor, name: str, stage: Stage, stride: int, filters: int, normalized: bool):
    """Apply an inverted residual block: expansion, depthwise convolution, projection (Sandler et al. 2018)."""
    layers, block_input = keras.layers, tensor
    if stage.expansion > 1:
        expanded = stage.expansion * block_input.shape[-1]
        tensor = convolution(tensor, f"{name}_expand", normalized, layers.Conv2D, expanded, 1)
        tensor = layers.ReLU(6.0, name=f"{name}_expand_relu6")(tensor)
    tensor = convolution(tensor, f"{name}_dw", normalized, layers.DepthwiseConv2D, stage.kernel, strides=stride)
    tensor = layers.ReLU(6.0, name=f"{name}_dw_relu6")(tensor)
    tensor = convolution(tensor, f"{name}_project", normalized, layers.Conv2D, filters, 1)
    if stride == 1 and block_input.shape[-1] == filters:
        tensor = layers.Add(name=f"{name}_add")([block_input, tensor])
    return tensor


def convolution(tensor, name: str, normalized: bool, layer: type, *arguments, strides: int = 1):
    """Apply a convolution ``name_conv`` (``name`` if depthwise) and, if ``normalized``, the batch normalization."""
    full_name = name if layer is keras.layers.DepthwiseConv2D else f"{name}_conv"
    tensor = layer(*arguments, strides=strides, padding="same", use_bias=not normalized, name=full_name)(tensor)
    return keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(tensor) if normalized else tensor


def round_filters(count: int, width: float) -> int:
    """Return ``width`` times ``count``, rounded to a multiple of 8 (Howard et al. 2017)."""
    return max(8, round(count * width / 8) * 8)
