"""run.json: every setting of a run, also of one that was stopped, continued, or called from Python."""

import datetime
import json

import numpy as np
import pytest

from kerasal import models, training
from kerasal.datasets import class_images
from kerasal.training import run_record

import keras

SHAPE = (8, 8, 3)


@pytest.fixture(scope="module")
def folder(colored_squares, tmp_path_factory):
    return colored_squares(tmp_path_factory.mktemp("colors"), ("red", "green"), 5, (8, 8), np.s_[2:6, 2:6])


def classifier():
    keras.utils.set_random_seed(1)
    layers = [keras.Input(SHAPE), keras.layers.Conv2D(2, 3, activation="relu"), keras.layers.GlobalMaxPooling2D()]
    return keras.Sequential([*layers, keras.layers.Dense(2, "softmax")], name="tiny")


def train(folder, output, **changes):
    settings = {"epochs": 1, "batch_size": 4, "seed": 5, "preprocessing": "unit", "progress": False}
    settings |= {"augmentation": training.Augmentation(flip=True)}
    return training.train(classifier(), *class_images(folder, SHAPE), output, **settings | changes)


def read(output):
    return json.loads((output / "run.json").read_text())


def test_a_classifier_records_every_setting(folder, tmp_path):
    train(folder, tmp_path)
    facts = read(tmp_path)
    assert facts["task"] == "classification" and facts["model_file"] == "tiny.keras"
    assert facts["labels"] == ["green", "red"] and facts["preprocessing"] == "unit"
    settings = facts["training"]
    assert {key: settings[key] for key in ("epochs", "batch_size", "seed", "schedule")} == {
        "epochs": 1,
        "batch_size": 4,
        "seed": 5,
        "schedule": "constant",
    }
    assert settings["learning_rate"] == pytest.approx(1e-3) and settings["optimizer"]["class"] == "Adam"
    assert (
        settings["augmentation"] == {"shift": 0.0, "scale": 0.0, "flip": True} and "cross-entropy" in settings["loss"]
    )
    split = facts["split"]
    assert facts["data"] == [str(folder)] and split["test_share"] == 0.2 and split["seed"] == 0
    assert "stratified" in split["how"] and split["training"]["classes"] == {"green": 4, "red": 4}
    assert split["test"]["images"] == 2 and len(split["test"]["digest"]) == 32
    assert facts["architecture"]["parameters"] == classifier().count_params() and facts["start"]
    assert set(facts["versions"]) == {"kerasal", "keras", "tensorflow", "numpy", "python"}
    assert facts["machine"]["devices"] == 1 and facts["machine"]["cpu_cores"] >= 1
    assert facts["command"].startswith("kerasal.training.train(<tiny>, ") and "epochs=1" in facts["command"]
    started, ended = (datetime.datetime.fromisoformat(facts[key]) for key in ("started", "ended"))
    assert started <= ended and started.tzinfo is not None


@pytest.mark.slow
def test_each_session_is_listed_and_a_finished_run_is_left_as_it_is(folder, tmp_path):
    train(folder, tmp_path)
    train(folder, tmp_path, epochs=3, about={"command": "kerasal train tiny"})
    sessions = read(tmp_path)["sessions"]
    assert [(session["first_epoch"], session["last_epoch"]) for session in sessions] == [(1, 1), (2, 3)]
    assert read(tmp_path)["command"] == "kerasal train tiny" and read(tmp_path)["started"] == sessions[0]["started"]
    train(folder, tmp_path, epochs=3)
    assert read(tmp_path)["sessions"] == sessions
    train(folder, tmp_path, resume=False)
    assert len(read(tmp_path)["sessions"]) == 1


def test_an_interrupted_run_records_what_it_finished(folder, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(folder, tmp_path, epochs=2, callbacks=[Stop()])
    session = read(tmp_path)["sessions"][0]
    assert session["last_epoch"] == 1 and session["ended"]
    with pytest.raises(ValueError, match=r"is not finished: there is no tiny\.keras yet"):
        models.open_model(tmp_path)


def test_arrays_without_names_are_recorded_too(tmp_path):
    data = np.zeros((4, *SHAPE), np.float32), np.array([0, 1, 1, 1])
    training.train(classifier(), data, data, tmp_path, epochs=1, progress=False)
    facts = read(tmp_path)
    assert facts["data"] == [] and "labels" not in facts and "preprocessing" not in facts
    assert facts["split"]["training"]["classes"] == {"0": 1, "1": 3}
    assert models.open_model(tmp_path, preprocessing="unit").labels == []


def test_a_gaze_run_records_every_setting(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(1, 1, activation="sigmoid")], name="maps")
    random = np.random.default_rng(0)
    data = random.integers(0, 255, (6, 8, 8, 3)).astype(np.uint8), random.random((6, 8, 8)).astype(np.float32)
    changes = {"epochs": 2, "batch_size": 3, "rate": training.Cosine(0.01), "loss": "mse", "seed": 4}
    training.train_gaze(model, data, data, "default", tmp_path, progress=False, **changes)
    facts = read(tmp_path)
    assert {"net", "model_file", "preprocessing", "size", "map_size", "target_range", "skipped"} <= set(facts)
    settings = facts["training"]
    assert settings["rate"] == {"schedule": "Cosine", "start": 0.01, "unit": "epoch"} and settings["seed"] == 4
    assert settings["loss"] == {"mse": 1.0} and settings["optimizer"] == "adam" and settings["epochs"] == 2
    assert settings["optimizer_options"]["beta_1"] == 0.9 and "momentum" not in settings
    assert facts["split"]["training"] == facts["split"]["validation"] and facts["split"]["training"]["images"] == 6
    assert facts["recipe"] == "default" and facts["task"] == "gaze" and len(facts["sessions"]) == 1
    assert facts["command"].startswith("kerasal.training.train_gaze(<maps>, ")


def test_calls_are_described_as_text():
    text = run_record.describe_call("f", (classifier(), "run"), {"a": 1.5, "b": None, "c": (1, 2), "d": np.zeros(3)})
    assert text == "f(<tiny>, 'run', a=1.5, c=(1, 2), d=<ndarray>)"
