"""salnet: a gaze model with nine convolutions and a transposed convolution, at 240 × 320 pixels.

Source: Pan et al. 2016, "Shallow and Deep Convolutional Networks for Saliency Prediction", section 3.2 (the deep
network), and its released Caffe definition.

Architecture: 96 filters of 7×7 with local response normalization, 3×3 max-pooling with stride 2, 256 filters of 5×5,
the same pooling, 512 of 3×3, 512 and 512 of 5×5, 256 of 7×7, 128 of 11×11, 32 of 11×11 and 1 of 13×13, all padded and
all but the last with ReLU; then a transposed convolution of 8×8 that upsamples four times. 25,806,209 parameters. Caffe
rounds pooled sizes up; for sides divisible by 4 the padding used here gives the same sizes.

Options: ``variant="deployed"`` (the default) is the released definition; ``variant="paper"`` follows the paper's
figure, which lacks the convolution with 32 filters: 25,326,785 parameters. ``width`` multiplies all numbers of filters.

Input: (240, 320, 3), or ``input_shape`` with sides divisible by 4. Pixels are BGR minus (100, 110, 118), divided by
127.5.

Output: a map (H, W) per image, of the size of the input, linear. The original computes 128 y + 127 for display.

Weights: none are included. The authors took the first three layers from VGG_CNN_M; all layers start random here
(Glorot; the last layer bilinear).

Limits: users of the original report that it converges to a blob in the center when trained from random weights. An
image costs about 240 GFLOP: seconds on a CPU.
"""

from typing import Any

import numpy as np

from kerasal.checks import check_choice, check_number
from kerasal.layers import LocalResponseNormalization
from kerasal.models.registry import register

import keras

# Filters and kernel size of each convolution; the first two are followed by pooling.
VARIANTS = {
    "deployed": ((96, 7), (256, 5), (512, 3), (512, 5), (512, 5), (256, 7), (128, 11), (32, 11)),
    "paper": ((96, 7), (256, 5), (512, 3), (512, 5), (512, 5), (256, 7), (128, 11)),
}
_LAST, _ENLARGE = 13, 4


def identify(shapes: list[tuple[int, ...]]) -> str | None:
    """Return the options of the model whose weights have these shapes, or None: variant and width."""
    kernels = [shape for shape in shapes if len(shape) == 4]
    first = next((shape for shape in kernels if shape[:3] == (7, 7, 3)), None)
    variant = {10: "deployed", 9: "paper"}.get(len(kernels))
    if first is None or variant is None:
        return None
    return f"variant={variant!r}" + (f", width={first[3] / 96:g}" if first[3] != 96 else "")


@register(
    preprocessing="mean=100/110/118,std=127.5,bgr",
    task="gaze",
    input_shape=(240, 320, 3),
    parameters=25_806_209,
    reference="Pan et al. 2016, arXiv 1603.00845, section 3.2; imatge-upc/saliency-2016-cvpr",
    identify=identify,
)
def salnet(*, variant: str = "deployed", input_shape: tuple = (240, 320, 3), width: float = 1.0) -> keras.Model:
    """Return Pan et al.'s deep gaze model, whose maps are linear and as large as the input; see the card."""
    check_choice("variant", variant, VARIANTS)
    if len(input_shape) != 3 or input_shape[2] != 3 or any(not side or side % 4 for side in input_shape[:2]):
        raise ValueError(f"input_shape must be (H, W, 3) with sides divisible by 4, got {input_shape!r}.")
    check_number("width", width, above=0, maximum=4)
    layers = keras.layers
    inputs = keras.Input(tuple(input_shape), name="image")
    tensor = inputs
    for number, (filters, kernel) in enumerate(VARIANTS[variant], start=1):
        filters = max(1, round(filters * width))
        tensor = layers.Conv2D(filters, kernel, padding="same", activation="relu", name=f"conv{number}")(tensor)
        if number == 1:
            tensor = LocalResponseNormalization(5, 1e-4, 0.75, name="norm1")(tensor)
        if number <= 2:
            tensor = layers.MaxPooling2D(3, 2, padding="same", name=f"pool{number}")(tensor)
    tensor = layers.Conv2D(1, _LAST, padding="same", name=f"conv{len(VARIANTS[variant]) + 1}")(tensor)
    initializer: Any = _bilinear  # Any: the type checker expects the type of Keras's default, a string
    tensor = layers.Conv2DTranspose(
        1, 2 * _ENLARGE, _ENLARGE, padding="same", use_bias=False, kernel_initializer=initializer, name="deconv1"
    )(tensor)
    outputs = layers.Reshape(tuple(input_shape[:2]), name="map")(tensor)
    return keras.Model(inputs, outputs, name="salnet")


@keras.saving.register_keras_serializable(package="kerasal")
def _bilinear(shape, dtype=None):
    """Return the kernel with which a transposed convolution upsamples bilinearly."""
    size = shape[0]
    line = 1 - np.abs(np.arange(size) - (size - 1) / 2) / (size / 2)
    return keras.ops.convert_to_tensor((line[:, None] * line).reshape(size, size, 1, 1), dtype or "float32")
