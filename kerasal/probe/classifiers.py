"""The linear classifiers that read features: ``coordinates, labels, split -> accuracy``."""

import warnings

import numpy as np

CLASSIFIERS = ("svm", "softmax")
_STEPS = 5000


def accuracy(kind: str, features: np.ndarray, codes: np.ndarray, train, test, c: float, seed: int) -> float:
    """Train on some images; return the mean over the classes of the share of their test images that is recognised.

    The features are centred on the training images and divided by one number, so that a training image's squared length
    is 1 on average: so ``c`` means the same for every layer, and no direction is stretched.
    """
    centre = features[train].mean(axis=0)
    scale = np.sqrt(np.square(features[train] - centre).sum(axis=1).mean()) or 1.0
    model = _make(kind, c, seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*converge")  # the last steps change no decision
        model.fit((features[train] - centre) / scale, codes[train])
    right = model.predict((features[test] - centre) / scale) == codes[test]
    return float(np.mean([right[codes[test] == code].mean() for code in np.unique(codes[test])]))


def _make(kind: str, c: float, seed: int):
    # Imported here: scikit-learn takes a second, and most of the package does without.
    if kind == "svm":
        from sklearn.svm import LinearSVC

        return LinearSVC(C=c, random_state=seed, max_iter=_STEPS)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, max_iter=_STEPS)
