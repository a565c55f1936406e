"""Linear classifiers on features: the random splits of the images, and the accuracy on each split."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kerasal.images import find_files
from kerasal.probe.squared_hinge import SquaredHingeSVM

CLASSIFIERS = ("svm", "softmax")
_STEPS = 5000
_MANY_CLASSES = 50  # from here on their SVMs are trained together, since LinearSVC takes a time proportional to them


@dataclasses.dataclass(frozen=True)
class Split:
    """A random split: the indices of the training and of the test images."""

    fold: int
    per_class: int
    train: np.ndarray
    test: np.ndarray


def accuracies(
    kind: str, features: np.ndarray, codes: np.ndarray, splits: Sequence[Split], c: float, seed: int
) -> Iterator[float]:
    """Yield the accuracy of each split, in order; classifiers are trained in parallel on up to 8 CPU cores.

    Each classifier uses a single thread, since its matrices are too small for several threads to help.
    """
    from threadpoolctl import threadpool_limits

    with (
        threadpool_limits(1),
        warnings.catch_warnings(),  # process-wide, since catch_warnings is not thread-safe
        ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="kerasal-probe") as pool,
    ):
        warnings.filterwarnings("ignore", message=".*converge")  # further steps change no decision
        yield from pool.map(lambda split: _accuracy(kind, features, codes, split, c, seed), splits)


def _accuracy(kind: str, features: np.ndarray, codes: np.ndarray, split: Split, c: float, seed: int) -> float:
    """Train on a split and return the mean over classes of the share of correctly classified test images.

    The features are centered on the training images and divided by a constant, so that their mean squared length is 1.
    So ``c`` has the same meaning for every layer, and all directions keep their relative scale.
    """
    centered = features - features[split.train].mean(axis=0)
    scale = np.sqrt(np.square(centered[split.train]).sum(axis=1).mean()) or 1.0
    # The weights lie in the span of the training images, so orthogonal components change no decision.
    basis = np.linalg.qr(centered[split.train].T)[0]
    projected = centered @ basis / scale
    classes = len(np.unique(codes))
    model = _make_classifier(kind, c, seed, classes).fit(projected[split.train], codes[split.train])
    expected = codes[split.test]
    correct = np.equal(model.predict(projected[split.test]), expected)
    return float(np.mean([correct[expected == code].mean() for code in np.unique(expected)]))


def _make_classifier(kind: str, c: float, seed: int, classes: int):
    if kind == "svm" and classes >= _MANY_CLASSES:
        return SquaredHingeSVM(c, _STEPS)
    # Importing scikit-learn takes a second, and most of the package does not need it.
    if kind == "svm":
        from sklearn.svm import LinearSVC

        return LinearSVC(C=c, random_state=seed, max_iter=_STEPS)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, solver="newton-cg", max_iter=_STEPS)


def class_files(folder: str | os.PathLike) -> tuple[list[pathlib.Path], list[str]]:
    """Return the image files of a folder with one subfolder per class, and the class name of each file.

    Classes are sorted by name, and the files of a class by path. Hidden folders, and files outside the class folders,
    are ignored.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if there are fewer than two class folders, or one of them has no image file.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"folder must be an existing folder, got {folder}.")
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise ValueError(
            f"folder must contain a folder of images for each of at least two classes, got {len(classes)} in {folder}."
        )
    labeled_files = [(file, path.name) for path in classes for file in find_files([path])]
    return [file for file, _ in labeled_files], [name for _, name in labeled_files]


def check_counts(names: np.ndarray, codes: np.ndarray, per_class: Sequence[int]) -> None:
    """Check that every class has ``per_class`` training images and a test image.

    Raises:
        ValueError: if there are fewer than two classes, or a class is too small.
    """
    if len(names) < 2:
        raise ValueError(f"labels must contain at least two classes, got {len(names)}.")
    counts = np.bincount(codes, minlength=len(names))
    needed = max(per_class) + 1
    small = np.flatnonzero(counts < needed)
    if small.size:
        listed = ", ".join(f"class {names.tolist()[i]!r} has {counts[i]}" for i in small[:5])
        more = f" and {small.size - 5} more classes" if small.size > 5 else ""
        possible = counts.min() - 1
        remedy = f"Use per_class of at most {possible}" if possible >= 1 else "Add images"
        raise ValueError(
            f"Every class must have {needed} images for {max(per_class)} training images and a test image, but "
            f"{listed}{more}. {remedy}, or leave the small classes out."
        )


def draw_splits(codes: np.ndarray, per_class: Sequence[int], folds: int, seed: int) -> list[Split]:
    """Return the random splits of all folds and sizes.

    Fold ``f`` depends only on ``(seed, f)``, and a larger training set of a fold contains the smaller ones.
    """
    splits = []
    for fold in range(folds):
        random = np.random.default_rng([seed, fold])
        shuffled = [random.permutation(np.flatnonzero(codes == code)) for code in range(codes.max() + 1)]
        for count in per_class:
            train = np.concatenate([members[:count] for members in shuffled])
            test = np.concatenate([members[count:] for members in shuffled])
            splits.append(Split(fold, count, train, test))
    return splits
