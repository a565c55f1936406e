import gzip
import pickle
import sys
import types

import numpy as np
import pytest

from kerasal.datasets import digits, mnist
from kerasal.datasets.mnist import pick_digits

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
KEYS = ("x_train", "y_train", "x_test", "y_test")


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (30, 20)]
    labels = [np.arange(n, dtype=np.uint8) % 10 for n in (30, 20)]
    return images[0], labels[0], images[1], labels[1]


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_idx(folder, arrays, names=NAMES):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(names, arrays, strict=True):
        data = idx(array)
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


def same(splits, arrays):
    for found, expected in zip((*splits[0], *splits[1]), arrays, strict=True):
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)
    return True


def test_npz_by_path_and_by_folder(tmp_path, arrays):
    np.savez(tmp_path / "mnist.npz", **dict(zip(KEYS, arrays, strict=True)))
    assert same(mnist(tmp_path / "mnist.npz"), arrays)
    assert same(mnist(str(tmp_path)), arrays)


@pytest.mark.parametrize("spelling", ["plain", "gz", "dotted", "raw", "torchvision"])
def test_idx_in_every_layout(tmp_path, arrays, spelling):
    names = [n + ".gz" if spelling == "gz" else n.replace("-idx", ".idx") if spelling == "dotted" else n for n in NAMES]
    place = {"raw": tmp_path / "raw", "torchvision": tmp_path / "MNIST" / "raw"}.get(spelling, tmp_path)
    write_idx(place, arrays, names)
    assert same(mnist(tmp_path), arrays)
    assert same(mnist(place / names[2]), arrays)  # one of the four files stands for its folder


def test_idx_arrays_can_be_written_to(tmp_path, arrays):
    (images, _), _ = mnist(write_idx(tmp_path, arrays))
    images[0] = 0


def test_labels_of_another_integer_type_come_back_as_uint8(tmp_path, arrays):
    wide = [array.astype(np.int64) if array.ndim == 1 else array for array in arrays]
    np.savez(tmp_path / "mnist.npz", **dict(zip(KEYS, wide, strict=True)))
    assert same(mnist(tmp_path / "mnist.npz"), arrays)


def test_missing_path(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"There is no MNIST at .*nowhere.*Pass the path of an mnist.npz or of a folder"
    ):
        mnist(tmp_path / "nowhere")


def test_folder_names_what_it_lacks(tmp_path, arrays):
    write_idx(tmp_path, arrays)
    (tmp_path / NAMES[1]).unlink()
    (tmp_path / NAMES[2]).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"\(\.gz or not\), got no train-labels-idx1-ubyte, t10k-images-idx3-ubyte"
    ):
        mnist(tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            NAMES[0],
            lambda data: data[:-5],
            r"truncated: after the header it must have 30×28×28 = 23520 bytes, got 23515",
        ),
        (NAMES[0], lambda data: data + b"\0", r"got 23521"),
        (NAMES[0], lambda data: data[:9], r"it must have the magic number 2051 and 3 sizes, got 2051 in a file of 9"),
        (NAMES[0], lambda data: b"", r"got 0 in a file of 0 bytes"),
        (
            NAMES[1],
            lambda data: b"\0\0\x08\x03" + data[4:],
            r"file of labels: it must have the magic number 2049.*2051",
        ),
        (NAMES[1], lambda data: gzip.compress(data)[:-6], r"damaged or truncated: its end is missing"),
        (NAMES[2], lambda data: data[:4] + b"\xff" * 12 + data[16:], r"damaged or truncated: after the header"),
        (NAMES[3], lambda data: data[:-1] + b"\x0a", r"labels must be in 0\.\.9, got 0\.\.10"),
        (NAMES[3], lambda data: idx(np.zeros(19, np.uint8)), r"labels must be 20 integers, one per image"),
        (NAMES[2], lambda data: idx(np.zeros((20, 28, 27), np.uint8)), r"got uint8 \(20, 28, 27\)"),
        (NAMES[2], lambda data: idx(np.zeros((0, 28, 28), np.uint8)), r"got uint8 \(0, 28, 28\)"),
    ],
)
def test_damaged_idx(tmp_path, arrays, name, change, message):
    write_idx(tmp_path, arrays)
    (tmp_path / name).write_bytes(change((tmp_path / name).read_bytes()))
    with pytest.raises(ValueError, match=message):
        mnist(tmp_path)


