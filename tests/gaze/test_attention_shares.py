"""The share of a density in boxes, against sums over pixels."""

import numpy as np
import pytest

from kerasal import gaze
from kerasal.gaze import GazePrediction

RANDOM = np.random.default_rng(0)
MAP = RANDOM.random((6, 8)) ** 3


def test_boxes_that_do_not_overlap_sum_to_one_with_the_rest():
    found = gaze.attention_share(MAP, {"logo": (0, 0, 3, 2), "price": (3, 1, 8, 6)})
    total = MAP.sum()
    assert found.table.loc["logo", "share"] == pytest.approx(MAP[:2, :3].sum() / total)
    price = found.table.loc["price"]
    assert price["share"] == pytest.approx(MAP[1:, 3:].sum() / total)
    assert price["area"] == pytest.approx(25 / 48) and price["lift"] == pytest.approx(price["share"] / price["area"])
    assert found.table["share"].sum() + found.rest["share"] == pytest.approx(1)
    assert found.rest["area"] == pytest.approx(17 / 48) and found.size == (6, 8)
    assert found.rest["lift"] == pytest.approx(found.rest["share"] / found.rest["area"])
    np.testing.assert_allclose(found.table["divided"], found.table["share"])


def test_what_overlaps_counts_for_each_box_or_is_divided():
    found = gaze.attention_share(MAP, [(0, 0, 4, 6), (2, 0, 6, 6)])
    total, left, both, right = MAP.sum(), MAP[:, :2].sum(), MAP[:, 2:4].sum(), MAP[:, 4:6].sum()
    assert list(found.table.index) == ["1", "2"]
    np.testing.assert_allclose(found.table["share"], [(left + both) / total, (both + right) / total])
    np.testing.assert_allclose(found.table["divided"], [(left + both / 2) / total, (both / 2 + right) / total])
    assert found.table["divided"].sum() + found.rest["share"] == pytest.approx(1)


def test_a_pixel_counts_in_part_at_fractions():
    found = gaze.attention_share(np.ones((4, 5)), [(0.5, 1.25, 3, 2)])
    assert found.table.loc["1", "share"] == pytest.approx(2.5 * 0.75 / 20)


def test_the_whole_photo_leaves_no_rest():
    found = gaze.attention_share(MAP, [(-0.5, 0, 8, 6)])
    assert found.table.loc["1", "share"] == pytest.approx(1) and found.rest["share"] == pytest.approx(0)
    assert np.isnan(found.rest["lift"]) and found.table.loc["1", "x_min"] == 0


def test_a_prediction_counts_with_its_density():
    prediction = GazePrediction(MAP.astype(np.float32), MAP.astype(np.float32))
    found = gaze.attention_share(prediction, {"a": (1, 1, 4, 5)})
    wanted = np.exp(prediction.log_density)[1:5, 1:4].sum()
    assert found.table.loc["a", "share"] == pytest.approx(wanted, rel=1e-5)
    assert found.to_dict()["boxes"][0]["box"] == "a"


def test_a_photo_of_one_row():
    found = gaze.attention_share(np.ones((1, 2000)), [(0, 0, 500, 1)])
    assert found.table.loc["1", "share"] == pytest.approx(0.25) and found.table.loc["1", "lift"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("values", "boxes", "message"),
    [
        (MAP, [], "must have at least one box"),
        (MAP, [(0, 0, 12, 4)], "must lie in the image"),
        (MAP, [(2, 2, 2, 4)], "x_max > x_min"),
        (MAP, [(8, 0, 9, 4)], "x_max > x_min"),
        (MAP, [(2, 2, 4)], "must be four finite numbers"),
        (-MAP, [(0, 0, 2, 2)], "must be non-negative"),
        (0 * MAP, [(0, 0, 2, 2)], "must be non-negative and have positive values"),
        (MAP[0], [(0, 0, 2, 2)], r"must be \(H, W\)"),
    ],
)
def test_errors(values, boxes, message):
    with pytest.raises(ValueError, match=message):
        gaze.attention_share(values, boxes)
