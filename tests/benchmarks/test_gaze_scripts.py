"""The benchmarks of faces and of adapting run on a few generated photos, with the numbers of the routines."""

import pathlib
import sys

import numpy as np
import pandas as pd
import pytest

from kerasal import gaze, images
from kerasal.datasets import open_gaze

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import gaze_adapt
import gaze_faces


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos of 96 × 128, a face in each, and three observers who look at it with half of their fixations."""
    folder, random = tmp_path_factory.mktemp("people"), np.random.default_rng(0)
    rows, faces = [], []
    for number in range(12):
        images.write(folder / "images" / f"{number:03d}.png", random.integers(0, 255, (96, 128, 3), np.uint8))
        x, y = random.integers(10, 90), random.integers(10, 60)
        faces.append((f"{number:03d}.jpg", 8 * x, 8 * y, 160, 160, 1, 0, 0, 0))  # in pixels of 1024 × 768
        for subject in range(3):
            points = np.vstack([random.normal((x + 10, y + 10), 3, (4, 2)), random.uniform(0, 95, (4, 2))])
            points = np.clip(points, 0, (127, 95)).round(2)
            rows += [(f"{number:03d}", *point, subject) for point in points]
    pd.DataFrame(rows, columns=["image", "x", "y", "subject"]).to_csv(folder / "fixations.csv", index=False)
    columns = ["image", "left", "top", "width", "height", "frontal", "profile", "back", "occluded"]
    pd.DataFrame(faces, columns=columns).to_csv(folder / "faces.csv", index=False)
    return folder


@pytest.mark.slow
def test_faces(folder, capsys):
    gaze_faces.main([str(folder), "--split", "all", "--images", "6"])
    text = capsys.readouterr().out
    lines = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in text.splitlines() if "|" in line}
    inside = lambda text: float(text.split(" [")[0])  # noqa: E731
    assert inside(lines["fixations"][0]) == pytest.approx(0.53, abs=0.08)
    assert inside(lines["area"][0]) == pytest.approx(400 / (96 * 128), abs=2e-3)
    assert inside(lines["other observers"][1]) > 1.5 > inside(lines["other observers"][3])
    assert lines["all faces"][0] == "6" and lines["frontal"] == lines["all faces"] and lines["back"][0] == "0"


@pytest.mark.slow
def test_adapting(folder, capsys):
    gaze_adapt.main([str(folder)])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    predictor = gaze.Predictor.from_image_model(gaze_adapt.open_model("gaze"))
    gains = gaze_adapt.cross_validate(predictor, open_gaze(folder))
    assert lines[2].split(" | ")[1].startswith(f"{gains.mean():.3f} [")
    before, after = (float(line.split(" | ")[2].split(" [")[0]) for line in lines[1:3])
    assert after - before == pytest.approx(gains.mean(), abs=2e-3)  # without a split, on images left out
