"""The benchmark of maps and gaze runs without data, continues where it stopped, and prints what is stored."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import gaze_alignment


@pytest.mark.slow
def test_a_stopped_run_continues(tmp_path, capsys, monkeypatch):
    words = ["--small", "-o", str(tmp_path)]
    monkeypatch.setattr(gaze_alignment, "use_one_thread", lambda: None)  # TensorFlow runs already
    gaze_alignment.main(words)
    first = capsys.readouterr()
    assert "2 of 2: generated, untrained, layercam, conv" in first.err
    for row in ("| center | ", "| untrained: class_saliency | ", "| untrained: layercam, conv | "):
        assert row in first.out
    (tmp_path / "generated-untrained-layercam-conv.csv").unlink()
    gaze_alignment.main(words)
    again = capsys.readouterr()
    assert "2 of 2" in again.err and "1 of 2" not in again.err
    assert again.out == first.out


def test_every_row_has_a_file_of_its_own(tmp_path):
    cells = gaze_alignment.list_cells(["osie", "crowd"])
    assert len({cell.path(tmp_path) for cell in cells}) == len(cells)
    assert {cell.data for cell in cells if cell.layer} == {"osie"}
    assert {cell.model for cell in cells if cell.data == "crowd"} == set(gaze_alignment.LAYERS)
