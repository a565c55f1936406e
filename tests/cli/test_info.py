"""``kerasal info``, and the errors that point to it."""

import json

import numpy as np

from kerasal import images

import keras
from keras import layers


def _save(path, *first):
    body = [layers.Conv2D(3, 3, activation="relu", name="conv"), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    keras.Sequential([keras.Input((16, 16, 3)), *first, *body], name="mine").save(path)


def test_info_prints_the_facts_as_text_and_as_json(cli, tmp_path):
    _save(tmp_path / "mine.keras", layers.Rescaling(1 / 255))
    code, out, err = cli("info", "mine.keras")
    assert code == 0 and not err
    assert "the model takes 0..255, because its first layer 'rescaling" in out and "conv, 14 × 14" in out
    code, out, _ = cli("info", "mine.keras", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["preprocessing"] == "none" and facts["methods"]["maximize"] == ""


def test_errors_about_preprocessing_and_layers_point_to_info(cli, tmp_path):
    _save(tmp_path / "mine.keras")
    images.write(tmp_path / "photo.png", np.zeros((16, 16, 3), np.uint8))
    for arguments in (
        ("attribute", "gradcam", "mine.keras", "photo.png"),
        ("maximize", "mine.keras", "--class", "0"),
        ("attribute", "gradcam", "mine.keras", "photo.png", "-p", "unit", "--layer", "cnv"),
    ):
        code, out, err = cli(*arguments)
        assert code == 2 and not out and "kerasal info MODEL" in err.splitlines()[-1], arguments
    code, out, err = cli("info", "mine.keras")
    assert code == 0 and "--preprocessing" in out and "unknown: the model does not show it" in out
