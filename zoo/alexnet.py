"""alexnet: five convolutions and three dense layers, the net that won ILSVRC-2012.

Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks", section
3 and figure 2: 96 filters of 11×11 in steps of 4, 256 of 5×5, 384, 384 and 256 of 3×3, all with ReLU; local response
normalization after the first two; overlapping 3×3 poolings in steps of 2 after these and after the fifth; two dense
layers of 4,096 with dropout .5; a softmax. Maps: 55 > 27 > 27 > 13 > 13 > 13 > 13 > 6.

``groups=2`` (default) is the paper's, whose second, fourth and fifth convolution each see half of the channels because
the net lay on two GPUs: 60,965,224 parameters. ``groups=1`` sees all of them: 62,378,344. ``width`` scales filters and
dense units.

Input: (227, 227, 3), because the paper's 224 does not give its 55; any other from 55 pixels on with ``input_shape``.
RGB -> BGR minus the ImageNet mean (preprocessing "caffe"); the paper subtracts the mean of every pixel. Output: 1,000
probabilities, or ``classes``. Weights start as in the paper: normal, standard deviation .01; biases 1 in conv2, conv4,
conv5 and the dense layers, else 0. Its constants of normalization: 2, 1e-4, 5 channels, .75. Its color jitter and its
random crops belong to the training and are not in the net.

The paper reports errors of 37.5 % (top-1) and 17.0 % (top-5) on the test images of ILSVRC-2010, and 18.2 % (top-5, one
net) on the validation images of 2012. These are its figures: no weights ship here, and nothing of it was measured here.
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
    """Build AlexNet; ``groups`` is 2 as in the paper, or 1."""
    if groups not in (1, 2):
        raise ValueError(f"groups is 2 (the paper's two GPUs) or 1. Received: {groups!r}.")
    convolutions = (
        Convolution(96, 11, 4, after=("norm", "pool")),
        Convolution(256, 5, pad=2, after=("norm", "pool"), bias=1.0, groups=groups),
        Convolution(384, 3, pad=1),
        Convolution(384, 3, pad=1, bias=1.0, groups=groups),
        Convolution(256, 3, pad=1, after=("pool",), bias=1.0, groups=groups),
    )
    if groups == 2 and round(96 * width) % 2:
        raise ValueError(f"width must leave conv1 an even number of filters for two groups. Received: {width!r}.")
    return build(
        "alexnet",
        convolutions,
        classes=classes,
        input_shape=input_shape,
        classifier_activation=classifier_activation,
        width=width,
        dense_bias=1.0,
    )
