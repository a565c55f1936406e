"""``kerasal exemplars`` and ``kerasal evolution`` as a person types them."""

import os

import numpy as np
import pandas as pd
import pytest

from kerasal import images

import keras


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    for number in range(6):
        images.write(tmp_path / "photos" / f"{number}.png", random.integers(0, 256, (20, 30, 3), np.uint8))
    (tmp_path / "photos" / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path / "photos"


@pytest.fixture
def model_file(make_model, tmp_path):
    make_model("nested").save(tmp_path / "net.keras")
    return tmp_path / "net.keras"


def test_exemplars(cli, photos, model_file, tmp_path):
    code, out, err = cli(
        *("exemplars", model_file, "conv2", photos, "-p", "unit", "--channels", "0,3", "-k", "4"),
        *("-o", "page.png", "--table", "all.csv"),
    )
    assert code == 0, err
    assert "page.png  2 channels, 6 images" in out
    assert "1 file could not be read" in err and "torn.jpg" in err
    assert images.read("page.png").std() > 20
    table = pd.read_csv("all.csv")
    assert table["channel"].tolist() == [0] * 4 + [3] * 4
    assert table["rank"].tolist() == [1, 2, 3, 4] * 2
    assert table.groupby("channel")["activation"].is_monotonic_decreasing.all()
    assert set(table["file"]) <= {str(photos / f"{number}.png") for number in range(6)}
    assert not list(tmp_path.glob(".page*"))
    code, _, err = cli("exemplars", model_file, "conv2", photos, "-p", "unit", "--channels", "0", "-k", "9")
    assert code == 0 and "only 6 images for --count 9" in err


def test_a_name_that_is_not_utf_8_stands_in_the_table(cli, photos, model_file, tmp_path):
    name = os.fsdecode(b"\xff.png")
    (photos / "0.png").rename(photos / name)
    code, out, err = cli(
        *("exemplars", model_file, "conv2", photos, "-p", "unit", "--channels", "0", "-k", "9"),
        *("-o", "page.png", "--table", "all.csv"),
    )
    assert code == 0, err
    assert "page.png  1 channel, 6 images" in out
    expected = {str(photos / other) for other in [r"\udcff.png", *(f"{number}.png" for number in range(1, 6))]}
    assert set(pd.read_csv("all.csv")["file"]) == expected


def test_exemplars_refuses_in_one_line(cli, photos, model_file, tmp_path):
    for arguments, said in (
        ((model_file, "conv2", photos, "-p", "unit", "--channels", "7"), "has 5 channels"),
        ((model_file, "flatten", photos, "-p", "unit"), "no spatial map"),
        ((model_file, "conv2", tmp_path / "nowhere", "-p", "unit"), "no image file or folder"),
        ((model_file, "conv2", photos), "preprocessing (--preprocessing) must be known for"),
    ):
        code, _, err = cli("exemplars", *arguments, "-o", "page.png")
        assert code == 2 and said in err
    assert not (tmp_path / "page.png").exists()
    assert cli("exemplars", model_file, "conv2", photos, "-o", "page.gif")[0] == 2


@pytest.mark.slow
def test_evolution_of_a_training(cli, tmp_path):
    random = np.random.default_rng(0)
    digits = {f"x_{part}": random.integers(0, 256, (n, 28, 28), np.uint8) for part, n in (("train", 64), ("test", 16))}
    digits |= {f"y_{part}": random.integers(0, 10, n).astype(np.uint8) for part, n in (("train", 64), ("test", 16))}
    np.savez(tmp_path / "mnist.npz", **digits)
    settings = ("--data", "mnist.npz", "--output", "run", "--quiet", "--features", "conv1:0-2")
    code, out, err = cli("train", "mnist_cnn", *settings, "--epochs", "1", "--evolution", "made")
    assert code == 0, err
    assert "evolution.png" in out
    code, out, err = cli("train", "mnist_cnn", *settings, "--epochs", "2", "--evolution", "made")
    assert code == 0, err
    assert cli("train", "mnist_cnn", *settings)[0] == 2  # features of what?
    code, out, err = cli("evolution", "made", "-o", "strip.png", "--features", "conv1:0", "--no-patches")
    assert code == 0, err
    assert "strip.png  1 feature, epochs 1, 2" in out
    strip, whole = images.read("strip.png"), images.read("made/evolution.png")  # both have the least width of a page
    assert strip.shape[0] < whole.shape[0] and strip.shape[1] <= whole.shape[1]
    assert cli("evolution", "made")[0] == 0
    code, _, err = cli("evolution", "nowhere")
    assert code == 2 and "no folder nowhere" in err
    code, _, err = cli("evolution", "run")
    assert code == 2 and "must be a folder with stored epochs" in err


def test_a_zoo_model_without_convolutions_needs_features(tmp_path):
    from kerasal.training import watch_features

    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="for a model without convolutions"):
        watch_features(model, np.zeros((2, 4, 4, 1)), tmp_path)
