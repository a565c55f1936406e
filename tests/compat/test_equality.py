"""Each class and option equals tf-keras-vis on functional models, which it can handle."""

import inspect

import numpy as np
import pytest
from tf_keras_vis.activation_maximization.input_modifiers import Jitter, Rotate2D, Scale
from tf_keras_vis.activation_maximization.regularizers import Norm, TotalVariation2D
from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer, GuidedBackpropagation, ReplaceToLinear
from tf_keras_vis.utils.scores import BinaryScore, CategoricalScore, InactiveScore

from tests.compat.pairs import CAMS, MAPS, PLACES, check_equal, flat_model, images, pair, seeded

import keras
import tensorflow as tf

# tf-keras-vis passes lists to models that take a tensor.
pytestmark = pytest.mark.filterwarnings("ignore:[\\s\\S]*The structure of `inputs`:UserWarning")
X = images(3, 12, 14, 3)
SCORES = CategoricalScore([0, 3, 1])
MODIFIERS = {
    "none": None,
    "linear": ReplaceToLinear(),
    "guided": [GuidedBackpropagation(), ReplaceToLinear()],
    "function": lambda model: setattr(model.layers[-1], "activation", keras.activations.softplus),
}


def compare(name, model, score, x, modifier=None, tolerance=1e-5, **options):
    ours, theirs = pair(name)
    mine = seeded(ours(model, modifier), score, x, **options)
    check_equal(mine, seeded(theirs(model, modifier), score, x, **options), tolerance)


@pytest.mark.parametrize("name", PLACES)
def test_arguments_and_defaults_are_the_same(name):
    for method in ("__init__", "__call__"):
        ours, theirs = (inspect.signature(getattr(cls, method)).parameters for cls in pair(name))
        assert list(ours) == list(theirs)
        for mine, other in zip(ours.values(), theirs.values(), strict=True):
            assert mine.kind == other.kind
            same_type = type(mine.default) is type(other.default)
            is_plain = isinstance(other.default, (int, float, str, tuple, type(None), tf.UnconnectedGradients))
            assert same_type and (mine.default == other.default or not is_plain), mine.name


@pytest.mark.quick("Saliency-linear", "Gradcam-guided", "Scorecam-none")
@pytest.mark.filterwarnings("ignore::kerasal.compat.tf_keras_vis.ClonedModel")
@pytest.mark.parametrize("modifier", MODIFIERS)
@pytest.mark.parametrize("name", MAPS)
def test_model_modifiers(name, modifier, model):
    before = model.get_weights(), model.layers[-1].activation
    compare(name, model, SCORES, X, MODIFIERS[modifier])
    assert model.layers[-1].activation is before[1]
    assert all(map(np.array_equal, model.get_weights(), before[0]))


OPTIONS = {
    "smooth": {"smooth_samples": 5},
    "smooth, noise": {"smooth_samples": 3, "smooth_noise": 0.5, "keepdims": True, "normalize_map": False},
    "keepdims": {"keepdims": True},
    "signed": {"gradient_modifier": None, "normalize_map": False},
    "relu": {"gradient_modifier": tf.nn.relu},
}
CAM_OPTIONS = {
    "small": {"expand_cam": False},
    "raw": {"normalize_cam": False},
    "small, raw": {"expand_cam": False, "normalize_cam": False},
    "signed": {"activation_modifier": None},
    "earlier": {"penultimate_layer": 1},
    "named": {"penultimate_layer": "classes"},
    "unsought": {"penultimate_layer": "max_pooling2d", "seek_penultimate_conv_layer": False},
    "gradients": {"gradient_modifier": lambda gradient: gradient * gradient},
}
SCORECAM_OPTIONS = {
    "faster": {"max_N": 3},
    "all": {"max_N": -1},
    "small batches": {"batch_size": 2},
}


@pytest.mark.quick("smooth", "signed")
@pytest.mark.parametrize("options", OPTIONS)
def test_options_of_saliency(options, model):
    compare("Saliency", model, SCORES, X, ReplaceToLinear(), **OPTIONS[options])


@pytest.mark.quick("GradcamPlusPlus-raw", "Layercam-unsought", "Scorecam-faster")
@pytest.mark.parametrize("options", [*CAM_OPTIONS, *SCORECAM_OPTIONS])
@pytest.mark.parametrize("name", CAMS)
def test_options_of_class_maps(name, options, model):
    chosen = {**CAM_OPTIONS, **SCORECAM_OPTIONS}[options]
    if (name == "Scorecam") != (options in SCORECAM_OPTIONS) and options in {**SCORECAM_OPTIONS, "gradients": 0}:
        pytest.skip("an option of the other classes")
    pooling = next(layer.name for layer in model.layers if "pooling2d" in layer.name)
    chosen = {key: pooling if value == "max_pooling2d" else value for key, value in chosen.items()}
    compare(name, model, SCORES, X, **chosen)


@pytest.mark.quick("list-Gradcam")
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize(
    "score",
    [CategoricalScore(2), lambda output: output[:, 1], lambda output: [row[2] for row in output]],
    ids=["one", "tensor", "list"],
)
def test_scores_and_a_single_image(name, score, model):
    compare(name, model, score, X)
    compare(name, model, score, X[0])
    compare(name, model, score, [X])


