"""Variants trained alike: the table, the same start and order, stops, and bad input."""

import numpy as np
import pandas as pd
import pytest

from kerasal import training
from kerasal.training import variants as variants_file

import keras


@pytest.fixture(scope="module")
def data():
    """The class is the brightest channel of three."""
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = random.normal(0, 0.5, (90, 6, 6, 3)).astype(np.float32)
    images[np.arange(90), :, :, labels] += 1
    return (images[:60], labels[:60]), (images[60:], labels[60:])


def _builder(width):
    def build():
        layers = [keras.layers.Conv2D(width, 3, activation="relu"), keras.layers.GlobalAveragePooling2D()]
        return keras.Sequential([keras.Input((6, 6, 3)), *layers, keras.layers.Dense(3, activation="softmax")])

    return build


def _blind():
    """The image does not reach the output."""
    inputs = keras.Input((6, 6, 3))
    nothing = keras.layers.Rescaling(0.0)(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(nothing))


ASK = {"epochs": 4, "batch_size": 20, "learning_rate": 0.1, "progress": False}


@pytest.mark.slow
def test_the_table_tells_what_a_layer_is_worth_also_after_a_stop(data, tmp_path, monkeypatch):
    variants = {"wide": _builder(8), "the same": _builder(8), "no image": _blind}
    train, calls = variants.train, []

    def stop(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return train(*arguments, **options)

    monkeypatch.setattr(variants_file, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        training.ablate(variants, *data, tmp_path, **ASK)
    stopped = pd.read_csv(tmp_path / variants.TABLE)
    assert stopped["variant"].tolist() == ["wide", "the same"]
    table = training.ablate(variants, *data, tmp_path, **ASK)
    pd.testing.assert_frame_equal(table[:2], stopped)  # the seconds too: they did not train again
    pd.testing.assert_frame_equal(table, pd.read_csv(tmp_path / variants.TABLE))
    wide, same, blind = table.to_dict("records")
    assert (wide["parameters"], blind["parameters"]) == (8 * 28 + 27, 108 * 3 + 3)
    assert (wide["train_error"], wide["test_error"]) == (same["train_error"], same["test_error"])
    assert wide["test_error"] < 0.1
    assert wide["change"] == 0
    assert blind["train_error"] == pytest.approx(2 / 3)  # the classes are equally frequent
    assert blind["change"] == pytest.approx(blind["test_error"] - wide["test_error"])
    assert (tmp_path / "no-image" / "history.csv").is_file()


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({}, "non-empty mapping"),
        ({"a b": _blind, "a-b": _blind}, "different folder names"),
        ({"a": lambda: 3}, "must return a keras.Model, got int"),
    ],
)
def test_bad_variants_are_refused(data, tmp_path, variants, message):
    with pytest.raises(ValueError, match=message):
        training.ablate(variants, *data, tmp_path, **ASK)
