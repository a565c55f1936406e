"""vgg16: VGG-16, the ImageNet classifier of the Visual Geometry Group with 16 weight layers.

Source: Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition", table 1,
configuration D.

Architecture: the model of ``keras.applications``, unchanged, so that its layers have their usual names (such as
``block5_conv3``).

Input: (224, 224, 3). Pixels are BGR minus the ImageNet mean color (preprocessing "caffe"). Without ``include_top``, any
size of at least 32 pixels.

Output: 1,000 ImageNet probabilities; without ``include_top``, the output of the last pooling layer.

Weights: ``weights="imagenet"`` downloads the published weights (553 MB, once); a path loads a file. None are included.

Results: not measured by this project.
"""

from typing import Any

from kerasal.models.registry import Weights, register

import keras

REFERENCE = "Simonyan & Zisserman 2014, arXiv 1409.1556, table 1, configuration {}"


@register(
    preprocessing="caffe",
    task="classification",
    input_shape=(224, 224, 3),
    parameters=138_357_544,
    reference=REFERENCE.format("D"),
    weights={"imagenet": Weights("keras.applications, ImageNet; downloaded on first use")},
    labels="imagenet",
)
def vgg16(
    *,
    weights: Any = None,
    include_top: bool = True,
    classifier_activation: str | None = "softmax",
    classes: int = 1000,
    input_shape: tuple | None = None,
) -> keras.Model:
    """Return VGG-16; without ``include_top``, only its convolutional part, for images of at least 32 pixels."""
    return keras.applications.VGG16(
        include_top=include_top,
        weights=weights,
        input_shape=input_shape,
        classes=classes,
        classifier_activation=classifier_activation,  # pyright: ignore[reportArgumentType]
    )
