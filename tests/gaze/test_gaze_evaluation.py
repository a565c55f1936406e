import dataclasses

import numpy as np
import pytest

from kerasal import gaze, images, metrics
from kerasal.datasets.gaze_dataset import GazeDataset


@pytest.fixture(scope="module")
def table(seeing, spots):
    return gaze.evaluate(gaze.Predictor(seeing), spots)


def test_every_number_is_that_of_the_metrics_alone(table, seeing, spots):
    i = 3
    raw = next(gaze.Predictor(seeing).raw([spots.image(i)]))
    shown = np.maximum(gaze.resize_map(raw, spots.image(i).shape[:2]), 0)
    fixations = np.asarray(spots.fixation_map(i))
    row = table.iloc[i]
    assert row["nss"] == pytest.approx(metrics.nss(shown, fixations))
    assert row["auc_judd"] == pytest.approx(metrics.auc_judd(shown, fixations))
    assert row["cc"] == pytest.approx(metrics.cc(shown, np.asarray(spots.density(i))))
    center = metrics.center_map(shown.shape)
    assert row["center_nss"] == pytest.approx(metrics.nss(center, fixations))


def test_the_courseworks_numbers_are_those_of_its_script_on_640_x_480(table, seeing, spots):
    i = 3  # 48 x 64 pixels: ten times smaller, so pixel (x, y) is the pixel (10 x + 5, 10 y + 5)
    raw = next(gaze.Predictor(seeing).raw([spots.image(i)]))
    y, x = np.nonzero(np.asarray(spots.fixation_map(i)))
    fixations = np.zeros((480, 640), int)
    fixations[10 * y + 5, 10 * x + 5] = 1
    wanted = metrics.coursework_scores(raw, fixations, fixations)  # the pool changes the shuffled AUC only
    assert table.iloc[i]["coursework_cc"] == pytest.approx(wanted["cc"])
    assert table.iloc[i]["coursework_auc_borji"] == pytest.approx(wanted["auc_borji"])
    center = metrics.center_map((480, 640))
    center = metrics.coursework_scores(center / center.max(), fixations, fixations)
    assert table.iloc[i]["center_coursework_cc"] == pytest.approx(center["cc"])


@pytest.mark.parametrize(("side", "used"), [(24, True), (23, False)])
def test_the_stored_input_of_a_model_is_not_replaced_by_the_resized_image(side, used, seeing, spots, table):
    """X of a coursework pickle: the report calls X_original "provided for visualisation"."""
    stimuli = [spots.stimulus(name) for name in spots.names]
    turned = [np.rot90(images.resize(spots.image(name), (24, 24)), 2)[:side, :side] for name in spots.names]
    data = GazeDataset.from_stimuli([dataclasses.replace(s, small=x) for s, x in zip(stimuli, turned, strict=True)])
    predictor = gaze.Predictor(seeing)
    scores = gaze.evaluate(predictor, data, baselines=())["coursework_cc"]
    assert (scores.mean() < table["coursework_cc"].mean() - 0.3) == used
    own = [gaze.diagnose(predictor, which).table["own"].mean() for which in (spots, data)]
    assert (own[1] < own[0] - 0.3) == used
    assert (gaze.panel(predictor, data) != gaze.panel(predictor, spots)).any() == used


def test_a_net_that_sees_beats_both_baselines(table):
    mean = table.drop(columns="error").astype(float).mean()
    for metric in ("cc", "nss", "auc_judd", "auc_shuffled", "coursework_cc"):
        assert mean[metric] > mean[f"center_{metric}"] and mean[metric] > mean[f"mean_{metric}"]
    assert 0.3 < mean["center_auc_shuffled"] < 0.7


def test_every_column_says_what_it_is(table):
    assert list(table.columns) == [*table.attrs["definitions"], "error"]
    assert "480" in table.attrs["definitions"]["mean_coursework_cc"]
    assert "3 % of the width" in table.attrs["definitions"]["center_cc"]
    assert "density" not in table.attrs["definitions"]["nss"]


def test_what_cannot_be_read_is_named_and_the_rest_done(seeing, tmp_path, table, spots):
    images = [spots.image(i) for i in range(8)]
    fixations = [spots.fixations(i) for i in range(8)]
    from PIL import Image

    Image.fromarray(images[1]).save(tmp_path / "cut.jpg")
    content = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    images[1], fixations[4] = tmp_path / "cut.jpg", np.zeros((0, 2))
    broken = gaze.evaluate(gaze.Predictor(seeing), GazeDataset(images, fixations, names=spots.names), batch_size=3)
    assert broken["error"].notna().tolist() == [i in (1, 4) for i in range(8)]
    assert "runcated" in broken["error"].iloc[1] and "must have fixations" in broken["error"].iloc[4]
    kept = [i for i in range(8) if i not in (1, 4)]
    np.testing.assert_allclose(broken["cc"].iloc[kept].astype(float), table["cc"].iloc[kept].astype(float))


@pytest.mark.slow
def test_legacy_wraps_and_lowers_the_score(spots, make_seeing):
    predictor = gaze.Predictor(make_seeing(gain=1.3, offset=-0.12))
    clipped, wrapped = (
        gaze.evaluate(predictor, spots, legacy=legacy, baselines=("center",))["coursework_cc"].astype(float).mean()
        for legacy in (False, True)
    )
    assert wrapped < clipped - 0.1


def test_one_image_has_no_others(seeing, spots):
    table = gaze.evaluate(gaze.Predictor(seeing), spots.subset([0]))
    assert "auc_shuffled" not in table and "mean_nss" not in table and "coursework_cc" not in table
    assert np.isfinite(table["nss"].iloc[0])


def test_nothing_to_score(seeing):
    data = GazeDataset([np.zeros((8, 8, 3), np.uint8)], [np.zeros((0, 2))], names=["alone"])
    with pytest.raises(ValueError, match=r"None of the 1 images can be scored.*alone"):
        gaze.evaluate(gaze.Predictor(seeing), data)