@pytest.mark.slow
@pytest.mark.parametrize("name", MAPS)
def test_several_inputs_and_outputs(name):
    model = flat_model(seed=4, outputs=2, inputs=2)
    inputs = [X, images(3, 12, 14, 3, seed=1)]
    scores = [SCORES, BinaryScore([True, False, True])]
    compare(name, model, scores, inputs)
    compare(name, model, [SCORES, InactiveScore()], inputs)
    if name != "Saliency":
        compare(name, model, scores, inputs, expand_cam=False)
    ours = pair(name)[0](model)
    listed = ours(scores, inputs)
    named = ours(dict(zip(("classes", "binary"), scores, strict=True)), {"input_0": inputs[0], "input_1": inputs[1]})
    assert list(named) == ["input_0", "input_1"]
    assert all(map(np.array_equal, named.values(), listed))


@pytest.mark.slow
@pytest.mark.parametrize("name", MAPS)
def test_training_mode(name):
    def make():
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Conv2D(6, 3, activation="relu")]
        if name != "Scorecam":  # tf-keras-vis changes the statistics, and then runs the changed model
            layers.append(keras.layers.BatchNormalization())
        x = inputs = keras.Input((12, 14, 3))
        for layer in [*layers, keras.layers.Dropout(0.5, seed=1), keras.layers.Conv2D(4, 3, activation="relu")]:
            x = layer(x)
        return keras.Model(inputs, keras.layers.Dense(5)(keras.layers.Flatten()(x)))

    ours, theirs = pair(name)
    model = make()
    before = model.get_weights()
    samples = {"smooth_samples": 2} if name == "Saliency" else {}
    mine = seeded(ours(model), SCORES, X, training=True, **samples)
    assert all(map(np.array_equal, model.get_weights(), before))
    check_equal(mine, seeded(theirs(make()), SCORES, X, training=True, **samples))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(20, 3), (6, 7, 8, 2)], ids=["signal", "volume"])
@pytest.mark.parametrize("name", MAPS)
def test_signals_and_volumes(name, shape):
    convolution = keras.layers.Conv1D if len(shape) == 2 else keras.layers.Conv3D
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    x = convolution(4, 3, activation="relu")(convolution(4, 2, activation="relu")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(keras.layers.Flatten()(x)))
    compare(name, model, SCORES, images(3, *shape))


ASCENTS = {
    "defaults": {},
    "plain": {"input_modifiers": None, "regularizers": None},
    "scaled": {"input_modifiers": [Jitter(2), Rotate2D(3), Scale()]},
    "regularized": {"regularizers": [TotalVariation2D(3.0), Norm(2.0, p=2)], "input_modifiers": []},
    "range": {"input_range": (-1.0, 1.0), "input_modifiers": None},
    "unlimited": {"input_range": None, "input_modifiers": None},
    "modified": {"gradient_modifier": lambda g: g * g, "activation_modifiers": lambda x: x - 2, "input_modifiers": []},
}


def fixed_random(modifiers):
    """Rotations and scalings draw from generators of their own; set them to the same state."""
    for modifier in modifiers or ():
        if hasattr(modifier, "random_generator"):
            modifier.random_generator = np.random.default_rng(0)


def ascend(cls, model, score, modifier=None, *, rate=1.0, **options):
    modifiers = options.get("input_modifiers", inspect.signature(cls.__call__).parameters["input_modifiers"].default)
    fixed_random(modifiers)
    optimizer = keras.optimizers.RMSprop(rate, rho=0.999)
    return seeded(cls(model, modifier), score, steps=6, optimizer=optimizer, **options)


@pytest.mark.quick("regularized")
@pytest.mark.parametrize("options", ASCENTS)
def test_activation_maximization(options, model):
    results = [
        ascend(cls, model, CategoricalScore(3), ReplaceToLinear(), **ASCENTS[options])
        for cls in pair("ActivationMaximization")
    ]
    check_equal(*results)


@pytest.mark.quick("linear")
@pytest.mark.parametrize(
    "modifier",
    [
        [ExtractIntermediateLayer("last"), ReplaceToLinear()],
        [ReplaceToLinear(), ExtractIntermediateLayer("last")],
        [GuidedBackpropagation(), ExtractIntermediateLayer(3)],
    ],
    ids=["linear", "relu", "guided"],
)
def test_maximization_of_a_channel(modifier, model):
    start = images(2, 12, 14, 3)
    options = {"input_modifiers": None, "seed_input": start}
    results = [
        ascend(cls, model, CategoricalScore([2, 5]), modifier, **options) for cls in pair("ActivationMaximization")
    ]
    check_equal(*results)


@pytest.mark.slow
def test_maximization_of_several_inputs_and_outputs():
    model = flat_model(outputs=2, inputs=2)
    options = {
        "input_modifiers": {"input_1": [Jitter(2)]},
        "regularizers": [[Norm(1.0)], [TotalVariation2D(1.0)]],
        "activation_modifiers": {"input_1": lambda x: x / 2},
        "input_range": [(0, 255), (-2.0, 2.0)],
    }
    scores = [CategoricalScore(3), BinaryScore(True)]
    results = [ascend(cls, model, scores, ReplaceToLinear(), **options) for cls in pair("ActivationMaximization")]
    check_equal(*results)
