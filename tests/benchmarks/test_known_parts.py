"""The benchmark of known parts: perfect and useless maps get their values, and the script runs and continues."""

import pathlib
import sys

import numpy as np
import pandas as pd
import pytest

from kerasal import images

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import known_parts


def test_a_map_that_is_the_truth_gets_1_and_one_of_a_side_its_share():
    data = known_parts.test_images(4)
    drops = np.tile([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 6.0], (4, 1))
    truth = np.float64(data.mask())
    values = known_parts.measure(truth, data, drops)
    assert all(np.allclose(values[name], 1) for name in ("hit", "mass", "rank"))
    assert all((values[f"{name} random"] < 0.5).all() for name in ("mass", "rank"))
    ordered = (
        drops[:, :, None, None] * data.part_masks / np.maximum(data.part_masks.sum(axis=(2, 3)), 1)[..., None, None]
    )
    assert np.allclose(known_parts.part_correlation(ordered.sum(axis=1), data, drops), 1)
    assert np.allclose(known_parts.part_correlation(-ordered.sum(axis=1), data, drops), -1)


def test_a_map_of_zeros_gets_0():
    data = known_parts.test_images(2)
    values = known_parts.measure(np.zeros((2, 64, 64)), data, np.arange(14.0).reshape(2, 7))
    assert all((values[name] == 0).all() for name in known_parts.MEASURES)


def test_the_share_on_a_mask_counts_positive_values():
    maps = np.zeros((1, 2, 2))
    maps[0] = [[3, 1], [-5, 0]]
    assert known_parts.share(maps, np.array([[[True, False], [True, False]]])) == pytest.approx(0.75)
    assert np.isnan(known_parts.share(-maps * [[1, 1], [0, 1]], np.ones((1, 2, 2), bool)))


def test_the_order_of_two_seeds_agrees_or_not():
    def table(flipped):
        scores = {"a": 0.9, "b": 0.5, "c": 0.1}
        rows = []
        for seed in (0, 1):
            for method, value in scores.items():
                value = 1 - value if flipped and seed else value
                for image in range(12):
                    rows.append({"row": method, "seed": seed, "image": image, "ms": 1.0})
                    rows[-1] |= {name: value + image / 1000 for name in known_parts.MEASURES}
        return pd.DataFrame(rows)

    same, other = (known_parts.agreement(table(flipped), 20)["seeds 0 and 1"] for flipped in (False, True))
    assert set(same.values()) == {"1.00 [1.00, 1.00]"} and set(other.values()) == {"-1.00 [-1.00, -1.00]"}
    assert known_parts.places(table(False))["place"].to_dict() == {"a": 1, "b": 2, "c": 3}


@pytest.mark.slow
def test_the_script_runs_and_continues(tmp_path, capsys):
    words = [str(tmp_path / "runs"), "--small", "--picture", str(tmp_path / "truth.jpg")]
    known_parts.main(words)
    first = capsys.readouterr().out
    assert "### against truth, 8 images, 2 seeds" in first and "| edges | " in first
    assert "### two causes" in first and "| gradcam | " in first
    assert images.read(tmp_path / "truth.jpg").shape[1] > 400
    known_parts.main(words)  # finished: nothing is computed again
    assert capsys.readouterr().out.splitlines() == [line for line in first.splitlines() if "kerasal train" not in line]
