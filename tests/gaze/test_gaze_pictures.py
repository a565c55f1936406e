import numpy as np
import pytest

from kerasal import gaze, images
from kerasal.gaze import gaze_pictures

import keras


def test_the_panel_shows_best_median_and_worst(seeing, spots, monkeypatch):
    told = {}
    original = gaze_pictures.images.grid
    monkeypatch.setattr(
        gaze_pictures.images,
        "grid",
        lambda tiles, labels, **k: told.update(k, labels=labels) or original(tiles, labels, **k),
    )
    sheet = gaze.panel(gaze.Predictor(seeing), spots, tile=80)
    table = gaze.evaluate(gaze.Predictor(seeing), spots)["cc"].astype(float).sort_values(ascending=False)
    assert told["row_labels"] == ["best", "median", "worst"]
    assert told["labels"][0::4] == [table.index[0], table.index[3], table.index[-1]]
    assert f"CC {table.iloc[0]:.2f}" in told["labels"][2]
    assert sheet.dtype == np.uint8 and sheet.std() > 20


def test_the_panel_shows_what_is_asked_for(seeing, spots):
    one = gaze.panel(gaze.Predictor(seeing), spots, ["spot2"], tile=80)
    three = gaze.panel(gaze.Predictor(seeing), spots, count=1, tile=80)
    assert one.shape[0] < three.shape[0]


def test_few_images_are_shown_once():
    assert gaze_pictures.choose_images({"a": 0.5}, 1) == {"a": "best"}
    assert gaze_pictures.choose_images({"a": 0.5, "b": 0.1, "c": float("nan")}, 1) == {"a": "best", "b": "worst"}
    with pytest.raises(ValueError, match="constant"):
        gaze_pictures.choose_images({"a": float("nan")}, 1)


def test_overlays_in_files_have_a_legend_unless_they_shall_be_bare(seeing, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (60, 400, 3), np.uint8)
    images.write(tmp_path / "photo.png", photo)
    sizes = {}
    for legend in (True, False):
        gaze.predict_folder([tmp_path / "photo.png"], tmp_path / str(legend), gaze.Predictor(seeing), legend=legend)
        sizes[legend] = images.read(tmp_path / str(legend) / "photo-overlay.jpg").shape
    assert sizes[False] == (60, 400, 3)
    assert sizes[True][0] > 70 and sizes[True][1] == 400
    values = gaze.predict(photo, gaze.Predictor(seeing)).map
    np.testing.assert_array_equal(gaze.overlay(photo, values, legend=True)[:60], gaze.overlay(photo, values))


def test_filters_are_on_one_scale():
    net = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 2, use_bias=False)], name="n")
    kernel = np.zeros((2, 2, 3, 3), np.float32)
    kernel[..., 0], kernel[..., 1] = 1.0, -1.0  # the third is half way between them
    kernel[:, :, 0, 2] = 1.0
    net.layers[0].set_weights([kernel])
    sheet = gaze.filters(net, tile=20)
    colors = {tuple(color) for color in sheet.reshape(-1, 3)}
    assert {(255, 255, 255), (0, 0, 0), (255, 128, 128)} <= colors
    assert (128, 128, 255) in {tuple(color) for color in gaze.filters(net, bgr=True, tile=20).reshape(-1, 3)}
    with pytest.raises(ValueError, match="a convolution with 3 input channels"):
        gaze.filters(keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 2)]))
