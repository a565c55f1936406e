"""Changes of features under shift, scale and rotation: 0 for what is invariant, and the script on little data."""

import pathlib
import sys

import numpy as np
import pytest

from kerasal import images, preprocessing

import keras

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import invariance


@pytest.fixture
def photos():
    random = np.random.default_rng(0)
    return [images.resize(random.integers(0, 256, (6, 6, 3)).astype(np.uint8), (32, 32)) for _ in range(3)]


def test_an_unchanged_photo_is_unchanged_and_shifts_and_turns_go_where_they_should(photos):
    for values, unchanged, matrix in invariance.transformations().values():
        assert any(np.isclose(value, unchanged) for value in values)
        np.testing.assert_array_equal(invariance.transform(photos[0], matrix(unchanged, 32)), photos[0])
    shift = invariance.transformations()["shift"][2]
    np.testing.assert_array_equal(invariance.transform(photos[0], shift(0.25, 32))[:, 8:], photos[0][:, :-8])
    rotate = invariance.transformations()["rotation"][2]
    np.testing.assert_array_equal(invariance.transform(photos[0], rotate(90, 32)), np.rot90(photos[0]))


def test_a_constant_feature_does_not_change_and_a_map_changes_like_its_image(photos):
    image = keras.Input((32, 32, 3))
    copy = keras.layers.Activation("linear", name="copy")(image)
    brightest = keras.layers.GlobalMaxPooling2D(name="brightest")(keras.layers.MaxPooling2D(32, name="pooled")(copy))
    model = keras.Model(image, brightest)
    plain = [np.full((32, 32, 3), 40 * number + 10, np.uint8) for number in range(3)]
    changes = invariance.distances(model, ["copy", "brightest"], plain, preprocessing.get("none"))
    for name in invariance.transformations():
        assert not changes[name]["copy"].any() and not changes[name]["brightest"].any()
    changes = invariance.distances(model, ["copy"], photos, preprocessing.get("none"))
    shifted = invariance.mean_change(changes["shift"]["copy"], "shift")
    averaged = invariance.mean_change(changes["shift"][f"copy{invariance.AVERAGED}"], "shift")
    assert (averaged < shifted).all() and (shifted > 0.3).all()
    assert (changes["shift"]["copy"][:, np.isclose(invariance.SHIFTS, 0)] == 0).all()


@pytest.mark.slow
def test_the_tables_on_little_data(photos, tmp_path, capsys):
    for number, photo in enumerate(photos):
        images.write(tmp_path / "photos" / f"{number}.png", photo)
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="first")(image)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="second")(x)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="last")(x))
    model.save(tmp_path / "model.keras")
    chart = tmp_path / "chart.png"
    line = [str(tmp_path / "model.keras"), str(tmp_path / "photos"), "--layers", "first", "second", "last"]
    invariance.main([*line, "--picture", str(chart)])
    printed = capsys.readouterr().out
    assert printed.count("second, averaged") == 2 + 2 + 1 and printed.count("24 photos") == 0
    assert chart.is_file()
