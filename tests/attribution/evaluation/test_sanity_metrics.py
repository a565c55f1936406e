"""Randomization, other classes and noise: tests that a map fails that ignores the model, and a model left as it was."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.attribution import evaluation

import keras


def test_randomization_goes_from_the_output_down_and_the_weights_come_back(make_model, batch):
    model = make_model("nested")
    before = [weight.numpy().copy() for weight in model.weights]
    found = evaluation.cascading_randomization(model, batch, attribution.class_saliency)
    assert found["layer"].tolist() == ["predictions", "encoder/conv2", "encoder/norm", "encoder/innermost/conv1"]
    assert (found["correlation"].abs() < 0.95).all()
    for new, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(new.numpy(), old)

    def fails(*_, calls=[0]):  # noqa: B006
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return np.ones((3, 8, 8))

    with pytest.raises(KeyboardInterrupt):
        evaluation.cascading_randomization(model, batch, fails)
    for new, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(new.numpy(), old)


def test_a_map_that_ignores_the_model_is_caught(make_model, batch):
    def edges(model, inputs, target):
        return np.abs(np.diff(inputs, axis=1)).sum(-1)

    found = evaluation.cascading_randomization(make_model("functional"), batch, edges)
    assert (found["correlation"] > 0.999).all()


@pytest.mark.parametrize("method", ["class_saliency", "occlusion"])
@pytest.mark.quick("occlusion")
def test_randomization_of_a_model_of_signals(method):
    keras.utils.set_random_seed(0)
    parts = [keras.layers.Conv1D(6, 3, activation="relu", name="conv"), keras.layers.LSTM(5, name="lstm")]
    model = keras.Sequential([keras.Input((16, 2)), *parts, keras.layers.Dense(3, name="scores")])
    signals = np.random.default_rng(0).normal(size=(2, 16, 2)).astype(np.float32)
    found = evaluation.cascading_randomization(model, signals, getattr(attribution, method), 0)
    assert found["layer"].tolist() == ["scores", "lstm/lstm_cell", "conv"]
    assert (found["correlation"].abs() < 0.95).all()


def edges(model, inputs, target, **_):
    return evaluation.edge_maps(inputs, 3)


def test_a_map_that_ignores_the_model_is_as_the_edges(make_model):
    images = np.random.default_rng(0).normal(size=(12, 8, 8, 3)).astype(np.float32)
    model = make_model("functional")
    for metric in (evaluation.model_randomization, evaluation.random_logit):
        result = metric(model, images, edges)
        np.testing.assert_allclose(result.values, 1)
        np.testing.assert_allclose(result.controls["edges"], 1)
        assert np.abs(result.controls["random"]).max() < 0.9
        assert result.verdict == "not distinguishable from edges"
        assert metric(model, images, "gradient_x_input").verdict == "better than edges"


def test_the_largest_change_under_noise(make_model, batch):
    model, calls = make_model("functional"), []

    def doubles(model, inputs, target, **_):
        calls.append(inputs)
        return inputs[..., 0] * (1 if len(calls) == 1 else len(calls))

    result = evaluation.max_sensitivity(model, batch, doubles, samples=3, radius=0.001, random_maps=0)
    np.testing.assert_allclose(result.values, 3, rtol=0.02)  # the fourth map is four times the first
    spread = np.ptp(batch.reshape(3, -1), axis=1).reshape(3, 1, 1, 1)
    assert 0.0009 < (np.abs(calls[1] - batch) / spread).max() < 0.001001
    constant = evaluation.max_sensitivity(model, batch, lambda *_, **__: np.ones((3, 8, 8)), samples=2)
    assert constant.values.tolist() == [0, 0, 0]
    assert constant.controls["center"].tolist() == [0, 0, 0]


def test_a_cascade_and_all_layers_at_once(make_model, batch):
    model = make_model("nested")
    each = evaluation.model_randomization(model, batch, "class_saliency", layers="each", random_maps=0)
    assert len(each.details["cascade"]) == 4
    assert each.values.mean() == pytest.approx(each.details["cascade"]["correlation"].mean())
    smoothed = attribution.smooth("class_saliency", samples=2)
    assert evaluation.model_randomization(model, batch, smoothed, random_maps=0).values.shape == (3,)


def test_maps_are_not_made_twice(make_model, batch):
    """The maps of the original inputs are shared by all metrics of a subject."""
    calls = []

    def counted(model, inputs, target, **_):
        calls.append(1)
        return attribution.class_saliency(model, inputs, target)

    subject = evaluation.Subject(make_model("functional"), batch, counted)
    for name, options in (("random_logit", {"seed": 0}), ("model_randomization", {"layers": "all", "seed": 0})):
        evaluation.metric_spec(name).evaluate(subject, subject.explain, {}, options)
    assert len(calls) == 1 + 1 + 1  # the original, the other class, the other weights


def test_a_model_without_weights_cannot_be_shuffled():
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    images = np.random.default_rng(0).random((2, 4, 4, 1)).astype(np.float32)
    for layers in ("all", "each"):
        with pytest.raises(ValueError, match="model must have weights that can be shuffled"):
            evaluation.model_randomization(model, images, "class_saliency", layers=layers)


def test_other_classes_are_never_the_same(make_model, batch):
    subject = evaluation.Subject(make_model("functional"), batch, "class_saliency")
    classes = np.arange(300) % 4
    others = subject.other_classes(classes[:300], 0)
    assert (others != classes).all() and set(others) == set(range(int(others.max()) + 1))


@pytest.mark.parametrize(
    ("metric", "options", "says"),
    [
        (evaluation.max_sensitivity, {"samples": 0}, "samples must be a positive integer"),
        (evaluation.max_sensitivity, {"radius": 0}, "radius must be a finite number above 0"),
        (evaluation.random_logit, {"target": lambda output: output[:, 0]}, "target must be a class index per image"),
    ],
)
def test_what_does_not_fit(metric, options, says, make_model, batch):
    with pytest.raises(ValueError, match=says):
        metric(make_model("functional"), batch, "class_saliency", **options)
    with pytest.raises(TypeError, match="method must be"):
        metric(make_model("functional"), batch, 3)
