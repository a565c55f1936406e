"""The areas that an objective asks about, whatever it is combined with."""

import numpy as np

from kerasal.objectives import box, channel, class_score, neuron, output, region, similarity, stack
from kerasal.objectives.areas import target_areas

MASK = np.zeros((4, 6))
MASK[1, 2:5] = 0.5
OTHER = np.eye(3, dtype=bool)
CORNERS = (3, 4, 12, 8)
BOX = box(CORNERS, 1, boxes="boxes", scores="scores")
SIZE = (8, 24)  # height, width
SHARES = [3 / 24, 4 / 8, 12 / 24, 8 / 8]


def test_a_region_is_its_mask_and_a_box_is_in_shares_of_the_input():
    (area,) = target_areas(region(MASK, 3), SIZE)
    np.testing.assert_array_equal(area, MASK > 0)
    assert area.dtype == bool
    np.testing.assert_allclose(target_areas(BOX, SIZE), [SHARES])


def test_areas_are_found_among_other_parameters_and_each_is_drawn_once():
    others = 2 * channel("conv", 1) + neuron("conv", 1, (2, 3)) - class_score(4) / similarity(np.ones(5))
    combined = others + region(MASK, 1) - 0.5 * region(MASK, 2) + BOX * output("parts", region(OTHER, 0))
    areas = target_areas(combined, SIZE)
    assert len(areas) == 3
    np.testing.assert_array_equal(areas[0], MASK > 0)
    np.testing.assert_allclose(areas[1], SHARES)
    np.testing.assert_array_equal(areas[2], OTHER)


def test_a_batch_has_the_area_of_its_first_image_and_other_targets_have_none():
    (area,) = target_areas(stack([region(MASK, 1), region(1 - MASK, 1)]), SIZE)
    np.testing.assert_array_equal(area, MASK > 0)
    for target in (None, 3, class_score(1), len, region(np.ones(7), 0), region(np.ones((2, 3, 4)), 0)):
        assert target_areas(target, SIZE) == ()
