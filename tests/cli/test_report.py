"""``kerasal report`` and ``kerasal gaze report`` write the same page as the library."""

import numpy as np
import pytest
from typer.testing import CliRunner

from kerasal import training
from kerasal.cli.app import app

import keras


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")], name="m"
    )
    data = np.random.default_rng(0).random((8, 4, 4, 1)).astype(np.float32), np.arange(8) % 2
    output, names = tmp_path_factory.mktemp("run"), ["even", "odd"]
    return training.train(model, data, data, output, epochs=1, class_names=names, progress=False).output


def test_the_report_is_written_and_summarized(run):
    result = CliRunner().invoke(app, ["report", str(run)])
    assert result.exit_code == 0, result.output + str(result.exception)
    assert "The model names the right class" in result.stdout and "no example images" in result.stdout
    assert "report.html" in result.stdout and "m" in (run / "report.html").read_text()
    result = CliRunner().invoke(app, ["gaze", "report", str(run), "-o", str(run / "again.html")])
    assert result.exit_code == 0 and (run / "again.html").read_bytes() == (run / "report.html").read_bytes()


def test_the_output_is_a_page(run, tmp_path):
    result = CliRunner().invoke(app, ["report", str(run), "-o", str(tmp_path / "r.pdf")])
    assert result.exit_code == 2 and not (tmp_path / "r.pdf").exists()
