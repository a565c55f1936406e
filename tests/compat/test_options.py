"""Modifiers, callbacks, mixed precision, errors and names of the drop-in for tf-keras-vis."""

import importlib
import pkgutil
import warnings

import numpy as np
import pytest
import tf_keras_vis
from tf_keras_vis.activation_maximization.callbacks import Callback, GifGenerator2D, PrintLogger, Progress
from tf_keras_vis.activation_maximization.regularizers import Norm
from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer, GuidedBackpropagation, ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

from kerasal import hooks
from kerasal.compat import tf_keras_vis as compat
from tests.compat.pairs import CAMS, MAPS, PLACES, check_equal, flat_model, images, pair, seeded

import keras
import tensorflow as tf

X = images(3, 12, 14, 3)
SCORES = CategoricalScore([0, 3, 1])


def ours(name):
    return pair(name)[0]


def test_every_module_and_name_of_the_peer_is_here():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for module in pkgutil.walk_packages(tf_keras_vis.__path__, "tf_keras_vis."):
            theirs = importlib.import_module(module.name)
            mirror = importlib.import_module(f"kerasal.compat.{module.name}")
            own = [n for n, item in vars(theirs).items() if getattr(item, "__module__", "") == module.name]
            hidden = {"check_steps", "lower_precision_dtype", "standardize"}  # deprecated since 0.7
            assert not [n for n in own if not n.startswith("_") and n not in hidden and not hasattr(mirror, n)]
    assert all(hasattr(compat, name) for name in dir(compat))


def test_modifiers_are_served_without_a_clone(model, monkeypatch):
    def refuse(*_):
        raise AssertionError("cloned")

    monkeypatch.setattr(keras.models, "clone_model", refuse)
    modifiers = [GuidedBackpropagation(), ExtractIntermediateLayer("last"), ReplaceToLinear()]
    before = [layer.activation for layer in model.layers if hasattr(layer, "activation")]
    ours("Saliency")(model, modifiers, clone=False)(SCORES, X)
    assert [layer.activation for layer in model.layers if hasattr(layer, "activation")] == before


def test_the_modified_model_is_a_clone(model):
    visualization = ours("Saliency")(model, [ExtractIntermediateLayer("last"), ReplaceToLinear()], clone=False)
    shown = visualization.model
    assert shown is not model and shown is visualization.model
    assert shown.outputs[0].shape[1:] == model.get_layer("last").output.shape[1:]
    assert shown.get_layer("last").activation is keras.activations.linear
    assert model.get_layer("last").activation is keras.activations.relu
    assert ours("Saliency")(model).model is model


def to_linear(model):
    model.layers[-1].activation = keras.activations.linear


@pytest.mark.parametrize(
    "modifiers", [to_linear, [ExtractIntermediateLayer("classes"), to_linear]], ids=["one", "list"]
)
def test_a_modifier_of_the_user_is_applied_to_a_clone(modifiers, model):
    with pytest.warns(compat.ClonedModel, match="to_linear is applied to a clone"):
        visualization = ours("Saliency")(model, modifiers)
    check_equal(visualization(SCORES, X), ours("Saliency")(model, ReplaceToLinear())(SCORES, X))
    assert visualization.model is not model and model.layers[-1].activation is keras.activations.softmax


@pytest.mark.slow
def test_without_a_clone_a_modifier_changes_the_model():
    model = flat_model()
    linear = ours("Saliency")(model, ReplaceToLinear())(SCORES, X)
    check_equal(ours("Saliency")(model, to_linear, clone=False)(SCORES, X), linear)
    assert model.layers[-1].activation is keras.activations.linear


def test_a_subclassed_model_cannot_be_cloned():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.zeros((1, 3), np.float32))
    with pytest.warns(compat.ClonedModel), pytest.raises(ValueError, match="clone=False"):
        ours("Saliency")(model, lambda model: None)


def test_a_rule_that_finds_no_relu_is_an_error():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="gelu")(inputs))
    with pytest.raises(hooks.NoReLU):
        ours("Saliency")(model, GuidedBackpropagation())(CategoricalScore(0), images(1, 4), keepdims=True)


@pytest.mark.slow
def test_a_softmax_layer_becomes_linear_too():
    """tf-keras-vis only replaces the attribute ``activation``, which a Softmax layer does not read."""
    model = flat_model()
    *_, head = model.layers
    logits = keras.layers.Dense(5)
    softmax = keras.Model(model.inputs, keras.layers.Softmax()(logits(head.input)))
    logits.set_weights(head.get_weights())
    check_equal(
        ours("Saliency")(softmax, ReplaceToLinear())(SCORES, X), ours("Saliency")(model, ReplaceToLinear())(SCORES, X)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", MAPS)
def test_mixed_precision_is_close_to_full_precision(name, model):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = flat_model()
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(model.get_weights())
    maps = ours(name)(half, ReplaceToLinear())(SCORES, X)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, ours(name)(model, ReplaceToLinear())(SCORES, X), atol=0.03)


