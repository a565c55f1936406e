"""alexnet: AlexNet, the ImageNet classifier with five convolutions that won ILSVRC-2012.

Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks", section
3 and figure 2.

Architecture: 96 filters of 11×11 with stride 4, 256 of 5×5, and 384, 384 and 256 of 3×3, all with ReLU; local response
normalization (constants 2, 1e-4, 5 channels, .75) after the first two convolutions; overlapping 3×3 max-pooling with
stride 2 after the first, second and fifth; two dense layers of 4,096 units with dropout .5; a softmax. The side of the
feature maps is 55 > 27 > 27 > 13 > 13 > 13 > 13 > 6.

Options: ``groups=2`` (the default) follows the paper, whose second, fourth and fifth convolution each see half of the
channels because the network was split between two GPUs: 60,965,224 parameters. With ``groups=1`` they see all channels:
62,378,344 parameters. ``width`` multiplies the number of filters and dense units.

Input: (227, 227, 3), because the paper's 224 pixels do not give its 55; ``input_shape`` accepts any size of at least 55
pixels. Pixels are BGR minus the ImageNet mean color (preprocessing "caffe"); the paper subtracts the mean of every
pixel.

Output: 1,000 ImageNet probabilities, or as many as ``classes``.

Weights: none are included. The initial weights follow the paper: normal with standard deviation .01; biases 1 in conv2,
conv4, conv5 and the dense layers, otherwise 0.

Results: not measured by this project. The paper reports errors of 37.5 % (top-1) and 17.0 % (top-5) on the test images
of ILSVRC-2010, and 18.2 % (top-5, a single network) on the validation images of ILSVRC-2012.

Limits: the paper's color jitter and random crops are part of its training and not of this model.
"""

from kerasal.models.registry import register
from kerasal.zoo._alexnet_family import Convolution, build  # pyright: ignore[reportMissingImports]

import keras


@register(
    preprocessing="caffe",
    task="classification",
    input_shape=(227, 227, 3),
    parameters=60_965_224,
    reference="Krizhevsky, Sutskever & Hinton 2012, NIPS 25, section 3, figure 2",
    labels="imagenet",
)
def alexnet(
    *,
    groups: int = 2,
    classes: int = 1000,
    input_shape: tuple = (227, 227, 3),
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
) -> keras.Model:
    """Return AlexNet, with the grouped convolutions of the paper (``groups=2``) or without (``groups=1``)."""
    if groups not in (1, 2):
        raise ValueError(f"groups must be 1 or 2, got {groups!r}. The paper has 2, one per GPU.")
    convolutions = (
        Convolution(96, 11, 4, after=("norm", "pool")),
        Convolution(256, 5, pad=2, after=("norm", "pool"), bias=1.0, groups=groups),
        Convolution(384, 3, pad=1),
        Convolution(384, 3, pad=1, bias=1.0, groups=groups),
        Convolution(256, 3, pad=1, after=("pool",), bias=1.0, groups=groups),
    )
    if groups == 2 and round(96 * width) % 2:
        raise ValueError(f"width must give conv1 an even number of filters with groups=2, got {width!r}.")
    return build(
        "alexnet",
        convolutions,
        classes=classes,
        input_shape=input_shape,
        classifier_activation=classifier_activation,
        width=width,
        dense_bias=1.0,
    )
