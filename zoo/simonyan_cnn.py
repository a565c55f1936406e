"""simonyan_cnn: the net in which class saliency maps were first seen.

Source: Simonyan, Vedaldi & Zisserman 2013, "Deep Inside Convolutional Networks", section 1: conv64-conv256-conv256-
conv256-conv256-full4096-full4096-full1000, "similar to" AlexNet "but less wide", trained with "additional image
jittering, based on zeroing-out random parts of an image". The paper has no sizes of kernels; here they are those of
CNN-F (Chatfield et al. 2014, "Return of the Devil in the Details", table 1), a net of the same group and widths: 64
filters of 11×11 in steps of 4, 256 of 5×5, three times 256 of 3×3; local response normalization after the first two;
3×3 poolings in steps of 2 after these and after the fifth; dropout .5. 60,834,536 parameters. Maps: 54 > 27 > 27 > 13 >
13 > 13 > 13 > 6.

The jitter is the layer ``zeroing`` (``kerasal.layers.RandomZeroing``), which acts in training alone: a rectangle of 10
to 40 % of each side, in half of the images; the paper says neither how large nor how often. ``jitter=False`` leaves it
out. Weights start as AlexNet's, since the paper does not say. ``width`` scales filters and dense units.

Input: (224, 224, 3), any other from 55 pixels on with ``input_shape``. RGB -> BGR minus the ImageNet mean
(preprocessing "caffe"), so that zero is the mean color. Output: 1,000 probabilities, or ``classes``.

The paper reports errors of 39.7 % (top-1) and 17.7 % (top-5) on the validation images of ILSVRC-2013, for one net.
These are its figures: no weights ship here, and nothing of it was measured here.
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
    """Build the net of the class saliency paper; ``jitter`` zeroes random parts of the images in training."""
    if not isinstance(jitter, bool):
        raise ValueError(f"jitter is True or False. Received: {jitter!r}.")
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
