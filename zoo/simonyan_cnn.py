"""simonyan_cnn: the ImageNet classifier for which class saliency maps were introduced.

Source: Simonyan, Vedaldi & Zisserman 2013, "Deep Inside Convolutional Networks", section 1:
conv64-conv256-conv256-conv256-conv256-full4096-full4096-full1000, "similar to" AlexNet "but less wide", trained with
"additional image jittering, based on zeroing-out random parts of an image".

Architecture: the paper gives no kernel sizes. They are taken from CNN-F (Chatfield et al. 2014, "Return of the Devil in
the Details", table 1), a network of the same group and widths: 64 filters of 11×11 with stride 4, 256 of 5×5, and three
times 256 of 3×3; local response normalization after the first two convolutions; 3×3 max-pooling with stride 2 after the
first, second and fifth; two dense layers of 4,096 units with dropout .5; a softmax. 60,834,536 parameters. The side of
the feature maps is 54 > 27 > 27 > 13 > 13 > 13 > 13 > 6.

Options: the paper's jitter is the layer ``zeroing`` (``kerasal.layers.RandomZeroing``), which is active only in
training. It sets a rectangle of 10 to 40 % of each side to zero in half of the images; the paper specifies neither the
size nor the frequency. ``jitter=False`` omits the layer. ``width`` multiplies the number of filters and dense units.

Input: (224, 224, 3); ``input_shape`` accepts any size of at least 55 pixels. Pixels are BGR minus the ImageNet mean
color (preprocessing "caffe"), so that zero is the mean color.

Output: 1,000 ImageNet probabilities, or as many as ``classes``.

Weights: none are included. The paper does not describe the initial weights; AlexNet's are used.

Results: not measured by this project. The paper reports errors of 39.7 % (top-1) and 17.7 % (top-5) on the validation
images of ILSVRC-2013 for a single network.
"""

from kerasal.layers import RandomZeroing
from kerasal.models.registry import register
from kerasal.zoo._alexnet_family import Convolution, build  # pyright: ignore[reportMissingImports]

import keras

_CONVOLUTIONS = (
    Convolution(64, 11, 4, after=("norm", "pool")),
    Convolution(256, 5, pad=2, after=("norm", "pool"), bias=1.0),
    Convolution(256, 3, pad=1),
    Convolution(256, 3, pad=1, bias=1.0),
    Convolution(256, 3, pad=1, after=("pool",), bias=1.0),
)


@register(
    preprocessing="caffe",
    task="classification",
    input_shape=(224, 224, 3),
    parameters=60_834_536,
    reference="Simonyan, Vedaldi & Zisserman 2013, arXiv 1312.6034, section 1; Chatfield et al. 2014, table 1, CNN-F",
    labels="imagenet",
)
def simonyan_cnn(
    *,
    classes: int = 1000,
    input_shape: tuple = (224, 224, 3),
    classifier_activation: str | None = "softmax",
    jitter: bool = True,
    width: float = 1.0,
) -> keras.Model:
    """Return the class saliency paper's model; ``jitter`` sets random parts of the images to zero in training."""
    if not isinstance(jitter, bool):
        raise ValueError(f"jitter must be True or False, got {jitter!r}.")
    return build(
        "simonyan_cnn",
        _CONVOLUTIONS,
        classes=classes,
        input_shape=input_shape,
        classifier_activation=classifier_activation,
        width=width,
        dense_bias=1.0,
        jitter=RandomZeroing(name="zeroing") if jitter else None,
    )
