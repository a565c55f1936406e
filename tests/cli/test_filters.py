"""``kerasal filters`` as a person types it."""

import numpy as np
import pandas as pd
import pytest

from kerasal import images

import keras


@pytest.fixture
def net(tmp_path):
    keras.utils.set_random_seed(0)
    layer = keras.layers.Conv2D(4, 5, strides=4, activation="relu", name="first")
    model = keras.Sequential([keras.Input((24, 24, 3)), layer, keras.layers.Conv2D(2, 3, name="second")])
    kernel, bias = layer.get_weights()
    kernel[..., :2] += 0.1  # answers to bright images
    kernel[..., 2] = 0
    kernel[..., 3] = kernel[..., 0]
    layer.set_weights([kernel, bias])
    model.save(tmp_path / "net.keras")
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 30, 3), np.uint8)
        images.write(tmp_path / "photos" / f"{number}.png", pixels)
    return tmp_path / "net.keras"


def test_a_diagnosis_a_table_and_a_picture(cli, net, tmp_path):
    code, out, err = cli(
        "filters", net, "--images", "photos", "-p", "unit", "-o", "filters.png", "--table", "filters.csv"
    )
    assert code == 0, err
    assert "first: 4 filters of 5 × 5 with stride 4" in out
    assert "random weights: 0.94" in out
    assert "responses to 3 images" in out
    assert "dead (at most 1 % of the median filter's strength): 1 (2)" in out
    assert "above .9): 2" in out
    assert pd.read_csv(tmp_path / "filters.csv")["dead"].tolist() == [False, False, True, False]
    assert images.read(tmp_path / "filters.png").std() > 5


def test_weights_alone_and_errors(cli, net):
    code, out, _ = cli("filters", net, "second")
    assert code == 0
    assert "second: 2 filters of 3 × 3 with stride 1" in out
    assert "responses" not in out
    code, _, err = cli("filters", net, "second", "-o", "filters.png")
    assert code == 2
    assert "must have 1 or 3 input channels" in err
    code, _, err = cli("filters", net, "--images", "photos")
    assert code == 2
    assert "preprocessing (--preprocessing) must be known" in err
    assert cli("filters", net, "-o", "filters.csv")[0] == 2
