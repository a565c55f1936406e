r"""deep_saliency: a gaze model that reads the last features of a VGG through a single 1 × 1 convolution.

Source: He & Pugeault 2017, "Deep saliency: What is learnt by a deep network about saliency?", and the authors' later
code (SenHe/uavdvsm, 2019).

Architecture: the convolutional part of VGG-19, which the authors trained on ImageNet and then on gaze, followed by a 1
× 1 convolution without bias, initialized to 1, bilinear upsampling to the size of the image, and scaling of each map to
0..1. The paper shows the network only in a figure; these details are from the later code.

Options: ``backbone`` is "vgg19" (20,024,384 + 512 parameters) or "vgg16" (14,714,688 + 512). ``from_layer`` is the last
layer of the encoder: "block5_pool" by default (stride 32), because the paper shows the patterns of pool5; the later
code uses the last convolution, "block5_conv4" ("block5_conv3" of VGG-16; stride 16). ``width`` multiplies the encoder's
filters. ``padding`` is the padding of its convolutions: "same" (zeros, as VGG was trained) or "reflect". Layers are
named as in ``keras.applications``, so that a trained encoder can be compared with the original layer by layer.

Input: (224, 224, 3) by default, any size of at least 32 pixels with ``input_shape=(None, None, 3)``. Pixels are BGR
minus the ImageNet mean color (preprocessing "caffe").

Output: a map (H, W) per image, of the size of the input, in 0..1; a constant map is 0. ``scale=False`` omits the
scaling to 0..1.

Weights: none are included for the whole model; load yours from a path. ``weights="imagenet"`` downloads the published
ImageNet weights of the backbone (80 MB for VGG-19, 58 MB for VGG-16, once). ``backbone_weights`` loads the backbone
from a file: a file that Keras saved of the convolutional part, or an ``.npz`` with arrays such as
``block1_conv1/kernel``. An ``.npz`` may contain other layers, which are ignored, and may end before ``from_layer``: the
layers above then stay random, and a warning lists them. If it contains ``input_affine/kernel`` (1, 1, 3, 3) and
``input_affine/bias``, a 1 × 1 convolution of RGB 0..1 before all others, these are merged with the first convolution,
and the model still takes "caffe" pixels; this is exact with ``padding="reflect"``, which is required.

Training: the VGG-19 that Wang et al. 2020, "Collaborative Distillation", distilled for style transfer (MIT license; a
quarter of the filters, up to block5_conv1; 810,256 parameters with the readout) can be trained on a laptop:

    kerasal gaze train deep_saliency --model-option backbone_weights=DISTILLED.npz --model-option width=.25 \
        --model-option padding=reflect --model-option from_layer=block5_conv1 --model-option input_shape=144,192,3 \
        --recipe he_pugeault --epochs 8 --batch-size 10 --validate-every 1 --keep best --mirror half --data osie \
        -o tuned

``benchmarks/deep_saliency.py`` trains a VGG-16 of full width, and ``notebooks/deep_saliency.ipynb`` shows what that
changes. The authors' code uses Adam with a
learning rate of .005, which destroys pretrained features within a few steps; .0001 works better.

Limits: with a random encoder the maps predict nothing.
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
    """Return the options of the model whose weights have these shapes, or None: backbone, width and from_layer."""
    kernels = sorted(shape for shape in shapes if len(shape) == 4)
    width = next((shape[3] / _FILTERS[0] for shape in kernels if shape[:3] == (3, 3, 3)), 1.0)
    for backbone in _CONVOLUTIONS:
        names, encoder = zip(*_convolutions(backbone, width), strict=True)
        for last in range(len(encoder), 0, -1):
            if kernels == sorted([*encoder[:last], (1, 1, encoder[last - 1][3], 1)]):
                options = [f"backbone={backbone!r}"] + [f"width={width:g}"] * (width != 1)
                return ", ".join(options + [f"from_layer={names[last - 1]!r}"] * (last < len(encoder)))
    return None


@register(
    preprocessing="caffe",
    task="gaze",
    input_shape=(224, 224, 3),
    parameters=20_024_896,
    reference="He & Pugeault 2017, section 1; SenHe/uavdvsm",
    weights={"imagenet": Weights("only the backbone: keras.applications, ImageNet; downloaded on first use")},
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
    """Return He & Pugeault's gaze model, whose maps are in 0..1 and as large as the input; see the card."""
    check_choice("backbone", backbone, _CONVOLUTIONS)
    check_choice("padding", padding, ("same", "reflect"))
    check_number("width", width, above=0, maximum=4)
    if weights and (backbone_weights or width != 1):
        raise ValueError(
            'weights="imagenet" must be used with width=1 and without backbone_weights, got '
            f"width={width:g} and backbone_weights={backbone_weights!r}."
        )
    sides = tuple(input_shape)[:2]
    if len(input_shape) != 3 or input_shape[2] != 3 or any(side is not None and side < 32 for side in sides):
        raise ValueError(
            f"input_shape must be (H, W, 3) of at least 32 pixels, or (None, None, 3), got {input_shape!r}."
        )
    encoder = _encoder(backbone, width, padding, tuple(input_shape))
    names = [layer.name for layer in encoder.layers if not layer.name.endswith(("input", "pad"))]
    check_choice("from_layer", from_layer, names)
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
    """Return the name and kernel shape of each convolution (Simonyan & Zisserman 2015, table 1, columns D and E)."""
    kernels, channels = [], 3
    for block, (count, filters) in enumerate(zip(_CONVOLUTIONS[backbone], _FILTERS, strict=True), start=1):
        for number in range(1, count + 1):
            kernels.append((f"block{block}_conv{number}", (3, 3, channels, max(1, round(filters * width)))))
            channels = kernels[-1][1][3]
    return kernels


