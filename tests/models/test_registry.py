"""The registry's promises, for every model in it: a new model is tested without a line here."""

import dataclasses
import importlib.metadata
import inspect
import types

import numpy as np
import pytest

import kerasal
from kerasal.models import registry

import keras

NAMES = kerasal.list_models()
SLOW = 20_000_000  # models above this are built in the slow suite
HEAVY = 100_000_000  # and above this not written to disk


def _maybe_slow(names):
    return [
        pytest.param(name, marks=[pytest.mark.slow] if kerasal.model_spec(name).parameters > SLOW else [])
        for name in names
    ]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_a_model(name):
    spec = kerasal.model_spec(name)
    assert spec.name == name == spec.build.__name__
    assert kerasal.preprocessing.get(spec.preprocessing)
    assert spec.reference
    assert name in spec.card
    assert spec.task in {"classification", "gaze"}
    assert all(
        parameter.kind is inspect.Parameter.KEYWORD_ONLY
        for parameter in inspect.signature(spec.build).parameters.values()
    )


@pytest.mark.parametrize("name", _maybe_slow(NAMES))
@pytest.mark.quick("five_class_cnn", "mnist_cnn")
def test_a_model_is_what_its_row_says(name, tmp_path):
    spec = kerasal.model_spec(name)
    model = kerasal.create_model(name)
    assert isinstance(model, keras.Model)
    assert model.name == name
    assert model.count_params() == spec.parameters
    sides = zip(model.inputs[0].shape[1:], spec.input_shape, strict=True)
    assert all(own in (None, said) for own, said in sides)  # a net of any size says at which it is best
    low, high = kerasal.preprocessing.get(spec.preprocessing).value_range()
    images = np.random.default_rng(0).uniform(low.min(), high.max(), (2, *spec.input_shape)).astype(np.float32)
    outputs = model(images, training=False)
    assert np.isfinite(outputs).all()
    if spec.parameters < HEAVY:
        model.save(tmp_path / "model.keras")
        again = kerasal.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(again(images, training=False), outputs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in NAMES if any(w.file for w in kerasal.model_spec(n).weights.values())])
@pytest.mark.quick("five_class_cnn", "mnist_cnn", "shallow_saliency", "gaze")
def test_shipped_weights_load_and_are_small(name):
    for number, (key, weights) in enumerate(kerasal.model_spec(name).weights.items()):
        if weights.file is not None:
            assert weights.package != "kerasal" or weights.file.stat().st_size < 5_200_000
            model = kerasal.create_model(name, weights=key)
            assert all(np.isfinite(array).all() for array in model.get_weights())
            if number == 0:
                np.testing.assert_array_equal(kerasal.load_model(name).get_weights()[0], model.get_weights()[0])


def test_named_weights_bring_their_options():
    model = kerasal.create_model("shallow_saliency", weights="kerasal")
    assert model.count_params() == kerasal.load_model("shallow_saliency").count_params() < HEAVY
    with pytest.raises(ValueError, match=r"do not fit shallow_saliency with .*preset='full'"):
        kerasal.create_model("shallow_saliency", weights="kerasal", preset="full", hidden=4)


def test_patterns():
    assert kerasal.list_models("vgg*") == ["vgg16", "vgg19"]
    assert kerasal.list_models("no such*") == []


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        (("vgg61",), {}, ValueError, "Did you mean vgg1"),
        (("mnist_cnn", "imagenet"), {}, ValueError, "'kerasal'"),
        (("vgg16", "imagnet"), {}, ValueError, "'imagenet'"),
        (("mnist_cnn", "missing.weights.h5"), {}, FileNotFoundError, "missing.weights.h5"),
        (("mnist_cnn",), {"strides": 1}, ValueError, "Did you mean stride"),
        (("mnist_cnn",), {"stride": 3}, ValueError, "stride must be 1 or 2, got 3"),
        (("mnist_cnn", "kerasal"), {"stride": 1}, ValueError, "do not fit mnist_cnn with stride=1"),
    ],
)
def test_wrong_arguments_say_what_exists(arguments, options, error, says):
    with pytest.raises(error, match=says):
        kerasal.create_model(*arguments, **options)


