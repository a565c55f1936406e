"""The VXM importer, against a forward pass in NumPy and on damaged files."""

import struct

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import correlate

from kerasal.gaze.vxm import load_vxm, read_vxm

RANDOM = np.random.default_rng(0)


def write(path, entries):
    data = b"\x01tPM" + struct.pack("<I", len(entries))
    for name, value in entries.items():
        name = name.encode() + b"\0"
        data += struct.pack("<I", len(name)) + name + struct.pack("<I", len(value)) + value
    path.write_bytes(data)
    return path


def convolution(index, kernel, activation, alpha=None):
    bias = RANDOM.normal(size=kernel.shape[0]).astype("<f4")
    entries = {
        f"{index}Type": struct.pack("<i", 0),
        f"{index}Act": struct.pack("<i", activation),
        f"{index}w": kernel.astype("<f4").tobytes(),
        f"{index}w.shape": np.array(kernel.shape, "<i4").tobytes(),
        f"{index}b": bias.tobytes(),
    }
    return entries if alpha is None else entries | {f"{index}alpha": struct.pack("<f", alpha)}


@pytest.fixture
def entries():
    return {
        "layerCount": struct.pack("<i", 4),
        **convolution(0, RANDOM.normal(size=(4, 3, 3, 3)), 1),
        "1Type": struct.pack("<i", 2),
        "1Pool": struct.pack("<i", 2),
        **convolution(2, RANDOM.normal(size=(1, 4, 1, 1)), 4, 0.3),
        "3Type": struct.pack("<i", 3),
        "3Std": struct.pack("<i", 1),
        "3KernelSize": struct.pack("<i", 7),
    }


def forward(entries, image):
    """Run the layers of ``entries`` on one image (H, W, 3) in NumPy alone; return log-densities."""
    maps = image.transpose(2, 0, 1).astype(float)
    for index in range(struct.unpack("<i", entries["layerCount"])[0]):
        kind = struct.unpack("<i", entries[f"{index}Type"])[0]
        if kind == 2:
            channels, height, width = maps.shape
            maps = maps[:, : height // 2 * 2, : width // 2 * 2].reshape(channels, height // 2, 2, width // 2, 2)
            maps = maps.max(axis=(2, 4))
        elif kind == 3:
            std, size = (struct.unpack("<i", entries[f"{index}{key}"])[0] for key in ("Std", "KernelSize"))
            maps = cv2.resize(maps[0], image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            maps = gaussian_filter(maps, std, mode="nearest", radius=size // 2)[None]
        else:
            kernel = np.frombuffer(entries[f"{index}w"], "<f4").reshape(
                np.frombuffer(entries[f"{index}w.shape"], "<i4")
            )
            bias = np.frombuffer(entries[f"{index}b"], "<f4")
            edge = kernel.shape[2] // 2
            padded = np.pad(maps, ((0, 0), (edge, edge), (edge, edge)))
            maps = np.stack([correlate(padded, one, mode="valid")[0] + b for one, b in zip(kernel, bias, strict=True)])
            slope = 0.0
            if f"{index}alpha" in entries:
                slope = struct.unpack("<f", entries[f"{index}alpha"])[0]
            maps = np.where(maps > 0, maps, slope * maps)
    largest = maps[0].max()
    return maps[0] - largest - np.log(np.exp(maps[0] - largest).sum())


def test_the_keras_net_is_the_file(entries, tmp_path):
    net = load_vxm(write(tmp_path / "net.vxm", entries))
    image = RANDOM.normal(size=(13, 18, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(net(image[None]))[0], forward(entries, image), atol=1e-4)


def test_fastgaze_is_the_file(data_folder):
    path = data_folder / "models" / "fastgaze.vxm"
    net = load_vxm(path)
    assert sum(layer.count_params() for layer in net.layers if hasattr(layer, "kernel")) == 121_060
    image = RANDOM.normal(0, 60, size=(64, 96, 3)).astype(np.float32)
    found, expected = np.asarray(net(image[None]))[0], forward(read_vxm(path), image)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.ptp(expected))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"nothing here", "must be a VXM file"),
        (lambda data: data[:-9], "truncated or damaged"),
        (lambda data: data[:6], "must be a VXM file"),
    ],
)
def test_damaged_files(entries, tmp_path, damage, message):
    path = write(tmp_path / "net.vxm", entries)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        load_vxm(path)


def test_unknown_and_missing_layers(entries, tmp_path):
    with pytest.raises(ValueError, match=r"type of layer 3 must be .*, got 9"):
        load_vxm(write(tmp_path / "net.vxm", entries | {"3Type": struct.pack("<i", 9)}))
    with pytest.raises(ValueError, match=r"activation of layer 0 must be .*, got 3"):
        load_vxm(write(tmp_path / "net.vxm", entries | {"0Act": struct.pack("<i", 3)}))
    del entries["2b"]
    with pytest.raises(ValueError, match="a complete VXM gaze model, got KeyError: '2b'"):
        load_vxm(write(tmp_path / "net.vxm", entries))
    with pytest.raises(FileNotFoundError, match="no file"):
        load_vxm(tmp_path / "none.vxm")
