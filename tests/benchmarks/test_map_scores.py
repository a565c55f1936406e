"""What the benchmarks of maps share: controls, shares of maps, stored rows, and means over seeds."""

import pathlib
import sys

import numpy as np
import pandas as pd
import pytest

import keras

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import map_scores


def test_the_lift_is_the_share_of_the_positive_sum_by_that_of_the_positions():
    inside = np.array([True, True, False, False, False])
    values = np.array([2.0, 1.0, 1.0, -5.0, 0.0])
    assert map_scores.share_inside(values, inside) == 0.75
    assert map_scores.lift(values, inside) == pytest.approx(0.75 / 0.4)
    assert map_scores.lift(np.ones(5), inside) == pytest.approx(1)
    assert np.isnan(map_scores.lift(-np.ones(5), inside))


@pytest.mark.parametrize(("shape", "coarse"), [((150,), (20,)), ((64, 48), (8, 6)), ((17, 9, 11), (5, 3, 4))])
def test_smooth_noise_has_the_shape_and_changes_slowly(shape, coarse):
    values = map_scores.smooth_noise(shape, coarse, np.random.default_rng(0))
    assert values.shape == shape and values.min() >= 0 and values.max() <= 1 and values.std() > 0.05
    steps = [np.abs(np.diff(values, axis=axis)).mean() for axis in range(len(shape))]
    assert max(steps) < values.std() / 2
    again = map_scores.smooth_noise(shape, coarse, np.random.default_rng(0))
    np.testing.assert_array_equal(values, again)


def test_the_center_is_the_largest_and_falls_alike_on_all_sides():
    values = map_scores.center((5, 7))
    assert np.unravel_index(values.argmax(), (5, 7)) == (2, 3) and values[2, 3] == 1
    np.testing.assert_allclose(values, values[::-1, ::-1])
    assert values[0, 3] == pytest.approx(np.exp(-2)) and values[2, 0] == pytest.approx(np.exp(-2))


def test_shuffled_weights_are_the_same_values_in_another_order():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6, 2)), keras.layers.Conv1D(8, 3), keras.layers.Flatten()])
    before = [array.copy() for array in model.get_weights()]
    copy = map_scores.shuffled(model, 1)
    for old, same, new in zip(before, model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(old, same)
        np.testing.assert_array_equal(np.sort(old.ravel()), np.sort(new.ravel()))
    assert not np.allclose(copy.get_weights()[0], before[0])


def test_a_model_is_trained_once(tmp_path):
    calls = []

    def train():
        calls.append(1)
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

    first, second = (map_scores.stored_model(tmp_path / "runs" / "model.keras", train) for _ in range(2))
    assert len(calls) == 1
    np.testing.assert_array_equal(first.get_weights()[0], second.get_weights()[0])


def test_rows_are_stored_and_known_afterwards(tmp_path):
    rows = map_scores.Rows(tmp_path / "rows.csv", "seed")
    rows.add([{"seed": 0, "row": "a", "lift": 1.0}])
    rows.add([{"seed": 1, "row": "a", "lift": 3.0}])
    again = map_scores.Rows(tmp_path / "rows.csv", "seed")
    assert again.done == {"0", "1"} and again.table["lift"].tolist() == [1, 3]


def test_seeds_are_averaged_by_sample_and_differences_are_paired(capsys):
    values = {("a", 0): (1, 5), ("a", 1): (3, 7), ("b", 0): (0, 4), ("b", 1): (2, 6)}
    rows = [
        {"seed": seed, "image": image, "row": row, "lift": float(lift)}
        for (row, seed), lifts in values.items()
        for image, lift in zip("xy", lifts, strict=True)
    ]
    wide = map_scores.by_row(pd.DataFrame(rows), "image")
    assert wide["a"]["lift"].to_dict() == {"x": 2, "y": 6} and list(wide["a"]) == ["lift"]
    map_scores.print_rows(wide, ["lift"], [("lift", "b")])
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0] == "| | lift | lift − b |"
    assert lines[2].startswith("| a | 4.000 [") and lines[2].endswith("| 1.000 [1.000, 1.000] |")
    assert lines[3].endswith("| – |")


def test_the_rank_correlation_is_undefined_for_a_constant_map():
    values = np.arange(12.0).reshape(3, 4)
    assert map_scores.rank_correlation(values, np.exp(values)) == pytest.approx(1)
    assert map_scores.rank_correlation(values, -values) == pytest.approx(-1)
    assert np.isnan(map_scores.rank_correlation(values, np.zeros((3, 4))))


def test_rows_of_an_earlier_run_and_new_ones_have_the_same_kinds(tmp_path):
    """Else "0" of a new seed and 0 of a stored one would be two images."""
    for seed in ("0", "1"):
        rows = map_scores.Rows(tmp_path / "scores.csv", "seed")
        rows.add([{"seed": seed, "image": str(number), "row": "a", "score": 0.5} for number in range(3)])
    assert rows.table["image"].nunique() == 3 and set(rows.done) == {"0"}
    assert map_scores.Rows(tmp_path / "scores.csv", "seed").done == {"0", "1"}
