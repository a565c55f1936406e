import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

import kerasal
from kerasal import preprocessing, training
from kerasal.cli.train import train

KEYS = ("x_train", "y_train", "x_test", "y_test")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A toy MNIST: a bright row, whose height is the digit."""
    random = np.random.default_rng(0)
    arrays = []
    for n in (200, 50):
        labels = np.arange(n) % 10
        images = random.integers(0, 60, (n, 28, 28))
        images[np.arange(n), 2 * labels + 4] = 255
        arrays += [images.astype(np.uint8), labels.astype(np.uint8)]
    path = tmp_path_factory.mktemp("data") / "mnist.npz"
    np.savez(path, **dict(zip(KEYS, arrays, strict=True)))
    return path


@pytest.fixture
def invoke(data):
    app = typer.Typer()
    app.command()(train)

    def run(*arguments):
        given = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, given if "--data" in given else [*given, "--data", str(data)])

    return run


def test_train_and_go_on(invoke, tmp_path, data):
    result = invoke("mnist_cnn", "--output", tmp_path, "--epochs", 2, "--batch-size", 20, "--learning-rate", 0.01)
    assert result.exit_code == 0, result.output
    assert len(pd.read_csv(tmp_path / "history.csv")) == 2
    model = kerasal.create_model("mnist_cnn", weights=tmp_path / "mnist_cnn.weights.h5")
    with np.load(data) as stored:
        images = preprocessing.get("unit").apply(stored["x_train"][..., None])
        figure = training.accuracy(model, (images, stored["y_train"]))
    assert f"train accuracy {figure:.4f}  (200 images, dropout off)" in result.stdout
    assert "test accuracy" in result.stdout and "(50 images)" in result.stdout
    assert f"In {tmp_path}: mnist_cnn.weights.h5, mnist_cnn.keras, history.csv, curves.png" in result.stdout
    assert "2/2  loss" in result.stderr
    other = invoke("mnist_cnn", "--output", tmp_path, "--epochs", 3, "--seed", 1, "--quiet")
    assert isinstance(other.exception, ValueError) and other.stderr == ""
    expected = "seed: 0 there, 1 now; batch_size: 20 there, 128 now; learning_rate: 0.01 there, 0.001 now"
    assert expected in str(other.exception)


def test_the_seed_decides_the_starting_weights(invoke, tmp_path, monkeypatch):
    starts = []
    monkeypatch.setattr(training, "train", lambda model, *_, **__: starts.append(model.get_weights()[0]) or sys.exit(7))
    for seed in (3, 3, 4):
        assert invoke("mnist_cnn", "--output", tmp_path, "--seed", seed).exit_code == 7
    assert np.array_equal(starts[0], starts[1]) and not np.array_equal(starts[0], starts[2])


def test_defaults_are_the_recipe(invoke, tmp_path, monkeypatch):
    given = {}

    def record(model, train_data, test_data, output, **settings):
        given.update(settings, output=str(output), low=train_data[0].min(), high=train_data[0].max())
        sys.exit(7)

    monkeypatch.setattr(training, "train", record)
    monkeypatch.chdir(tmp_path)
    assert invoke("mnist_cnn").exit_code == 7
    recipe = dict(kerasal.model_spec("mnist_cnn").recipe)
    assert recipe.pop("data") == "mnist"
    assert given == {
        **recipe,
        "resume": True,
        "progress": True,
        "callbacks": [],
        "augmentation": None,
        "preprocessing": preprocessing.get("unit"),
        "class_names": [str(digit) for digit in range(10)],
        "output": "runs/mnist_cnn",
        "low": 0.0,
        "high": 1.0,
    }


def test_options_reach_the_routine(invoke, tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(training, "train", lambda *_, **settings: given.update(settings) or sys.exit(7))
    options = ("--epochs", 4, "--batch-size", 7, "--learning-rate", 0.5, "--seed", 9, "--fresh", "-q")
    options += ("--shift", 0.1, "--scale", 0.2, "--flip")
    assert invoke("mnist_cnn", "--output", tmp_path, *options).exit_code == 7
    chosen = {"epochs": 4, "batch_size": 7, "learning_rate": 0.5, "seed": 9}
    chosen |= {"resume": False, "progress": False, "callbacks": []}
    assert {name: given[name] for name in chosen} == chosen
    assert given["augmentation"] == training.Augmentation(shift=0.1, scale=0.2, flip=True)


@pytest.mark.parametrize("stop", [KeyboardInterrupt("Stopped after 1 of 10 epochs."), KeyboardInterrupt()])
def test_ctrl_c(invoke, tmp_path, monkeypatch, stop):
    def interrupted(*_, **__):
        raise stop

    monkeypatch.setattr(training, "train", interrupted)
    result = invoke("mnist_cnn", "--output", tmp_path)
    assert result.exit_code == 130
    assert result.stderr.strip() == (str(stop) or "Stopped before the training began; nothing was changed.")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("vgg16",), NotADirectoryError, "mnist.npz is a file"),
        (("gaze",), ValueError, "gaze is no classifier; kerasal gaze train trains it."),
        (("five_class_cnn", "--data", "/no/such"), FileNotFoundError, "There is no folder of class folders /no/such."),
        (("mnist_cn",), ValueError, "Did you mean mnist_cnn?"),
        (("mnist_cnn", "--data", "/no/such/file"), FileNotFoundError, "There is no MNIST at /no/such/file."),
        (("mnist_cnn", "--seed", "-1"), ValueError, "--seed is a whole number in 0..4294967295. Received: -1."),
        (("mnist_cnn", "--epochs", "0"), ValueError, "epochs is a whole number from 1 on. Received: 0."),
    ],
)
def test_errors_are_one_clear_line(invoke, tmp_path, arguments, error, message):
    result = invoke(*arguments, "--output", tmp_path / "run")
    assert isinstance(result.exception, error)
    assert message in str(result.exception) and "\n" not in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_help_loads_no_tensorflow():
    code = "import kerasal.cli.train, sys; sys.exit(bool({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
