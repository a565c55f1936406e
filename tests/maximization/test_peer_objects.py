"""Scores, regularizers, input modifiers and callbacks of tf-keras-vis in ``maximize``."""

import numpy as np
import pytest
from tf_keras_vis.activation_maximization import callbacks as peer_callbacks
from tf_keras_vis.activation_maximization import input_modifiers, regularizers
from tf_keras_vis.utils.scores import BinaryScore, CategoricalScore, InactiveScore, Score

import kerasal
from kerasal import objectives
from kerasal.maximization import Jitter, Rotation, Scale

import keras
import tensorflow as tf

OPTIONS = {"preset": "channel", "preprocessing": "none", "steps": 5}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((12, 12, 3)), *layers, keras.layers.Dense(4, activation="softmax")])


def test_scores_stand_for_objectives(model):
    scores = kerasal.maximize(model, CategoricalScore([1, 3]), **OPTIONS)
    classes = kerasal.maximize(model, [1, 3], **OPTIONS)
    np.testing.assert_array_equal(scores.raw, classes.raw)
    with pytest.raises(TypeError, match="InactiveScore"):
        kerasal.maximize(model, InactiveScore(), **OPTIONS)

    class Second(Score):
        def __call__(self, output):
            return output[:, 1]

    own = kerasal.maximize(model, Second(), **OPTIONS)
    np.testing.assert_allclose(own.raw, classes.raw[:1], atol=1e-5)


@pytest.mark.slow
def test_binary_scores(model):
    binary = keras.Sequential([model, keras.layers.Dense(1, activation="sigmoid")])
    binary.build((None, 12, 12, 3))
    scores = kerasal.maximize(binary, BinaryScore([True, False]), **OPTIONS)
    both = kerasal.maximize(binary, [objectives.class_score(0), objectives.negative_class()], **OPTIONS)
    np.testing.assert_array_equal(scores.raw, both.raw)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (input_modifiers.Jitter(2), Jitter(2)),
        (input_modifiers.Rotate2D(5), Rotation(5.0)),
        (input_modifiers.Scale(0.8, 1.2), Scale(0.8, 1.2)),
    ],
)
def test_input_modifiers_stand_for_transforms(theirs, ours, model):
    mine = kerasal.maximize(model, 1, transforms=[theirs], **OPTIONS)
    np.testing.assert_array_equal(mine.raw, kerasal.maximize(model, 1, transforms=[ours], **OPTIONS).raw)


def test_an_input_modifier_of_the_user(model):
    class Mirror(input_modifiers.InputModifier):
        def __call__(self, seed_input):
            return seed_input[:, :, ::-1]

    with pytest.raises(TypeError, match="Mirror"):
        kerasal.maximize(model, 1, transforms=[Mirror()], **OPTIONS)
    with pytest.raises(ValueError, match="axes"):
        kerasal.maximize(model, 1, transforms=[input_modifiers.Rotate(axes=(1, 3))], **OPTIONS)


@pytest.mark.parametrize("regularizer", [regularizers.TotalVariation2D(40.0), regularizers.Norm(30.0, p=2)])
def test_regularizers(regularizer, model):
    def penalty(result):
        return float(np.mean([regularizer(tf.constant(image[None])) for image in result.raw]))

    free = kerasal.maximize(model, [1, 2], **OPTIONS)
    held = kerasal.maximize(model, [1, 2], regularizers=[regularizer], **OPTIONS)
    assert penalty(held) < 0.9 * penalty(free)


class Record(peer_callbacks.Callback):
    def __init__(self):
        self.steps, self.ended = [], False

    def on_begin(self, steps=None, **arguments):
        self.total = steps

    def __call__(self, i, values, grads, scores, model_outputs, **arguments):
        self.steps.append((i, values[0].shape, scores[0]))

    def on_end(self):
        self.ended = True


def test_callbacks(model, tmp_path, capsys):
    record = Record()
    gif = peer_callbacks.GifGenerator2D(str(tmp_path / "steps"))
    result = kerasal.maximize(model, [1, 2], callbacks=[record, gif, peer_callbacks.Progress()], **OPTIONS)
    assert [step for step, _, _ in record.steps] == list(range(5)) and record.total == 5 and record.ended
    assert {shape for _, shape, _ in record.steps} == {(2, 12, 12, 3)}
    scores = result.history.pivot_table(index="step", columns="objective", values="score").to_numpy()
    np.testing.assert_allclose([score for _, _, score in record.steps], scores[:5], rtol=1e-6)
    assert (tmp_path / "steps.gif").stat().st_size > 0
    assert "5/5" in capsys.readouterr().out
    plain = kerasal.maximize(model, [1, 2], **OPTIONS)
    np.testing.assert_allclose(result.raw, plain.raw, atol=1e-4)
    with pytest.raises(ValueError, match="callbacks must be None"):
        kerasal.maximize(model, [1, 2], callbacks=record, batch_size=1, **OPTIONS)
