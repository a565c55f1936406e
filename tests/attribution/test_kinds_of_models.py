"""The contract of every method over the kinds of models: maps have the input's positions, in the right places.

The score of each model depends on a single position of the input, the spot. So a map that mixes up axes, shifts
positions or reduces the wrong axis is not 0 elsewhere, or has another shape. All weights are positive: the spot is
evidence for every class.
"""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.hooks import NoRelevanceRule
from kerasal.hooks.engine import target_scores

import keras
import tensorflow as tf
from keras import layers as L

pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")
FIRST = {"data_format": "channels_first"}


@keras.saving.register_keras_serializable("tests")
class Spot(L.Layer):
    """Keeps a single position of its input; all others become 0."""

    def __init__(self, position, axis, **options):
        super().__init__(**options)
        self.position, self.axis = tuple(position), axis

    def call(self, x):
        places = list(self.position)
        axes = [axis for axis in range(1, len(x.shape)) if axis != self.axis]
        mask = np.zeros([1 if axis == self.axis else x.shape[axis] for axis in range(1, len(x.shape))], np.float32)
        index = [0] * mask.ndim
        for axis, place in zip(axes, places, strict=True):
            index[axis - 1] = place
        mask[tuple(index)] = 1
        return x * mask


# The input's shape, the axis of its channels, the layers that tell it, and the spot.
KINDS = {
    "Conv1D": ((9, 3), 2, lambda: [L.Conv1D(4, 1, activation="relu")], (6,)),
    "Conv1D, first": ((3, 9), 1, lambda: [L.Conv1D(4, 1, activation="relu", **FIRST)], (6,)),
    "Conv2D": ((6, 7, 3), 3, lambda: [L.Conv2D(4, 1, activation="relu")], (4, 1)),
    "Conv2D, first": ((3, 6, 7), 1, lambda: [L.SeparableConv2D(4, 1, activation="relu", **FIRST)], (4, 1)),
    "Conv3D": ((4, 5, 6, 2), 4, lambda: [L.Conv3D(4, 1, activation="relu")], (3, 1, 2)),
    "Conv3D, first": ((2, 4, 5, 6), 1, lambda: [L.Conv3D(4, 1, activation="relu", **FIRST)], (3, 1, 2)),
    "LSTM": ((9, 3), 2, lambda: [L.LSTM(4, return_sequences=True)], (6,)),
    "TimeDistributed": ((4, 5, 6, 3), 4, lambda: [L.TimeDistributed(L.Conv2D(4, 1, activation="relu"))], (3, 1, 2)),
    "gray": ((6, 7), None, lambda: [L.Reshape((6, 7, 1)), L.Conv2D(4, 1, activation="relu")], (4, 1)),
    "gray, flattened": ((6, 7), None, lambda: [L.Flatten()], (4, 1)),
    "features": ((9,), None, lambda: [L.Dense(5, activation="relu")], (6,)),
}
IMAGES = ("Conv2D", "Conv2D, first", "gray", "gray, flattened")
WITHOUT_MAPS = ("gray, flattened", "features")  # no layer of theirs has positions
WITH_CHANNELS = ("input_gradient", "guided_backprop", "deconvnet")
NOISY = ("drise", "hsic", "lime", "rise")  # the noise of the masks is everywhere
DIFFERENCES = ("ablation", "kernel_shap", "occlusion")  # of scores, exact to the scores' rounding
REFUSED = {"deeplift": ("LSTM",), "blur_ig": ("features",)}  # a loop has no rule, and features have no order to blur
CAMS = tuple(name for name in attribution.list_methods() if attribution.method_spec(name).family == "cam")
OPTIONS = {
    "occlusion": {"window": 1, "stride": 1},
    "smoothgrad": {"samples": 3, "noise": 0.01},
    "integrated_gradients": {"steps": 4},
    "blur_ig": {"steps": 4},
    "gradient_shap": {"samples": 4},
    "guided_ig": {"steps": 4},
}
BY_POSITION = {  # options of methods whose parts are single positions here
    "ablation": {},
    "drise": {},
    "hsic": {"samples": 100},
    "kernel_shap": {"samples": 300},
    "lime": {"samples": 300},
    "rise": {"samples": 1000},
    "sobol": {"designs": 4},
}
PAIRS = [(kind, name) for kind in KINDS for name in attribution.list_methods()]


def build(kind):
    shape, axis, body, spot = KINDS[kind]
    keras.utils.set_random_seed(0)
    head = [L.Flatten(), L.Dense(5, activation="relu"), L.Dense(3)]
    model = keras.Sequential([keras.Input(shape), Spot(spot, axis), *body(), *head])
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.1, 1, weight.shape) for weight in model.get_weights()])
    inputs = random.uniform(0.5, 1, (2, *shape)).astype(np.float32)
    return model, inputs


@pytest.fixture(scope="module")
def kinds():
    built = {}

    def get(kind):
        if kind not in built:
            built[kind] = build(kind)
        return *built[kind], KINDS[kind][1], KINDS[kind][3]

    return get