def test_weights_by_path_in_each_format(tmp_path):
    model = kerasal.create_model("mnist_cnn", weights="kerasal")
    for name in ("w.weights.h5", "w.keras"):
        (model.save_weights if name.endswith("weights.h5") else model.save)(tmp_path / name)
        again = kerasal.create_model("mnist_cnn", weights=tmp_path / name)
        np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_a_file_that_is_no_weights_is_named(tmp_path):
    (tmp_path / "w.weights.h5").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"w\.weights\.h5"):
        kerasal.create_model("mnist_cnn", weights=str(tmp_path / "w.weights.h5"))


def test_damaged_shipped_weights_are_refused(monkeypatch, tmp_path):
    shipped = kerasal.model_spec("mnist_cnn").weights["kerasal"]
    damaged = tmp_path / "damaged.weights.h5"
    damaged.write_bytes(shipped.file.read_bytes()[:-1] + b"\0")
    monkeypatch.setattr(registry, "_specs", dict(registry._specs))
    spec = kerasal.model_spec("mnist_cnn")
    weights = {"kerasal": registry.Weights("damaged", damaged, shipped.sha256)}
    registry._specs["mnist_cnn"] = dataclasses.replace(spec, weights=weights)
    with pytest.raises(ValueError, match=r"damaged: .* must have the SHA-256"):
        kerasal.create_model("mnist_cnn", weights="kerasal")


def test_two_models_of_one_name_name_both_modules():
    def mnist_cnn():
        raise AssertionError

    mnist_cnn.__module__ = "somebody.else"
    with pytest.raises(ValueError, match=r"kerasal\.zoo\.mnist.*somebody\.else"):
        registry.register(preprocessing="unit", task="classification", input_shape=(), parameters=0, reference="")(
            mnist_cnn
        )


def test_other_packages_join_by_an_entry_point(monkeypatch):
    def load():
        @registry.register(preprocessing="unit", task="classification", input_shape=(2,), parameters=3, reference="x")
        def a_guest():
            return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

    def broken():
        raise RuntimeError("half installed")

    points = [
        types.SimpleNamespace(name="guest", value="guest.models", load=load),
        types.SimpleNamespace(name="broken", value="broken.models", load=broken),
    ]
    monkeypatch.setattr(registry, "_specs", dict(registry._specs))
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points if group == "kerasal.models" else [])
    registry._load_all.cache_clear()
    with pytest.warns(UserWarning, match="half installed"):
        assert "a_guest" in kerasal.list_models()
    assert kerasal.create_model("a_guest").count_params() == 3
    registry._load_all.cache_clear()
    monkeypatch.undo()
    kerasal.list_models()


def test_vgg_without_its_top_is_the_convolutional_part():
    model = kerasal.create_model("vgg16", include_top=False)
    assert model.count_params() == 14_714_688
    assert model.inputs[0].shape[1:] == (None, None, 3)
    assert kerasal.create_model("vgg19", include_top=False).count_params() == 20_024_384


def test_vgg_weights_by_a_local_path(tmp_path):
    model = kerasal.create_model("vgg16", include_top=False)
    model.save_weights(tmp_path / "v.weights.h5")
    again = kerasal.create_model("vgg16", weights=tmp_path / "v.weights.h5", include_top=False)
    np.testing.assert_array_equal(again.get_weights()[4], model.get_weights()[4])


def test_imagenet_weights_are_asked_of_keras(monkeypatch):
    asked = {}
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()])
    monkeypatch.setattr(keras.applications, "VGG16", lambda **options: asked.update(options) or model)
    kerasal.create_model("vgg16", weights="imagenet", classifier_activation=None)
    assert asked["weights"] == "imagenet"
    assert asked["classifier_activation"] is None
