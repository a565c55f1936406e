"""MNIST, the handwritten digits of LeCun & Cortes: 60,000 training and 10,000 test images of 28×28, white on black.

Two formats can be read: Keras' ``mnist.npz`` and the four original IDX files, gzipped or not. The IDX format is
described by LeCun, Cortes & Burges, "The MNIST database of handwritten digits": a big-endian magic number (2051 for
images, 2049 for labels), an int32 for each dimension, and then the bytes.

The twenty digits in ``kerasal/assets/mnist_digits.npz`` are the first two test images of each class, ordered by class.
They were made from the official test set by

    python -c "from kerasal.datasets.mnist import mnist, pick_digits; import numpy as np, sys; \
images, labels = pick_digits(*mnist(sys.argv[1])[1]); \
np.savez_compressed('kerasal/assets/mnist_digits.npz', images=images, labels=labels)" mnist.npz

Yann LeCun and Corinna Cortes hold the copyright of MNIST, which Keras states to be under CC BY-SA 3.0.
"""

import os
import pathlib

import numpy as np

from kerasal.archive_check import ImplausibleFile
from kerasal.array_check import check_arrays, gunzip

Split = tuple[np.ndarray, np.ndarray]

_KEYS = ("x_train", "y_train", "x_test", "y_test")
_IDX = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
_FOLDERS = (".", "raw", "MNIST/raw")  # the last two are torchvision's
_DIGITS = pathlib.Path(__file__).parent.parent / "assets" / "mnist_digits.npz"


def mnist(path: str | os.PathLike | None = None) -> tuple[Split, Split]:
    """Return ``(x_train, y_train), (x_test, y_test)``: uint8 images (N, 28, 28), 0..255, and uint8 labels (N,), 0..9.

    Args:
        path: a file ``mnist.npz``, a folder with this file or with the four IDX files (``.gz`` or not), or the path of
            an IDX file in such a folder. ``None`` loads the copy of Keras, which is downloaded on first use.

    Raises:
        FileNotFoundError: ``path`` does not exist, or files are missing in the folder.
        ValueError: a file is damaged or not MNIST.
        OSError: the download failed.
    """
    if path is None:
        train, test = _download()
        return _check_split(*train, "Keras' MNIST"), _check_split(*test, "Keras' MNIST")
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"There is no MNIST at {path}. Pass the path of an mnist.npz or of a folder with the four IDX files "
            f"({_IDX[0]}-ubyte, ...; .gz or not)."
        )
    if path.is_dir() and (path / "mnist.npz").is_file():
        path = path / "mnist.npz"
    elif "idx" in path.name and not path.is_dir():
        path = path.parent
    train, test = _read_folder(path) if path.is_dir() else _read_npz(path)
    return _check_split(*train, f"{path} (train)"), _check_split(*test, f"{path} (test)")


def digits() -> Split:
    """Return twenty MNIST test images, two per class, ordered by class: uint8 images (20, 28, 28) and labels (20,)."""
    with np.load(_DIGITS, allow_pickle=False) as stored:
        return stored["images"], stored["labels"]


def pick_digits(images: np.ndarray, labels: np.ndarray, each: int = 2) -> Split:
    """Return the first ``each`` images of every class 0..9, ordered by class, and their labels."""
    chosen = np.concatenate([np.flatnonzero(labels == digit)[:each] for digit in range(10)])
    return images[chosen], labels[chosen]


def _download() -> tuple[Split, Split]:
    import keras  # imported here, because a local path needs no TensorFlow

    try:
        return keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception when the download fails
        raise OSError(
            f"MNIST could not be downloaded ({error}). Pass the path of an mnist.npz or of a folder with the IDX files."
        ) from error


def _read_npz(path: pathlib.Path) -> tuple[Split, Split]:
    try:
        check_arrays(path)
        with path.open("rb") as file:  # opened here, because np.load leaves a damaged archive open
            stored = np.load(file, allow_pickle=False)
            names = None if isinstance(stored, np.ndarray) else sorted(stored)
            arrays = {key: stored[key] for key in _KEYS if names and key in names}
    except (ImplausibleFile, PermissionError, FileNotFoundError):
        raise
    except Exception as error:  # damaged files raise errors of zipfile, zlib and NumPy
        raise ValueError(
            f"{path} must be MNIST's mnist.npz, got a damaged file or another format. Download the file again."
        ) from error
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        content = "a single array" if names is None else ", ".join(names) or "nothing"
        raise ValueError(f"{path} is not MNIST: it must have {', '.join(_KEYS)}, got {content}.")
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def _read_folder(folder: pathlib.Path) -> tuple[Split, Split]:
    candidates = [{stem: _find_idx(folder / subfolder, stem) for stem in _IDX} for subfolder in _FOLDERS]
    files = max(
        candidates, key=lambda files: sum(file is not None for file in files.values())
    )  # the first of equally complete folders
    missing = [f"{stem}-ubyte" for stem, file in files.items() if file is None]
    if missing:
        raise FileNotFoundError(
            f"{folder} must have mnist.npz or the four IDX files of MNIST (.gz or not), got no {', '.join(missing)}."
        )
    images, labels, test_images, test_labels = (_read_idx(file) for file in files.values() if file is not None)
    return (images, labels), (test_images, test_labels)


def _find_idx(folder: pathlib.Path, stem: str) -> pathlib.Path | None:
    dotted = stem.replace("-idx", ".idx")  # some archives use this spelling
    names = [f"{name}-ubyte{suffix}" for name in (stem, dotted) for suffix in ("", ".gz")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_idx(path: pathlib.Path) -> np.ndarray:
    """Return the array in an IDX file of unsigned bytes."""
    data = path.read_bytes()
    data = gunzip(path, data) if data[:2] == b"\x1f\x8b" else data
    dimensions = 3 if "idx3" in path.name else 1
    header = 4 + 4 * dimensions
    magic = int.from_bytes(data[:4], "big")
    if len(data) < header or magic != 0x800 + dimensions:
        raise ValueError(
            f"{path} is not an IDX file of {'images' if dimensions == 3 else 'labels'}: it must have the magic number "
            f"{0x800 + dimensions} and {dimensions} sizes, got {magic} in a file of {len(data)} bytes."
        )
    shape = np.frombuffer(data, ">u4", dimensions, offset=4).tolist()
    expected = int(np.prod(shape, dtype=object))  # object, because the numbers of a damaged header could overflow
    if len(data) - header != expected:
        raise ValueError(
            f"{path} is damaged or truncated: after the header it must have {'×'.join(map(str, shape))} = "
            f"{expected} bytes, got {len(data) - header}. Download the file again."
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape).copy()


def _check_split(images: np.ndarray, labels: np.ndarray, source: str) -> Split:
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28) or not len(images):
        raise ValueError(
            f"{source} is not MNIST: images must be uint8 of shape (N, 28, 28), got {images.dtype} {images.shape}."
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{source} is not MNIST: labels must be {len(images)} integers, one per image, got {labels.dtype} "
            f"{labels.shape}."
        )
    if labels.min() < 0 or labels.max() > 9:
        raise ValueError(f"{source} is not MNIST: labels must be in 0..9, got {labels.min()}..{labels.max()}.")
    return images, labels.astype(np.uint8)
