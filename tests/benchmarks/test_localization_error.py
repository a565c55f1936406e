"""The table of localization errors: its method is that of the library, and its controls are what they are called."""

import pathlib
import sys

import numpy as np
import pandas as pd
import pytest

from kerasal import images, localization

import keras

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import localization_error


@pytest.fixture
def folder(tmp_path, color_classifier):
    """Photos of red and blue squares in gray, with their boxes, and a classifier of colors."""
    random, rows = np.random.default_rng(1), []
    for number, (color, channel) in enumerate((("red", 0), ("blue", 2)) * 3):
        x, y, side = random.integers(3, 18), random.integers(3, 12), random.integers(12, 22)
        pixels = random.normal(110, 5, (40, 50, 3))
        pixels[y : y + side, x : x + side] = np.eye(3)[channel] * 200 + 30
        images.write(tmp_path / "photos" / f"{number}.png", np.clip(pixels, 0, 255).astype(np.uint8))
        rows.append((str(number), color, x, y, x + side, y + side))
    columns = ["image", "class", "x_min", "y_min", "x_max", "y_max"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "boxes.csv", index=False)
    (tmp_path / "classes.csv").write_text("index,name\n0,red\n2,blue\n")
    color_classifier.save(tmp_path / "colors.keras")
    return tmp_path


@pytest.mark.slow
def test_the_scores_are_those_of_localize_score(folder, capsys):
    data = [folder / "photos", folder / "boxes.csv"]
    line = [folder / "colors.keras", *data, "--classes", folder / "classes.csv", "-p", "unit", "-o", folder / "out.csv"]
    rows = localization_error.main([*map(str, line), "--per-class", "2"])
    assert rows.index.tolist() == ["0", "1", "2", "3"]
    printed = capsys.readouterr().out
    assert "4 images of 2 classes" in printed and "paper, other map" in printed
    model = keras.models.load_model(folder / "colors.keras")
    options = {"recipe": "simonyan", "classes": folder / "classes.csv", "top": 1, "preprocessing": "unit"}
    report = localization.evaluate_folder(model, *data, **options)
    np.testing.assert_allclose(rows["paper"], report.table.loc[rows.index, "iou"].astype(float))
    measured = localization_error.measures(rows, "paper")
    assert measured["top-1 error"].tolist() == report.table.loc[rows.index, "missed_1"].tolist()
    assert (rows["labels alone"] == 1).all() and (rows["rank"] == 0).all()
    assert rows["paper"].mean() > rows["paper, other map"].mean() + 0.05, "the map of another image is no help"


def test_an_image_is_right_if_the_class_is_guessed_and_the_box_fits():
    rows = pd.DataFrame({"rank": [0, 4, 5, 0], "paper": [0.5, 0.9, 0.9, 0.49]})
    measured = localization_error.measures(rows, "paper")
    assert measured["top-5 error"].tolist() == [0, 0, 1, 1]
    assert measured["top-1 error"].tolist() == [0, 1, 1, 1]
    assert measured["IoU of .5"].tolist() == [1, 1, 1, 0]
    assert measured["box if label"].mean() == 2 / 3, "the third image, whose class is not guessed, does not count"
