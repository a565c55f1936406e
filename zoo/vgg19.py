"""vgg19: the very deep convolutional network of the Visual Geometry Group, 19 layers with weights.

Source: Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition", configuration
E.

This is ``keras.applications`` as it is, so every layer has the name that the field uses (``block5_conv3``). Input:
(224, 224, 3), RGB -> BGR minus the ImageNet mean (preprocessing "caffe"). Output: 1,000 ImageNet probabilities.

``weights="imagenet"`` downloads the published weights (575 MB, once), a path loads a file of your
own. No accuracy is claimed here: the published weights are not measured by this project.
"""

from typing import Any

from kerasal.models.registry import Weights, register
from kerasal.zoo.vgg16 import REFERENCE  # pyright: ignore[reportMissingImports]

import keras


@register(
    preprocessing="caffe",
    task="classification",
    input_shape=(224, 224, 3),
    parameters=143_667_240,
    reference=REFERENCE.format("E"),
    weights={"imagenet": Weights("keras.applications, ImageNet; downloaded on first use")},
    labels="imagenet",
)
def vgg19(
    *,
    weights: Any = None,
    include_top: bool = True,
    classifier_activation: str | None = "softmax",
    classes: int = 1000,
    input_shape: tuple | None = None,
) -> keras.Model:
    """Build VGG19; without ``include_top``, the convolutions alone, for images of any size from 32 pixels on."""
    return keras.applications.VGG19(
        include_top=include_top,
        weights=weights,
        input_shape=input_shape,
        classes=classes,
        classifier_activation=classifier_activation,  # pyright: ignore[reportArgumentType]
    )