def _encoder(backbone: str, width: float, padding: str, input_shape: tuple) -> keras.Model:
    """Return the convolutional part of a VGG, with the layers and names of ``keras.applications``."""
    inputs = tensor = keras.Input(input_shape, name="input")
    names, shapes = zip(*_convolutions(backbone, width), strict=True)
    for name, shape, next_name in zip(names, shapes, (*names[1:], ""), strict=True):
        if padding == "reflect":
            tensor = ReflectionPadding2D(1, name=f"{name}_pad")(tensor)
        conv_padding = "valid" if padding == "reflect" else "same"
        tensor = keras.layers.Conv2D(shape[3], 3, padding=conv_padding, activation="relu", name=name)(tensor)
        block = name.partition("_")[0]
        if not next_name.startswith(block):
            tensor = keras.layers.MaxPooling2D(2, name=f"{block}_pool")(tensor)
    return keras.Model(inputs, tensor, name=backbone)


def _load_backbone(encoder: keras.Model, path: pathlib.Path, needed: list[str], padding: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"backbone_weights must be an existing file, got {str(path)!r}.")
    try:
        if path.suffix == ".npz":
            arrays = _fold_affine(read_npz(path), padding)
            _check_width(arrays, encoder)
            missing = set_arrays(encoder, arrays, path, allow_missing=True, ignore_unknown=True)
        else:
            missing = load_weights(encoder, path)
    except (ValueError, KeyError, OSError, TypeError) as error:
        raise ValueError(f"backbone_weights {str(path)!r} do not fit {encoder.name}: {first_line(error)}") from error
    missing = [name for name in missing if name in needed]
    if missing:
        warnings.warn(f"{path} has no weights for {', '.join(missing)}, which stay random.", stacklevel=4)


def _check_width(arrays: dict[str, np.ndarray], encoder: keras.Model) -> None:
    kernel, expected = arrays.get("block1_conv1/kernel"), encoder.get_layer("block1_conv1").kernel.shape
    if kernel is not None and kernel.shape[:3] == expected[:3] and kernel.shape[3] != expected[3]:
        raise ValueError(
            f"block1_conv1 must have {expected[3]} filters, got {kernel.shape[3]}. Use "
            f"width={kernel.shape[3] / _FILTERS[0]:g}."
        )


def _fold_affine(arrays: dict[str, np.ndarray], padding: str) -> dict[str, np.ndarray]:
    """Fold y = Aᵀ x + a on RGB 0..1, and the conversion of "caffe" pixels to x, into the first convolution."""
    if not set(_AFFINE) & set(arrays):
        return arrays
    rest = {name: array for name, array in arrays.items() if name not in _AFFINE}
    kernel, bias = (rest.get(f"block1_conv1/{name}") for name in ("kernel", "bias"))
    if not set(_AFFINE) <= set(arrays) or kernel is None or bias is None or kernel.shape[2:3] != (3,):
        raise ValueError(f"{' and '.join(_AFFINE)} must both be present, with a block1_conv1 of 3 input channels.")
    if padding != "reflect":
        raise ValueError(
            f'padding must be "reflect" with input_affine, got {padding!r}. Zero padding would change the result.'
        )
    matrix, shift = (arrays[name].astype(np.float64) for name in _AFFINE)
    if matrix.shape != (1, 1, 3, 3) or shift.shape != (3,):
        raise ValueError(
            f"input_affine must have a kernel (1, 1, 3, 3) and a bias (3,), got {matrix.shape} and {shift.shape}."
        )
    matrix = matrix[0, 0, ::-1] / 255  # from BGR 0..255
    shift = shift + np.asarray(conventions.get("caffe").mean) @ matrix
    rest["block1_conv1/kernel"] = np.einsum("bm,hwmo->hwbo", matrix, kernel).astype(np.float32)
    rest["block1_conv1/bias"] = (bias + np.einsum("m,hwmo->o", shift, kernel)).astype(np.float32)
    return rest
