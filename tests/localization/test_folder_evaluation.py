"""Boxes of a folder from Python: the report's numbers are those of the single functions."""

import numpy as np
import pandas as pd
import pytest

from kerasal import images, localization


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(1)
    for name, box in (("a", (6, 4, 26, 24)), ("b", (20, 10, 40, 30))):
        pixels = random.normal(110, 5, (40, 50, 3))
        pixels[box[1] : box[3], box[0] : box[2]] = (230, 30, 30)
        images.write(tmp_path / "photos" / f"{name}.png", np.clip(pixels, 0, 255).astype(np.uint8))
    (tmp_path / "boxes.csv").write_text("image,class,x_min,y_min,x_max,y_max\na,red,6,4,26,24\nb,red,20,10,40,30\n")
    return tmp_path


def test_the_report_holds_what_the_functions_say(folder, color_classifier):
    options = {"labels": ["red", "green", "blue"], "top": 2, "preprocessing": "unit", "blur": 0.01}
    report = localization.evaluate_folder(
        color_classifier, folder / "photos", folder / "boxes.csv", output=folder / "out.csv", **options
    )
    found = localization.localize(
        color_classifier, images.read(folder / "photos" / "a.png"), classes=[0], preprocessing="unit", blur=0.01
    )
    box = found["box"].iloc[0]
    assert report.table.loc["a", "iou"] == pytest.approx(localization.iou(box, (6, 4, 26, 24)))
    assert report.scored == 2 and report.summary.loc["iou", "images"] == 2
    pd.testing.assert_series_equal(pd.read_csv(folder / "out.csv", index_col="image")["iou"], report.table["iou"])
    assert not list(folder.glob(".*.partial"))


def test_what_does_not_fit_is_an_error_without_flags(folder, color_classifier):
    with pytest.raises(localization.UnknownClass, match="red") as caught:
        localization.evaluate_folder(
            color_classifier, folder / "photos", folder / "boxes.csv", labels=["rod", "green", "blue"]
        )
    assert "--" not in str(caught.value)
    with pytest.raises(ValueError, match="iou must be a finite number above 0 and at most 1, got 2"):
        localization.evaluate_folder(color_classifier, folder / "photos", folder / "boxes.csv", iou=2)
