"""Functions and objects of the user in the drop-in: what they return is checked, and their own errors pass."""

import numpy as np
import pytest
from tf_keras_vis.activation_maximization.callbacks import Callback, Progress
from tf_keras_vis.activation_maximization.input_modifiers import InputModifier, Jitter
from tf_keras_vis.activation_maximization.regularizers import Norm, Regularizer
from tf_keras_vis.utils.model_modifiers import ModelModifier, ReplaceToLinear
from tf_keras_vis.utils.scores import BinaryScore, CategoricalScore, Score

from kerasal.compat import tf_keras_vis as compat
from tests.compat.pairs import CAMS, MAPS, check_equal, images, pair

import keras
import tensorflow as tf

X = images(3, 12, 14, 3)
SCORES = CategoricalScore([0, 3, 1])


def ours(name):
    return pair(name)[0]


ODD_SCORES = {
    "none": (lambda output: None, "score must return 3 scores, one per image, got None"),
    "text": (lambda output: "cat", "score must return 3 scores, one per image, got 'cat'"),
    "one image": (lambda output: output[0], r"score must return 3 scores, one per image, got .*\(5,\)"),
    "empty": (lambda output: [], "score must return 3 scores, one per image, got list"),
    "nan": (lambda output: output[:, 0] * np.nan, "score must be finite, got .nan nan nan."),
    "row": (lambda output: output[7][0], r"score must suit the output \(3, 5\), got <lambda> .slice index 7"),
    "class": (CategoricalScore, "score must be an object, got the class CategoricalScore. Write CategoricalScore.."),
    "index": (CategoricalScore(99), r"score must suit the output \(3, 5\), got CategoricalScore of \[99\]"),
    "name": (CategoricalScore("cat"), r"score must suit the output \(3, 5\), got CategoricalScore of \['cat'\]"),
    "too many": (CategoricalScore([0, 1, 2, 3]), r"score must suit the output .* Pass one entry per image"),
    "binary": (BinaryScore(True), r"score must suit the output \(3, 5\), got BinaryScore of \[True\]"),
}


@pytest.mark.quick("none-Saliency", "row-Scorecam", "index-Gradcam", "nan-Layercam")
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("odd", ODD_SCORES)
def test_odd_scores_are_named(name, odd, model):
    score, text = ODD_SCORES[odd]
    with pytest.raises((ValueError, TypeError), match=text):
        ours(name)(model)(score, X)


ODD_MODIFIERS = {
    "none": (lambda x: None, TypeError, "must return an array like the one that it gets, .3, .* got NoneType"),
    "images": (lambda x: x[:1], ValueError, "must return an array like the one that it gets, .3, .* got .1, "),
    "axes": (lambda x: tf.reduce_mean(x, -1), ValueError, "must return an array like the one that it gets"),
    "no function": (3, TypeError, "must be a function or None, got 3"),
}


@pytest.mark.quick("Gradcam-none", "Saliency-images")
@pytest.mark.parametrize("odd", ODD_MODIFIERS)
@pytest.mark.parametrize("name", MAPS)
def test_odd_modifiers_are_named(name, odd, model):
    function, kind, text = ODD_MODIFIERS[odd]
    used = [*["gradient_modifier"] * (name != "Scorecam"), *["activation_modifier"] * (name in CAMS)]
    for argument in used:
        with pytest.raises(kind, match=f"{argument} {text}"):
            ours(name)(model)(SCORES, X, **{argument: function})


@pytest.mark.slow
def test_a_gradient_of_fewer_positions_or_channels_is_a_map_as_there(model):
    half = ours("Saliency")(model)(SCORES, X, gradient_modifier=lambda gradient: gradient[:, ::2, :, :1])
    assert half.shape == (3, 6, 14)
    with pytest.raises(ValueError, match="gradient_modifier must return"):
        ours("Gradcam")(model)(SCORES, X, gradient_modifier=lambda gradient: gradient[..., :2])
    mean = ours("Layercam")(model)(SCORES, X, gradient_modifier=lambda g: tf.reduce_mean(g, axis=(1, 2), keepdims=True))
    assert mean.shape == (3, 12, 14)


