"""vgg19: VGG-19, the ImageNet classifier of the Visual Geometry Group with 19 weight layers.

Source: Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition", table 1,
configuration E.

Architecture: the model of ``keras.applications``, unchanged, so that its layers have their usual names (such as
``block5_conv3``).

Input: (224, 224, 3). Pixels are BGR minus the ImageNet mean color (preprocessing "caffe"). Without ``include_top``, any
size of at least 32 pixels.

Output: 1,000 ImageNet probabilities; without ``include_top``, the output of the last pooling layer.

Weights: ``weights="imagenet"`` downloads the published weights (575 MB, once); a path loads a file. None are included.

Results: not measured by this project.
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
    """Return VGG-19; without ``include_top``, only its convolutional part, for images of at least 32 pixels."""
    return keras.applications.VGG19(
        include_top=include_top,
        weights=weights,
        input_shape=input_shape,
        classes=classes,
        classifier_activation=classifier_activation,  # pyright: ignore[reportArgumentType]
    )