@pytest.mark.slow
def test_an_ascent_in_mixed_precision_takes_the_steps_of_full_precision(model):
    """tf-keras-vis divides the gradients by the scale of a loss that it has not scaled, and hardly moves."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = flat_model()
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(model.get_weights())
    start = images(1, 12, 14, 3) + 128
    options = {"steps": 3, "input_modifiers": None, "regularizers": None, "seed_input": start}
    results = [
        ours("ActivationMaximization")(each, ReplaceToLinear())(CategoricalScore(2), **options)
        for each in (half, model)
    ]
    moved = [np.abs(result - start).mean() for result in results]
    assert moved[1] > 10 and abs(moved[0] / moved[1] - 1) < 0.05


class Record(Callback):
    def __init__(self):
        self.calls = []

    def on_begin(self, **arguments):
        self.calls.append(sorted(arguments))

    def __call__(self, i, values, grads, scores, model_outputs, regularizations, overall_score):
        self.calls.append((i, values, grads, scores, model_outputs, regularizations, overall_score))

    def on_end(self):
        self.calls.append("end")


@pytest.mark.slow
def test_callbacks_get_what_they_get_from_tf_keras_vis(model, tmp_path, capsys):
    records = []
    for cls in pair("ActivationMaximization"):
        record = Record()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "[\\s\\S]*The structure of `inputs`", UserWarning)
            seeded(cls(model), CategoricalScore(2), steps=2, input_modifiers=None, callbacks=[record])
        records.append(record.calls)
    mine, theirs = records
    assert len(mine) == 4 and mine[0] == theirs[0] and mine[-1] == theirs[-1] == "end"
    for call, other in zip(mine[1:-1], theirs[1:-1], strict=True):
        assert call[0] == other[0] and [name for name, _ in call[5]] == [name for name, _ in other[5]]
        flat, flat_other = ([tensor for part in parts[1:5] for tensor in part] for parts in (call, other))
        for tensor, peer in zip(flat, flat_other, strict=True):
            scale = max(float(tf.reduce_max(tf.abs(peer))), 1e-9)
            np.testing.assert_allclose(tensor, peer, rtol=0, atol=1e-5 * scale)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        callbacks = [Progress(), PrintLogger(1), GifGenerator2D(str(tmp_path / "ascent.gif"))]
    ours("ActivationMaximization")(model)(CategoricalScore(2), steps=2, callbacks=callbacks)
    assert "2/2" in capsys.readouterr().out and (tmp_path / "ascent.gif").is_file()


@pytest.mark.slow
def test_two_regularizers_of_a_name_both_count(model):
    """tf-keras-vis keeps the last one of a name."""
    start = images(1, 12, 14, 3)
    options = {"steps": 1, "input_modifiers": None, "seed_input": start, "input_range": None}
    optimizers = [keras.optimizers.SGD(1.0) for _ in range(2)]
    twice, once = (
        ours("ActivationMaximization")(model)(CategoricalScore(2), regularizers=list_, optimizer=optimizer, **options)
        for list_, optimizer in zip(([Norm(1.0), Norm(1.0)], [Norm(2.0)]), optimizers, strict=True)
    )
    np.testing.assert_allclose(twice, once, atol=1e-6)


def test_results_have_numpy_as_tensors_do(model):
    result = ours("ActivationMaximization")(model)(CategoricalScore(2), steps=1)
    assert result.numpy().astype(np.uint8).shape == (1, 12, 14, 3)
    assert type(result.numpy()) is np.ndarray


@pytest.mark.slow
def test_a_score_too_large_for_an_exponential():
    model = flat_model()
    head = model.layers[-1]
    head.set_weights([head.get_weights()[0], head.get_weights()[1] + 1000])
    cam = ours("GradcamPlusPlus")(model, ReplaceToLinear())
    assert np.isfinite(cam(SCORES, X)).all()
    with pytest.raises(ValueError, match=r"exp\(score\) must be finite"):
        cam(SCORES, X, normalize_cam=False)


ERRORS = {
    "no score": ((None, X), {}, ValueError, "score must be 1 functions"),
    "no function": (([3], X), {}, ValueError, "score must be a Score or a function"),
    "inputs": ((SCORES, [X, X]), {}, ValueError, "seed_input must be 1 arrays"),
    "shape": ((SCORES, X[0, 0]), {}, ValueError, "seed_input must have shape"),
    "keys": ((SCORES, {"other": X}), {}, ValueError, "seed_input must have the keys"),
    "constant": ((lambda output: tf.zeros(3), X), {}, ValueError, "must depend on"),
}
CAM_ERRORS = {
    "number": ((SCORES, X), {"penultimate_layer": -1.0}, ValueError, "penultimate_layer must be a layer"),
    "index": ((SCORES, X), {"penultimate_layer": 99}, ValueError, "penultimate_layer must be a layer"),
    "input": ((SCORES, X), {"penultimate_layer": 0}, ValueError, "must be a convolution or a layer after one"),
    "unknown": ((SCORES, X), {"penultimate_layer": "lost"}, ValueError, "lost"),
    "dense": (
        (SCORES, X),
        {"penultimate_layer": -1, "seek_penultimate_conv_layer": False},
        ValueError,
        r"must have an output \(N, \*positions, C\)",
    ),
}


@pytest.mark.quick("Saliency-no score", "Saliency-inputs", "Gradcam-dense")
@pytest.mark.parametrize("error", [*ERRORS, *CAM_ERRORS])
@pytest.mark.parametrize("name", MAPS)
def test_errors_name_the_argument(name, error, model):
    if (error in CAM_ERRORS and name not in CAMS) or (error == "constant" and name == "Scorecam"):
        pytest.skip("no such error")
    arguments, options, kind, text = {**ERRORS, **CAM_ERRORS}[error]
    with pytest.raises(kind, match=text):
        ours(name)(model)(*arguments, **options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"input_range": (0, 1.0)}, TypeError),
        ({"input_range": (0, 1, 2)}, ValueError),
        ({"input_modifiers": [None]}, TypeError),
        ({"input_modifiers": {"other": []}}, ValueError),
        ({"regularizers": [[Norm()], [Norm()]]}, ValueError),
        ({"activation_modifiers": {"other": None}}, ValueError),
        ({"seed_input": [X, X]}, ValueError),
    ],
)
def test_errors_of_an_ascent(options, error, model):
    with pytest.raises(error):
        ours("ActivationMaximization")(model)(CategoricalScore(0), steps=1, **options)


@pytest.mark.slow
def test_a_change_of_the_model_is_seen():
    model = flat_model()
    visualization = ours("Gradcam")(model, ReplaceToLinear())
    before = visualization(SCORES, X)
    head = model.layers[-1]
    head.set_weights([-head.get_weights()[0], head.get_weights()[1]])
    assert np.abs(visualization(SCORES, X) - before).max() > 0.1
    head.activation = keras.activations.tanh
    plain = ours("Saliency")(model)
    tanh = plain(SCORES, X)
    head.activation = keras.activations.softplus
    assert np.abs(plain(SCORES, X) - tanh).max() > 1e-3


@pytest.mark.parametrize("name", PLACES)
def test_a_model_must_be_built(name):
    with pytest.raises(ValueError, match="must be built"):
        ours(name)(keras.Sequential([keras.layers.Dense(2)]))


def test_bytes_of_photos_are_numbers(model):
    """Masks in 0..1 would cut integers to 0."""
    photos = np.random.default_rng(0).integers(0, 256, (2, *model.input_shape[1:]), np.uint8)
    for name in ("Scorecam", "Saliency"):
        of_bytes, of_floats = (
            np.asarray(ours(name)(model, ReplaceToLinear())(CategoricalScore([0, 1]), x))
            for x in (photos, photos.astype(np.float32))
        )
        assert of_floats.any()
        np.testing.assert_allclose(of_bytes, of_floats, atol=1e-6)


def test_a_score_per_image_is_needed(model):
    photos = np.random.default_rng(0).random((3, *model.input_shape[1:])).astype(np.float32)
    for name in ("Saliency", "Gradcam", "Layercam", "GradcamPlusPlus"):
        with pytest.raises(ValueError, match="score must return 3 scores, one per image, got"):
            ours(name)(model)(CategoricalScore([0, 1]), photos)


@pytest.mark.filterwarnings("ignore::UserWarning")  # the peer passes a list of one input
def test_tensors_are_returned_where_the_peer_returns_them(model):
    for name, options in (("Saliency", {"keepdims": True}), ("Gradcam", {"expand_cam": False})):
        own, theirs = (kind(model)(SCORES, X, **options) for kind in pair(name))
        assert tf.is_tensor(own) and tf.is_tensor(theirs)
        np.testing.assert_allclose(own.numpy(), theirs.numpy(), atol=1e-5)


def test_inputs_without_a_map_are_errors(model):
    broken = X.copy()
    broken[1, 2, 3] = np.nan
    for name in ("Saliency", "Gradcam", "Scorecam"):
        with pytest.raises(ValueError, match="seed_input must be finite, got NaN or infinity in input 0"):
            ours(name)(model)(SCORES, broken)
    with pytest.raises(ValueError, match="steps must be a positive integer, got 0"):
        compat.ActivationMaximization(model)(CategoricalScore([0]), steps=0)
