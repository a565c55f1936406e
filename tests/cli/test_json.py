"""--json: the output stream holds one valid document, whatever the command prints, and all texts are elsewhere."""

import json
import pathlib

import numpy as np
import pytest
import typer

from kerasal import images
from kerasal.cli.app import app
from kerasal.cli.json_output import to_plain
from kerasal.cli.method_table import method_names

WITHOUT = {  # their results are pictures, files of a run, or a server
    *("demo", "evolution", "feature-maps", "patterns", "report", "serve", "train", "view"),
    *("gaze filters", "gaze import-vxm", "gaze panel", "gaze report", "gaze train"),
}
COMMANDS = {
    "models": ("models", "mnist*"),
    "card": ("card", "mnist_cnn"),
    "attribute": ("attribute", "gradcam", "net.keras", "photos/0.png", "-p", "unit", "-c", "1", "-o", "map.png"),
    "compare": ("compare", "net.keras", "photos/0.png", "-p", "unit", "-o", "page.html"),
    "localize": ("localize", "net.keras", "photos/0.png", "-p", "unit", "-c", "1", "-o", "boxes.png"),
    "localize-score": ("localize-score", "net.keras", "photos", "boxes.csv", "-p", "unit", "--labels", "names.txt"),
    "maximize": ("maximize", "net.keras", "-c", "1", "--steps", "2", "--init", "normal", "-p", "none", "-o", "max.png"),
    "info": ("info", "net.keras"),
    "field": ("field", "net.keras"),
    "filters": ("filters", "net.keras", "-p", "unit"),
    "probe": ("probe", "net.keras", "classes", "-l", "conv2", "-p", "unit", "--folds", "1", "--per-class", "1"),
    "exemplars": ("exemplars", "net.keras", "conv1", "photos", "-p", "unit", "-k", "2", "-o", "exemplars.png"),
    "score": ("score", "maps", "fixations.csv", "-m", "nss", "--baseline", "center"),
    "atlas": ("atlas", "net.keras", "-p", "unit", "--budget", "0s", "-o", "site"),
    "export": ("export", "net.keras", "served", "-p", "unit", "-s", "serving_default"),
    "batch": ("batch", "predict", "net.keras", "photos", "out", "-p", "unit", "--workers", "1"),
    "gaze describe": ("gaze", "describe", "--data", "data"),
    "gaze predict": ("gaze", "predict", "photos/0.png", "--colormap", "viridis", "--alpha", "0.3", "-o", "gaze-maps"),
    "gaze page": ("gaze", "page", "maps.keras", "-p", "unit", "--runtime", "runtime", "-o", "page"),
    "gaze adapt": ("gaze", "adapt", "densities.keras", "--data", "many", "-o", "adapted.keras"),
    "gaze share": ("gaze", "share", "photos/0.png", "--box", "left=0,0,25,40", "--box", "25,0,50,40"),
    "gaze evaluate": ("gaze", "evaluate", "gaze", "--weights", "kerasal", "--data", "data", "-o", "gaze.csv"),
    "gaze diagnose": ("gaze", "diagnose", "gaze", "--weights", "kerasal", "--data", "data"),
    "gaze dump": ("gaze", "dump", "maps.keras", "--data", "data", "-o", "preds.pkl"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request):
    """A model, photos, boxes, maps and gaze data."""
    import keras

    folder = tmp_path_factory.mktemp("json")
    random = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(4, 3, activation="relu", name=f"conv{i}") for i in (1, 2)]
    layers = [*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, "softmax")]
    keras.Sequential([keras.Input((12, 12, 3)), *layers]).save(folder / "net.keras")
    inputs = keras.Input((24, 24, 3))
    maps = keras.layers.AveragePooling2D(2)(keras.layers.Conv2D(1, 3, padding="same")(inputs))
    keras.Model(inputs, maps, name="maps").save(folder / "maps.keras")
    write_densities(folder)
    rows = ["image,x,y"]
    for number in range(3):
        pixels = random.integers(0, 255, (40, 50, 3), np.uint8)
        for place in ("photos", "data/images"):
            images.write(folder / place / f"{number}.png", pixels)
        images.write(folder / "maps" / f"{number}.png", random.integers(0, 255, (40, 50), np.uint8))
        rows += [f"{number},{x},{y}" for x, y in random.integers(0, 40, (8, 2))]
    for number in range(4):
        images.write(folder / "classes" / "ab"[number % 2] / f"{number}.png", pixels)
    for file in ("fixations.csv", "data/fixations.csv"):
        (folder / file).write_text("\n".join(rows) + "\n")
    (folder / "boxes.csv").write_text(
        "image,class,x_min,y_min,x_max,y_max\n0,b,3,3,20,20\n1,a,3,3,20,20\n2,c,0,0,9,9\n"
    )
    (folder / "names.txt").write_text("a\nb\nc\n")
    (folder / "runtime").mkdir()
    (folder / "runtime" / "ort.wasm.bundle.min.mjs").write_text("// ONNX Runtime Web v9.8.7\n")
    (folder / "runtime" / "ort-wasm-simd-threaded.wasm").write_bytes(b"\0asm")
    return folder


