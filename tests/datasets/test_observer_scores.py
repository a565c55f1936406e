"""How well observers predict each other, against the metrics applied by hand."""

import numpy as np
import pytest

from kerasal import metrics
from kerasal.datasets.observer_scores import score_observers

SHAPE = (40, 60)


def make_points(observers=4, each=10, seed=0):
    random = np.random.default_rng(seed)
    points = np.clip(random.normal((30, 20), 4, (observers * each, 2)), 0, (59, 39)).round()
    return points, np.repeat(np.arange(observers), each)


@pytest.mark.parametrize("split", ["one", "others"])
def test_each_observer_is_left_out_once(split):
    points, subjects = make_points()
    found = score_observers(points, subjects, SHAPE, split, sigma=2.0)
    nss, cc = [], []
    for observer in range(4):
        one, others = points[subjects == observer], points[subjects != observer]
        predicting, predicted = (one, others) if split == "one" else (others, one)
        blurred = metrics.blur_fixations(predicting, 2.0, SHAPE)
        nss.append(metrics.nss(blurred, predicted))
        cc.append(metrics.cc(blurred, metrics.blur_fixations(predicted, 2.0, SHAPE)))
    assert found["nss"] == pytest.approx(np.mean(nss)) and found["cc"] == pytest.approx(np.mean(cc))


def test_many_predict_better_than_one():
    points, subjects = make_points(12)
    scores = {split: score_observers(points, subjects, SHAPE, split)["nss"] for split in ("one", "halves", "others")}
    assert 0.5 < scores["one"] < scores["halves"] < scores["others"]


def test_too_few_observers_have_no_score():
    points, subjects = make_points(3)
    assert score_observers(points, None, SHAPE, "one") is None
    assert score_observers(points, subjects, SHAPE, "halves") is None
    assert score_observers(points, np.zeros_like(subjects), SHAPE, "others") is None
    with pytest.raises(ValueError, match="split must be one of halves, one, others, got 'all'"):
        score_observers(points, subjects, SHAPE, "all")
