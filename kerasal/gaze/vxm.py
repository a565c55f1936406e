"""FastGaze's file format, VXM: a small trained gaze model that others published, as a Keras model.

The format: ``01 't' 'P' 'M'``, the number of entries (u32), then each as the length of its name with its zero (u32),
the name, its zero, the length of the value (u32) and the value; all little-endian. Layer i has the entries ``iType`` (0
a convolution, 2 a max-pooling of ``iPool``, 3 a Gaussian blur of ``iStd`` and ``iKernelSize``), ``iAct`` (0 none, 1
ReLU, 4 PReLU with one ``ialpha``), ``iw`` (kernel, output × input × rows × columns) and ``ib``. The blur is of
pixels of the photograph, to whose size the map is enlarged first: on the small map it would leave next to nothing of
it. At edges it repeats the last value; the format says nothing of either.

Source: twitter-research/image-crop-analysis (Apache-2.0); the net after Theis et al. 2018, "Faster gaze prediction with
dense networks and Fisher pruning".
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
    """Build the gaze net of a VXM file, for photographs of any size.

    It takes BGR minus the ImageNet mean (preprocessing "caffe"; with RGB it scores lower) and gives log-densities
    (N, H, W) of the photographs' size.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no VXM file, a truncated one, or one with layers that are not known here.
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
        net = keras.Model(inputs, LogDensity(name="log_density")(maps), name="fastgaze")
        for name, kernel, bias in weights:
            net.get_layer(name).set_weights([kernel, bias])
    except (KeyError, struct.error, TypeError) as error:
        raise ValueError(f"{path} lacks what a gaze net in VXM has: {type(error).__name__} {error}.") from error
    return net


def read_vxm(path: str | os.PathLike) -> dict[str, bytes]:
    """Return the entries of a VXM file by name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no VXM file, or a truncated one.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    data, place = path.read_bytes(), 8
    if data[:4] != _MAGIC or len(data) < place:
        raise ValueError(f"{path} is no VXM file: it starts with {data[:4]!r}, expected {_MAGIC!r}.")

    def take() -> bytes:
        nonlocal place
        (size,) = struct.unpack_from("<I", data, place)
        value = data[place + 4 : place + 4 + size]
        if len(value) < size:
            raise struct.error("the file ends early")
        place += 4 + size
        return value

    try:
        count = struct.unpack_from("<I", data, 4)[0]
        return {take().rstrip(b"\0").decode("ascii"): take() for _ in range(count)}
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is a truncated or damaged VXM file: {error}.") from error


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
        raise ValueError(f"Layer {index} is of type {kind}; known are 0 (convolution), 2 (max-pooling), 3 (blur).")
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
        raise ValueError(f"Layer {index} has the activation {activation}; known are 0 (none), 1 (ReLU), 4 (PReLU).")
    return tensor


def _read_int(value: bytes) -> int:
    return struct.unpack("<i", value)[0]
