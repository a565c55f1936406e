"""The report of a classifier: its numbers by hand, a page that loads nothing, and what is missing is stated."""

import json
import re

import numpy as np
import pytest

from kerasal import report, training
from kerasal.datasets import class_images
from kerasal.report import classifier_report, report_page, run_facts

import keras

SHAPE = (12, 12, 3)


@pytest.fixture(scope="module")
def folder(colored_squares, tmp_path_factory):
    names = ("red", "<b>green<|b>", "blue")
    return colored_squares(tmp_path_factory.mktemp("colors"), names, 10, (12, 12), np.s_[3:9, 3:9])


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    keras.utils.set_random_seed(1)
    layers = [keras.Input(SHAPE), keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.GlobalMaxPooling2D()]
    model = keras.Sequential([*layers, keras.layers.Dense(3, "softmax")], name="tiny")
    settings = {"epochs": 2, "batch_size": 8, "preprocessing": "unit", "progress": False}
    return training.train(model, *class_images(folder, SHAPE), tmp_path_factory.mktemp("run"), **settings).output


@pytest.fixture(scope="module")
def content(run):
    return report.collect_report(run)


def test_scores_by_class_are_those_by_hand():
    counts = np.array([[3, 1, 0], [2, 2, 0], [1, 0, 0]])
    scores = classifier_report.class_scores(counts)
    np.testing.assert_allclose(scores["precision"], [3 / 6, 2 / 3, 0])
    np.testing.assert_allclose(scores["recall"], [3 / 4, 2 / 4, 0])
    np.testing.assert_allclose(scores["f1"], [2 * 0.5 * 0.75 / 1.25, 2 * (2 / 3) * 0.5 / (2 / 3 + 0.5), 0])
    assert classifier_report.macro_f1(counts) == pytest.approx(scores["f1"].mean())


def test_the_first_table_has_the_model_and_its_baselines(run, content):
    import pandas as pd

    own, frequent, chance = content.scores[0].rows
    accuracy = pd.read_csv(run / "history.csv")["test_accuracy"].iloc[-1]
    assert own[1] == f"{accuracy:.3f}" and frequent[1] == chance[1] == "0.333"
    low, high = map(float, own[2].split(" to "))
    assert low <= accuracy <= high
    counts = pd.read_csv(run / "confusion.csv", index_col=0).to_numpy()
    assert [[int(cell) for cell in row[1:]] for row in content.details[1].rows] == counts.tolist()


def test_best_images_have_a_higher_probability_than_worst(content):
    def probability(example):
        return float(re.search(r"([\d.]+) %", example.caption)[1])

    groups = {group.title: [probability(example) for example in group.examples] for group in content.examples}
    assert list(groups) == ["Best", "Median", "Worst"]
    assert min(groups["Best"]) >= max(groups["Median"]) and min(groups["Median"]) >= max(groups["Worst"])
    assert len(content.examples[0].examples[0].pictures) == 2  # the image and its Grad-CAM
    assert len(content.data_examples[0].examples) == 3


def test_the_page_is_one_file_with_every_setting_and_no_address(run, tmp_path):
    first = report.write_report(run, tmp_path / "a.html").read_bytes()
    assert report.write_report(run, tmp_path / "b.html").read_bytes() == first  # the same file every time
    text = first.decode()
    loaded = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert loaded and all(address.startswith(("data:", "#")) for address in loaded)
    assert "@import" not in text and "<script" not in text
    assert "<b>green" not in text and "&lt;b&gt;green" in text  # names of folders are text
    facts = json.loads((run / "run.json").read_text())
    for value in (*facts["versions"].values(), facts["split"]["test"]["digest"], facts["started"], "batch size"):
        assert value in text
    assert "kerasal.training.train(" in text and "Selvaraju" in text


def test_other_data_give_a_report_without_images_that_says_so(run, colored_squares, tmp_path):
    names = ("red", "<b>green<|b>", "blue")
    others = colored_squares(tmp_path / "others", names, 11, (12, 12), np.s_[2:9, 3:9])
    content = report.collect_report(run, data=others)
    assert not content.examples and "are not those of the training" in content.notes[0]
    assert content.scores and all(meaning.term != "Grad-CAM" for meaning in content.meanings)
    missing = report.collect_report(run, data=tmp_path / "nowhere")
    assert "There is no folder" in missing.notes[0]


def test_an_older_run_has_a_report_too(run, tmp_path):
    import shutil

    old = shutil.copytree(run, tmp_path / "old")
    facts = json.loads((old / "run.json").read_text())
    kept = ("model_file", "task", "labels", "preprocessing")  # all that run.json had before
    (old / "run.json").write_text(json.dumps({key: facts[key] for key in kept}))
    text = report.render_report(report.collect_report(old))
    assert "older version" in text and "has no example images" in text


def test_a_folder_without_a_run_is_an_error(run, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        report.write_report(tmp_path / "none")
    with pytest.raises(ValueError, match=r"must be that of a training, with run\.json"):
        report.write_report(tmp_path)


def test_settings_are_texts():
    rows = dict(run_facts._flatten("split", {"how": "by seed", "test": {"images": 8, "classes": {"a": 1}}}, top=True))
    assert rows == {"split": "by seed", "test: images": "8", "test: classes": "a 1"}


def test_pictures_are_embedded_and_small_ones_enlarged():
    import base64
    import io

    from PIL import Image

    for side, shown, kind in ((20, 160, "PNG"), (900, 360, "JPEG")):
        head, _, content = report_page.embed_picture(np.zeros((side, side, 3), np.uint8)).partition(",")
        picture = Image.open(io.BytesIO(base64.b64decode(content)))
        assert head == f"data:image/{kind.lower()};base64" and picture.size == (shown, shown) and picture.format == kind
