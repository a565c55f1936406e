"""No command replaces what it reads, whatever the two are called."""

import inspect
import os
import pathlib

import numpy as np
import pytest

from kerasal import images
from kerasal.cli import app, gaze, outputs


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Photographs, a folder of them, classes, gaze data, tables and files with the names of models."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for file in ("photo.png", "photos/a.png", "photos/b.png", "classes/x/1.png", "classes/y/1.png", "maps/m.png"):
        images.write(pathlib.Path(file), random.integers(0, 256, (8, 8, 3), np.uint8))
    for file in ("data/images/1.png", "data/maps/1.png", "run/labels.txt", "run/run.json", "run/net.keras"):
        pathlib.Path(file).parent.mkdir(parents=True, exist_ok=True)
        images.write(pathlib.Path(file), np.ones((8, 8, 3), np.uint8)) if file.endswith("png") else None
        pathlib.Path(file).touch()
    pathlib.Path("boxes.csv").write_text("image,class,x_min,y_min,x_max,y_max\na,0,0,0,4,4\n")
    pathlib.Path("fixations.csv").write_text("image,x,y\nm,1,1\n")
    pathlib.Path("net.keras").touch()
    (tmp_path / "photos" / "deep").mkdir()
    os.symlink("photo.png", "link.png")
    os.link("photo.png", "hard.png")
    os.symlink("photos", "linked")
    return tmp_path


REPLACING = [
    "attribute class_saliency net.keras photo.png -o photo.png",
    "attribute gradcam net.keras photo.png -o photos/../photo.png",
    "attribute gradcam net.keras photo.png -o link.png",
    "attribute gradcam net.keras link.png -o photo.png",
    "attribute gradcam net.keras photo.png -o hard.png",
    "attribute gradcam net.keras photo.png -o {place}/photo.png",
    "compare net.keras photo.png -o photo.png",
    "feature-maps net.keras photo.png --layer conv1 -o photo.png",
    "localize net.keras photo.png -o photo.png",
    "exemplars net.keras conv1 photos -o photos/a.png",
    "exemplars net.keras conv1 photos -o linked/a.png",
    "exemplars net.keras conv1 linked -o photos/deep/../a.png",
    "exemplars net.keras conv1 photos/a.png photo.png -o photo.png",
    "filters net.keras --images photos -o photos/b.png",
    "maximize net.keras --class 0 --init photo.png -o photo.png",
    "maximize net.keras --class 0 --history net.keras",
    "probe net.keras classes -l conv1 --picture classes/y/1.png",
    "localize-score net.keras photos boxes.csv -o boxes.csv",
    "localize-score run/net.keras photos boxes.csv -o run/run.csv",
    "localize-score run photos boxes.csv -o run/run.csv",
    "score maps fixations.csv -o fixations.csv",
    "score maps fixations.csv -o maps/m.csv",
    "gaze predict run photos/a.png photos/b.png -o photos",
    "gaze adapt run --data data -o run/net.keras",
    "gaze share run photos/a.png --box 0,0,1,1 -o photos/a.png",
    "gaze evaluate run --data data -o data/images/1.csv",
    "gaze evaluate run --data data -o run/run.csv",
    "gaze panel run --data data -o data/maps/1.png",
    "gaze diagnose run --data data -o data/images/1.png",
    "gaze import-vxm net.keras -o net.keras",
]


@pytest.mark.parametrize("line", REPLACING)
def test_an_input_is_never_replaced(cli, place, line, monkeypatch):
    monkeypatch.setattr(
        "kerasal.models.registry.load_model", lambda *_, **__: pytest.fail("the model was opened first")
    )
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    code, _, error = cli(*line.format(place=place).split())
    assert (code, "would replace" in error) == (2, True), error
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("command", ["attribute gradcam", "compare", "feature-maps --layer x", "localize"])
def test_the_model_is_never_replaced(cli, place, command):
    code, _, error = cli(*command.split(), "net.keras", "photo.png", "-o", "net.keras")
    assert code == 2 and "The output must end in" in error
    assert (place / "net.keras").read_bytes() == b""


@pytest.mark.parametrize(
    "line",
    [
        "attribute gradcam net.keras photo.png -o photos/a.png",  # not what is read here
        "attribute gradcam run photo.png -o run/a.png",
        "exemplars net.keras conv1 photos -o photos/new.png",
        "exemplars net.keras conv1 photos -o page.png --table photos/rows.csv",
        "localize-score net.keras photos boxes.csv -o photos/out.csv",
    ],
)
def test_beside_the_inputs_one_may_write(cli, place, line, monkeypatch):
    for name in ("page.png", "photos/rows.csv", "photos/out.csv", "photos/out.json", "run/a.png"):
        (place / name).touch()  # as an earlier run of the same command has left it
    opened = []
    monkeypatch.setattr("kerasal.models.registry.load_model", lambda *_, **__: opened.append(1) or exit(77))
    code, _, error = cli(*line.split())
    assert (code, opened) == (77, [1]), error


@pytest.mark.slow
@pytest.mark.parametrize("model", ["run/net.keras", "run"])
def test_a_training_does_not_replace_its_start(cli, place, colored_squares, model):
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, "softmax")]
    keras.Sequential([keras.Input((8, 8, 3)), *layers], name="net").save(place / "run" / "net.keras")
    (place / "run" / "run.json").write_text(
        '{"model_file": "net.keras", "task": "classification", "labels": ["a", "b"]}'
    )
    colored_squares(place / "squares", ["a", "b"], 3, (8, 8), (slice(2, 4), slice(2, 4)))
    before = (place / "run" / "net.keras").read_bytes()
    arguments = ("train", model, "--data", place / "squares", "-p", "unit", "--epochs", 1, "-q")
    code, _, error = cli(*arguments, "-o", "run", "--fresh")
    assert code == 2 and "would replace" in error, error
    assert (place / "run" / "net.keras").read_bytes() == before
    assert cli(*arguments, "-o", "other")[0] == 0
    assert cli(*arguments, "-o", "other")[0] == 0  # its own files may lie there


def test_a_gaze_training_does_not_replace_its_start(cli, place):
    import keras

    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")(inputs)
    keras.Model(inputs, outputs, name="maps").save(place / "run" / "maps.keras")
    before = (place / "run" / "maps.keras").read_bytes()
    for number in range(2, 13):
        images.write(place / "data" / "images" / f"{number}.png", np.ones((8, 8, 3), np.uint8))
        images.write(place / "data" / "maps" / f"{number}.png", np.full((8, 8, 3), 9, np.uint8))
    (place / "run" / "run.json").unlink()
    code, _, error = cli("gaze", "train", "run/maps.keras", "--data", "data", "--epochs", 1, "-q", "-o", "run")
    assert code == 2 and "would replace" in error, error
    assert (place / "run" / "maps.keras").read_bytes() == before


def test_every_command_with_an_output_asks():
    """A new command is seen here before it can forget to."""
    asks = ("check_output", "refuse_inputs", "check_folder", "check_writable")
    for group in (app.app, gaze.app):
        for info in group.registered_commands:
            function = inspect.unwrap(info.callback)
            if outputs._WRITTEN & set(inspect.signature(function).parameters):
                module = inspect.getsource(inspect.getmodule(function))
                assert any(one in module for one in asks) or function.__name__ in ("batch", "export"), function


def test_the_demo_removes_nothing(cli, place, monkeypatch):
    (place / "digits.csv").write_text("mine")
    monkeypatch.setattr("kerasal.cli.demo.load_tensorflow", lambda: exit(77))
    assert cli("demo", "-o", ".")[0] == 77
    assert (place / "digits.csv").read_text() == "mine"
