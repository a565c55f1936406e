"""The patterns before and after a tuning: their measures on small arrays, and the script without data."""

import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import deep_saliency
import deep_saliency_reports
import markdown_tables


def test_only_the_positive_part_of_a_pattern_counts():
    left, right = np.zeros((2, 3, 1, 2, 3))
    left[0, 0, 0], right[0, 0, 0] = (1, -9, 0), (3, 0, -5)
    left[1, 0, 0], right[1, 0, 0] = (1, 1, 0), (1, 0, 0)
    np.testing.assert_allclose(deep_saliency_reports.cosines(left, right), [1, np.sqrt(0.5), np.nan])


def test_a_channel_is_recognized_among_channels_that_share_a_color():
    own = np.eye(3).reshape(3, 1, 1, 3)
    assert deep_saliency_reports.recognized(own + 5, own + 9).all()
    assert deep_saliency_reports.recognized(own, own[[1, 0, 2]]).tolist() == [False, False, True]
    assert deep_saliency_reports.other_channels(own) == pytest.approx([0, 0, 0])


def test_values_that_are_no_numbers_are_left_out_of_an_interval():
    assert markdown_tables.interval([1, np.nan, 1]) == "1.000 [1.000, 1.000]"
    assert markdown_tables.interval([np.nan]) == "–"
    assert markdown_tables.table_lines(markdown_tables.transpose({"a": {"x": 1, "y": 2}})) == [
        "| | a |",
        "|---|---|",
        "| x | 1 |",
        "| y | 2 |",
    ]


@pytest.mark.slow
def test_the_tables_of_the_trial(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(markdown_tables, "printed", [])
    monkeypatch.setattr(deep_saliency, "printed", markdown_tables.printed)
    monkeypatch.setattr(sys, "argv", ["deep_saliency.py", "--small", "-o", str(tmp_path)])
    deep_saliency.main()
    printed = capsys.readouterr().out
    titles = ("Gaze, 6 test images", "Cosine of the patterns", "Center-surround, score", "as an input (figure 4.7)")
    assert all(title in printed for title in titles)
    assert {path.name for path in tmp_path.glob("*.jpg")} >= {"patterns-block3_pool.jpg", "highest-block2_pool.jpg"}
    deep_saliency.main()  # a finished experiment is only printed
    assert capsys.readouterr().out == (tmp_path / "tables.md").read_text(encoding="utf-8")
