"""``kerasal atlas`` as a person types it."""

import json

import numpy as np
import pytest

from kerasal import images

import keras


@pytest.fixture
def model_file(tmp_path):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax", name="out")]
    keras.Sequential(layers).save(tmp_path / "net.keras")
    return tmp_path / "net.keras"


def test_atlas(cli, model_file, tmp_path):
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\n")
    given = ("atlas", model_file, "-p", "unit", "--labels", "names.txt", "--class", "bee,2", "-o", "site")
    code, out, err = cli(*given)
    assert code == 0, err
    assert "site/index.html" in out and "1 piece of work in" in out
    assert {path.stem for path in (tmp_path / "site" / "classes").iterdir()} == {"1", "2", "index"}
    assert "<h1>bee</h1>" in (tmp_path / "site" / "classes" / "1.html").read_text()
    assert "<h1>net</h1>" in (tmp_path / "site" / "index.html").read_text()
    code, out, _ = cli(*given)
    assert code == 0 and "0 pieces of work" in out


def test_atlas_within_a_budget(cli, model_file):
    code, out, err = cli("atlas", model_file, "-p", "unit", "--budget", "0s", "-o", "site")
    assert code == 0 and "0 pieces of work" in out and "Not complete after 0s: 0 of 3 classes. The same" in err
    page = (model_file.parent / "site" / "index.html").read_text()
    assert f"<code>kerasal atlas {model_file} -p unit --budget 0s -o site</code>" in page


def test_atlas_of_random_weights_says_so(cli, tmp_path):
    given = ("atlas", "mnist_cnn", "--model-option", "stride=1", "--budget", "0", "-o", "site")
    assert cli(*given)[0] == 0
    assert "weights are random" in (tmp_path / "site" / "index.html").read_text()


@pytest.mark.slow
def test_atlas_of_what_gaze_training_leaves(cli, tmp_path):
    layers = [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(64, name="map")]
    (tmp_path / "run").mkdir()
    keras.Sequential(layers).save(tmp_path / "run" / "model.keras")
    facts = {"model_file": "model.keras", "preprocessing": "unit", "size": [16, 16], "target_range": "pm1"}
    (tmp_path / "run" / "run.json").write_text(json.dumps(facts))
    images.write(tmp_path / "photo.png", np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))
    code, _, err = cli("atlas", "run", "--images", "photo.png", "--layers", "map", "--max-channels", "2", "-o", "site")
    assert code == 0, err
    assert "over the photo" in (tmp_path / "site" / "images" / "photo.html").read_text()


def test_atlas_refuses_in_one_line(cli, model_file, tmp_path):
    for arguments, code, said in (
        (("--budget", "soon"), 2, "10m, 90s or 1h"),
        (("--class", "dog"), 2, "without class names"),
        (("-o", tmp_path), 2, "must be empty or hold an atlas"),
        (("--images", tmp_path / "none"), 2, "no image file or folder"),
        (("--layers", "lost"), 2, "Unknown layer 'lost'"),
    ):
        found, _, err = cli("atlas", model_file, "-p", "unit", *arguments)
        assert found == code and said in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.keras"]
