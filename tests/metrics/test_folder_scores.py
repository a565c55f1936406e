"""Scores of folders from Python: the table of evaluate, the files on request, and the options that do not fit."""

import json

import numpy as np
import pandas as pd
import pytest

from kerasal import metrics

RANDOM = np.random.default_rng(3)
SHAPE = (24, 32)
NAMES = ["a", "b", "c"]
MAPS = [RANDOM.random(SHAPE) for _ in NAMES]
POINTS = [np.stack([RANDOM.integers(0, 32, 9), RANDOM.integers(0, 24, 9)], axis=1) for _ in NAMES]


@pytest.fixture
def folders(tmp_path):
    for name, values, points in zip(NAMES, MAPS, POINTS, strict=True):
        for folder in ("maps", "fixations"):
            (tmp_path / folder).mkdir(exist_ok=True)
        np.save(tmp_path / "maps" / f"{name}.npy", values)
        np.save(tmp_path / "fixations" / f"{name}.npy", points)
    return tmp_path


def test_a_folder_gives_the_table_of_evaluate(folders, tmp_path):
    report = metrics.evaluate_folder(folders / "maps", str(folders / "fixations"), sigma=2, metrics=["nss", "cc"])
    wanted = metrics.evaluate(MAPS, POINTS, names=NAMES, sigma=2, metrics=["nss", "cc"])
    pd.testing.assert_frame_equal(report.table.drop(columns="error"), wanted, check_exact=False, rtol=1e-12)
    assert report.scored == 3 and report.failed.empty
    assert report.definitions == wanted.attrs["definitions"]
    pd.testing.assert_frame_equal(report.summary, metrics.summarize(wanted), check_exact=False, rtol=1e-12)
    assert {path.name for path in tmp_path.iterdir()} == {"maps", "fixations"}  # nothing was written


def test_an_output_makes_the_report(folders, tmp_path):
    (folders / "maps" / "b.npy").write_bytes(b"no array")
    output = tmp_path / "out" / "scores.csv"
    report = metrics.evaluate_folder(
        folders / "maps", folders / "fixations", baselines=(), metrics=["nss"], output=output
    )
    assert {path.name for path in output.parent.iterdir()} == {"scores.csv", "scores.json", "scores.png"}
    found = pd.read_csv(output, index_col="image")
    assert found.columns.tolist() == ["nss", "error"]
    assert "cannot be read" in report.failed["b"] and found["error"].notna().tolist() == [False, True, False]
    assert json.loads(output.with_suffix(".json").read_text())["summary"]["nss"]["images"] == 2


def test_options_that_do_not_fit(folders):
    with pytest.raises(ValueError, match="legacy must be False unless definition"):
        metrics.evaluate_folder(folders / "maps", folders / "fixations", legacy=True)
    with pytest.raises(ValueError, match=r"definition must be one of mit, .*, got 'mitt'"):
        metrics.evaluate_folder(folders / "maps", folders / "fixations", definition="mitt")
