"""The benchmark of the shallow model: rows that differ in one thing, an interval over seeds and images, resuming."""

import importlib.util
import pathlib
import subprocess
import sys
import types

import numpy as np
import pandas as pd
import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "shallow_saliency.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("shallow_saliency_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rows_differ_from_plain_in_one_thing(script):
    options = types.SimpleNamespace(epochs=20, sgd_epochs=30)
    rows = script.rows(options)
    plain = rows["plain"]
    assert rows["batch norm"] == ({"batch_norm": True}, plain[1])
    for name in ("toward the center", "away from center"):
        assert rows[name] == (plain[0], plain[1] | {"loss": rows[name][1]["loss"]})
    sgd, adam = rows["SGD of the report"][1], rows["Adam instead"][1]
    assert {key for key in adam if adam[key] != sgd.get(key)} == {"optimizer", "rate"}
    rates = [sgd["rate"](epoch, 30) for epoch in range(0, 30, 3)]
    np.testing.assert_allclose(rates, 0.03 * 0.55 ** np.arange(10))  # all ten rates of the report


def test_the_interval_covers_seeds_and_images(script):
    random = np.random.default_rng(0)
    seeds, images = random.normal(0, 1, (3, 1)), random.normal(0, 0.1, (1, 100))
    mean, low, high = script.interval(1 + seeds + images, np.zeros((3, 100)), random)
    assert mean == pytest.approx(1 + seeds.mean() + images.mean())
    assert high - low > 0.5  # of the images alone it is .04
    same = script.interval(1 + images.repeat(3, axis=0), np.zeros((3, 100)), random)
    assert same[2] - same[1] < 0.06


@pytest.mark.slow
def test_the_script_runs_and_continues(data_folder, tmp_path):
    for name in ("osie", "crowd"):
        if not (data_folder / name).is_dir():
            pytest.skip(f"no {name} in {data_folder}")
    command = [sys.executable, SCRIPT, data_folder / "osie", data_folder / "crowd", "-o", tmp_path, "--small"]
    command += ["--seeds", "0", "1", "--threads", "1", "--only", "plain", "batch norm"]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "batch norm, seed 1" in first.stdout and "center Gaussian" in first.stdout
    scores = pd.read_csv(tmp_path / "batch-norm-1" / "scores.csv")
    assert scores["set"].value_counts().to_dict() == {"osie": 12, "crowd": 12}
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "seed 1" not in again.stdout  # finished runs are read
    assert first.stdout[first.stdout.index("osie, test split") :] == again.stdout[again.stdout.index("osie, test") :]
