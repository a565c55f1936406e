"""How much an image depends on its start: the pairs that are compared, and the script on little data."""

import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import start_stability


def test_pairs_of_one_class_of_two_classes_and_of_one_start():
    """Vectors of a part for the class, a part for the start and a part of their own have known means."""
    classes, starts = np.eye(2), np.eye(3)
    vectors = np.zeros((2, 3, 5 + 6))
    for c in range(2):
        for s in range(3):
            vectors[c, s] = np.concatenate([np.sqrt(0.5) * classes[c], np.sqrt(0.3) * starts[s], np.zeros(6)])
            vectors[c, s, 5 + 3 * c + s] = np.sqrt(0.2)
    r = start_stability.similarities(vectors)
    np.testing.assert_allclose(start_stability.means_of_pairs(r, np.arange(3)), [0.5, 0, 0.3], atol=1e-12)
    repeated = start_stability.means_of_pairs(r, np.array([0, 0, 2]))
    np.testing.assert_allclose(repeated, [0.5, 0, 0.3], atol=1e-12)  # a start that is drawn twice is no pair


@pytest.mark.slow
def test_the_tables_on_little_data(data_folder, tmp_path, capsys, monkeypatch):
    squeezenet = data_folder / "models" / "squeezenet_v1_1_imagenet_q8.keras"
    arguments = [squeezenet, "-o", tmp_path, "--small"]
    monkeypatch.setattr(sys, "argv", ["start_stability.py", *map(str, arguments)])
    start_stability.main()
    printed = capsys.readouterr().out
    assert "five_class_cnn, pixels" in printed and "features of EfficientNet-Lite0" in printed
