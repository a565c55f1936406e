"""The benchmark of a small vision transformer: boxes and halves are scored, and it runs and continues."""

import pathlib
import sys

import numpy as np
import pandas as pd
import pytest

from kerasal import images

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import small_vit

NAMES = ("gradcam", "transformer_relevance", "attention_rollout")


@pytest.fixture
def folder(tmp_path):
    """Images of two classes, red and green squares, with their boxes."""
    random, rows = np.random.default_rng(0), []
    for split, count in (("train", 40), ("val", 4)):
        for label, wnid in enumerate(("n1", "n2")):
            for number in range(count):
                pixels = random.integers(90, 110, (64, 64, 3)).astype(np.uint8)
                x, y = random.integers(0, 34, 2)
                pixels[y : y + 30, x : x + 30, label] = 250
                images.write(tmp_path / split / wnid / f"{wnid}_{number}.png", pixels)
                rows.append((split, wnid, f"{wnid}_{number}.png", x, y, x + 29, y + 29))
    columns = ["split", "wnid", "file", "xmin", "ymin", "xmax", "ymax"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "boxes.csv", index=False)
    pd.DataFrame({"wnid": ["n1", "n2"]}).to_csv(tmp_path / "classes.csv", index=False)
    return tmp_path


@pytest.mark.slow
def test_the_script_runs_and_continues(folder, capsys, monkeypatch):
    monkeypatch.setattr(small_vit, "METHODS", {name: small_vit.METHODS[name] for name in NAMES})
    words = [str(folder), "-o", str(folder / "runs"), "--small"]
    small_vit.main(words)
    first = capsys.readouterr().out
    assert "### boxes, 2 images, 1 seeds" in first and "gradcam, shuffled weights" in first
    assert "| attention_rollout, all pairs | 0.500 [0.500, 0.500] | 1.000 [1.000, 1.000] |" in first
    small_vit.main(words)  # finished: nothing is computed again
    assert first.endswith(capsys.readouterr().out)


class _Colors:
    """Scores of red and green; images of class 0 are red, of class 1 green."""

    def predict(self, inputs, verbose=0):
        return np.asarray(inputs, float)[..., :2].mean(axis=(1, 2))


def _color_maps(models, inputs, targets):
    own = np.stack([x[..., target] for x, target in zip(inputs, targets, strict=True)]).astype(np.float32)
    return {"own": own, "same": np.asarray(inputs, np.float32).sum(axis=-1)}


def test_a_map_of_its_class_lies_in_its_half_and_a_map_of_no_class_in_both(monkeypatch):
    photos, labels = np.zeros((4, 64, 64, 3), np.uint8), np.array([0, 0, 1, 1])
    photos[:2, ..., 0], photos[2:, ..., 1] = 200, 150
    monkeypatch.setattr(small_vit, "all_maps", _color_maps)
    scores = pd.DataFrame(small_vit.score_classes({"trained": _Colors()}, photos, labels, 6, 0))
    own, same = (scores[scores["row"] == row] for row in ("own", "same"))
    assert len(own) == 6 and (own["own half"] == 1).all() and (own["correlation"] < -0.99).all()
    assert np.allclose(same["own half"], 0.5) and np.allclose(same["correlation"], 1)
    assert (scores["both"] == 1).all()


def test_a_map_that_is_the_box_hits_it(monkeypatch):
    photos = np.zeros((1, 64, 64, 3), np.uint8)
    photos[0, 10:42, 20:60, 1] = 255
    boxes = pd.DataFrame({"xmin": [20], "ymin": [10], "xmax": [59], "ymax": [41]}, index=["a.png"])
    monkeypatch.setattr(small_vit, "all_maps", _color_maps)
    rows = small_vit.score_boxes({"trained": _Colors()}, photos, np.array([1]), ["a.png"], boxes, 0)
    scores = pd.DataFrame(rows).set_index("row")
    assert scores.loc["own", "area"] == pytest.approx(40 * 32 / 64**2)
    assert scores.loc["own", "hit"] == 1 and scores.loc["own", "lift"] == pytest.approx(64**2 / (40 * 32))
    assert scores.loc["center", "hit"] == 1 and scores.loc["random map", "lift"] == pytest.approx(1, abs=0.3)
    assert (scores["right"] == 1).all()
