"""zfnet: ZFNet, an AlexNet with smaller filters and strides in its first two layers.

Source: Zeiler & Fergus 2014, "Visualizing and Understanding Convolutional Networks", figure 3 and sections 3.1 and 4.1.
The authors visualized the features of AlexNet: its first layer (11×11 filters with stride 4) held mostly very high and
very low frequencies, and its second showed aliasing. Their smaller filters and strides avoid both.

Architecture: 96 filters of 7×7 with stride 2, 256 of 5×5 with stride 2, and 384, 384 and 256 of 3×3 without groups; 3×3
max-pooling with stride 2 after the first, second and fifth convolution, followed after the first two by contrast
normalization across channels; two dense layers of 4,096 units with dropout .5; a softmax. 62,357,608 parameters. The
side of the feature maps is 110 > 55 > 26 > 13 > 13 > 13 > 13 > 6. To get these sizes the image is padded by a pixel of
zeros, as in SPP-net's public definition, and pooled sizes are rounded up. The paper gives no constants for the
normalization; AlexNet's are used.

Options: during training, each convolution filter whose RMS exceeds .1 is scaled back to .1 (section 3.1;
``kerasal.layers.MaxFilterRMS``); ``filter_rms=None`` turns this off. ``width`` multiplies the number of filters and
dense units.

Input: (224, 224, 3); ``input_shape`` accepts any size of at least 63 pixels. Pixels are BGR minus the ImageNet mean
color (preprocessing "caffe"); the paper subtracts the mean of every pixel.

Output: 1,000 ImageNet probabilities, or as many as ``classes``.

Weights: none are included. The initial weights are normal with standard deviation .01, the biases 0.

Results: not measured by this project. The paper reports errors of 38.4 % (top-1) and 16.5 % (top-5) on the validation
images of ILSVRC-2012 for a single such network, a top-5 error 1.7 points below AlexNet's, after 70 epochs of SGD with
batches of 128, learning rate .01 lowered by hand, and momentum .9.
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
    """Return ZFNet; ``filter_rms`` is the largest RMS that a convolution filter may have during training."""
    return build(
        "zfnet",
        _CONVOLUTIONS,
        classes=classes,
        input_shape=input_shape,
        classifier_activation=classifier_activation,
        width=width,
        constraint=None if filter_rms is None else MaxFilterRMS(filter_rms),
    )
