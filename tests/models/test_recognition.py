"""The preprocessing that is recognized from a model, what is said about it, and what is refused."""

import types

import numpy as np
import pytest

import kerasal
from kerasal.hooks import PixelInputs
from kerasal.models import NoPreprocessing, open_model
from kerasal.models.recognition import recognize, require_preprocessing

import keras
from keras import layers


def _classifier(*first, shape=(16, 16, 3)):
    inputs = tensor = keras.Input(shape)
    for layer in first:
        tensor = layer(tensor)
    tensor = layers.Conv2D(4, 3, name="conv")(tensor)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(tensor)), name="mine")


def test_a_normalization_is_recognized_and_stated_in_one_line():
    opened = open_model(_classifier(layers.Normalization(mean=0.45, variance=0.07, name="norm")))
    assert opened.preprocessing.name == "unit"
    assert opened.notes == ["Preprocessing: unit, because its first layer 'norm' normalizes pixels of 0..1."]
    np.testing.assert_allclose(opened.inputs(np.full((16, 16, 3), 255, np.uint8)), 1)


def test_what_is_ambiguous_is_an_error_that_says_what_was_seen():
    opened = open_model(_classifier(layers.Normalization(mean=0.7, variance=0.12, name="norm")))
    with pytest.raises(
        NoPreprocessing, match=r"'norm' computes \(x - 0.7\) / 0.346, which fits pixels of 0..1 \('unit"
    ):
        opened.inputs(np.zeros((16, 16, 3), np.uint8))
    opened = open_model(_classifier(layers.Rescaling(3.0, name="factor")))
    with pytest.raises(NoPreprocessing, match=r"'factor' computes .*, which fits neither pixels of 0..255"):
        opened.check_pixels()


def test_a_plain_zoo_model_is_known(tmp_path):
    model = kerasal.load_model("mnist_cnn")
    assert require_preprocessing(model).name == "unit"
    model.save(tmp_path / "copy.keras")
    with pytest.raises(NoPreprocessing):  # a file does not say where it is from
        require_preprocessing(keras.saving.load_model(tmp_path / "copy.keras"))


@pytest.mark.parametrize(
    ("scale", "offset", "name"),
    [
        (1 / 255, None, "unit"),
        ((1 / 127.5,) * 3, (-1.0,) * 3, "tf"),
        ((0.0171248, 0.017507, 0.0174292), (-2.1179, -2.0357, -1.80444), "torch"),
        (None, None, "none"),
        (1 / 64, -1.0, "mean=64,std=64"),
    ],
)
def test_a_keras_hub_preprocessor_is_read(scale, offset, name):
    model = _classifier()
    converter = types.SimpleNamespace(scale=scale, offset=offset)
    object.__setattr__(model, "preprocessor", types.SimpleNamespace(image_converter=converter))
    found = recognize(model)
    assert found.preprocessing.name == name and "keras-hub preprocessor" in found.note


@pytest.mark.slow
def test_maximize_knows_the_pixel_range_or_refuses():
    options = {"steps": 2, "preset": "simonyan", "display": "pixels"}
    rescaling = _classifier(layers.Rescaling(1 / 255))
    wanted = kerasal.maximize(rescaling, 1, preprocessing="none", **options)
    for model in (rescaling, open_model(rescaling)):
        found = kerasal.maximize(model, 1, **options)
        np.testing.assert_array_equal(found.raw, wanted.raw)
        np.testing.assert_array_equal(found.images, wanted.images)
    for model in (_classifier(), open_model(_classifier())):
        with pytest.raises(NoPreprocessing, match=r"preprocessing must be known for 'mine' .* Pass 'unit' for"):
            kerasal.maximize(model, 1, **options)
    unit = _classifier(layers.Normalization(mean=0.45, variance=0.07))
    found = kerasal.maximize(unit, 1, preset="olah", steps=3)
    assert found.raw.min() >= 0 and found.raw.max() <= 1


