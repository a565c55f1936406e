"""deep_saliency: a VGG that draws where people will look, from its deepest features through one 1 × 1 convolution.

Source: He & Pugeault 2017, "Deep saliency: What is learnt by a deep network about saliency?", whose encoder is the
convolutional part of VGG-19, trained on ImageNet and then on gaze. The paper shows its net in a figure only; their
later code (SenHe/uavdvsm, 2019) has a 1 × 1 convolution without bias, started at one, bilinear enlargement, and each
map scaled to 0..1, and that is built here.

``backbone`` is "vgg19" (20,024,384 + 512 parameters) or "vgg16" (14,714,688 + 512). ``from_layer`` is the encoder's
last layer: "block5_pool" (default, one value for 32 × 32 pixels), because the paper shows the patterns of pool5; the
later code takes the last convolution, "block5_conv4" ("block5_conv3" of VGG-16), one value for 16 × 16. All layers
have the names of ``keras.applications``, so the trained encoder is compared with the original by name. ``width`` is a
factor on the encoder's filters, and ``padding`` what its convolutions see beyond the image: "same" (zeros, as VGG was
trained) or "reflect".

Input: ``input_shape``, (224, 224, 3) by default and any size from 32 pixels on with (None, None, 3); RGB -> BGR minus
the ImageNet mean (preprocessing "caffe"). Output: (H, W) of the input, 0..1; a constant map is 0. ``scale=False``
leaves the map as it is.

``weights="imagenet"`` starts the backbone from the published ImageNet weights (80 MB, downloaded once; 58 MB for
VGG-16), and ``backbone_weights`` from a file of your own: what Keras has saved of the convolutional part, or an
``.npz`` with arrays such as ``block1_conv1/kernel``. That may hold other layers too, and may end before ``from_layer``:
the layers above then stay random, and a warning names them. Arrays ``input_affine/kernel`` (1, 1, 3, 3) and
``input_affine/bias``, a convolution of RGB 0..1 before all others, are folded into the first convolution, so that the
net takes "caffe" pixels all the same; with ``padding="reflect"`` that is exact. Weights of the whole net load by path.
A random encoder predicts nothing.

A VGG-19 that fits on a laptop is the one distilled for style transfer by Wang et al. 2020, "Collaborative Distillation"
(MIT license; a quarter of the filters, up to block5_conv1; 810,256 parameters with the readout):

    kerasal gaze train deep_saliency --net-option backbone_weights=DISTILLED.npz --net-option width=.25 \
        --net-option padding=reflect --net-option from_layer=block5_conv1 --net-option input_shape=144,192,3 \
        --recipe he_pugeault --epochs 8 --batch-size 10 --validate-every 1 --keep best --mirror half --data osie \
        -o tuned

The code of the paper's authors trains with Adam at .005, which ruins pretrained features in a few steps; .0001 is a
better start. ``notebooks/deep_saliency.ipynb`` does the above, and looks at what it changes.
"""

import os
import pathlib
import warnings

import numpy as np

from kerasal import preprocessing as conventions
from kerasal.archive_check import first_line
from kerasal.checks import check_choice, check_number
from kerasal.layers import MinMax, ReflectionPadding2D, ResizeLike
from kerasal.models.registry import Weights, register
from kerasal.models.weight_files import load_weights, read_npz, set_arrays

import keras

_FILTERS = (64, 128, 256, 512, 512)
_CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_IMAGENET = {"vgg16": "VGG16", "vgg19": "VGG19"}
_AFFINE = ("input_affine/kernel", "input_affine/bias")


def identify(shapes: list[tuple[int, ...]]) -> str | None:
    """Say whose weights have these shapes: the backbone, and the width and the last layer that are not the default."""
    kernels = sorted(shape for shape in shapes if len(shape) == 4)
    width = next((shape[3] / _FILTERS[0] for shape in kernels if shape[:3] == (3, 3, 3)), 1.0)
    for backbone in _CONVOLUTIONS:
        names, encoder = zip(*_convolutions(backbone, width), strict=True)
        for last in range(len(encoder), 0, -1):
            if kernels == sorted([*encoder[:last], (1, 1, encoder[last - 1][3], 1)]):
                found = [f"backbone={backbone!r}"] + [f"width={width:g}"] * (width != 1)
                return ", ".join(found + [f"from_layer={names[last - 1]!r}"] * (last < len(encoder)))
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
    width: float = 1.0,
    padding: str = "same",
    from_layer: str = "block5_pool",
    input_shape: tuple = (224, 224, 3),
    backbone_weights: str | os.PathLike | None = None,
    scale: bool = True,
) -> keras.Model:
    """Build He & Pugeault's net; see the card. The output is (H, W) of the input, 0..1."""
    check_choice("backbone", backbone, _CONVOLUTIONS)
    check_choice("padding", padding, ("same", "reflect"))
    check_number("width", width, above=0, maximum=4)
    if weights and (backbone_weights or width != 1):
        raise ValueError('weights="imagenet" goes with width=1 and without backbone_weights.')
    sides = tuple(input_shape)[:2]
    if len(input_shape) != 3 or input_shape[2] != 3 or any(side is not None and side < 32 for side in sides):
        raise ValueError(f"input_shape is (H, W, 3) from 32 pixels on, or (None, None, 3). Received: {input_shape!r}.")
    encoder = _encoder(backbone, width, padding, tuple(input_shape))
    names = [layer.name for layer in encoder.layers if not layer.name.endswith(("input", "pad"))]
    if from_layer not in names:
        raise ValueError(f"from_layer is one of {backbone}'s {', '.join(names)}. Received: {from_layer!r}.")
    if weights:
        published = getattr(keras.applications, _IMAGENET[backbone])(include_top=False, weights=weights)
        encoder.set_weights(published.get_weights())
    if backbone_weights:
        needed = names[: names.index(from_layer) + 1]
        _load_backbone(encoder, pathlib.Path(backbone_weights), needed, padding)
    features = encoder.get_layer(from_layer).output
    readout = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", name="readout")
    tensor = ResizeLike(name="enlarge")([readout(features), encoder.input])
    tensor = keras.ops.squeeze(tensor, axis=-1)
    outputs = MinMax(name="map")(tensor) if scale else tensor
    return keras.Model(encoder.input, outputs, name="deep_saliency")