def test_a_gradient_that_is_no_number_is_an_error(model):
    def root(output):
        return tf.sqrt(output[:, 0] * tf.constant([1.0, 0.0, 1.0]))

    with pytest.raises(ValueError, match="must be finite, got NaN or infinity, first in image 1"):
        ours("Saliency")(model)(root, X)


INPUTS = {
    "none": (None, "seed_input must be 1 arrays"),
    "path": ("photo.jpg", "seed_input must be an array of numbers for input 0, got text. Read the image first"),
    "objects": (np.array([None]), "seed_input must be an array of numbers for input 0, got ndarray"),
    "size": (X[:, 1:], r"seed_input must have shape \(N, 12, 14, 3\) for input 0, got \(3, 11, 14, 3\)"),
    "channels": (X[..., :1], r"seed_input must have shape \(N, 12, 14, 3\) for input 0, got \(3, 12, 14, 1\)"),
    "no image": (X[:0], "seed_input must hold at least one image"),
}


@pytest.mark.quick("size")
@pytest.mark.parametrize("odd", INPUTS)
def test_odd_inputs_are_named(odd, model):
    value, text = INPUTS[odd]
    for name in MAPS:
        with pytest.raises(ValueError, match=text):
            ours(name)(model)(SCORES, value)
    if odd not in ("none", "no image"):
        with pytest.raises(ValueError, match=text):
            ours("ActivationMaximization")(model)(SCORES, value, steps=1)


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("Saliency", {"smooth_samples": 2.5}, "smooth_samples must be an integer, got 2.5"),
        ("Saliency", {"smooth_samples": 2, "smooth_noise": "a"}, "smooth_noise must be a finite number"),
        ("Scorecam", {"batch_size": 0}, "batch_size must be a positive integer, got 0"),
        ("Scorecam", {"max_N": 2.0}, "max_N must be an integer or None, got 2.0"),
    ],
)
def test_odd_numbers_are_named(name, options, text, model):
    with pytest.raises(ValueError, match=text):
        ours(name)(model)(SCORES, X, **options)


def test_a_batch_size_of_none_is_that_of_keras(model):
    check_equal(ours("Scorecam")(model)(SCORES, X, batch_size=None), ours("Scorecam")(model)(SCORES, X))


@pytest.mark.parametrize(
    ("modifier", "text"),
    [
        (ReplaceToLinear, "model_modifier must be an object, got the class ReplaceToLinear. Write ReplaceToLinear.."),
        ("linear", "model_modifier must be a model modifier, a function or a list of them, got 'linear'"),
        (lambda model: "text", "model_modifier must return a keras.Model or None, got str from <lambda>"),
    ],
)
@pytest.mark.filterwarnings("ignore::kerasal.compat.tf_keras_vis.ClonedModel")
def test_odd_model_modifiers_are_named(modifier, text, model):
    with pytest.raises(TypeError, match=text):
        compat.Saliency(model, modifier)


def test_a_model_modifier_of_the_user(model):
    class Linear(ModelModifier):
        def __call__(self, model):
            model.layers[-1].activation = keras.activations.linear

    with pytest.warns(compat.ClonedModel, match="Linear is applied to a clone"):
        own = compat.Saliency(model, Linear())
    check_equal(own(SCORES, X), compat.Saliency(model, ReplaceToLinear())(SCORES, X))


class Few(Callback):
    def __call__(self, i, values):
        pass


class Begin(Callback):
    def on_begin(self, steps):
        pass


