"""Equality with pysaliency, the code of the Tuebingen benchmark, where it is installed."""

import importlib.util
import sys
from unittest import mock

import numpy as np
import pytest

from kerasal import metrics

if importlib.util.find_spec("pysaliency") is None:
    pytest.skip("needs pysaliency (pip install pysaliency 'numpy<2.4')", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")  # pysaliency's own

SHAPE = (60, 80)
IMAGES = 4
RANDOM = np.random.default_rng(13)


@pytest.fixture(scope="module")
def pysaliency():
    if importlib.util.find_spec("torch") is None:  # it imports its wrappers of DeepGaze, which nothing here uses
        sys.modules.setdefault("pysaliency.external_models", mock.MagicMock(__spec__=None))
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pysaliency

    return pysaliency


@pytest.fixture(scope="module")
def data():
    y, x = np.indices(SHAPE)
    maps, points = [], []
    for _ in range(IMAGES):
        blobs = [np.exp(-((x - RANDOM.integers(80)) ** 2 + (y - RANDOM.integers(60)) ** 2) / 200) for _ in range(4)]
        maps.append(np.round(sum(blobs) + 0.1 * RANDOM.random(SHAPE), 2) + 0.01)  # rounded: ties
        drawn = np.stack([RANDOM.integers(0, 80, 30), RANDOM.integers(0, 60, 30)], axis=1)
        points.append(np.vstack([drawn, drawn[:7]]))  # fixations on one pixel
    return maps, points


def _pairs(pysaliency, data):
    maps, points = data
    stimuli = pysaliency.Stimuli([np.full((*SHAPE, 3), i, np.uint8) for i in range(IMAGES)])
    fixations = pysaliency.Fixations.create_without_history(
        np.concatenate([p[:, 0] for p in points]),
        np.concatenate([p[:, 1] for p in points]),
        np.repeat(np.arange(IMAGES), [len(p) for p in points]),
    )

    class Saliency(pysaliency.SaliencyMapModel):
        def _saliency_map(self, stimulus):
            return maps[int(stimulus[0, 0, 0])]

    class Density(pysaliency.Model):
        def __init__(self, power):
            super().__init__()
            self.power = power

        def _log_density(self, stimulus):
            return log_density(maps[int(stimulus[0, 0, 0])], self.power)

    return stimuli, fixations, Saliency(), Density


def log_density(saliency, power):
    return power * np.log(saliency) - np.log(np.sum(saliency**power))


def test_auc_against_all_pixels(pysaliency, data):
    stimuli, fixations, model, _ = _pairs(pysaliency, data)
    theirs = model.AUC_per_image(stimuli, fixations, nonfixations="uniform")
    ours = [metrics.auc(s, p, negatives="all", duplicates=True) for s, p in zip(*data, strict=True)]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_shuffled_auc(pysaliency, data):
    stimuli, fixations, model, _ = _pairs(pysaliency, data)
    theirs = model.AUC_per_image(stimuli, fixations, nonfixations="shuffled")
    maps, points = data
    pools = [np.vstack(points[:i] + points[i + 1 :]) for i in range(IMAGES)]
    ours = [metrics.auc(s, p, negatives=q, duplicates=True) for s, p, q in zip(maps, points, pools, strict=True)]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_nss(pysaliency, data):
    stimuli, fixations, model, _ = _pairs(pysaliency, data)
    theirs = model.NSSs(stimuli, fixations)
    for image, (saliency, points) in enumerate(zip(*data, strict=True)):
        ours = metrics.nss(saliency, points, ddof=0, duplicates=True)
        assert ours == pytest.approx(np.mean(theirs[fixations.n == image]), abs=1e-12)


def test_cc_sim_and_kl(pysaliency, data):
    from pysaliency import metrics as theirs

    for saliency, points in zip(*data, strict=True):
        density = metrics.blur_fixations(points, 4, SHAPE)
        assert metrics.cc(saliency, density) == pytest.approx(theirs.CC(saliency, density), abs=1e-12)
        ours = metrics.similarity(saliency, density, normalization="sum")
        assert ours == pytest.approx(theirs.SIM(saliency, density), abs=1e-12)
        assert metrics.kld(saliency, density) == pytest.approx(theirs.MIT_KLDiv(saliency, density), abs=1e-9)


def test_information_gain(pysaliency, data):
    stimuli, fixations, _, density = _pairs(pysaliency, data)
    theirs = density(2.0).information_gains(stimuli, fixations, density(0.5))
    for image, (saliency, points) in enumerate(zip(*data, strict=True)):
        ours = metrics.information_gain(
            log_density(saliency, 2.0), points, log_density(saliency, 0.5), log_density=True, duplicates=True
        )
        assert ours == pytest.approx(np.mean(theirs[fixations.n == image]), abs=1e-12)


def test_the_likelihood_of_observers_left_out(pysaliency):
    """Kernels, center and uniform map as in pysaliency's gold standard; its kernels are not mirrored at the edges."""
    pytest.importorskip("sklearn")
    from collections import OrderedDict

    from pysaliency import baseline_utils

    from kerasal.metrics.observer_density import MIXTURES, score_mixtures

    points = [RANDOM.normal((40, 30), 5, (24, 2)).round() for _ in range(IMAGES)]
    subjects = [np.repeat(np.arange(4), 6) for _ in range(IMAGES)]
    stimuli = pysaliency.Stimuli([np.full((*SHAPE, 3), i, np.uint8) for i in range(IMAGES)])
    fixations = pysaliency.Fixations.create_without_history(
        *np.concatenate(points).T, np.repeat(np.arange(IMAGES), 24), subjects=np.concatenate(subjects)
    )
    center = np.log(metrics.center_map(SHAPE) / metrics.center_map(SHAPE).sum())

    class Center(pysaliency.Model):
        def _log_density(self, stimulus):
            return center

    theirs = baseline_utils.CrossvalMultipleRegularizations(
        stimuli,
        fixations,
        OrderedDict(center=Center(), uniform=pysaliency.UniformModel()),
        baseline_utils.ScikitLearnImageSubjectCrossValidationGenerator(stimuli, fixations),
    )
    pairs = zip(points, subjects, strict=True)
    ours = np.mean([score_mixtures(xy, observer, SHAPE) for xy, observer in pairs], axis=0) / np.log(2)
    for number, mixture in enumerate(MIXTURES):
        if mixture.center == 0.1 and mixture.uniform == 0.01 and 0.03 < mixture.sigma < 0.1:
            wanted = theirs.score(*np.log10([mixture.sigma, mixture.center, mixture.uniform]))
            assert ours[number] == pytest.approx(wanted, abs=2e-3)
