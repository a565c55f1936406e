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

import keras

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


def test_defaults_are_the_recipe(invoke, tmp_path, monkeypatch, data):
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
        "strategy": None,
        "progress": True,
        "callbacks": [],
        "augmentation": None,
        "preprocessing": preprocessing.get("unit"),
        "class_names": [str(digit) for digit in range(10)],
        "output": "runs/mnist_cnn",
        "start": "drawn by the seed",
        "about": {"model": "mnist_cnn", "options": {}, "weights": None, "data": [str(data)]},
        "low": 0.0,
        "high": 1.0,
    }


def test_options_reach_the_routine(invoke, tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(training, "train", lambda *_, **settings: given.update(settings) or sys.exit(7))
    options = ("--epochs", 4, "--batch-size", 7, "--learning-rate", 0.5, "--seed", 9, "--fresh", "-q")
    options += ("--shift", 0.1, "--zoom", 0.2, "--flip", "--strategy", "mirrored")
    assert invoke("mnist_cnn", "--output", tmp_path, *options).exit_code == 7
    chosen = {"epochs": 4, "batch_size": 7, "learning_rate": 0.5, "seed": 9}
    chosen |= {"resume": False, "progress": False, "callbacks": [], "strategy": "mirrored"}
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


def test_a_negative_seed_is_wrong_usage(invoke, tmp_path):
    result = invoke("mnist_cnn", "--seed", "-1", "--output", tmp_path / "run")
    assert result.exit_code == 2 and "--seed must be an integer in 0..4294967295, got -1." in result.output


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("vgg16",), NotADirectoryError, "per class, got the file "),
        (("gaze",), ValueError, "source must be a classifier, got the gaze model gaze."),
        (("five_class_cnn", "--data", "/no/such"), FileNotFoundError, "There is no folder /no/such."),
        (("mnist_cn",), ValueError, "Did you mean mnist_cnn?"),
        (("mnist_cnn", "--data", "/no/such/file"), FileNotFoundError, "There is no MNIST at /no/such/file."),
        (
            ("mnist_cnn", "--strategy", "multi-worker"),
            ValueError,
            "TF_CONFIG must be set in the environment of every process",
        ),
        (("mnist_cnn", "--epochs", "0"), ValueError, "epochs must be a positive integer, got 0."),
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


@pytest.fixture(scope="module")
def photographs(colored_squares, tmp_path_factory):
    folder, colors = tmp_path_factory.mktemp("photographs"), ("red", "green", "blue")
    return colored_squares(folder, colors, 12, (24, 30), np.s_[6:18, 8:22])


SMALL_NET = ("--model-option", "stride=1", "--model-option", "input_shape=(20,20,3)")


def test_class_folders_and_what_later_commands_know(invoke, photographs, tmp_path, monkeypatch):
    """From photographs to a net of the zoo, and from its folder to attribution, maximization and further training."""
    from kerasal.cli.model_argument import open_model

    (photographs / "red" / "notes.txt").write_text("no image")
    options = ("--data", photographs, "--output", tmp_path / "run", "--batch-size", 29, "--class", "red,blue,green")
    result = invoke("mnist_cnn", *options, "--epochs", 2, "--flip", "--seed", 4)
    assert result.exit_code == 0, result.output
    assert "29 images to train on, 7 to test on, of 3 classes." in result.stderr
    assert "1 files were skipped, 0 of them damaged:" in result.stderr and "notes.txt" in result.stderr
    assert "notes.txt" in pd.read_csv(tmp_path / "run" / "skipped.csv")["file"].item()
    assert (
        "(7 images)" in result.stdout and f"kerasal attribute gradcam {tmp_path / 'run'} PHOTO -c red" in result.stdout
    )
    assert len(pd.read_csv(tmp_path / "run" / "history.csv")) == 2
    for source in (tmp_path / "run", tmp_path / "run" / "mnist_cnn.keras"):
        opened = open_model(str(source))
        assert opened.labels == ["red", "blue", "green"] and opened.preprocessing.name == "unit"
    again = invoke(tmp_path / "run", *options, "--epochs", 1)  # a model file of the user's, by its run
    assert isinstance(again.exception, ValueError) and "holds a run with other settings" in str(again.exception)
    (tmp_path / "run" / "run.json").rename(tmp_path / "run.json")
    with pytest.raises(ValueError, match="is not finished"):
        open_model(str(tmp_path / "run"))
    (tmp_path / "run.json").rename(tmp_path / "run" / "run.json")
    started = []
    monkeypatch.setattr(training, "train", lambda model, *_, **given: started.append((model, given)) or sys.exit(7))
    assert invoke(tmp_path / "run", *options[:2], "--output", tmp_path / "more", "--zoom", 0.1).exit_code == 7
    model, given = started[0]  # it goes on from the weights of the file
    trained = kerasal.load_model(tmp_path / "run" / "mnist_cnn.keras").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), trained, strict=True))
    assert given["augmentation"] == training.Augmentation(scale=0.1) and given["preprocessing"].name == "unit"
    assert given["learning_rate"] == 1e-4 and given["class_names"] == ["blue", "green", "red"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("five_class_cnn", "--class", "red,gren"), ValueError, "Did you mean green"),
        (("five_class_cnn", "--class", "red,blue", "--test-share", 0), ValueError, "above 0 and below 1, got 0.0."),
        (("five_class_cnn", "--model-option", "clases=3"), ValueError, "Did you mean classes?"),
        (
            ("five_class_cnn", "--model-option", "classes=4", *SMALL_NET),
            ValueError,
            "training images must have 4 classes",
        ),
        (
            ("five_class_cnn", "--flip", "--shift", 0.9, *SMALL_NET),
            ValueError,
            "shift must be a finite number in 0..0.5",
        ),
        (("none.keras",), FileNotFoundError, "none.keras"),
    ],
)
def test_errors_of_class_folders(invoke, photographs, tmp_path, arguments, error, message):
    result = invoke(*arguments, "--data", photographs, "--output", tmp_path / "run", "-q")
    assert isinstance(result.exception, error), result.output
    assert message in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_a_start_from_photographs(photographs, tmp_path):
    from kerasal.cli.maximize import read_start
    from kerasal.models import ImageModel

    model = kerasal.create_model("five_class_cnn", stride=1, input_shape=(20, 20, 3))
    opened = ImageModel(model, preprocessing.get("unit"))
    start = read_start(str(photographs / "green"), opened)
    pictures = [
        kerasal.images.fit_image(kerasal.images.read(file), (20, 20)) for file in (photographs / "green").glob("*")
    ]
    np.testing.assert_allclose(start, np.mean(pictures, axis=0) / 255, atol=0.6 / 255)
    assert read_start("zero", opened) == "zero" and read_start(None, opened) is None
    with pytest.raises(FileNotFoundError, match="--init must be normal, uniform, zero, mean, or a file or folder"):
        read_start("nought", opened)


