"""Scores, regularizers, input modifiers and callbacks of tf-keras-vis in ``maximize``."""

import importlib

import numpy as np
import pytest
from tf_keras_vis.activation_maximization import callbacks as peer_callbacks
from tf_keras_vis.activation_maximization import input_modifiers, regularizers
from tf_keras_vis.utils.scores import BinaryScore, CategoricalScore, InactiveScore, Score

import kerasal
from kerasal import objectives
from kerasal.maximization import L2, Jitter, Rotation, Scale

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


class Modifier(input_modifiers.InputModifier):
    """A modifier of the user; it records what it gets."""

    def __init__(self, function):
        self.function, self.inputs = function, []

    def __call__(self, seed_input):
        self.inputs.append(np.array(seed_input))
        return self.function(seed_input)


def test_an_input_modifier_of_the_user_changes_the_image_before_each_step(model):
    gray = Modifier(lambda x: np.full(x.shape, 3.0))
    result = kerasal.maximize(model, [1, 2], transforms=[gray], **OPTIONS)
    assert [one.shape for one in gray.inputs] == [(2, 12, 12, 3)] * 5
    rms = np.sqrt(np.mean(np.square(result.raw - 3), axis=(1, 2, 3)))
    np.testing.assert_allclose(rms, 1, atol=1e-4)  # one step of one gray level from the gray image
    from_gray = kerasal.maximize(model, [1, 2], init=np.full((12, 12, 3), 3.0), **OPTIONS | {"steps": 1})
    np.testing.assert_allclose(result.raw, from_gray.raw, atol=1e-5)


@pytest.mark.slow
def test_an_input_modifier_that_does_nothing_changes_nothing(model):
    for options in (OPTIONS, {"preset": "olah", "preprocessing": "caffe", "steps": 4}):
        same = kerasal.maximize(model, 1, **options | {"transforms": [Modifier(lambda x: x)]})
        np.testing.assert_allclose(same.raw, kerasal.maximize(model, 1, **options | {"transforms": []}).raw, atol=2e-3)


@pytest.mark.slow
def test_a_rotation_in_another_plane_is_called_as_it_is(model):
    result = kerasal.maximize(model, 1, transforms=[input_modifiers.Rotate(axes=(1, 3), degree=40)], **OPTIONS)
    assert np.abs(result.raw - kerasal.maximize(model, 1, **OPTIONS).raw).max() > 0.1


class Quadratic(regularizers.Regularizer):
    """A regularizer of the user that counts its calls, and from the third step on weighs nothing."""

    def __init__(self, steps=99):
        super().__init__("Quadratic")
        self.calls, self.steps = 0, steps

    def __call__(self, input_value):
        self.calls += 1
        weight = 0.3 * float(self.calls <= 2 * self.steps)
        return weight * tf.reduce_sum(tf.square(input_value)) + 0 * float(np.asarray(input_value).max())


