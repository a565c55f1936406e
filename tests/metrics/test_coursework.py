"""The examiners' script, line by line, against its exact form."""

import numpy as np
import pytest
from PIL import Image

from kerasal import metrics
from kerasal.metrics.coursework_metrics import coursework_map

ndimage = pytest.importorskip("scipy.ndimage")
SHAPE = (96, 128)
RANDOM = np.random.default_rng(9)
PREDICTION = ndimage.gaussian_filter(RANDOM.normal(0.5, 3, (48, 48)), 3).astype("float32")
POINTS = np.stack([RANDOM.integers(0, 128, 60), RANDOM.integers(0, 96, 60)], axis=1)[[0, 0, 1, *range(60)]]
OTHERS = np.stack([RANDOM.integers(0, 128, 500), RANDOM.integers(0, 96, 500)], axis=1)


def script(prediction, truth, other, legacy, splits):
    """The steps of the script; random draws as it makes them."""
    random = np.random.default_rng(10)
    if not legacy:
        prediction = np.clip(prediction, 0, 1)
    eight_bit = (prediction * 255).astype(np.int64).astype(np.uint8)
    how = Image.Resampling.NEAREST if legacy else Image.Resampling.BICUBIC
    p = np.asarray(Image.fromarray(eight_bit).resize((truth.shape[1], truth.shape[0]), how)) / 255.0
    p = ndimage.gaussian_filter(p, sigma=2)
    blurred = ndimage.gaussian_filter(truth.astype(float), 19)
    blurred = (blurred - blurred.min()) / (blurred.max() - blurred.min())
    cc = np.corrcoef(p.ravel(), blurred.ravel())[0, 1]
    p = (p - p.min()) / (p.max() - p.min())
    hits = p[truth > 0]
    places = np.flatnonzero(other)

    def one_split(drawn):
        levels = np.r_[0 : max(*hits, *drawn) : 0.1][::-1]
        tp = np.concatenate([[0], [np.mean(hits >= t) for t in levels], [1]])
        fp = np.concatenate([[0], [np.mean(drawn >= t) for t in levels], [1]])
        return np.trapezoid(tp, fp)

    borji = [one_split(p.ravel()[random.integers(0, p.size, hits.size)]) for _ in range(splits)]
    shuffled = [one_split(p.ravel()[random.permutation(places)[: hits.size]]) for _ in range(splits)]
    return cc, borji, shuffled


@pytest.mark.parametrize("legacy", [False, True])
def test_scores_are_the_script_s(legacy):
    truth, other = np.zeros((2, *SHAPE))
    truth[POINTS[:, 1], POINTS[:, 0]] = 1
    other[OTHERS[:, 1], OTHERS[:, 0]] = 1
    found = metrics.coursework_scores(PREDICTION.ravel(), POINTS, OTHERS, SHAPE, legacy=legacy)
    cc, borji, shuffled = script(PREDICTION, truth, other, legacy, splits=800)
    assert found["cc"] == pytest.approx(cc, abs=1e-12)
    for name, drawn in (("auc_borji", borji), ("auc_shuffled", shuffled)):
        assert abs(found[name] - np.mean(drawn)) < 4 * np.std(drawn) / np.sqrt(len(drawn))


def test_only_legacy_wraps_around():
    flat = np.full((48, 48), 0.5)
    flat[10, 10], flat[30, 30] = -0.02, 1.03
    clipped = coursework_map(flat, (48, 48))
    wrapped = coursework_map(flat, (48, 48), legacy=True)
    assert clipped[10, 10] < 0.5 < clipped[30, 30]
    assert wrapped[30, 30] < 0.5 < wrapped[10, 10]


def test_bad_predictions():
    with pytest.raises(ValueError, match=r"saliency_map of image 'x' must be a flattened square, .* got 2303 values"):
        metrics.coursework_scores(np.zeros(2303), POINTS, OTHERS, SHAPE, name="x")
    with pytest.raises(ValueError, match=r"saliency_map of image 'x' must have finite values"):
        metrics.coursework_scores(np.full(2304, np.nan), POINTS, OTHERS, SHAPE, name="x")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("constant", [0.0, 0.3, 0.5, 0.7, 1.0])
def test_constant_predictions_have_no_contrast_from_rounding(constant, legacy):
    with pytest.warns(UserWarning, match="cc of image 'x' is undefined"):
        found = metrics.coursework_scores(np.full(2304, constant), POINTS, OTHERS, SHAPE, legacy=legacy, name="x")
    assert np.isnan(found["cc"])
    assert found["auc_shuffled"] == found["auc_borji"] == 0.5
