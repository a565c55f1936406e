"""The ceiling and the share of it that a model explains."""

import numpy as np
import pandas as pd
import pytest

from kerasal import gaze, metrics
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.datasets.gaze_types import Points, Stimulus
from kerasal.gaze import observer_ceiling
from kerasal.metrics import observer_density
from kerasal.metrics.observer_density import MIXTURES


def with_observers(data, count=3):
    """Return a data set whose fixations are dealt to observers."""
    stimuli = []
    for name in data.names:
        points, stimulus = data.points(name), data.stimulus(name)
        read = lambda points=points: Points(points.xy, points.frame, np.arange(len(points.xy)) % count)  # noqa: E731
        stimuli.append(Stimulus(name, stimulus.image, read))
    return GazeDataset.from_stimuli(stimuli)


@pytest.fixture(scope="module")
def observed(spots):
    return with_observers(spots)


@pytest.fixture(scope="module")
def limit(observed):
    return gaze.ceiling(observed)


def test_each_number_is_that_of_the_other_observers(limit, observed):
    name = observed.names[2]
    points, row = observed.points(name), limit.table.loc[name]
    others = [
        observer_density.score_mixtures(found.xy, found.subject, found.frame)
        for found in (observed.points(other) for other in observed.names if other != name)
    ]
    mixture = MIXTURES[int(np.mean(others, axis=0).argmax())]
    assert limit.mixture(name) == mixture
    center = metrics.center_map(points.frame)
    nss, auc, gain = [], [], []
    for observer in range(3):
        own = points.subject == observer
        density = observer_density.predict_density(points.xy[~own], points.frame, mixture)
        nss.append(metrics.nss(density, points.xy[own]))
        auc.append(metrics.auc_judd(density, points.xy[own]))
        logs = np.log(density), np.log(center / center.sum())
        gain.append(metrics.information_gain(logs[0], points.xy[own], logs[1], log_density=True, duplicates=True))
    assert row["nss"] == pytest.approx(np.mean(nss)) and row["auc_judd"] == pytest.approx(np.mean(auc))
    assert row["information_gain"] == pytest.approx(np.mean(gain))
    assert (row["observers"], row["fixations"]) == (3, 12)
    np.testing.assert_allclose(limit.density(name), observer_density.predict_density(points.xy, points.frame, mixture))


def test_observers_who_agree_are_far_above_the_center(limit):
    mean = limit.summary["mean"]
    assert mean["information_gain"] > 1 and mean["nss"] > 3 and mean["auc_judd"] > 0.9 and 0.7 < mean["cc"] <= 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda data: data, "got fixations without observers"),
        (lambda data: with_observers(data, 1), "got one observer per image"),
        (lambda data: GazeDataset([data.image(0)], densities=[np.ones((48, 64))]), "got only densities"),
    ],
)
def test_without_two_observers_there_is_no_ceiling(spots, make, message):
    with pytest.raises(gaze.NoCeiling, match=message):
        gaze.ceiling(make(spots))


def test_an_image_with_one_observer_has_no_numbers(observed):
    stimuli = [observed.stimulus(name) for name in observed.names]
    lonely = observed.points(0)
    stimuli[0] = Stimulus(
        observed.names[0], observed.image(0), lambda: Points(lonely.xy, lonely.frame, np.zeros(12, int))
    )
    table = gaze.ceiling(GazeDataset.from_stimuli(stimuli)).table
    assert table.iloc[0].isna().all() and table.iloc[1:].notna().all(axis=None)


def test_the_evaluation_has_ceiling_and_share(seeing, observed, limit, spots):
    table = gaze.evaluate(gaze.Predictor(seeing), observed)
    assert list(table.columns) == [*table.attrs["definitions"], "error"]
    for column in ("nss", "auc_judd", "cc"):
        np.testing.assert_allclose(table[f"ceiling_{column}"], limit.table[column])
    np.testing.assert_allclose(table["ceiling_density_gain"], limit.table["information_gain"])
    prediction = gaze.predict(observed.image(1), gaze.Predictor(seeing))
    center = np.log(metrics.center_map(prediction.map.shape) / metrics.center_map(prediction.map.shape).sum())
    wanted = metrics.information_gain(
        prediction.log_density, observed.fixations(1), center, log_density=True, duplicates=True
    )
    assert table["density_gain"].iloc[1] == pytest.approx(wanted)
    explained = table.attrs["explained"]
    assert explained["share"] == pytest.approx(table["density_gain"].mean() / limit.table["information_gain"].mean())
    assert explained["low"] < explained["share"] < explained["high"]
    without = gaze.evaluate(gaze.Predictor(seeing), spots)
    assert "density_gain" not in without and without.attrs["explained"] is None
    assert "fixations without observers" in without.attrs["ceiling"]


def test_a_diagnosis_says_what_is_explained(seeing, observed, spots):
    found = gaze.diagnose(gaze.Predictor(seeing), observed)
    share = found.table["gain"].mean() / found.table["ceiling"].mean()
    sentence = next(text for text in found.findings if "of the information that other observers have" in text)
    assert f"explains {share:.0%} [" in sentence
    assert "gain" not in gaze.diagnose(gaze.Predictor(seeing), spots).table


def test_the_share_is_of_the_images_with_both():
    gains, ceilings = pd.Series([1.0, 2.0, np.nan]), pd.Series([2.0, 2.0, 9.0])
    explained = observer_ceiling.explained_share(gains, ceilings)
    assert explained["share"] == 0.75 and explained["images"] == 2 and explained["ceiling"] == 2
    assert "75% [50%, 100%]" in observer_ceiling.describe_explained(explained)
    nothing = observer_ceiling.explained_share(gains, -ceilings)
    assert np.isnan(nothing["share"]) and "undefined" in observer_ceiling.describe_explained(nothing)


def test_the_mixture_of_an_image_is_chosen_on_the_others():
    likelihoods = np.zeros((3, len(MIXTURES)))
    likelihoods[0, 7], likelihoods[1:, 3] = 9, 1
    assert observer_ceiling._choose_mixtures(likelihoods) == [MIXTURES[3], MIXTURES[7], MIXTURES[7]]
    assert observer_ceiling._choose_mixtures(likelihoods[:1]) == [MIXTURES[7]]
