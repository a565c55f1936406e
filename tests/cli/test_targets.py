"""Targets besides classes on the command line: a region, a box, another photo, the negative class."""

import json
import pathlib

import numpy as np
import pytest

import kerasal
from kerasal import attribution, images, objectives
from kerasal.attribution import method_comparison

import keras

L = keras.layers
ATTRIBUTE = ("attribute", "gradient_x_input")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Write a segmentation model of half resolution, a detector and a model with one sigmoid; return their folder."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("models")
    inputs = keras.Input((16, 24, 3))
    hidden = L.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="conv")(inputs)
    segmentation = keras.Model(inputs, L.Conv2D(3, 1, activation="softmax")(hidden))
    boxes = L.Reshape((-1, 4), name="places")(L.Conv2D(4, 1, activation="sigmoid")(hidden))
    scores = L.Reshape((-1, 2), name="scores")(L.Conv2D(2, 1, activation="sigmoid")(hidden))
    detector = keras.Model(inputs, {"places": boxes, "scores": scores})
    pooled = L.GlobalAveragePooling2D(name="pooled")(hidden)
    binary = keras.Model(inputs, L.Dense(1, activation="sigmoid")(pooled))
    for name, model in (("segmentation", segmentation), ("detector", detector), ("binary", binary)):
        model.save(folder / f"{name}.keras")
    random = np.random.default_rng(0)
    images.write(folder / "photo.png", random.integers(0, 256, (40, 80, 3), np.uint8))
    images.write(folder / "other.png", random.integers(0, 256, (60, 50, 3), np.uint8))
    mask = np.zeros((40, 80, 3), np.uint8)
    mask[10:30, 20:45, 1] = 7
    images.write(folder / "mask.png", mask)
    images.write(folder / "small.png", mask[:20])
    images.write(folder / "black.png", mask * 0)
    outside = mask * 0
    outside[:, :4] = 255
    images.write(folder / "outside.png", outside)
    return folder


def run(cli, models, model, *arguments, photo="photo.png"):
    """Return (exit code, document or None, error) of a map that is written to map.npy."""
    code, out, err = cli(
        *ATTRIBUTE, models / f"{model}.keras", models / photo, "-p", "unit", "-o", "map.npy", "--json", *arguments
    )
    return code, json.loads(out) if code == 0 else None, " ".join(err.replace("│", " ").split())


def expected(models, model, target, **options):
    model = kerasal.open_model(models / f"{model}.keras", preprocessing="unit", **options)
    return kerasal.explain(model, models / "photo.png", "gradient_x_input", target)


@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_a_region_is_fitted_like_the_photo(cli, models, fit):
    code, document, err = run(cli, models, "segmentation", "--region", models / "mask.png", "-c", 1, "--fit", fit)
    assert code == 0, err
    # The photo of 40 × 80 pixels is cropped to columns 10..69 for an input of 16 × 24; the output has 8 × 12 positions.
    mask = images.fit_mask(images.read_mask(models / "mask.png"), (8, 12), fit)
    columns = np.flatnonzero(mask.any(axis=0)).tolist()
    assert columns == ([2, 3, 4, 5, 6] if fit == "crop" else [3, 4, 5, 6])
    explanation = expected(models, "segmentation", objectives.region(mask, 1), fit=fit)
    np.testing.assert_allclose(np.load("map.npy"), explanation.map, rtol=1e-5)
    (facts,) = document["images"][0]["maps"]
    assert facts["explained"] == f"class 1 over {mask.sum()} of 96 positions" == explanation.label
    assert facts["score"] == pytest.approx(explanation.score, rel=1e-5)


@pytest.mark.slow
def test_a_box_is_in_pixels_of_the_photo(cli, models):
    options = ("--boxes-output", "places", "--box-format", "rel_xywh")
    code, document, err = run(cli, models, "detector", "--box", "20,10,50,35", "-c", 1, *options)
    assert code == 0, err
    sources = {"boxes": "places", "scores": "scores", "box_format": "rel_xywh"}
    # 40 × 60 pixels from column 10 on become 16 × 24: a factor of .4.
    explanation = expected(models, "detector", objectives.box((4, 4, 16, 14), 1, **sources))
    np.testing.assert_allclose(np.load("map.npy"), explanation.map, rtol=1e-4)
    assert document["images"][0]["maps"][0]["explained"] == "class 1 in the box 20,10,50,35"
    np.testing.assert_allclose(explanation.areas, [[4 / 24, 4 / 16, 16 / 24, 14 / 16]])


@pytest.mark.parametrize("layer", [None, "pooled", "conv"])
def test_similarity_to_another_photo(cli, models, layer):
    options = () if layer is None else ("--embedding", layer)
    model = "binary" if layer else "segmentation"
    code, document, err = run(cli, models, model, "--similar-to", models / "other.png", *options)
    assert code == 0, err
    (facts,) = document["images"][0]["maps"]
    assert facts["explained"] == "similarity to other.png"
    assert facts["score"] < 0.9999
    same = run(cli, models, model, "--similar-to", models / "photo.png", *options)[1]
    assert same["images"][0]["maps"][0]["score"] == pytest.approx(1, abs=1e-5)