def test_npz_with_other_keys_or_shapes(tmp_path, arrays):
    path = tmp_path / "other.npz"
    np.savez(path, images=arrays[0], y_train=arrays[1])
    with pytest.raises(ValueError, match=r"it must have x_train, y_train, x_test, y_test, got images, y_train"):
        mnist(path)
    np.savez(path, **dict(zip(KEYS, [arrays[0].astype(np.float32), *arrays[1:]], strict=True)))
    with pytest.raises(ValueError, match=r"images must be uint8 of shape \(N, 28, 28\), got float32"):
        mnist(path)


def test_files_that_are_no_npz(tmp_path, arrays):
    path = tmp_path / "mnist.npz"
    for data in (b"", b"not an archive", b"PK\x03\x04 nor this"):
        path.write_bytes(data)
        with pytest.raises(
            ValueError, match=r"must be MNIST.s mnist\.npz, got a damaged file or another format\. Download"
        ):
            mnist(path)
    with path.open("wb") as file:
        np.save(file, arrays[0])
    with pytest.raises(ValueError, match="got a single array"):
        mnist(path)
    np.savez(path, **dict(zip(KEYS, arrays, strict=True)))
    whole = bytearray(path.read_bytes())
    whole[500] ^= 1  # a pixel: only the archive's checksum can tell
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="got a damaged file"):
        mnist(path)


def test_a_pickle_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (exec, ("raise SystemExit('the pickle was run')",))

    path = tmp_path / "mnist.npz"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match=r"must be MNIST.s mnist\.npz, got"):
        mnist(path)
    np.savez(path, x_train=np.array([Trap()], dtype=object), y_train=[0], x_test=[0], y_test=[0])
    with pytest.raises(ValueError, match=r"must be MNIST.s mnist\.npz, got"):
        mnist(path)


def fake_keras(monkeypatch, load_data):
    """Stand in for the one function that downloads."""
    fake = types.SimpleNamespace(datasets=types.SimpleNamespace(mnist=types.SimpleNamespace(load_data=load_data)))
    monkeypatch.setitem(sys.modules, "keras", fake)


def test_without_a_path_keras_downloads(monkeypatch, arrays):
    fake_keras(monkeypatch, lambda: (arrays[:2], arrays[2:]))
    assert same(mnist(), arrays)


def test_a_failed_download_says_what_to_do(monkeypatch):
    def fail():
        raise Exception("URL fetch failure")

    fake_keras(monkeypatch, fail)
    with pytest.raises(OSError, match=r"could not be downloaded \(URL fetch failure\)\. Pass the path"):
        mnist()


def test_digits():
    images, labels = digits()
    assert (images.shape, images.dtype) == ((20, 28, 28), np.uint8)
    assert labels.tolist() == np.repeat(np.arange(10), 2).tolist()
    assert images.min() == 0 and (images.reshape(20, -1).max(axis=1) > 200).all()


def test_digits_are_the_first_two_test_images_of_each_class(mnist_path):
    (train, train_labels), (test, labels) = mnist(mnist_path)
    assert (train.shape, test.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert np.bincount(train_labels)[:3].tolist() == [5923, 6742, 5958]
    for shipped, picked in zip(digits(), pick_digits(test, labels), strict=True):
        np.testing.assert_array_equal(shipped, picked)
    np.testing.assert_array_equal(digits()[0][0], test[np.flatnonzero(labels == 0)[0]])