def write_densities(folder):
    """Write a model of uniform log-densities, and photos whose fixations are all in one corner."""
    from kerasal.layers import LogDensity

    import keras

    inputs = keras.Input((32, 32, 3))
    tensor = keras.layers.AveragePooling2D(4)(keras.layers.Conv2D(1, 1, kernel_initializer="zeros")(inputs))
    tensor = LogDensity()(keras.layers.Reshape((8, 8))(tensor))
    keras.Model(inputs, tensor, name="densities").save(folder / "densities.keras")
    rows = ["image,x,y"]
    for number in range(10):
        images.write(folder / "many" / "images" / f"{number}.png", np.full((32, 32, 3), number, np.uint8))
        rows += [f"{number},{x},{y}" for x, y in ((2, 3), (5, 4), (8, 6), (4, 9))]
    (folder / "many" / "fixations.csv").write_text("\n".join(rows) + "\n")


def leaves(command, path=()):
    """Yield the words and the click command of every command of the program."""
    if not hasattr(command, "list_commands"):
        yield " ".join(path), command
        return
    for name in command.list_commands(None):
        yield from leaves(command.get_command(None, name), (*path, name))


def test_every_command_with_results_has_json():
    has = {
        name: any("--json" in item.opts for item in command.params)
        for name, command in leaves(typer.main.get_command(app))
    }
    assert {name for name, found in has.items() if not found} == WITHOUT
    assert {name for name, found in has.items() if found} == {
        *(set(COMMANDS) - {"attribute"}),
        *(f"attribute {name}" for name in method_names()),
    }


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.quick(
    "models",
    "card",
    "attribute",
    "localize",
    "info",
    "field",
    "filters",
    "score",
    "export",
    "gaze describe",
    "gaze dump",
)
def test_the_output_is_one_document(cli, monkeypatch, folder, name):
    monkeypatch.chdir(folder)
    code, out, err = cli(*COMMANDS[name], "--json")
    assert code == 0, err
    document = json.loads(out)
    assert isinstance(document, dict) and document
    assert err.strip(), "the texts of the command are on the error stream"
    EXPECTED[name](document)


def has_keys(*path, **values):
    def check(document):
        for key in path:
            document = document[key]
        assert document, path
        for key, value in values.items():
            assert document[key] == value, (key, document[key])

    return check


EXPECTED = {
    "models": has_keys("models", 0, name="mnist_cnn", parameters=53002),
    "card": has_keys(name="mnist_cnn", parameters=53002),
    "attribute": has_keys("images", 0, "maps", 0, number=1, explained="class 1"),
    "compare": has_keys(image="photos/0.png", output="page.html"),
    "localize": has_keys("boxes", 0, number=1),
    "localize-score": has_keys(scored=3, output="localization.csv"),
    "maximize": has_keys("images", 0, name="class 1"),
    "info": has_keys("methods"),
    "field": has_keys("fields", 1, layer="conv2", size=[5, 5]),
    "filters": has_keys(layer="conv1"),
    "probe": has_keys("accuracies", 0, layer="conv2"),
    "exemplars": has_keys("channels", 0, channel=0),
    "score": has_keys(scored=3, output="scores.csv"),
    "atlas": has_keys(completed=0, output="site/index.html"),
    "export": has_keys("signatures", "serving_default"),
    "batch": has_keys(results=3, new=3, dead_letters=[]),
    "gaze describe": has_keys("description"),
    "gaze adapt": has_keys(target="fixations", images=10, output="adapted.keras"),
    "gaze share": has_keys("images", 0, "boxes", 0, box="left", area=0.5),
    "gaze predict": has_keys("maps", 0, map="gaze-maps/0.png"),
    "gaze page": has_keys(output="page", runtime="9.8.7"),
    "gaze evaluate": has_keys(scored=3),
    "gaze diagnose": has_keys("summary", 0),
    "gaze dump": has_keys(images=3, map_size=[12, 12], output="preds.pkl"),
}


def test_an_error_leaves_the_output_empty(cli):
    code, out, err = cli("card", "vgg61", "--json")
    assert (code, out) == (2, "") and "Did you mean vgg16" in err


def test_a_document_is_printed_if_only_some_images_fail(cli, monkeypatch, folder, tmp_path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    code, out, _ = cli("gaze", "predict", folder / "photos" / "0.png", tmp_path / "torn.png", "--json")
    assert code == 1
    document = json.loads(out)
    assert len(document["maps"]) == 1 and "torn.png" in document["skipped"][0]


def test_results_become_plain_values():
    import pandas as pd

    table = pd.DataFrame({"mean": [1.5, np.nan]}, index=pd.Index(["nss", "cc"], name="metric"))
    value = {"table": table, "box": (np.int64(1), 2), "path": pathlib.Path("a/b"), 3: np.array([[1.0, np.inf]])}
    plain = to_plain(value)
    assert plain["table"] == [{"metric": "nss", "mean": 1.5}, {"metric": "cc", "mean": None}]
    assert (plain["box"], plain["path"], plain["3"]) == ([1, 2], "a/b", [[1.0, None]])