def test_a_regularizer_of_the_user_is_called_in_each_step(model):
    options = OPTIONS | {"normalize": "score"}
    quadratic, changing = Quadratic(), Quadratic(steps=2)
    own = kerasal.maximize(model, [1, 2], regularizers=[quadratic], **options)
    assert quadratic.calls == 2 * (5 + 1)  # the score after the last step takes another pass
    known = kerasal.maximize(model, [1, 2], regularizers=[L2(0.3)], **options)
    np.testing.assert_allclose(own.raw, known.raw, atol=1e-5)
    changed = kerasal.maximize(model, [1, 2], regularizers=[changing], **options)
    start = kerasal.maximize(model, [1, 2], regularizers=[L2(0.3)], **options | {"steps": 2})
    rest = kerasal.maximize(model, [1, 2], init=start.raw, **options | {"steps": 3})
    np.testing.assert_allclose(changed.raw, rest.raw, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_regularizers_of_the_old_kind(model):
    old = importlib.import_module("tf_keras_vis.utils.regularizers")
    free = kerasal.maximize(model, [1, 2], **OPTIONS)
    held = kerasal.maximize(model, [1, 2], regularizers=[old.Norm(1e4), old.TotalVariation2D(1.0)], **OPTIONS)
    assert np.square(held.raw).mean() < 0.9 * np.square(free.raw).mean()


@pytest.mark.slow
def test_a_changed_weight_is_seen(model):
    norm = regularizers.Norm(0.0)
    free = kerasal.maximize(model, 1, regularizers=[norm], **OPTIONS)
    norm.weight = 300.0
    assert np.abs(kerasal.maximize(model, 1, regularizers=[norm], **OPTIONS).raw - free.raw).max() > 0.1


class Changing(Score):
    """A score of the user that reads values, and is for another class in each call."""

    def __init__(self, *classes):
        super().__init__()
        self.classes, self.calls = classes, 0

    def __call__(self, output):
        assert np.asarray(output).shape[1] == 4
        self.calls += 1
        return tuple(row[self.classes[(self.calls - 1) % len(self.classes)]] for row in output)


def test_a_score_of_the_user_is_called_in_each_step(model):
    changing = Changing(1, 2)
    options = OPTIONS | {"steps": 2, "logits": False}
    result = kerasal.maximize(model, changing, **options)
    first = kerasal.maximize(model, 1, **options | {"steps": 1})
    second = kerasal.maximize(model, 2, init=first.raw, **options | {"steps": 1})
    np.testing.assert_allclose(result.raw, second.raw, atol=1e-4)
    same = Changing(1)
    pair = kerasal.maximize(model, [same, same], callbacks=Record(), **options)  # one batch, as callbacks need
    np.testing.assert_array_equal(pair.raw[0], pair.raw[1])


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


BASES = {"transforms": input_modifiers.InputModifier, "regularizers": regularizers.Regularizer, "objective": Score}


def own(argument, value):
    """An object of a class of the user that returns a value, or calls it."""

    class Own(BASES[argument]):
        def __init__(self):
            pass

        def __call__(self, x):
            return value(x) if callable(value) else value

    return Own()


def call(model, argument, thing):
    options = {} if argument == "objective" else {argument: [thing] if argument != "callbacks" else thing}
    return kerasal.maximize(model, thing if argument == "objective" else 1, **options, **OPTIONS, copies=2)


@pytest.mark.quick("transforms-shape", "regularizers-array", "objective-none")
@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (
            None,
            ["transforms must return inputs like", "regularizers must return tensors, got None from Own", "2 scores"],
        ),
        ("text", ["got str from Own", "got 'text' from Own", "got 'text' from Own"]),
        (lambda x: x[:, 1:], ["got .2, 11, 12, 3. from Own", None, None]),
        (lambda x: x * np.nan, ["must return finite inputs", "NaN or infinite", "score must be finite"]),
        (lambda x: np.asarray(x), [None, "got ndarray float32 .* from Own. A number or array", "has no gradient"]),
        (lambda x: tf.constant(2.0), ["got .. from Own", "has no gradient", "got a single number"]),
        (lambda x: x[0], ["got .12, 12, 3. from Own", None, "score must return 2 scores, one per image, got .4,."]),
        (lambda x: x[7, 0], [None, None, "score must suit the output .2, 4., got Own .slice index 7"]),
    ],
    ids=["none", "text", "shape", "nan", "array", "constant", "one image", "index"],
)
@pytest.mark.parametrize("argument", BASES)
def test_what_objects_of_the_user_return_is_checked(argument, value, texts, model):
    text = texts[list(BASES).index(argument)]
    if text is None:
        pytest.skip("no error")
    with pytest.raises((TypeError, ValueError), match=text):
        call(model, argument, own(argument, value))


@pytest.mark.parametrize("argument", ["regularizers", "objective"])
def test_an_error_of_the_user_is_raised_as_it_is(argument, model):
    def fail(x):
        raise LookupError("of mine")

    with pytest.raises(LookupError, match="of mine"):
        call(model, argument, own(argument, fail))


class Few(peer_callbacks.Callback):
    def __call__(self, i, values):
        pass


class Begin(peer_callbacks.Callback):
    def on_begin(self, steps):
        pass


class Reader(peer_callbacks.Callback):
    def __call__(self, i, values, grads, scores, model_outputs, **arguments):
        grads[0]


ODD = {
    "callbacks": {
        print: "callbacks must be objects with on_begin, __call__ and on_end, got print",
        3: "callbacks must be objects with on_begin, __call__ and on_end, got int",
        peer_callbacks.Progress: "callbacks must be an object, got the class Progress. Write Progress()",
        Few(): r"callbacks must take .i, values, grads, .* got .i, values. of Few",
        Begin(): r"on_begin of callbacks must take \*\*kwargs, got .steps. of Begin",
        Reader(): "grads must be left alone in callbacks of maximize",
    },
    "transforms": {
        (lambda x: x): r"transforms must be functions of .inputs, seed., got <lambda>.x.",
        (lambda x, seed: None): "transforms must return floating-point tensors, got None",
        (lambda x, seed: x[0]): "transforms must return inputs like",
        (lambda x, seed: x.numpy()): "transforms must be functions of tensors whose values are not known yet",
        input_modifiers.Jitter: "transforms must be an object, got the class Jitter",
    },
    "regularizers": {
        (lambda x, y: x): "regularizers must be functions of .images., got <lambda>.x, y.",
        (lambda x: 1.0): "regularizers must return tensors, got 1.0",
        (lambda x: tf.reduce_mean(x)): "regularizers must return a penalty per image, shape .N,., got ..",
        (lambda x: tf.zeros(tf.shape(x)[:1])): "regularizers must depend on the image",
    },
}


@pytest.mark.parametrize(
    ("argument", "thing", "text"), [(name, thing, text) for name, odd in ODD.items() for thing, text in odd.items()]
)
def test_odd_arguments_are_named(argument, thing, text, model):
    with pytest.raises((TypeError, ValueError, IndexError), match=text):
        call(model, argument, thing)


@pytest.mark.slow
def test_a_size_that_the_model_does_not_take(model):
    dense = keras.Sequential([keras.Input((12, 12, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match=r"size that the model takes, \(None, 12, 12, 3\), got \(None, 11, 12, 3\)"):
        kerasal.maximize(dense, 1, transforms=[lambda x, seed: x[:, 1:]], **OPTIONS)
