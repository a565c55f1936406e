"""Features and training from scratch on Caltech-101: the script on three classes, and what its table prints."""

import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import caltech101

from kerasal import store


def test_accuracies_are_printed_with_the_deviation_over_the_splits():
    assert caltech101.percent(0.8312, 0.0049) == "83.1 ± 0.5"
    assert caltech101.percent(0.8312, np.nan) == "83.1"


def test_the_table_has_the_last_layer_and_the_splits_from_scratch(tmp_path, capsys):
    rows = [
        {"layer": layer, "classifier": "svm", "per_class": count, "mean": mean, "std": 0.01}
        for layer, mean in (("early", 0.2), ("late", 0.75))
        for count in (15, 30)
    ]
    store.write_json(tmp_path / "squeezenet-pretrained.json", {"rows": rows})
    for fold, accuracy in enumerate((0.3, 0.4)):
        result = {"settings": {"epochs": 7}, "per_class": 15, "accuracy": accuracy}
        store.write_json(tmp_path / f"scratch-15-{fold}.json", result)
    caltech101.main(["table", "-o", str(tmp_path), "--picture", str(tmp_path / "chart.png")])
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if "squeezenet, pretrained" in line)
    assert row.count("75.0 ± 1.0") == 2
    assert "35.0 ± 7.1 (2 splits)" in next(line for line in printed.splitlines() if "7 epochs" in line)
    assert "83.8 ± 0.5" in printed and (tmp_path / "chart.png").is_file()


@pytest.mark.slow
def test_the_script_on_three_classes(data_folder, tmp_path, capsys):
    data = data_folder / "caltech101"
    if not data.is_dir():
        pytest.skip(f"no Caltech-101: {data} is missing")
    common = ["-o", str(tmp_path), "--small", "--folds", "2", "--counts", "2", "4"]
    network = ["--only", "dinov2_small", "--side", "28", "--pool", "1"]
    caltech101.main(["features", str(data), str(data_folder / "models"), *common, *network])
    caltech101.main(["scratch", str(data), *common, "--epochs", "1", "--filters", "4", "4", "4", "4", "4"])
    first = sorted(path.stat().st_mtime_ns for path in tmp_path.glob("*.json"))
    assert len(first) == 2 + 2 * 2
    caltech101.main(["features", str(data), str(data_folder / "models"), *common, *network])
    assert sorted(path.stat().st_mtime_ns for path in tmp_path.glob("*.json")) == first  # nothing is computed again
    capsys.readouterr()
    caltech101.main(["table", "-o", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "dinov2_small, random" in printed and "(2 splits)" in printed