def _files_of_one_net(folder, build):
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        build().save(folder / f"start{seed}.keras")


@pytest.mark.slow
def test_a_run_from_another_start_is_refused(invoke, photographs, tmp_path):
    def build():
        layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, "softmax")]
        return keras.Sequential([keras.Input((8, 8, 3)), *layers], name="net")

    _files_of_one_net(tmp_path, build)
    more = ("--data", photographs, "-p", "unit", "-q", "--class", "red,green", "-o", tmp_path / "run")
    for epochs in (1, 2):  # the same start goes on
        assert invoke(tmp_path / "start1.keras", *more, "--epochs", epochs).exit_code == 0
    kept = keras.saving.load_model(tmp_path / "run" / "net.keras", compile=False).get_weights()
    other = invoke(tmp_path / "start2.keras", *more, "--epochs", 2)
    assert isinstance(other.exception, ValueError) and "other settings (starting weights: " in str(other.exception)
    now = keras.saving.load_model(tmp_path / "run" / "net.keras", compile=False).get_weights()
    assert all(np.array_equal(first, second) for first, second in zip(kept, now, strict=True))


@pytest.mark.slow
def test_weights_are_another_start_than_the_seed(invoke, tmp_path):
    keras.utils.set_random_seed(5)
    kerasal.create_model("mnist_cnn").save_weights(tmp_path / "given.weights.h5")
    more = ("mnist_cnn", "-o", tmp_path / "run", "--batch-size", 100, "-q", "--epochs")
    assert invoke(*more, 1).exit_code == 0
    assert invoke(*more, 2).exit_code == 0
    other = invoke(*more, 2, "--weights", tmp_path / "given.weights.h5")
    assert isinstance(other.exception, ValueError) and "starting weights: drawn by the seed there" in str(
        other.exception
    )


def test_rendered_parts_are_data(invoke, tmp_path):
    layers = keras.layers
    stages = [
        keras.Input((32, 32, 3)),
        layers.Conv2D(4, 3),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4, "softmax"),
    ]
    keras.Sequential(stages, name="tiny").save(tmp_path / "tiny.keras")
    words = [tmp_path / "tiny.keras", "--preprocessing", "unit", "--epochs", 1, "--output", tmp_path / "run"]
    result = invoke(*words, "--data", "known_parts:train=16,test=8,size=32,causes=2")
    assert result.exit_code == 0, result.output
    assert "16 images to train on, 8 to test on, of 4 classes." in result.stderr
    assert "-c antennae" in result.stdout
    assert len(list((tmp_path / "run" / "known_parts" / "val" / "comb").iterdir())) == 2
    other = invoke(*words, "--data", "known_parts:train=16,test=8,size=32")
    assert other.exit_code == 2 and "has images with the options" in " ".join(other.stderr.split())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("known_parts:causes=3", "causes must be 1 or 2, got 3"),
        ("known_parts:train", "Options of known_parts must be KEY=VALUE, such as causes=2, got 'train'"),
    ],
)
def test_options_of_rendered_parts_are_checked(invoke, tmp_path, data, message):
    result = invoke("five_class_cnn", "--output", tmp_path / "run", "--data", data)
    text = " ".join(result.stderr.replace("\u2502", " ").split())
    assert result.exit_code == 2 and message in text
    assert not (tmp_path / "run").exists()
