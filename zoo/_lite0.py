"""The blocks of EfficientNet-Lite0, batch normalisation folded into convolutions with biases.

Source: Tan & Le 2019, "EfficientNet", table 1, without squeeze-and-excitation and with ReLU6, as its Lite variant is.
"""

import keras

# Expansion, kernel, stride, filters and repeats of the stages of EfficientNet-Lite0 (Tan & Le 2019, table 1).
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
BLOCKS = sum(stage[-1] for stage in _STAGES)
"""How many blocks there are; they count from 0."""


def encoder(tensor, taps, width: float) -> list:
    """Build the encoder's blocks up to the last tap, batch normalisation folded into convolutions with biases."""
    layers, found = keras.layers, []
    tensor = layers.Conv2D(_filters(32, width), 3, 2, padding="same", name="stem_conv")(tensor)
    tensor = layers.ReLU(6.0, name="stem_relu6")(tensor)
    number = 0
    for expansion, kernel, stride, filters, repeats in _STAGES:
        for repeat in range(repeats):
            step = stride if repeat == 0 else 1
            tensor = _block(tensor, number, expansion, kernel, step, _filters(filters, width))
            if number in taps:
                found.append(tensor)
            if number == taps[-1]:
                return found
            number += 1
    return found


def _block(tensor, number: int, expansion: int, kernel: int, stride: int, filters: int):
    """Expand, convolve each channel, project; add the input where the shape allows it (Sandler et al. 2018)."""
    layers, name, before = keras.layers, f"block{number}", tensor
    if expansion > 1:
        tensor = layers.Conv2D(expansion * before.shape[-1], 1, name=f"{name}_expand_conv")(tensor)
        tensor = layers.ReLU(6.0, name=f"{name}_expand_relu6")(tensor)
    tensor = layers.DepthwiseConv2D(kernel, stride, padding="same", name=f"{name}_dw")(tensor)
    tensor = layers.ReLU(6.0, name=f"{name}_dw_relu6")(tensor)
    tensor = layers.Conv2D(filters, 1, name=f"{name}_project_conv")(tensor)
    if stride == 1 and before.shape[-1] == filters:
        tensor = layers.Add(name=f"{name}_add")([before, tensor])
    return tensor


def _filters(count: int, width: float) -> int:
    """Return the scaled number of filters, a multiple of 8 (Howard et al. 2017)."""
    return max(8, round(count * width / 8) * 8)