def run(method, model, inputs, targets, **options):
    """Run a method; skip where TensorFlow has no kernel for the layout on this machine, with its reason."""
    try:
        return method(model, inputs, targets, **options)
    except tf.errors.OpError as error:
        reason = next(line for line in str(error).splitlines() if "NHWC" in line or "NCHW" in line)
        pytest.skip(reason.strip())
    except ValueError as error:
        if "(channels_first) only on a GPU, and there is none here" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize(("kind", "name"), PAIRS)
@pytest.mark.quick(
    "Conv1D-occlusion",
    "Conv2D-gradcam",
    "Conv2D, first-gradcam",
    "Conv3D-class_saliency",
    "TimeDistributed-gradcam",
    "gray, flattened-gradcam",
    "features-class_saliency",
    "features-gradcam",
)
def test_a_map_has_the_positions_of_the_input_and_marks_the_spot(kind, name, kinds):
    model, inputs, axis, spot = kinds(kind)
    method = getattr(attribution, name)
    if name == "crop_averaged_saliency" and kind not in IMAGES:
        with pytest.raises(ValueError, match=r"model must have a single image input \(N, H, W, C\)"):
            method(model, inputs, [0, 1])
        return
    if attribution.method_spec(name).needs == "attention":  # see test_attention_kinds.py
        with pytest.raises(ValueError, match="The model must have an attention"):
            method(model, inputs, [0, 1])
        return
    if name == "lrp" and kind == "LSTM":
        with pytest.raises(NoRelevanceRule, match=r"there is none for .*lstm.*as in a recurrent layer"):
            method(model, inputs, [0, 1])
        return
    sides = tuple(size for place, size in enumerate(inputs.shape) if place not in (0, axis))
    options = BY_POSITION[name] | {"cells": sides} if name in BY_POSITION else OPTIONS.get(name, {})
    if name == "xrai":  # a region per position
        options = {"steps": 4, "segments": np.arange(np.prod(sides)).reshape(sides)}
    try:
        maps = run(method, model, inputs, [0, 1], **options)
    except ValueError as error:
        refused = WITHOUT_MAPS if name in CAMS else REFUSED.get(name, ())
        assert kind in refused, f"{name} must work on {kind}: {error}"
        assert " must " in str(error)
        return
    if name in WITH_CHANNELS:
        assert maps.shape == inputs.shape
        maps = np.abs(maps) if axis is None else np.abs(maps).max(axis=axis)
    assert maps.shape == (2, *sides)
    strongest = [np.unravel_index(np.abs(values).argmax(), sides) for values in maps]
    if name in CAMS and kind == "LSTM":  # its state keeps the spot for all later steps
        assert all(place >= spot for place in strongest)
        return
    marked = [spot, (spot[0], sides[-1] - 1 - spot[-1])][: 1 + (name == "crop_averaged_saliency")]  # mirrored crops
    assert set(strongest) <= set(marked)
    elsewhere = np.abs(maps).copy()
    for place in marked:
        elsewhere[(slice(None), *place)] = 0
    floor = 1e-5 * np.abs(maps).max()
    if name in CAMS or name in NOISY:  # the bias of the layer is everywhere, too
        floor = 0.99 * np.abs(maps).max()
    assert elsewhere.max() <= floor
    assert np.isfinite(maps).all()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_a_batch_gives_what_its_inputs_give_alone_and_compiled(kind, name, kinds):
    model, inputs, *_ = kinds(kind)
    method, options = getattr(attribution, name), OPTIONS.get(name, {})
    try:
        together = run(method, model, inputs, [0, 1], **options)
    except ValueError:
        pytest.skip("The method refuses this kind.")
    alone = [method(model, one, target, **options)[0] for one, target in zip(inputs, [0, 1], strict=True)]
    rounding = 4 * np.spacing(np.abs(target_scores(model, [inputs], [0, 1])).max())
    atol = 1e-6 * np.abs(together).max() + (rounding if name in DIFFERENCES else 0)
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-5, atol=atol)
    compiled = method.compiled(model, **options)
    np.testing.assert_allclose(compiled(tf.constant(inputs), tf.constant([0, 1])), together, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("kind", ["Conv1D", "Conv3D", "TimeDistributed", "gray", "features", "Conv2D, first"])
@pytest.mark.quick("Conv1D")
def test_a_saved_method_takes_the_inputs_of_its_model(kind, kinds, tmp_path):
    model, inputs, *_ = kinds(kind)
    compiled = attribution.gradient_x_input.compiled(model)
    tf.saved_model.save(compiled, str(tmp_path / "saved"), signatures=compiled.top)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    expected = attribution.gradient_x_input(model, inputs)
    np.testing.assert_allclose(loaded.top(tf.constant(inputs)), expected, rtol=1e-5, atol=1e-6)


def test_signals_of_different_lengths_are_refused(kinds):
    model, inputs, *_ = kinds("Conv1D")
    with pytest.raises(TypeError, match="array of images of equal size"):
        attribution.class_saliency(model, [inputs[0], inputs[0][:5]])
    with pytest.raises(ValueError, match=r"must have shape \(N, 9, 3\), got \(2, 5, 3\)"):
        attribution.class_saliency(model, inputs[:, :5])
