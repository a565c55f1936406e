"""The model behind the live page: results that are kept, warnings and errors as text."""

import numpy as np
import pytest

import kerasal
from kerasal.viewer import live_model
from kerasal.viewer.photo_list import read_photo


@pytest.fixture
def live(opened):
    return live_model.LiveModel(opened)


def test_results_are_those_of_explain_and_are_kept(live, opened, photo):
    shown = read_photo("two", photo)
    result = live.explain(shown, "gradcam", 2, "conv1")
    expected = kerasal.explain(opened, photo, "gradcam", 2, layer="conv1")
    np.testing.assert_array_equal(result.value.map, expected.map)
    assert (result.value.label, result.value.layer) == ("cat", "conv1")
    assert live.explain(shown, "gradcam", 2, "conv1") is result
    assert live.explain(shown, "gradcam", 3, "conv1") is not result
    np.testing.assert_array_equal(live.scores(shown), opened.outputs(opened.inputs(photo))[0])


def test_the_oldest_results_are_dropped(live, photo, monkeypatch):
    monkeypatch.setattr(live_model, "_KEPT", 2)
    shown = read_photo("two", photo)
    first = live.explain(shown, "class_saliency", 0)
    live.explain(shown, "class_saliency", 1)
    live.explain(shown, "class_saliency", 2)
    assert live.explain(shown, "class_saliency", 0) is not first


def test_a_map_of_zeros_comes_with_its_warning(make_model, photo):
    model = make_model("functional")
    model.get_layer("predictions").set_weights([np.zeros((20, 6), np.float32), np.arange(6, dtype=np.float32)])
    live = live_model.LiveModel(kerasal.open_model(model, preprocessing="unit"))
    shown = live.explain(read_photo("two", photo), "class_saliency")
    assert len(shown.warnings) == 1 and "0 everywhere" in shown.warnings[0]
    assert live.explain(read_photo("two", photo), "class_saliency").warnings == shown.warnings


def test_a_model_without_preprocessing_is_refused(shared_model):
    with pytest.raises(kerasal.models.NoPreprocessing, match="preprocessing must be known"):
        live_model.LiveModel(kerasal.open_model(shared_model("functional")))


def test_several_outputs_are_offered(make_model, photo):
    import keras

    inner = make_model("functional")
    model = keras.Model(inner.input, {"one": inner.output, "two": keras.layers.Dense(2, name="two")(inner.output)})
    live = live_model.LiveModel(kerasal.open_model(model, preprocessing="unit"))
    assert live.outputs == ["one", "two"] and live.model.class_count == 0
    assert live.explain(read_photo("two", photo), "class_saliency", output="two").value.map.shape == (8, 8)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("steps must be\n  positive."), "steps must be positive."),
        (FileNotFoundError(2, "No such file", "a.jpg"), "a.jpg: No such file"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError(), "ValueError: "),
    ],
)
def test_errors_are_sentences(error, text):
    assert live_model.describe_error(error) == text
