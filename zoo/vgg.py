"""vgg16, vgg19: the very deep convolutional networks of the Visual Geometry Group.

Source: Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition", configurations
D and E.

These are ``keras.applications`` as they are, so every layer has the name that the field uses (``block5_conv3``).
Input: (224, 224, 3), RGB -> BGR minus the ImageNet mean (preprocessing "caffe"). Output: 1,000 ImageNet probabilities.

``weights="imagenet"`` downloads the published weights (553 and 575 MB, once) and is the only thing here that uses the
network; a path loads a file of your own. No accuracy is claimed here: the published weights are not measured by this
project.
"""

from kerasal.models.registry import Weights, register

import keras

_REFERENCE = "Simonyan & Zisserman 2014, arXiv 1409.1556, table 1, configuration {}"
_WEIGHTS = {"imagenet": Weights("keras.applications, ImageNet; downloaded on first use")}


def _vgg(application, weights, include_top, classifier_activation, classes, input_shape) -> keras.Model:
    return application(
        weights=weights,
        include_top=include_top,
        classifier_activation=classifier_activation,
        classes=classes,
        input_shape=input_shape,
    )


@register(
    preprocessing="caffe",
    task="classification",
    input_shape=(224, 224, 3),
    parameters=138_357_544,
    reference=_REFERENCE.format("D"),
    weights=_WEIGHTS,
    labels="imagenet",
)
def vgg16(
    *, weights=None, include_top=True, classifier_activation="softmax", classes=1000, input_shape=None
) -> keras.Model:
    """Build VGG16; without ``include_top``, the convolutions alone, for images of any size from 32 pixels on."""
    return _vgg(keras.applications.VGG16, weights, include_top, classifier_activation, classes, input_shape)


@register(
    preprocessing="caffe",
    task="classification",
    input_shape=(224, 224, 3),
    parameters=143_667_240,
    reference=_REFERENCE.format("E"),
    weights=_WEIGHTS,
    labels="imagenet",
)
def vgg19(
    *, weights=None, include_top=True, classifier_activation="softmax", classes=1000, input_shape=None
) -> keras.Model:
    """Build VGG19; without ``include_top``, the convolutions alone, for images of any size from 32 pixels on."""
    return _vgg(keras.applications.VGG19, weights, include_top, classifier_activation, classes, input_shape)
