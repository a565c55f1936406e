"""The linear classifiers that read features: ``coordinates, labels, splits -> accuracies``."""

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kerasal.probe.splits import Split

CLASSIFIERS = ("svm", "softmax")
_STEPS = 5000


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
    """Train on some images; return the mean over the classes of the share of their test images that is recognised.

    The features are centred on the training images and divided by one number, so that a training image's squared length
    is 1 on average: so ``c`` means the same for every layer, and no direction is stretched.
    """
    centred = features - features[split.train].mean(axis=0)
    scale = np.sqrt(np.square(centred[split.train]).sum(axis=1).mean()) or 1.0
    # The weights lie in the span of the training images: what stands upright on it changes no decision.
    basis = np.linalg.qr(centred[split.train].T)[0]
    inside = centred @ basis / scale
    model = _make(kind, c, seed).fit(inside[split.train], codes[split.train])
    tested = codes[split.test]
    right = model.predict(inside[split.test]) == tested
    return float(np.mean([right[tested == code].mean() for code in np.unique(tested)]))


def _make(kind: str, c: float, seed: int):
    # Imported here: scikit-learn takes a second, and most of the package does without.
    if kind == "svm":
        from sklearn.svm import LinearSVC

        return LinearSVC(C=c, random_state=seed, max_iter=_STEPS)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, solver="newton-cg", max_iter=_STEPS)
