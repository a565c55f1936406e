"""``kerasal probe`` as a person types it."""

import numpy as np
import pandas as pd
import pytest

from kerasal import images


@pytest.fixture
def folder(tmp_path, make_model):
    random = np.random.default_rng(0)
    for number, name in enumerate(("blue", "green", "red")):
        for image in range(5):
            pixels = random.integers(0, 60, (12, 10, 3), np.uint8)
            pixels[..., 2 - number] += 150
            images.write(tmp_path / "classes" / name / f"{image}.png", pixels)
    (tmp_path / "classes" / "red" / "notes.txt").write_text("no image, and no class")
    (tmp_path / "classes" / "readme.txt").write_text("beside the classes")
    make_model("nested").save(tmp_path / "net.keras")
    return tmp_path / "classes"


def test_a_table_a_picture_and_a_random_net(cli, folder, tmp_path):
    command = ["probe", "net.keras", folder, "--layers", "innermost/conv1,conv2", "-p", "unit", "--folds", 2]
    command += ["--per-class", 2, "--per-class", 3, "--cache", "kept", "--random"]
    code, out, err = cli(*command, "-o", "table.csv", "--picture", "curves.png")
    assert code == 0, err
    assert "15 images of 3 classes; chance 0.333" in out
    table = pd.read_csv(tmp_path / "table.csv")
    assert len(table) == 2 * 2 * 2
    assert set(table["weights"]) == {"as given", "random weights"}
    assert (table.loc[(table["layer"] == "innermost/conv1") & (table["weights"] == "as given"), "mean"] == 1).all()
    assert images.read(tmp_path / "curves.png").std() > 5
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_errors_say_what_to_do(cli, folder, tmp_path):
    code, _, err = cli("probe", "net.keras", folder, "--layers", "conv9", "-p", "unit", "--per-class", 2)
    assert (code, "Did you mean" in err) == (2, True)
    code, _, err = cli("probe", "net.keras", folder, "--layers", "conv2", "-p", "unit", "--per-class", 5)
    assert code == 2
    assert "'blue' has 5" in err
    assert "at most 4" in err
    code, _, err = cli("probe", "net.keras", folder / "red", "--layers", "conv2")
    assert code == 2
    assert "a folder of images for each of at least two classes" in err
    (tmp_path / "classes" / "white").mkdir()
    code, _, err = cli("probe", "net.keras", folder, "--layers", "conv2", "-p", "unit")
    assert code == 2
    assert "no image files in" in err
    assert "white" in err
    assert cli("probe", "net.keras", folder, "--layers", "conv2", "-o", "table.txt")[0] == 2
    assert cli("probe", "net.keras", tmp_path / "nowhere", "--layers", "conv2")[0] == 2