ODD = {
    "input_modifiers": [
        (
            lambda x: None,
            r"must return inputs like those that they get, \(1, 12, 14, 3\), got NoneType",
        ),
        (lambda x: x[:, 1:], r"input_modifiers must return inputs like .* got \(1, 11, 14, 3\) from <lambda>"),
        (lambda x: x * np.nan, "input_modifiers must return finite inputs"),
        (Jitter, "input_modifiers must be an object, got the class Jitter. Write Jitter.."),
    ],
    "regularizers": [
        (lambda x: None, "regularizers must return tensors, got None from regularizer-0"),
        (
            lambda x: 1.0,
            "must return tensors, got 1.0 from regularizer-0. A number or array has no gradient",
        ),
        (lambda x: np.mean(x), "regularizers must return tensors, got float32"),
        (lambda x: tf.reduce_sum(x) * np.nan, "regularizers must return finite values"),
        (Norm, "regularizers must be an object, got the class Norm. Write Norm.."),
    ],
    "gradient_modifier": [
        (lambda x: x[..., :1], "gradient_modifier must return an array like the one that it gets"),
        (3, "gradient_modifier must be a function or None, got 3"),
    ],
    "activation_modifiers": [
        (lambda x: None, "activation_modifiers must return arrays, got NoneType"),
        (3, "activation_modifiers must be functions or None, got 3"),
    ],
    "optimizer": [("adam", "optimizer must be a Keras optimizer or None, got 'adam'")],
    "input_range": [
        ("0-255", "input_range must be .lowest, highest. or None, got '0-255'"),
        ((255, 0), "input_range must be .lowest, highest., the second larger, got .255, 0."),
        (
            [0, 255],
            "must be one pair or a list of 1, one for each input, got .0, 255.. Write a pair as a tuple",
        ),
    ],
    "seed_input": [(X * np.nan, "seed_input must be finite, got NaN or infinity in input 0")],
    "callbacks": [
        (print, "callbacks must be objects with on_begin, __call__ and on_end, got print"),
        (Progress, "callbacks must be an object, got the class Progress. Write Progress.."),
        (Few(), r"callbacks must take \(i, values, grads, .* got \(i, values\) of Few"),
        (Begin(), r"on_begin of callbacks must take \*\*kwargs, got \(steps\) of Begin"),
    ],
}


@pytest.mark.parametrize(
    ("argument", "value", "text"), [(name, value, text) for name, odd in ODD.items() for value, text in odd]
)
def test_odd_arguments_of_an_ascent_are_named(argument, value, text, model):
    with pytest.raises((ValueError, TypeError), match=text):
        compat.ActivationMaximization(model)(CategoricalScore(1), steps=1, **{argument: value})


def test_an_optimizer_that_was_used(model):
    optimizer = keras.optimizers.Adam()
    ascent = compat.ActivationMaximization(model)
    ascent(CategoricalScore(1), steps=1, optimizer=optimizer)
    with pytest.raises(ValueError, match="optimizer must be a new one in each call, got Adam that was used"):
        ascent(CategoricalScore(1), steps=1, optimizer=optimizer)


def test_objects_of_classes_of_the_user(model):
    calls = []

    class Roll(InputModifier):
        def __call__(self, seed_input):
            calls.append("modifier")
            return np.roll(seed_input, 1, axis=1)

    class Bright(Regularizer):
        def __init__(self):
            super().__init__("Bright")

        def __call__(self, input_value):
            calls.append("regularizer")
            return 1e-3 * tf.reduce_mean(tf.square(input_value - 100), axis=(1, 2, 3))

    class Second(Score):
        def __call__(self, output):
            calls.append("score")
            return [row[2] for row in output]

    class Record(Callback):
        def on_end(self):
            calls.append("end")

        def __call__(self, i, values, grads, scores, model_outputs, regularizations, overall_score):
            assert [name for name, _ in regularizations] == ["Bright"] and grads[0].shape == values[0].shape
            calls.append(i)

    objects = {"input_modifiers": Roll(), "regularizers": Bright(), "callbacks": Record()}
    start = np.zeros((1, 12, 14, 3), np.float32)
    result = compat.ActivationMaximization(model)(Second(), start, steps=2, **objects)
    assert calls == ["modifier", "score", "regularizer", 0, "modifier", "score", "regularizer", 1, "end"]
    assert 1 < result.mean() < 100  # two steps of one gray level or more from black toward 100