def _convolutions(backbone: str, width: float) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Return name and shape of each kernel (Simonyan & Zisserman 2015, table 1, columns D and E)."""
    found, before = [], 3
    for block, (count, filters) in enumerate(zip(_CONVOLUTIONS[backbone], _FILTERS, strict=True), start=1):
        for number in range(1, count + 1):
            found.append((f"block{block}_conv{number}", (3, 3, before, max(1, round(filters * width)))))
            before = found[-1][1][3]
    return found


def _encoder(backbone: str, width: float, padding: str, input_shape: tuple) -> keras.Model:
    """Build the convolutional part with the layers and names of ``keras.applications``."""
    inputs = tensor = keras.Input(input_shape, name="input")
    names, shapes = zip(*_convolutions(backbone, width), strict=True)
    for name, shape, following in zip(names, shapes, (*names[1:], ""), strict=True):
        if padding == "reflect":
            tensor = ReflectionPadding2D(1, name=f"{name}_pad")(tensor)
        inside = "valid" if padding == "reflect" else "same"
        tensor = keras.layers.Conv2D(shape[3], 3, padding=inside, activation="relu", name=name)(tensor)
        block = name.partition("_")[0]
        if not following.startswith(block):
            tensor = keras.layers.MaxPooling2D(2, name=f"{block}_pool")(tensor)
    return keras.Model(inputs, tensor, name=backbone)


def _load_backbone(encoder: keras.Model, path: pathlib.Path, needed: list[str], padding: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of backbone weights {path}.")
    try:
        if path.suffix == ".npz":
            arrays = _folded(read_npz(path), padding)
            _check_width(arrays, encoder)
            missing = set_arrays(encoder, arrays, path, allow_missing=True, ignore_unknown=True)
        else:
            missing = load_weights(encoder, path)
    except (ValueError, KeyError, OSError, TypeError) as error:
        raise ValueError(
            f"The backbone weights {str(path)!r} do not fit {encoder.name}: {first_line(error)}"
        ) from error
    missing = [name for name in missing if name in needed]
    if missing:
        warnings.warn(f"{path} has nothing for {', '.join(missing)}; they stay random.", stacklevel=4)


def _check_width(arrays: dict[str, np.ndarray], encoder: keras.Model) -> None:
    first, own = arrays.get("block1_conv1/kernel"), encoder.get_layer("block1_conv1").kernel.shape
    if first is not None and first.shape[:3] == own[:3] and first.shape[3] != own[3]:
        raise ValueError(f"block1_conv1 has {first.shape[3]} filters, that of width={first.shape[3] / _FILTERS[0]:g}.")


def _folded(arrays: dict[str, np.ndarray], padding: str) -> dict[str, np.ndarray]:
    """Fold y = Aᵀ x + a on RGB 0..1 into the first convolution, and with it the way from "caffe" pixels to x."""
    if not set(_AFFINE) & set(arrays):
        return arrays
    rest = {name: array for name, array in arrays.items() if name not in _AFFINE}
    kernel, bias = (rest.get(f"block1_conv1/{name}") for name in ("kernel", "bias"))
    if not set(_AFFINE) <= set(arrays) or kernel is None or bias is None or kernel.shape[2:3] != (3,):
        raise ValueError(f"{' and '.join(_AFFINE)} go together, before a block1_conv1 of 3 channels.")
    if padding != "reflect":
        raise ValueError('zeros beyond the image are not the same before and after input_affine: padding="reflect".')
    matrix, shift = (arrays[name].astype(np.float64) for name in _AFFINE)
    if matrix.shape != (1, 1, 3, 3) or shift.shape != (3,):
        raise ValueError(f"input_affine is {matrix.shape} and {shift.shape}, expected (1, 1, 3, 3) and (3,).")
    matrix = matrix[0, 0, ::-1] / 255  # from BGR 0..255
    shift = shift + np.asarray(conventions.get("caffe").mean) @ matrix
    rest["block1_conv1/kernel"] = np.einsum("bm,hwmo->hwbo", matrix, kernel).astype(np.float32)
    rest["block1_conv1/bias"] = (bias + np.einsum("m,hwmo->o", shift, kernel)).astype(np.float32)
    return rest
