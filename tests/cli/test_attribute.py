"""kerasal attribute METHOD with several photos and classes: sheets, folders of overlays, and options of drawings."""

import dataclasses
import json

import numpy as np
import pytest
import typer
from PIL import Image

import kerasal
from kerasal import images
from kerasal.attribution import explanation_sheet
from kerasal.cli.app import app
from kerasal.cli.guesses import suggest_command
from kerasal.cli.method_table import method_names


@pytest.fixture
def place(make_model, tmp_path):
    make_model("nested").save(tmp_path / "net.keras")
    random = np.random.default_rng(0)
    for name, size in (("wide", (60, 90)), ("tall", (80, 50))):
        images.write(tmp_path / "photos" / f"{name}.png", random.integers(0, 256, (*size, 3), np.uint8))
    return tmp_path


OCCLUSION = ("attribute", "occlusion", "net.keras")


def test_photos_and_classes_make_one_sheet(cli, place):
    code, out, err = cli(
        *OCCLUSION, "photos/wide.png", "photos/tall.png", "-c", 1, "-c", 2, "-p", "unit", "-o", "a.png"
    )
    assert code == 0, err
    assert "a.png  occlusion: 2 photos, 4 maps" in out
    assert "wide.png" in out and "tall.png" in out  # titles of the tables of top classes
    model = kerasal.open_model("net.keras", preprocessing="unit")
    files = [place / "photos" / name for name in ("wide.png", "tall.png")]
    rows = [[kerasal.explain(model, file, "occlusion", index) for index in (1, 2)] for file in files]
    rows = [
        [dataclasses.replace(item, _model=dataclasses.replace(item._model, name="net.keras")) for item in row]
        for row in rows
    ]
    np.testing.assert_array_equal(images.read("a.png"), explanation_sheet(rows, [file.name for file in files]))


def test_a_page_of_the_command_is_that_of_python(cli, place):
    code, _, err = cli(*OCCLUSION, "photos/wide.png", "-c", 1, "-p", "unit", "--alpha", 0.3, "--colormap", "bwr")
    assert code == 0, err
    explanation = kerasal.explain(
        kerasal.open_model("net.keras", preprocessing="unit"), "photos/wide.png", "occlusion", 1
    )
    page = explanation.page(strength=0.3, colormap="bwr")
    np.testing.assert_array_equal(images.read("wide-occlusion.png"), page)
    assert (page != explanation.page()).any()


def test_a_folder_gets_the_map_over_each_photo_at_its_own_resolution(cli, place):
    code, _, err = cli(*OCCLUSION, "photos", "-c", 0, "-p", "unit", "-o", "maps", "--dpi", 300)
    assert code == 0, err
    assert {path.name for path in (place / "maps").iterdir()} == {
        "wide-class-0-occlusion.png",
        "tall-class-0-occlusion.png",
    }
    with Image.open(place / "maps" / "tall-class-0-occlusion.png") as picture:
        assert picture.size == (50, 80) and round(picture.info["dpi"][0]) == 300
    code, _, err = cli(*OCCLUSION, "photos", "-c", 0, "-p", "unit", "-o", "seen", "--on", "input")
    assert code == 0, err
    assert images.read("seen/wide-class-0-occlusion.png").shape == (8, 8, 3)


@pytest.mark.slow
def test_a_damaged_photo_is_skipped_and_all_damaged_are_an_error(cli, place):
    (place / "photos" / "broken.png").write_bytes(b"no picture")
    code, out, err = cli(*OCCLUSION, "photos", "-c", 0, "-p", "unit", "-o", "maps")
    assert code == 1 and "2 photos, 2 maps" in out
    assert "Skipped" in err and "broken.png" in err and "1 file could not be read" in err
    assert len(list((place / "maps").iterdir())) == 2
    code, out, _ = cli(*OCCLUSION, "photos", "-c", 0, "-p", "unit", "-o", "maps", "--json")
    document = json.loads(out)
    assert code == 1 and len(document["images"]) == 2 and "broken.png" in document["skipped"][0]
    code, _, err = cli(*OCCLUSION, "photos/broken.png", "-c", 0, "-p", "unit")
    assert code == 2 and "broken.png" in err and "Skipped" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("photos", "-o", "maps.npy"), "must be a picture or a folder for 2 maps"),
        (("photos", "-o", "maps", "--tile", 99), "--tile can only be used with a sheet"),
        (("photos/wide.png", "-o", "a.png", *("-c", 1) * 60), "must be a folder for 60 maps"),
        (("photos/wide.png", "-p", "unit", "--colormap", "viridis"), "colormap (--colormap) must be diverging"),
        (("photos/wide.png", "-p", "unit", "--colormap", "virdis"), "Did you mean viridis?"),
        (("photos/wide.png", "-p", "unit", "-o", "a.webp", "--dpi", 300), "dpi (--dpi) must be None for WebP"),
        (("photos/wide.png", "--alpha", 1.5), "--alpha"),
    ],
)
def test_outputs_that_do_not_fit(cli, place, arguments, message):
    before = sorted(place.iterdir())
    code, _, err = cli(*OCCLUSION, *arguments)
    assert code == 2 and message in " ".join(err.replace("│", " ").split())
    assert sorted(place.iterdir()) == before


@pytest.mark.parametrize(
    ("word", "command"),
    [
        *((name, f"Use kerasal attribute {name} MODEL IMAGE.") for name in method_names()),
        ("grad-cam", "Use kerasal attribute gradcam MODEL IMAGE."),
        ("gradcamm", "Did you mean kerasal attribute gradcam MODEL IMAGE?"),
        ("saliency", "Use kerasal attribute class_saliency MODEL IMAGE for what a model's score depends on, or"),
        ("predict", "or kerasal gaze predict IMAGE for where people look."),
        ("Lime", "Use kerasal attribute lime MODEL IMAGE."),
        ("SHAP", "Use kerasal attribute kernel_shap MODEL IMAGE."),
        ("comparr", "Did you mean compare?"),
        ("cat", "kerasal --help lists the commands."),
    ],
)
def test_a_wrong_command_names_the_one_that_was_meant(cli, word, command):
    code, out, err = cli(word, "MODEL", "IMAGE")
    assert (code, out) == (2, "")
    assert f"Unknown command '{word}'. " in " ".join(err.split())
    assert command in suggest_command(word, typer.main.get_command(app).commands)


def test_the_methods_are_listed_by_family_with_their_cost(cli):
    code, out, err = cli("attribute", "--list")
    assert code == 0, err
    for name in method_names():
        assert sum(line.startswith(f"{name} ") for line in out.splitlines()) == 1, name
    assert out.index("Class activation maps") < out.index("gradcam ") < out.index("Perturbations")
    assert "50 + 1 passes" in out
    code, out, err = cli("attribute", "--help")
    assert out.index("Class activation maps") < out.index("gradcam ") < out.index("Perturbations")
