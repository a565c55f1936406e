"""``kerasal gaze page`` writes the page of any gaze model, and says what to do without npm."""

import numpy as np
import pytest
from typer.testing import CliRunner

from kerasal.cli.app import app


@pytest.fixture
def place(tmp_path, monkeypatch):
    import keras

    monkeypatch.chdir(tmp_path)
    inputs = keras.Input((24, 32, 3))
    maps = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")(inputs)
    keras.Model(inputs, maps, name="maps").save("maps.keras")
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime" / "ort.wasm.bundle.min.mjs").write_text("// ONNX Runtime Web v9.8.7\n")
    (tmp_path / "runtime" / "ort-wasm-simd-threaded.wasm").write_bytes(b"\0asm")
    return tmp_path


def test_a_page_is_written_and_the_next_step_is_said(place):
    from kerasal import images

    images.write("mine.png", np.zeros((20, 30, 3), np.uint8))
    line = "gaze page maps.keras -p unit --runtime runtime -o my-site --title Ours --example mine.png"
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 0, result.output
    assert "python -m http.server 8000 --directory my-site" in result.stdout
    page = (place / "my-site" / "index.html").read_text()
    assert "<h1>Ours</h1>" in page and "examples/1-mine.png" in page and "maps" in page


def test_a_folder_with_other_files_is_refused_before_the_model_is_opened(place):
    result = CliRunner().invoke(app, ["gaze", "page", "missing.keras", "-o", "runtime"])
    assert isinstance(result.exception, FileExistsError)
    assert "which has other files" in str(result.exception)


def test_without_npm_the_flag_is_named_before_the_model_is_opened(cli, place, monkeypatch):
    monkeypatch.setenv("PATH", str(place))
    code, out, error = cli("gaze", "page", "missing.keras", "-o", "site")
    text = " ".join(error.split())
    assert code and not out and not (place / "site").exists()
    assert "npm must be installed" in text and "runtime='FOLDER' (--runtime)" in text
