"""zfnet: AlexNet with a finer first look, found by visualizing what AlexNet's first layers had learned.

Source: Zeiler & Fergus 2014, "Visualizing and Understanding Convolutional Networks", figure 3 and section 4.1: 96
filters of 7×7 in steps of 2 (AlexNet: 11×11 in steps of 4, whose first layer held extremes of frequency and whose
second showed aliasing), 256 of 5×5 in steps of 2, 384, 384 and 256 of 3×3, no groups; 3×3 poolings in steps of 2 after
the first, second and fifth, the first two followed by contrast normalization across the maps; two dense layers of 4,096
with dropout .5; a softmax. 62,357,608 parameters. Maps: 110 > 55 > 26 > 13 > 13 > 13 > 13 > 6, which takes one pixel of
zeros around the image, as SPP-net's public definition has it, and poolings that round up.

While training, each filter of a convolution whose RMS exceeds .1 is scaled back to it (section 3.1;
``kerasal.layers.MaxFilterRMS``); ``filter_rms=None`` leaves that out. Weights start normal, standard deviation .01,
biases at 0. The constants of the normalization are AlexNet's, since the paper has none. ``width`` scales filters and
dense units.

Input: (224, 224, 3), any other from 63 pixels on with ``input_shape``. RGB -> BGR minus the ImageNet mean
(preprocessing "caffe"); the paper subtracts the mean of every pixel. Output: 1,000 probabilities, or ``classes``.

The paper reports 38.4 % (top-1) and 16.5 % (top-5) on the validation images of ILSVRC-2012 for one such net, 1.7 points
(top-5) less than AlexNet's, after 70 epochs of SGD in batches of 128, rate .01 lowered by hand, momentum .9. These are
its figures: no weights ship here, and nothing of it was measured here.
"""

from kerasal.layers import MaxFilterRMS
from kerasal.models.registry import register
from kerasal.zoo._alexnet_family import Convolution, build  # pyright: ignore[reportMissingImports]

import keras

_CONVOLUTIONS = (
    Convolution(96, 7, 2, pad=1, after=("pool", "norm")),
    Convolution(256, 5, 2, after=("pool", "norm")),
    Convolution(384, 3, pad=1),
    Convolution(384, 3, pad=1),
    Convolution(256, 3, pad=1, after=("pool",)),
)


@register(
    preprocessing="caffe",
    task="classification",
    input_shape=(224, 224, 3),
    parameters=62_357_608,
    reference="Zeiler & Fergus 2014, arXiv 1311.2901, figure 3",
    labels="imagenet",
)
def zfnet(
    *,
    classes: int = 1000,
    input_shape: tuple = (224, 224, 3),
    classifier_activation: str | None = "softmax",
    filter_rms: float | None = 0.1,
    width: float = 1.0,
) -> keras.Model:
    """Build ZFNet; ``filter_rms`` is what the RMS of each filter is held to while training."""
    return build(
        "zfnet",
        _CONVOLUTIONS,
        classes=classes,
        input_shape=input_shape,
        classifier_activation=classifier_activation,
        width=width,
        constraint=None if filter_rms is None else MaxFilterRMS(filter_rms),
    )
