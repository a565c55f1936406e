"""A user's own model files: every format, and what is said of those that cannot be loaded."""

import numpy as np
import pytest

import kerasal
from kerasal import attribution
from kerasal.models.saved_models import UntrustedCode
from kerasal.models.weight_files import load_folded_convolutions

import keras


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_keras_files(name, make_model, batch, tmp_path):
    model = make_model("nested")
    model.save(tmp_path / name)
    again = kerasal.load_model(tmp_path / name)
    np.testing.assert_allclose(
        attribution.guided_backprop(again, batch), attribution.guided_backprop(model, batch), rtol=1e-5
    )


def test_a_saved_model_is_differentiated_and_says_what_it_cannot(make_model, batch, tmp_path):
    model = make_model("functional")
    model.export(tmp_path / "saved", verbose=False)
    again = kerasal.load_model(tmp_path / "saved")
    np.testing.assert_allclose(again(batch), model(batch, training=False), rtol=1e-5)
    expected = attribution.input_gradient(model, batch, 2, logits=False)
    np.testing.assert_allclose(
        attribution.input_gradient(again, batch, 2, logits=False), expected, rtol=1e-4, atol=1e-7
    )
    with pytest.raises(ValueError, match="logits=False"):
        attribution.input_gradient(again, batch, 2)
    with pytest.raises(ValueError, match="compiled function"):
        attribution.guided_backprop(again, batch, 2, logits=False)


def test_code_in_a_file_is_not_run_unless_trusted(tmp_path):
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs)).save(tmp_path / "lambda.keras")
    with pytest.raises(UntrustedCode, match=r"Lambda layer.*unsafe=True"):
        kerasal.load_model(tmp_path / "lambda.keras")
    assert kerasal.load_model(tmp_path / "lambda.keras", unsafe=True)(np.ones((1, 2))).numpy().tolist() == [[2, 2]]


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("empty.keras", b"", ValueError, "empty file"),
        ("text.keras", b"hello", ValueError, "damaged or different file"),
        ("text.h5", b"hello", ValueError, r"text\.h5"),
        ("photo.jpg", b"hello", ValueError, r"photo\.jpg"),
    ],
)
def test_files_that_are_no_models(name, content, error, says, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=says):
        kerasal.load_model(tmp_path / name)


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model file .*missing\.keras"):
        kerasal.load_model(tmp_path / "missing.keras")
    with pytest.raises(ValueError, match=r"saved_model\.pb"):
        kerasal.load_model(tmp_path)
    with pytest.raises(ValueError, match="Did you mean mnist_cnn"):
        kerasal.load_model("mnistcnn")


def test_arrays_fill_some_layers_and_say_which_stay_random(tmp_path):
    model = kerasal.create_model("mnist_cnn")
    layer = next(layer for layer in model.layers if layer.weights)
    arrays = {f"{layer.name}/{weight.name}": np.full(weight.shape, 0.5, np.float32) for weight in layer.weights}
    np.savez(tmp_path / "some.npz", **arrays)
    with pytest.warns(UserWarning, match=r"no weights for \d+ layers, which stay random"):
        loaded = kerasal.create_model("mnist_cnn", weights=tmp_path / "some.npz")
    assert all((weight.numpy() == 0.5).all() for weight in loaded.get_layer(layer.name).weights)


def test_arrays_that_do_not_fit_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", **{"conv9/kernel": np.zeros(3)})
    with pytest.raises(ValueError, match=r"1 unknown \(conv9/kernel\)"):
        kerasal.create_model("mnist_cnn", weights=tmp_path / "other.npz")
    name = next(f"{one.name}/kernel" for one in kerasal.create_model("mnist_cnn").layers if one.weights)
    np.savez(tmp_path / "small.npz", **{name: np.zeros(3)})
    with pytest.raises(ValueError, match=r"small\.npz: .* must have the shape .* got \(3,\)"):
        kerasal.create_model("mnist_cnn", weights=tmp_path / "small.npz")
    (tmp_path / "text.npz").write_text("no arrays")
    with pytest.raises(ValueError, match="cannot be read as an npz"):
        kerasal.create_model("mnist_cnn", weights=tmp_path / "text.npz")


def _folded_pair():
    """A convolution and a depthwise one, each with its normalization, and the same net without."""
    layers, inputs = keras.layers, keras.Input((6, 6, 3))
    tensor = layers.Conv2D(4, 3, use_bias=False, name="stem_conv")(inputs)
    tensor = layers.BatchNormalization(name="stem_bn")(tensor)
    tensor = layers.DepthwiseConv2D(3, use_bias=False, depth_multiplier=2, name="each")(tensor)
    whole = keras.Model(inputs, layers.BatchNormalization(name="each_bn")(tensor))
    random = np.random.default_rng(0)
    for layer in whole.layers:
        layer.set_weights([random.uniform(0.5, 2, one.shape) for one in layer.get_weights()])
    tensor = layers.Conv2D(4, 3, name="stem_conv")(inputs)
    return whole, keras.Model(inputs, layers.DepthwiseConv2D(3, depth_multiplier=2, name="each")(tensor))


def test_normalizations_are_folded_into_convolutions(tmp_path):
    whole, folded = _folded_pair()
    whole.save(tmp_path / "whole.keras")
    load_folded_convolutions(folded, tmp_path / "whole.keras")
    x = np.random.default_rng(1).normal(size=(2, 6, 6, 3))
    np.testing.assert_allclose(folded(x), whole(x, training=False), rtol=1e-4)


def test_a_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "mnist_cnn").mkdir()
    monkeypatch.chdir(tmp_path)
    assert kerasal.load_model("mnist_cnn").name == "mnist_cnn"
