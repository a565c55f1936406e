"""``kerasal view``: errors that are reported before a model is loaded; the page itself is tested in a browser."""

import sys

import pytest


def test_a_missing_extra_is_reported_first(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "streamlit", None)
    code, _, err = cli("view", "none.keras")
    assert code == 1 and "pip install 'kerasal[view]'" in err


def test_wrong_photos_and_models_are_usage_errors(cli):
    pytest.importorskip("streamlit")
    code, _, err = cli("view", "none.keras", "none.jpg")
    assert code == 2 and "none.jpg" in err
    code, _, err = cli("view", "none.keras")
    assert code == 2 and "none.keras" in err


def test_a_model_without_preprocessing_gets_the_flag(cli, tmp_path, make_model):
    pytest.importorskip("streamlit")
    make_model("functional").save(tmp_path / "model.keras")
    code, out, err = cli("view", "model.keras", "--no-browser")
    assert code == 2 and "--preprocessing" in err and "http" not in out
