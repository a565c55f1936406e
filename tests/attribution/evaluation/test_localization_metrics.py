"""Pointing, mass and rank on maps drawn by hand, for boxes and masks of any rank."""

import numpy as np
import pytest

from kerasal.attribution.evaluation import pointing_game, relevance_mass, relevance_rank


def points(maps, truth, **options):
    return pointing_game(maps, truth, random_maps=0, **options).values.tolist()


def test_pointing():
    maps = np.zeros((3, 10, 12))
    maps[0, 3, 5] = maps[1, 3, 5] = maps[2, 9, 11] = 1
    boxes = [(5, 3, 6, 4), (6, 3, 9, 9), (0, 0, 12, 10)]
    assert points(maps, boxes) == [1, 0, 1]
    assert points(maps, boxes, tolerance=1) == [1, 1, 1]
    masks = np.zeros((3, 10, 12), bool)
    masks[0, 3, 5] = masks[1, 5, 7] = masks[2, 0, 0] = True
    assert points(maps, masks) == [1, 0, 0]
    assert points(maps, masks, tolerance=2.8) == [1, 0, 0]
    assert points(maps, masks, tolerance=2.9) == [1, 1, 0]  # the distance of (2, 2) is 2.83
    assert np.isnan(points(np.zeros((1, 10, 12)), masks[:1]))


def test_pointing_in_signals_and_volumes():
    signals = np.zeros((2, 12))
    signals[:, 7] = 1
    assert points(signals, [(7, 8), (8, 12)]) == [1, 0]
    assert points(signals, [(7, 8), (8, 12)], tolerance=1) == [1, 1]
    volumes = np.zeros((3, 6, 8, 10))
    volumes[:, 1, 3, 9] = 1  # z, y, x
    boxes = [(9, 3, 1, 10, 4, 2), (1, 3, 5, 2, 4, 6), (8, 2, 2, 10, 5, 6)]
    assert points(volumes, boxes) == [1, 0, 0]
    assert points(volumes, boxes, tolerance=1) == [1, 0, 1]


def test_mass_and_rank():
    maps = np.array([[[3.0, 1], [-9, 4]], [[-1, 0], [0, -2]]])
    masks = np.array([[[True, False], [False, True]], [[True, True], [False, False]]])
    np.testing.assert_array_equal(relevance_mass(maps, masks, random_maps=0).values, [7 / 8, np.nan])
    np.testing.assert_array_equal(relevance_rank(maps, masks, random_maps=0).values, [1, 0.5])
    box = [(1, 0, 2, 2), (0, 0, 1, 1)]
    np.testing.assert_array_equal(relevance_mass(maps, box, random_maps=0).values, [5 / 8, np.nan])


def test_a_map_of_the_object_is_better_than_random():
    random = np.random.default_rng(0)
    boxes = [(x, y, x + 6, y + 6) for x, y in random.integers(0, 14, size=(12, 2))]
    maps = np.zeros((12, 20, 20))
    for values, (left, top, right, bottom) in zip(maps, boxes, strict=True):
        values[top:bottom, left:right] = random.random((6, 6))
    result = relevance_mass(maps, boxes, inputs=random.random((12, 20, 20, 3)))
    assert set(result.controls) == {"random", "center", "edges"}
    assert result.verdict == "better than random"
    again = relevance_mass(result.controls["random"][:, None] * 0 + random.random((12, 20)), [(3, 9)] * 12)
    assert again.verdict == "not distinguishable from random"


@pytest.mark.parametrize(
    ("maps", "truth", "says"),
    [
        ((2, 4, 4), [(0, 0, 1, 1)], r"boxes \(x_min, y_min, x_max, y_max\) of the shape \(2, 4\)"),
        ((1, 4, 4), [(2, 0, 2, 1)], "non-empty boxes"),
        ((1, 4, 4), [(5, 5, 7, 7)], "inside of the maps"),
        ((2, 12), np.zeros((2, 4)), r"boxes \(x_min, x_max\) of the shape \(2, 2\)"),
        ((3, 6, 8, 10), np.ones((3, 6)), r"non-empty boxes \(x_min, y_min, z_min, x_max, y_max, z_max\)"),
        ((2, 4, 4), np.array([np.ones((4, 4), bool), np.zeros((4, 4), bool)]), "at least one position"),
        ((2, 4, 4), np.ones((2, 4, 5), bool), "bool masks of the shape"),
    ],
)
def test_truth_that_does_not_fit(maps, truth, says):
    with pytest.raises(ValueError, match=says):
        pointing_game(np.zeros(maps), truth)


def test_tolerance_and_inputs_that_do_not_fit():
    with pytest.raises(ValueError, match="tolerance must be"):
        pointing_game(np.zeros((1, 4, 4)), [(0, 0, 1, 1)], tolerance=-1)
    with pytest.raises(ValueError, match="inputs must have the positions of the maps"):
        pointing_game(np.zeros((1, 4, 4)), [(0, 0, 1, 1)], inputs=np.zeros((1, 5, 4, 3)))
