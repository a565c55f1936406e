"""Reader of VXM, the file format of FastGaze, a small published gaze model, which becomes a Keras model.

The format, all little-endian: ``01 't' 'P' 'M'``, the number of entries (u32), and for each entry the length of its
zero-terminated name (u32), the name with the zero, the length of the value (u32) and the value. Layer i has the entries
``iType`` (0 convolution, 2 max-pooling by ``iPool``, 3 Gaussian blur with ``iStd`` and ``iKernelSize``), ``iAct`` (0
none, 1 ReLU, 4 PReLU with the slope ``ialpha``), ``iw`` (kernel, output × input × rows × columns) and ``ib`` (bias).

The format does not specify the scale and the padding of the blur. Here ``iStd`` is in pixels of the photo: the map is
enlarged to the size of the photo and then blurred, because the same blur would remove almost everything from the small
map. At the edges, the blur repeats the last value.

Source: twitter-research/image-crop-analysis (Apache-2.0). The model follows Theis et al. 2018, "Faster gaze prediction
with dense networks and Fisher pruning".
"""

import os
import pathlib
import struct
from typing import Any

import numpy as np

from kerasal.layers import GaussianBlur, LogDensity, ResizeLike
from kerasal.process import check_process

import keras

_MAGIC = b"\x01tPM"
_CONVOLUTION, _POOLING, _BLUR = 0, 2, 3
_LINEAR, _RELU, _PRELU = 0, 1, 4


def load_vxm(path: str | os.PathLike) -> keras.Model:
    """Return the gaze model of a VXM file, for photos of any size.

    It takes BGR minus the ImageNet mean (preprocessing "caffe"; with RGB it scores lower) and returns log-densities
    (N, H, W) at the size of the photos.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is not a VXM file, is damaged, or has unknown layers.
    """
    check_process()
    entries = read_vxm(path)
    try:
        count = _read_int(entries["layerCount"])
        inputs = keras.Input((None, None, 3), name="image")
        tensor: Any = inputs
        weights: list[tuple[str, np.ndarray, np.ndarray]] = []
        for index in range(count):
            tensor = _add_layer(tensor, inputs, index, entries, weights)
        maps = keras.ops.squeeze(tensor, axis=-1) if len(tensor.shape) == 4 else tensor
        model = keras.Model(inputs, LogDensity(name="log_density")(maps), name="fastgaze")
        for name, kernel, bias in weights:
            model.get_layer(name).set_weights([kernel, bias])
    except (KeyError, struct.error, TypeError) as error:
        raise ValueError(f"{path} must be a complete VXM gaze model, got {type(error).__name__}: {error}.") from error
    return model


def read_vxm(path: str | os.PathLike) -> dict[str, bytes]:
    """Return the entries of a VXM file by name.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is not a VXM file, or it is damaged.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    data, position = path.read_bytes(), 8
    if data[:4] != _MAGIC or len(data) < position:
        raise ValueError(f"{path} must be a VXM file, which begins with {_MAGIC!r}, got {data[:4]!r}.")

    def read_block() -> bytes:
        nonlocal position
        (size,) = struct.unpack_from("<I", data, position)
        value = data[position + 4 : position + 4 + size]
        if len(value) < size:
            raise struct.error("the file ends early")
        position += 4 + size
        return value

    try:
        count = struct.unpack_from("<I", data, 4)[0]
        return {read_block().rstrip(b"\0").decode("ascii"): read_block() for _ in range(count)}
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} must be a complete VXM file, got a truncated or damaged file: {error}.") from error


def _add_layer(tensor, inputs, index: int, entries: dict[str, bytes], weights: list):
    kind = _read_int(entries[f"{index}Type"])
    layers = keras.layers
    if kind == _POOLING:
        return layers.MaxPooling2D(_read_int(entries[f"{index}Pool"]), name=f"pool{index}")(tensor)
    if kind == _BLUR:
        sigma, size = _read_int(entries[f"{index}Std"]), _read_int(entries[f"{index}KernelSize"])
        blur = GaussianBlur(sigma, learned=False, truncate=(size // 2) / sigma, name=f"blur{index}")
        return blur(keras.ops.squeeze(ResizeLike(name=f"enlarge{index}")([tensor, inputs]), axis=-1))
    if kind != _CONVOLUTION:
        raise ValueError(f"The type of layer {index} must be 0 (convolution), 2 (max-pooling) or 3 (blur), got {kind}.")
    shape = np.frombuffer(entries[f"{index}w.shape"], "<i4")
    kernel = np.frombuffer(entries[f"{index}w"], "<f4").reshape(shape).transpose(2, 3, 1, 0)
    name = f"conv{index}"
    weights.append((name, kernel, np.frombuffer(entries[f"{index}b"], "<f4")))
    tensor = layers.Conv2D(kernel.shape[-1], kernel.shape[:2], padding="same", name=name)(tensor)
    activation = _read_int(entries[f"{index}Act"])
    if activation == _RELU:
        return layers.ReLU(name=f"relu{index}")(tensor)
    if activation == _PRELU:
        slope = float(np.frombuffer(entries[f"{index}alpha"], "<f4")[0])
        return layers.LeakyReLU(slope, name=f"prelu{index}")(tensor)
    if activation != _LINEAR:
        raise ValueError(f"The activation of layer {index} must be 0 (none), 1 (ReLU) or 4 (PReLU), got {activation}.")
    return tensor


def _read_int(value: bytes) -> int:
    return struct.unpack("<i", value)[0]
