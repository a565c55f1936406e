"""MNIST, the handwritten digits of LeCun & Cortes: 60,000 training and 10,000 test images of 28×28, ink 255 on 0.

Two layouts are read: Keras' ``mnist.npz`` and the four original IDX files, gzipped or not. The source of IDX is
LeCun, Cortes & Burges, "The MNIST database of handwritten digits": a big-endian magic number (2051 images, 2049
labels), one int32 a dimension, and then the bytes.

The twenty digits that ship (``kerasal/assets/mnist_digits.npz``) are the first two test images of each class, in the
order of the classes, made from the official test set by

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
        path: an ``mnist.npz``; a folder that holds one, or the four IDX files (``.gz`` or not); or one of those IDX
            files, beside which the others lie. ``None`` takes Keras' own copy, downloaded on first use.

    Raises:
        FileNotFoundError: there is nothing at ``path``, or a folder lacks files (which ones is said).
        ValueError: what is there is not MNIST, or is damaged.
        OSError: the download failed.
    """
    if path is None:
        train, test = _download()
        return _check(*train, "Keras' MNIST"), _check(*test, "Keras' MNIST")
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"There is no MNIST at {path}. Expected an mnist.npz, or a folder with the four IDX files "
            f"({_IDX[0]}-ubyte, ...; .gz or not)."
        )
    if path.is_dir() and (path / "mnist.npz").is_file():
        path = path / "mnist.npz"
    elif "idx" in path.name and not path.is_dir():
        path = path.parent
    train, test = _read_folder(path) if path.is_dir() else _read_npz(path)
    return _check(*train, f"{path} (train)"), _check(*test, f"{path} (test)")


def digits() -> Split:
    """Return twenty MNIST test digits, two of each class in order: uint8 images (20, 28, 28) and labels (20,)."""
    with np.load(_DIGITS, allow_pickle=False) as stored:
        return stored["images"], stored["labels"]


def pick_digits(images: np.ndarray, labels: np.ndarray, each: int = 2) -> Split:
    """Return the first ``each`` images of every class 0..9, in the order of the classes, and their labels."""
    chosen = np.concatenate([np.flatnonzero(labels == digit)[:each] for digit in range(10)])
    return images[chosen], labels[chosen]


def _download() -> tuple[Split, Split]:
    import keras  # here alone: whoever gives a path waits for no TensorFlow

    try:
        return keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception when the download fails
        raise OSError(
            f"MNIST could not be downloaded ({error}). Give the path of an mnist.npz or of a folder with the IDX files."
        ) from error


def _read_npz(path: pathlib.Path) -> tuple[Split, Split]:
    try:
        check_arrays(path)
        with path.open("rb") as file:  # opened here, because np.load leaves a damaged archive open
            stored = np.load(file, allow_pickle=False)
            found = None if isinstance(stored, np.ndarray) else sorted(stored)
            arrays = {key: stored[key] for key in _KEYS if found and key in found}
    except (ImplausibleFile, PermissionError, FileNotFoundError):
        raise
    except Exception as error:  # zip, zlib and NumPy each have their own
        raise ValueError(f"{path} is not an mnist.npz, or is damaged.") from error
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        holds = "a single array" if found is None else ", ".join(found) or "nothing"
        raise ValueError(
            f"{path} is not MNIST: it lacks {', '.join(missing)}. Expected {', '.join(_KEYS)}; it has {holds}."
        )
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def _read_folder(folder: pathlib.Path) -> tuple[Split, Split]:
    places = [{stem: _find(folder / place, stem) for stem in _IDX} for place in _FOLDERS]
    files = max(places, key=lambda found: sum(file is not None for file in found.values()))  # the first, when equal
    missing = [f"{stem}-ubyte" for stem, file in files.items() if file is None]
    if missing:
        raise FileNotFoundError(
            f"{folder} lacks {', '.join(missing)} (.gz or not). Expected mnist.npz or the four IDX files of MNIST."
        )
    images, labels, test_images, test_labels = (_read_idx(file) for file in files.values() if file is not None)
    return (images, labels), (test_images, test_labels)


def _find(folder: pathlib.Path, stem: str) -> pathlib.Path | None:
    dotted = stem.replace("-idx", ".idx")  # some archives were unpacked under this spelling
    names = [f"{name}-ubyte{suffix}" for name in (stem, dotted) for suffix in ("", ".gz")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_idx(path: pathlib.Path) -> np.ndarray:
    """Read one IDX file of unsigned bytes."""
    data = path.read_bytes()
    data = gunzip(path, data) if data[:2] == b"\x1f\x8b" else data
    dimensions = 3 if "idx3" in path.name else 1
    header = 4 + 4 * dimensions
    magic = int.from_bytes(data[:4], "big")
    if len(data) < header or magic != 0x800 + dimensions:
        raise ValueError(
            f"{path} is not an IDX file of {'images' if dimensions == 3 else 'labels'}: expected the magic number "
            f"{0x800 + dimensions} and {dimensions} sizes, received {magic} in a file of {len(data)} bytes."
        )
    shape = np.frombuffer(data, ">u4", dimensions, offset=4).tolist()
    expected = int(np.prod(shape, dtype=object))  # object: no overflow, whatever a damaged header says
    if len(data) - header != expected:
        raise ValueError(
            f"{path} is damaged or truncated: its header says {'×'.join(map(str, shape))} = {expected} bytes, received "
            f"{len(data) - header}. Get the file again."
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape).copy()


def _check(images: np.ndarray, labels: np.ndarray, what: str) -> Split:
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28) or not len(images):
        raise ValueError(
            f"{what} is not MNIST: expected uint8 images of shape (N, 28, 28), received {images.dtype} {images.shape}."
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{what} is not MNIST: expected {len(images)} integer labels, one an image, received {labels.dtype} "
            f"{labels.shape}."
        )
    if labels.min() < 0 or labels.max() > 9:
        raise ValueError(f"{what} is not MNIST: expected labels 0..9, received {labels.min()}..{labels.max()}.")
    return images, labels.astype(np.uint8)
