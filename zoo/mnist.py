"""mnist_cnn: two convolutions that read handwritten digits, small enough to see everything that they see.

Source: Tang, Yao, Jiang & Liu, "How the Deep Convolutional Networks see the world", section 3.1: twice [3×3 convolution
"with stride size 2", ReLU, 32 and 64 channels; 2×2 max-pooling], a dense layer of 128 with ReLU, dropout .3, and a
softmax over the ten digits. The source leaves the padding open: "same" here, which gives 28 > 14 > 7 > 4 > 2 pixels, 256
features and 53,002 parameters. ``stride=1`` is the other reading (421,642 parameters).

Input: (28, 28, 1), ink 1 on background 0 (pixels / 255, preprocessing "unit"). Output: ten probabilities.
"""

import pathlib

from kerasal import _keras  # noqa: F401
from kerasal.registry import Weights, register

import keras  # isort: skip

_WEIGHTS = pathlib.Path(__file__).parent / "weights" / "mnist_cnn.weights.h5"


@register(
    preprocessing="unit",
    task="classification",
    input_shape=(28, 28, 1),
    parameters=53_002,
    reference='Tang, Yao, Jiang & Liu, "How the Deep Convolutional Networks see the world", section 3.1',
    labels="digits",
)
def mnist_cnn(*, stride: int = 2, classes: int = 10) -> keras.Model:
    """Build the two-convolution MNIST net; ``stride`` is that of both convolutions, 2 as the source says, or 1."""
    if stride not in (1, 2):
        raise ValueError(f"stride is 2 (the source's) or 1 (the other reading of it). Received: {stride!r}.")
    if not isinstance(classes, int) or classes < 2:
        raise ValueError(f"classes is a whole number from 2 on. Received: {classes!r}.")
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(32, 3, strides=stride, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(2, padding="same", name="pool1"),
            layers.Conv2D(64, 3, strides=stride, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(2, padding="same", name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(128, activation="relu", name="dense"),
            layers.Dropout(0.3, name="dropout"),
            layers.Dense(classes, activation="softmax", name="predictions"),
        ],
        name="mnist_cnn",
    )
