"""The three columns of Tang et al.: photos or their mean, noise, and the mean in its own colors."""

import pathlib
import sys

import numpy as np
import pytest

from kerasal import images

import keras

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import class_starts


@pytest.mark.slow
def test_the_mean_column_has_the_color_of_the_photos(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            keras.layers.Conv2D(8, 5, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1000, activation="softmax"),
        ]
    )
    model.save(tmp_path / "model.keras")
    pixels = np.random.default_rng(0).normal((200, 120, 40), 20, (2, 24, 24, 3))
    for number, photo in enumerate(np.clip(pixels, 0, 255).astype(np.uint8)):
        images.write(tmp_path / "fish" / f"{number}.png", photo)
    line = [tmp_path / "model.keras", f"goldfish:orange things={tmp_path / 'fish'}", "-p", "caffe"]
    line += ["--original", f"goldfish={tmp_path / 'fish' / '0.png'}", "--steps", "3", "-o", tmp_path / "sheet.png"]
    table = class_starts.main(list(map(str, line)))
    assert table.index.tolist() == [("goldfish", "noise"), ("goldfish", "mean")]
    mean = table.loc[("goldfish", "mean")]
    assert mean["color"] == pytest.approx(mean["color, start"], rel=0.05) and mean["color"] > 80
    assert table["added"].between(0.3, 3.5).all(), "three steps of half a gray level, for the mean of all pixels"
    sheet = images.read(tmp_path / "sheet.png").astype(int)
    assert (np.abs(sheet - (200, 120, 40)).max(axis=2) < 40).mean() > 0.1
