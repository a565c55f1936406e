"""The linear classifiers that read features, and which images train and test them: ``coordinates -> accuracies``."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kerasal.images import find_files

CLASSIFIERS = ("svm", "softmax")
_STEPS = 5000


@dataclasses.dataclass(frozen=True)
class Split:
    """One draw: the numbers of the training and of the test images."""

    fold: int
    per_class: int
    train: np.ndarray
    test: np.ndarray


def accuracies(
    kind: str, features: np.ndarray, codes: np.ndarray, splits: Sequence[Split], c: float, seed: int
) -> Iterator[float]:
    """Yield the accuracy of each split, in order; as many are trained at once as there are processor cores.

    The arithmetic of one is too small for several threads, which would wait for one another most of the time.
    """
    from threadpoolctl import threadpool_limits

    with (
        threadpool_limits(1),
        warnings.catch_warnings(),  # of all threads at once: it is not made for being entered in each
        ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="kerasal-probe") as pool,
    ):
        warnings.filterwarnings("ignore", message=".*converge")  # the last steps change no decision
        yield from pool.map(lambda split: _accuracy(kind, features, codes, split, c, seed), splits)


def _accuracy(kind: str, features: np.ndarray, codes: np.ndarray, split: Split, c: float, seed: int) -> float:
    """Train on some images; return the mean over the classes of the share of their test images that is recognized.

    The features are centered on the training images and divided by a constant, so that their mean squared length is 1:
    ``c`` then means the same for every layer, and no direction is stretched.
    """
    centered = features - features[split.train].mean(axis=0)
    scale = np.sqrt(np.square(centered[split.train]).sum(axis=1).mean()) or 1.0
    # The weights lie in the span of the training images: what stands upright on it changes no decision.
    basis = np.linalg.qr(centered[split.train].T)[0]
    inside = centered @ basis / scale
    model = _make(kind, c, seed).fit(inside[split.train], codes[split.train])
    tested = codes[split.test]
    right = np.equal(model.predict(inside[split.test]), tested)
    return float(np.mean([right[tested == code].mean() for code in np.unique(tested)]))


def _make(kind: str, c: float, seed: int):
    # Imported here: scikit-learn takes a second, and most of the package does without.
    if kind == "svm":
        from sklearn.svm import LinearSVC

        return LinearSVC(C=c, random_state=seed, max_iter=_STEPS)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, solver="newton-cg", max_iter=_STEPS)


def class_files(folder: str | os.PathLike) -> tuple[list[pathlib.Path], list[str]]:
    """List the image files of a folder that holds one folder for each class, and each file's class.

    Classes are sorted by name, their files by path; hidden folders, and files beside the class folders, do not count.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: fewer than two class folders, or one without any image file.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise ValueError(
            f"Expected {folder} to hold a folder of images for each class, two at least. Received {len(classes)}."
        )
    found = [(file, path.name) for path in classes for file in find_files([path])]
    return [file for file, _ in found], [name for _, name in found]


def check_counts(names: np.ndarray, codes: np.ndarray, per_class: Sequence[int]) -> None:
    """Refuse classes that are too small to give ``per_class`` training images and one to test.

    Raises:
        ValueError: fewer than two classes, or a class that is too small.
    """
    if len(names) < 2:
        raise ValueError(f"A classifier needs images of two classes at least. Received labels of {len(names)}.")
    counts = np.bincount(codes, minlength=len(names))
    needed = max(per_class) + 1
    small = np.flatnonzero(counts < needed)
    if small.size:
        listed = ", ".join(f"{names.tolist()[i]!r} has {counts[i]}" for i in small[:5])
        more = f" and {small.size - 5} more classes" if small.size > 5 else ""
        possible = counts.min() - 1
        way = f"Ask for at most {possible} per class" if possible >= 1 else "Add images"
        raise ValueError(
            f"{max(per_class)} training images per class and at least one to test need {needed} images in every class, "
            f"but {listed}{more}. {way}, or leave the small classes out."
        )


def draw_splits(codes: np.ndarray, per_class: Sequence[int], folds: int, seed: int) -> list[Split]:
    """Draw the splits; fold ``f`` follows from ``(seed, f)``, and more training images include the fewer."""
    splits = []
    for fold in range(folds):
        random = np.random.default_rng([seed, fold])
        shuffled = [random.permutation(np.flatnonzero(codes == code)) for code in range(codes.max() + 1)]
        for count in per_class:
            train = np.concatenate([one[:count] for one in shuffled])
            test = np.concatenate([one[count:] for one in shuffled])
            splits.append(Split(fold, count, train, test))
    return splits
