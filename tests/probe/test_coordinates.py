"""Coordinates keep every inner product, whatever the number of features and blocks."""

import numpy as np
import pytest

from kerasal.probe import coordinates as module
from kerasal.probe.coordinates import coordinates


def _blocks(features, sizes):
    ends = np.cumsum(sizes)
    parts = [features[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    return coordinates(lambda block: parts[block], sizes, features.shape[1], "'layer'")


@pytest.mark.parametrize("length", [3, 40])
@pytest.mark.parametrize("sizes", [[12], [5, 5, 2], [5, 0, 7]])
def test_inner_products_are_those_of_the_centered_features(length, sizes):
    features = np.random.default_rng(0).normal(1000.0, 1.0, (12, length)).astype(np.float32)
    centered = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    found = _blocks(features, sizes)
    assert found.shape[1] <= 12
    np.testing.assert_allclose(found @ found.T, centered @ centered.T, atol=2e-3)


def test_blocks_that_do_not_fit_together_pass_by_again(monkeypatch):
    features = np.random.default_rng(1).normal(size=(9, 50)).astype(np.float32)
    whole = _blocks(features, [9])
    monkeypatch.setattr(module, "_GROUP_VALUES", 150)  # one block of three images at a time
    parts = _blocks(features, [3, 3, 3])
    np.testing.assert_allclose(parts @ parts.T, whole @ whole.T, atol=1e-4)


def test_features_that_are_all_alike_are_all_zero():
    found = _blocks(np.full((6, 20), 7, np.float32), [6])
    assert found.shape == (6, 1)
    assert not found.any()


def test_bad_features_are_refused(monkeypatch):
    features = np.ones((4, 9), np.float32)
    features[2, 3] = np.nan
    with pytest.raises(ValueError, match="'layer' must be finite"):
        _blocks(features, [4])
    monkeypatch.setattr(module, "_MAX_IMAGES", 3)
    with pytest.raises(ValueError, match="Pool the maps"):
        _blocks(np.ones((4, 9), np.float32), [4])
