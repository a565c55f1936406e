"""The benchmark of the pointing game: its truth and its categories, and a run on a few real images."""

import pathlib
import sys

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import pointing_game

from kerasal import labels as label_files


def test_categories_hold_the_classes_that_they_name():
    labels = label_files.load("imagenet")
    for name in ("banana", "zebra", "microwave", "pizza", "umbrella", "vase"):
        (index,) = pointing_game.CATEGORIES[name][1]
        assert labels[index].split(",")[0] == name
    dogs = {labels[index].split(",")[0] for index in pointing_game.CATEGORIES["dog"][1]}
    assert {"Chihuahua", "Mexican hairless", "golden retriever"} <= dogs and "timber wolf" not in dogs
    classes = [index for _, group in pointing_game.CATEGORIES.values() for index in group]
    assert len(classes) == len(set(classes)), "a class belongs to one category"


def test_an_image_with_several_pairs_counts_once_and_a_flat_map_is_a_miss():
    table = pd.DataFrame(
        {
            "image": ["a", "a", "b"],
            "hit": [1.0, 0.0, np.nan],
            "difficult": [True, False, False],
            "sample": ["x", "y", "z"],
        }
    )
    assert pointing_game.by_image(table, "hit").to_dict() == {"a": 0.5, "b": 0.0}
    assert pointing_game.by_image(table, "hit", difficult=True).to_dict() == {"a": 1.0}


def test_the_places_of_objects(data_folder):
    if not (data_folder / "coco128").is_dir():
        pytest.skip(f"no photos with masks: {data_folder / 'coco128'} missing")
    samples, groups, note = pointing_game.read_coco(data_folder / "coco128", 20)
    assert len(groups) == len(pointing_game.CATEGORIES) and "left out" in note
    for sample in samples:
        assert sample.mask.shape == sample.photo.shape[:2] and sample.mask.any()
        assert 7 < sample.tolerance < 15  # of photos up to 640 pixels wide, reduced to 320
    tiny, groups, _ = pointing_game.read_tiny(data_folder / "tiny_imagenet10", 10)
    assert len(tiny) == len(groups) == 10 and {sample.mask.shape for sample in tiny} == {(224, 224)}


@pytest.mark.slow
def test_a_few_images_are_scored(data_folder, tmp_path, capsys, monkeypatch):
    needed = [data_folder / name for name in ("models/squeezenet_v1_1_imagenet_q8.keras", "coco128")]
    missing = [str(path) for path in needed if not path.exists()]
    if missing:
        pytest.skip(f"no real network or photos: {', '.join(missing)} missing")
    monkeypatch.setattr(pointing_game, "use_one_thread", lambda: None)  # TensorFlow runs already
    monkeypatch.setattr(
        pointing_game, "METHODS", {name: pointing_game.METHODS[name] for name in ("gradient", "Grad-CAM")}
    )
    words = [str(data_folder), "-o", str(tmp_path), "--small", "--only", "coco", "--models", "SqueezeNet"]
    pointing_game.main(words)
    first = capsys.readouterr().out
    assert "### coco" in first and "| gradient < Grad-CAM | " in first and "too few images" in first
    pointing_game.main(words)  # finished: nothing is computed again
    assert capsys.readouterr().out == first