def test_the_negative_class(cli, models):
    code, document, err = run(cli, models, "binary", "--negative")
    assert code == 0, err
    against = np.load("map.npy")
    assert run(cli, models, "binary", "-c", 0)[0] == 0
    np.testing.assert_allclose(against, -np.load("map.npy"), rtol=1e-5)
    assert document["images"][0]["maps"][0]["explained"] == "not class 0"


@pytest.mark.slow
def test_a_column_per_class_of_a_region_and_the_comparison(cli, models):
    region = ("--region", models / "mask.png", "-c", 0, "-c", 2)
    code, out, err = cli(*ATTRIBUTE, models / "segmentation.keras", models / "photo.png", "-p", "unit", *region)
    assert code == 0 and "2 maps" in out, err
    page = ("compare", models / "segmentation.keras", models / "photo.png", "-p", "unit", "-o", "all.html", *region[:4])
    code, out, err = cli(*page)
    assert code == 0, err
    assert "class 0 over 20 of 96 positions" in pathlib.Path("all.html").read_text(encoding="utf-8")


def test_the_outline_is_in_the_pictures(models):
    mask = np.zeros((8, 12), bool)
    mask[2:6, 3:9] = True
    explanation = expected(models, "segmentation", objectives.region(mask, 1))
    over, plain = explanation.overlay(), expected(models, "segmentation", 1)
    assert (over == 255).all(axis=2).sum() > 50
    assert not plain.areas
    # The photo's columns 10..69 are the input; the mask's columns 3..8 of 12 are 25..54 of the photo, rows 10..29.
    assert (over[10, 25:55] == 255).all() and (over[9, 25:55] == 0).all() and (over[10:30, 54] == 255).all()
    on_input = explanation.overlay(on="input")
    assert (on_input[4, 6:18] == 255).all() and (on_input[3, 6:18] == 0).all()
    assert explanation.page().shape[1] == plain.page().shape[1]


def test_a_comparison_outlines_the_region(models, monkeypatch):
    monkeypatch.setattr(method_comparison, "list_methods", lambda: ["gradient_x_input"])
    model = kerasal.open_model(models / "segmentation.keras", preprocessing="unit")
    shown = model.show(images.read(models / "photo.png"))
    mask = np.zeros((8, 12), bool)
    mask[2:6, 3:9] = True
    comparison = attribution.compare_methods(model.keras_model, shown, objectives.region(mask, 1), methods="all")
    for picture in (comparison.picture, comparison.views[0].over):
        assert picture.shape == (149, 224, 3)
        assert (picture[38, 60:160] == 255).all() and (picture[36, 60:160] == 0).all()  # the upper edge, at 2 / 8
    assert attribution.compare_methods(model.keras_model, shown, 1).picture.shape == (16, 24, 3)


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (
            "segmentation",
            ("--region", "small.png", "-c", 1),
            "the size of the photo, 80 × 40 pixels (width × height), got 80 × 20",
        ),
        ("segmentation", ("--region", "black.png", "-c", 1), "at least one pixel that is not black"),
        ("segmentation", ("--region", "outside.png", "-c", 1), "--region is empty at the 12 × 8 positions"),
        ("segmentation", ("--region", "none.png", "-c", 1), "which does not exist"),
        ("segmentation", ("--region", "mask.png"), "--class must be set with --region, since the model has 3 classes"),
        ("segmentation", ("--region", "mask.png", "-c", 3), "There are 3 classes"),
        ("binary", ("--region", "mask.png"), "--region needs a model with scores per position"),
        ("segmentation", ("--region", "mask.png", "--negative"), "one kind of target, got --region and --negative"),
        ("segmentation", ("--similar-to", "other.png", "-c", 1), "--class and --similar-to must not be set together"),
        ("segmentation", ("--negative", "-c", 1), "it comes from a softmax"),
        ("segmentation", ("--box-format", "xyxy"), "--box-format must be used with --box"),
        ("binary", ("--embedding", "conv"), "--embedding must be used with --similar-to"),
        ("detector", ("--box", "20,10,50", "-c", 1), "--box must be X1,Y1,X2,Y2"),
        ("detector", ("--box", "50,10,20,20", "-c", 1), "--box must be X1,Y1,X2,Y2"),
        ("detector", ("--box", "0,0,9,9", "-c", 1), "that the model sees, 10,0,70,40"),
        ("detector", ("--box", "20,10,50,35", "-c", 1), "There is places, scores"),
        ("detector", ("--box", "20,10,50,35"), "--class must be set with --box"),
        ("detector", ("--box", "2,1,5,3", "-c", 1, "--model-output", "scores"), "--model-output must not be set with"),
    ],
)
def test_what_makes_no_sense_is_refused(cli, models, model, arguments, message):
    files = [models / text if str(text).endswith(".png") else text for text in arguments]
    code, _, err = run(cli, models, model, *files)
    assert code == 2 and message in err, err


def test_the_class_has_its_name_in_the_title(cli, models):
    (models / "names.txt").write_text("sky\nroad\nhouse\n")
    labels = ("--labels", models / "names.txt", "-c", "road")
    _, document, err = run(cli, models, "segmentation", "--region", models / "mask.png", *labels)
    assert document["images"][0]["maps"][0]["explained"] == "road over 20 of 96 positions", err
