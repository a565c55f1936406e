"""The SVM of all classes has the loss and the solution of scikit-learn's."""

import numpy as np
import pytest

from kerasal.probe.classifiers import accuracies, draw_splits
from kerasal.probe.squared_hinge import SquaredHingeSVM


def make_classes(classes, each, length, noise, seed=0):
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(classes), each)
    return random.normal(size=(classes, length))[codes] + noise * random.normal(size=(len(codes), length)), codes


@pytest.mark.parametrize(("classes", "each", "length", "noise"), [(3, 20, 5, 2.0), (12, 8, 40, 1.0), (2, 15, 60, 0.3)])
@pytest.mark.parametrize("c", [0.01, 10.0])
def test_the_weights_are_those_of_scikit_learn(classes, each, length, noise, c):
    from sklearn.svm import LinearSVC

    features, codes = make_classes(classes, each, length, noise)
    svm = SquaredHingeSVM(c, 5000).fit(features, codes)
    reference = LinearSVC(C=c, dual=False, tol=1e-8, max_iter=50_000).fit(features, codes)
    expected = np.vstack([reference.coef_.T, reference.intercept_])
    if classes == 2:  # scikit-learn trains the second class alone
        np.testing.assert_allclose(svm.weights[:, 0], -svm.weights[:, 1], atol=0.01 * np.abs(expected).max())
        svm.weights, expected = svm.weights[:, 1:], expected
    np.testing.assert_allclose(svm.weights, expected, atol=0.01 * np.abs(expected).max())


@pytest.mark.parametrize(("classes", "together"), [(49, False), (50, True)])
def test_many_classes_are_trained_together(classes, together, monkeypatch):
    features, codes = make_classes(classes, 4, 60, 0.3)
    used, fit = [], SquaredHingeSVM.fit
    monkeypatch.setattr(SquaredHingeSVM, "fit", lambda self, *data: used.append(1) or fit(self, *data))
    found = list(accuracies("svm", features, codes, draw_splits(codes, [2], 2, 0), 10.0, 0))
    assert found == pytest.approx([1, 1])
    assert bool(used) == together


def test_classes_keep_their_codes():
    features, codes = make_classes(3, 10, 4, 0.1)
    svm = SquaredHingeSVM(10.0, 5000).fit(features, codes * 5 + 2)
    assert svm.predict(features).tolist() == (codes * 5 + 2).tolist()


def test_features_without_variance_are_no_error():
    svm = SquaredHingeSVM(10.0, 5000).fit(np.zeros((6, 1)), np.array([0, 0, 0, 0, 1, 1]))
    assert svm.predict(np.zeros((2, 1))).tolist() == [0, 0]
