"""The live page as Streamlit runs it, without a browser."""

import pathlib

import pytest

import kerasal.viewer
from kerasal.viewer import page_parts, page_server
from kerasal.viewer.live_model import LiveModel
from kerasal.viewer.photo_list import list_photos
from kerasal.viewer.photo_maps import Legend

testing = pytest.importorskip("streamlit.testing.v1", reason="streamlit is not installed")

SCRIPT = pathlib.Path(kerasal.viewer.__file__).with_name("page_script.py")


@pytest.fixture
def page(opened, photo, monkeypatch):
    monkeypatch.setattr(page_server, "_page", [(LiveModel(opened), list_photos(photo))])
    run = testing.AppTest.from_file(str(SCRIPT), default_timeout=120)
    run.session_state["gaze"] = False
    run.run()
    assert not run.exception
    return run


def titles(page):
    return [item.value for item in page.markdown if item.value.startswith("**")]


def test_the_first_page(page):
    assert page.title[0].value == "kerasal view: functional"
    assert page.selectbox(key="photo").value == "two.png"
    assert page.selectbox(key="method").value == "gradcam"
    assert len(titles(page)) == 1 and titles(page)[0].startswith("**gradcam\\: ")
    assert not page.error


@pytest.mark.slow
def test_class_layer_and_method_change_the_title(page):
    page.selectbox(key="layer").select("conv1").run()
    assert "Layer conv1" in page.caption[-1].value
    chosen = next(item for item in page.selectbox if item.label == "Class")
    chosen.select_index(chosen.options.index(next(text for text in chosen.options if text.startswith("dog")))).run()
    assert titles(page) == ["**gradcam\\: dog**"]
    page.selectbox(key="method").select("class_saliency").run()
    assert titles(page) == ["**class\\_saliency\\: dog**"]
    assert "layer" not in [item.key for item in page.selectbox]
    page.selectbox(key="photo").select("coffee (comes with kerasal)").run()
    assert titles(page) == ["**class\\_saliency\\: dog**"]  # another photo, the same class
    assert not page.exception and not page.error


def test_an_error_of_the_library_is_a_sentence(page, monkeypatch):
    def fail(*_):
        raise ValueError("The model must have a ReLU, got none. Use another method.")

    monkeypatch.setattr(LiveModel, "explain", fail)
    page.run()
    assert [item.value for item in page.error] == ["The model must have a ReLU, got none. Use another method."]
    assert not page.exception


@pytest.mark.slow
def test_gaze_is_beside_the_map(page):
    page.toggle(key="gaze").set_value(True).run()
    assert titles(page)[1] == "**Where people will look**" and not page.error


def test_hostile_labels_stay_text(opened):
    import numpy as np

    opened = kerasal.open_model(opened.keras_model, preprocessing="unit", labels=["<img src=x onerror=alert(1)>"] * 6)
    assert "<img" not in page_parts.bars_html(opened, np.full(6, 1 / 6))
    assert "<b>" not in page_parts.legend_html(Legend("heat", "<b>", "x"))
