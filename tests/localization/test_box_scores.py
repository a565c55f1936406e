"""How good boxes are, on cases that can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from kerasal import localization

TRUTH = pd.DataFrame(
    {"image": ["a", "a", "b"], "class": [3, 3, 7], "box": [(0, 0, 10, 10), (50, 50, 80, 90), (5, 5, 25, 15)]}
)


def _guesses(*rows):
    return pd.DataFrame(rows, columns=["image", "class", "box"])


def test_iou_of_known_boxes():
    assert localization.iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1.0
    assert localization.iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0.0
    assert localization.iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    table = localization.iou([(0, 0, 10, 10), (0, 0, 20, 10)], [(0, 0, 10, 10), (10, 0, 20, 10)])
    np.testing.assert_allclose(table, [[1, 0], [0.5, 0.5]])
    with pytest.raises(ValueError, match=r"Convert boxes \(x, y, width, height\)"):
        localization.iou((10, 10, 5, 20), (0, 0, 1, 1))
    with pytest.raises(ValueError, match="four finite"):
        localization.iou((0, 0, 1), (0, 0, 1, 1))


def test_perfect_boxes_have_no_error_and_wrong_labels_all():
    perfect = _guesses(("a", 3, (50, 50, 80, 90)), ("b", 7, (5, 5, 25, 15)))
    assert localization.localization_error(perfect, TRUTH) == 0.0
    assert localization.localization_error(perfect.assign(**{"class": [7, 3]}), TRUTH) == 1.0


def test_an_overlap_below_one_half_counts_as_a_miss():
    truth = pd.DataFrame({"image": ["a"], "class": [1], "box": [(0, 0, 100, 100)]})
    for width, error in ((49, 1.0), (50, 0.0), (51, 0.0)):
        assert localization.iou((0, 0, width, 100), (0, 0, 100, 100)) == pytest.approx(width / 100)
        assert localization.localization_error(_guesses(("a", 1, (0, 0, width, 100))), truth) == error


def test_any_of_the_first_guesses_may_hit():
    rows = [("a", number, (0, 0, 10, 10)) for number in (9, 8, 6, 5, 3)] + [("b", 1, (0, 0, 5, 5))]
    assert localization.localization_error(_guesses(*rows), TRUTH) == 0.5
    assert localization.localization_error(_guesses(*rows), TRUTH, top=4) == 1.0
    assert localization.localization_errors(_guesses(*rows), TRUTH).to_dict() == {"a": False, "b": True}
    scored = _guesses(*rows).assign(score=[1, 2, 3, 4, 5, 1])  # the last one is the first guess
    assert localization.localization_error(scored, TRUTH, top=1) == 0.5


def test_tables_that_do_not_fit_are_refused():
    fine = _guesses(("a", 3, (0, 0, 10, 10)), ("b", 7, (0, 0, 10, 10)))
    with pytest.raises(ValueError, match="'b' has no prediction"):
        localization.localization_error(fine.iloc[:1], TRUTH)
    with pytest.raises(ValueError, match="'b' has no true box"):
        localization.localization_error(fine, TRUTH.iloc[:2])
    with pytest.raises(ValueError, match="got a table without 'box'"):
        localization.localization_error(fine.drop(columns="box"), TRUTH)
    with pytest.raises(ValueError, match="identify classes in the same way"):
        localization.localization_error(fine, TRUTH.assign(**{"class": "goldfish"}))
    with pytest.raises(ValueError, match="must contain true boxes"):
        localization.localization_error(fine, TRUTH.iloc[:0])


def test_known_class_measures():
    predicted = [(0, 0, 50, 100), (0, 0, 40, 100)]
    truth = [(0, 0, 100, 100), [(50, 0, 100, 100), (0, 0, 100, 100)]]
    np.testing.assert_allclose(localization.overlaps(predicted, truth), [0.5, 0.4])
    assert localization.mean_iou(predicted, truth) == pytest.approx(0.45)
    assert localization.correct_localization(predicted, truth) == 0.5
    with pytest.raises(ValueError, match="a true box, got none for image 1"):
        localization.overlaps(predicted, [truth[0], []])
    with pytest.raises(ValueError, match="the 2 images, got 1"):
        localization.overlaps(predicted, truth[:1])


def test_pointing_looks_at_the_maximum():
    values = np.zeros((20, 30))
    values[4, 25] = 1
    assert localization.pointing_accuracy([values, values], [(20, 0, 30, 5), (0, 0, 25, 20)]) == 0.5
    assert localization.pointing_accuracy([values], [[(0, 0, 5, 5), (20, 0, 30, 5)]]) == 1.0
    assert localization.pointing_accuracy([values], [(0, 0, 25, 20)], tolerance=1) == 1.0
    with pytest.raises(ValueError, match="everywhere"):
        localization.pointing_accuracy([np.ones((3, 3))], [(0, 0, 1, 1)])
    with pytest.raises(ValueError, match="tolerance must be a finite number of at least 0, got"):
        localization.pointing_accuracy([values], [(0, 0, 25, 20)], tolerance=-1)


def test_boxes_outside_the_image_are_refused_and_rounding_is_cut_off():
    assert localization.clip_boxes([(-0.5, 0, 30.4, 20)], (20, 30), "a") == [(0.0, 0.0, 30.0, 20.0)]
    with pytest.raises(ValueError, match="must lie in the image, 30 × 20"):
        localization.clip_boxes([(0, 0, 60, 20)], (20, 30), "a")


def test_a_scaled_box_stays_within_its_image():
    assert localization.scale_box((0, 0, 224, 224), (224, 224), (64, 48)) == (0, 0, 48, 64)
    assert localization.scale_box((32, 16, 64, 48), (64, 128), (128, 64)) == (16, 32, 32, 96)
    x_min, y_min, x_max, y_max = localization.scale_box((223, 223, 224, 224), (224, 224), (64, 64))
    assert (x_min, y_min, x_max, y_max) == (63, 63, 64, 64)  # 223 is nearer to 64, which is outside