def test_a_sequence_is_not_taken_for_an_image():
    inputs = keras.Input((20, 4))
    series = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.Conv1D(3, 3)(inputs))))
    with pytest.raises(
        ValueError, match=r"value_range must be .* got None and preprocessing='none', which is for photos"
    ):
        kerasal.maximize(series, 0, preprocessing="none")
    with pytest.raises(ValueError, match=r"one image input .* takes \(N, 20, 4\) and has the layer 'conv1d.*Reshape"):
        open_model(series, preprocessing="none").inputs(np.zeros((20, 4, 3), np.uint8))


def test_uint8_inputs_warn_unless_the_model_takes_pixels():
    pixels = np.full((1, 16, 16, 3), 200, np.uint8)
    with pytest.warns(PixelInputs, match=r"must be preprocessed for 'mine', got uint8"):
        kerasal.attribution.class_saliency(_classifier(), pixels)
    kerasal.attribution.class_saliency(_classifier(layers.Rescaling(1 / 255)), pixels)  # no warning
    kerasal.attribution.class_saliency(_classifier(), pixels.astype("float32"))


def test_fractions_warn_if_the_model_rescales_pixels():
    fractions = np.random.default_rng(0).uniform(0, 1, (1, 16, 16, 3))
    rescaling = _classifier(layers.Rescaling(1 / 255))
    with pytest.warns(PixelInputs, match=r"must be pixels of 0\.\.255 for 'mine', which rescales them itself"):
        kerasal.attribution.class_saliency(rescaling, fractions)
    kerasal.attribution.class_saliency(_classifier(), fractions)  # no warning
    kerasal.attribution.class_saliency(rescaling, np.round(fractions))  # nearly black pixels are possible
    kerasal.attribution.class_saliency(rescaling, 255 * fractions)


def test_paths_names_and_pil_images_get_the_right_sentence(tmp_path):
    from PIL import Image

    model = _classifier()
    for inputs, named in (
        ("x.jpg", "the path 'x.jpg'"),
        ([tmp_path], "the path"),
        (Image.new("RGB", (16, 16)), "a PIL image"),
    ):
        with pytest.raises(TypeError, match=f"inputs must be an array .* got {named}.*kerasal.open_model"):
            kerasal.attribution.gradcam(model, inputs)
    with pytest.raises(TypeError, match=r"target must be a class index, got 'tabby'.*labels.*kerasal.explain"):
        kerasal.attribution.gradcam(model, np.zeros((1, 16, 16, 3)), "tabby")


def test_a_layer_name_is_checked_before_the_tracing(monkeypatch):
    from kerasal.attribution import method

    model, inputs = _classifier(layers.Rescaling(1 / 255)), np.zeros((1, 16, 16, 3), np.float32)
    monkeypatch.setattr(method, "run_batches", lambda *_, **__: pytest.fail("traced"))
    for call in (
        lambda: kerasal.attribution.gradcam(model, inputs, layer="conw"),
        lambda: kerasal.attribution.class_saliency(model, inputs, kerasal.objectives.channel("conw", 0)),
        lambda: kerasal.maximize(model, kerasal.objectives.channel("conw", 0)),
    ):
        with pytest.raises(kerasal.hooks.UnknownLayer, match=r"Unknown layer 'conw' in 'mine'\. Did you mean conv"):
            call()


def test_attributes_that_do_not_exist_suggest_those_that_do():
    with pytest.raises(AttributeError, match=r"kerasal.attribution .* kerasal.gaze"):
        _ = kerasal.saliency
    with pytest.raises(AttributeError, match="Did you mean maximize"):
        _ = kerasal.maximise
    with pytest.raises(AttributeError, match="Did you mean gradcam"):
        _ = kerasal.attribution.grad_cam
    assert not hasattr(kerasal, "nothing_of_this_name")


def test_an_overlay_takes_the_images_that_can_be_written():
    values = np.ones((4, 4))
    with pytest.raises(ValueError, match=r"must be uint8 .*From 0..1"):
        kerasal.images.overlay(np.zeros((8, 8, 3), np.float32), values)
    assert kerasal.images.overlay(np.zeros((8, 8, 3), np.uint8), values).dtype == np.uint8
