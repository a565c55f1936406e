"""The report of a gaze model: scores beside baselines, points over the photos, and images that were not trained on."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerasal import gaze, models, report, training
from kerasal.datasets import GazeDataset, open_gaze, open_training_sets
from kerasal.report import gaze_report

import keras


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Dark photos with a bright square that people look at."""
    folder, random, rows = tmp_path_factory.mktemp("gaze"), np.random.default_rng(0), []
    (folder / "images").mkdir()
    for number in range(30):
        image = random.integers(0, 40, (48, 64, 3)).astype(np.uint8)
        x, y = random.integers(8, 56), random.integers(8, 40)
        image[y - 4 : y + 5, x - 4 : x + 5] = 220
        Image.fromarray(image).save(folder / "images" / f"photo{number:02d}.png")
        spots = np.clip(random.normal((x, y), 2, (10, 2)), 0, (63, 47)).round().astype(int)
        rows += [(f"photo{number:02d}", *spot) for spot in spots]
    pd.DataFrame(rows, columns=["image", "x", "y"]).to_csv(folder / "fixations.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((24, 32, 3)), keras.layers.AveragePooling2D(2), keras.layers.Conv2D(1, 1)]
    model = keras.Sequential([*layers, keras.layers.Reshape((12, 16))], name="maps")
    train, held_out, notes = open_training_sets([folder], seed=0)
    about = {"data": [str(folder)], "split": {"how": " ".join(notes), "seed": 0}}
    output = tmp_path_factory.mktemp("run")
    training.train_gaze(model, train, held_out, "default", output, epochs=2, progress=False, about=about)
    return output


@pytest.fixture(scope="module")
def content(run):
    return report.collect_report(run)


@pytest.mark.slow
def test_the_scores_are_those_of_the_evaluation(run, folder, content):
    rows = {row[0]: row for row in content.scores[0].rows}
    names = ["this model", "gaze, installed", "center Gaussian", "mean map of the others", "uniform map"]
    assert list(rows) == names  # these data do not tell the observers apart, which the note says
    assert "do not tell the observers apart" in content.scores[0].note
    held_out = open_training_sets([folder], seed=0)[1]
    predictor = gaze.Predictor.from_image_model(models.open_model(run))
    table = gaze.evaluate(predictor, held_out).drop(columns="error").astype(float).mean()
    assert rows["this model"][1][0] == f"{table['nss']:.3f}"
    assert rows["center Gaussian"][2] == f"{table['center_cc']:.3f}"
    assert rows["uniform map"][1] == "0.000" and rows["uniform map"][2] == "–" and rows["uniform map"][3] == "0.500"
    assert "validation images, which also chose the epoch" in content.lead[0]


@pytest.mark.slow
def test_the_page_has_fixations_maps_and_curves(run, content, tmp_path):
    example = content.examples[0].examples[0]
    assert [caption for caption, _ in example.pictures] == ["photo, fixations", "where people looked", "prediction"]
    assert example.points.shape == (10, 2) and 0 <= example.points.min() <= example.points.max() <= 1
    text = report.render_report(content)
    assert text.count("<circle") == 10 * sum(len(group.examples) for group in content.examples)
    assert text.count("<svg") >= 2 and "Peters et al. 2005" in text and "default" in text
    assert report.write_report(run, tmp_path / "r.html").read_text() == text


def test_the_maps_are_those_that_are_scored():
    """Of a coursework pickle the model gets X, not X_original."""
    random = np.random.default_rng(0)
    photos = [random.integers(0, 256, (24, 32, 3)).astype(np.uint8) for _ in range(3)]
    data = GazeDataset(photos, [[(4, 4), (20, 9)]] * 3, names=["a", "b", "c"])
    small = [255 - photo[:, :24] for photo in photos]
    stimuli = [dataclasses.replace(data.stimulus(i), small=small[i]) for i in range(3)]
    model = keras.Sequential([keras.Input((24, 24, 3)), keras.layers.Conv2D(1, 1)], name="maps")
    predictor = gaze.Predictor(model)
    scores = pd.Series({"a": 0.1, "b": 0.3, "c": 0.2})
    groups = gaze_report._show_examples(predictor, GazeDataset.from_stimuli(stimuli), scores)
    shown = {example.caption[0]: dict(example.pictures)["prediction"] for group in groups for example in group.examples}
    for name, photo, stored in zip(data.names, photos, small, strict=True):
        expected = gaze.resize_map(next(predictor.raw([stored])), (24, 32))
        np.testing.assert_array_equal(shown[name], gaze.overlay(photo, expected))


@pytest.mark.slow
def test_other_observers_are_the_ceiling(run, folder, tmp_path):
    table = pd.read_csv(folder / "fixations.csv")
    (tmp_path / "images").symlink_to(folder / "images")
    table.assign(subject=table.groupby("image").cumcount() % 3).to_csv(tmp_path / "fixations.csv", index=False)
    content = report.collect_report(run, data=tmp_path)
    rows = {row[0]: row for row in content.scores[0].rows}
    limit = gaze.ceiling(open_gaze(tmp_path)).table.mean()
    assert [cell[0] for cell in rows["other observers"][1:4]] == [
        f"{limit[key]:.3f}" for key in ("nss", "cc", "auc_judd")
    ]
    assert rows["other observers"][4:] == ["–"] * 4
    assert f" of {limit['information_gain']:.2f} bits per fixation above the center" in content.lead[-1]


@pytest.mark.slow
def test_without_data_it_asks_for_them(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(1, 1)], name="maps")
    arrays = np.zeros((4, 8, 8, 3), np.uint8), np.random.default_rng(0).random((4, 8, 8)).astype(np.float32)
    training.train_gaze(model, arrays, arrays, "default", tmp_path, epochs=1, progress=False)
    with pytest.raises(ValueError, match="data must be the path of the images with fixations"):
        report.write_report(tmp_path)
