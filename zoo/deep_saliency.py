"""deep_saliency: a VGG that draws where people will look, from its deepest features through one 1 × 1 convolution.

Source: He & Pugeault 2017, "Deep saliency: What is learnt by a deep network about saliency?", whose encoder is the
convolutional part of VGG-19, trained on ImageNet and then on gaze. The paper shows its net in a figure only; their
later code (SenHe/uavdvsm, 2019) has a 1 × 1 convolution without bias, started at one, bilinear enlargement, and each
map scaled to 0..1, and that is built here.

``backbone`` is "vgg19" (20,024,384 + 512 parameters) or "vgg16" (14,714,688 + 512). ``from_layer`` is the encoder's
last layer: "block5_pool" (default, one value for 32 × 32 pixels), because the paper shows the patterns of pool5; the
later code takes the last convolution, "block5_conv4" ("block5_conv3" of VGG-16), one value for 16 × 16. All layers
have the names of ``keras.applications``, so the trained encoder is compared with the original by name.

Input: ``input_shape``, (224, 224, 3) by default and any size from 32 pixels on with (None, None, 3); RGB -> BGR minus
the ImageNet mean (preprocessing "caffe"). Output: (H, W) of the input, 0..1; a constant map is 0. ``scale=False``
leaves the map as it is.

``weights="imagenet"`` starts the backbone from the published ImageNet weights (80 MB, downloaded once; 58 MB for
VGG-16), and ``backbone_weights`` from a file of your own: what Keras has saved of the convolutional part, or an
``.npz`` with arrays such as ``block1_conv1/kernel``, which may end before the last block: the layers above then stay
random, and a warning names them. Weights of the whole net load by path. A random encoder predicts nothing.
Their code trains with Adam at .005, which ruins pretrained features in a few steps; .0001 is a better start.
"""

import os
import pathlib
import warnings

from kerasal import _keras  # noqa: F401
from kerasal.layers import MinMax, ResizeLike
from kerasal.registry import Weights, register
from kerasal.weight_files import load_weights

import keras  # isort: skip

BACKBONES = {"vgg16": "VGG16", "vgg19": "VGG19"}
_CONVOLUTIONS = {13: "vgg16", 16: "vgg19"}


def identify(shapes) -> str | None:
    """Say whose weights have these shapes: the backbone."""
    kernels = [shape for shape in shapes if len(shape) == 4]
    encoder = [shape for shape in kernels if shape[:2] == (3, 3)]
    if (1, 1, 512, 1) in kernels and len(encoder) in _CONVOLUTIONS and len(encoder) + 1 == len(kernels):
        return f"backbone={_CONVOLUTIONS[len(encoder)]!r}"
    return None


@register(
    preprocessing="caffe",
    task="gaze",
    input_shape=(224, 224, 3),
    parameters=20_024_896,
    reference="He & Pugeault 2017, section 1; SenHe/uavdvsm",
    weights={"imagenet": Weights("the backbone alone: keras.applications, ImageNet; downloaded on first use")},
    identify=identify,
)
def deep_saliency(
    *,
    weights: str | None = None,
    backbone: str = "vgg19",
    from_layer: str = "block5_pool",
    input_shape: tuple = (224, 224, 3),
    backbone_weights: str | os.PathLike | None = None,
    scale: bool = True,
) -> keras.Model:
    """Build He & Pugeault's net; see the card. The output is (H, W) of the input, 0..1."""
    if backbone not in BACKBONES:
        raise ValueError(f"backbone is one of {', '.join(BACKBONES)}. Received: {backbone!r}.")
    if weights and backbone_weights:
        raise ValueError('Expected weights="imagenet" or backbone_weights, received both.')
    _check_shape(input_shape)
    build = getattr(keras.applications, BACKBONES[backbone])
    encoder = build(include_top=False, weights=weights, input_shape=tuple(input_shape))
    if backbone_weights:
        _load_backbone(encoder, pathlib.Path(backbone_weights))
    names = [layer.name for layer in encoder.layers[1:]]
    if from_layer not in names:
        raise ValueError(f"from_layer is one of {backbone}'s {', '.join(names)}. Received: {from_layer!r}.")
    features = encoder.get_layer(from_layer).output
    readout = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", name="readout")
    tensor = ResizeLike(name="enlarge")([readout(features), encoder.input])
    tensor = keras.ops.squeeze(tensor, axis=-1)
    outputs = MinMax(name="map")(tensor) if scale else tensor
    return keras.Model(encoder.input, outputs, name="deep_saliency")


def _load_backbone(encoder: keras.Model, path: pathlib.Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of backbone weights {path}.")
    try:
        missing = load_weights(encoder, path, partly=True)
    except (ValueError, KeyError, OSError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"The backbone weights {str(path)!r} do not fit {encoder.name}: {reason}") from error
    if missing:
        warnings.warn(f"{path} has nothing for {', '.join(missing)}; they stay random.", stacklevel=4)


def _check_shape(shape: tuple) -> None:
    sides = tuple(shape)[:2]
    if len(shape) != 3 or shape[2] != 3 or any(side is not None and side < 32 for side in sides):
        raise ValueError(f"input_shape is (H, W, 3) from 32 pixels on, or (None, None, 3). Received: {shape!r}.")
