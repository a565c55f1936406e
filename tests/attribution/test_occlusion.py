"""Occlusion: closed forms, where the object is, and what is recomputed in parts equals what is run whole."""

import io

import numpy as np
import pytest

from kerasal import progress
from kerasal.attribution import occlusion
from kerasal.attribution.window_replay.replay_plan import make_plan
from kerasal.attribution.window_replay.windows import place, to_pixels
from kerasal.hooks import trace

import keras
from keras import layers as L


@pytest.fixture(scope="module")
def linear():
    """A linear model of one score, with its weights as an image."""
    image = keras.Input((12, 10, 2))
    model = keras.Model(image, L.Dense(3, name="scores")(L.Flatten()(image)))
    model.set_weights([np.random.default_rng(0).normal(size=w.shape).astype(np.float32) for w in model.weights])
    return model, model.get_layer("scores").kernel.numpy().reshape(12, 10, 2, 3)


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(1).normal(1, 1, size=(2, 12, 10, 2)).astype(np.float32)


@pytest.mark.parametrize("fill", [0.0, 2, "mean", "array"])
@pytest.mark.parametrize(("window", "stride"), [(3, 2), (4, 3), (10, 1), (1, 5)])
def test_a_linear_model_has_its_closed_form(fill, window, stride, linear, photos):
    model, weights = linear
    own = np.float32([1, -1]) if fill == "array" else fill
    filling = photos.mean(axis=(1, 2), keepdims=True) if fill == "mean" else np.broadcast_to(own, photos.shape)
    change = (weights[..., 1] * (photos - filling)).sum(axis=-1)
    tops, lefts = place((12, 10), window, stride).starts
    expected = [[change[:, y : y + window, x : x + window].sum(axis=(1, 2)) for x in lefts] for y in tops]
    found = occlusion(model, photos, 1, window=window, stride=stride, fill=own)
    np.testing.assert_allclose(found, np.transpose(expected, (2, 0, 1)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("side", "size", "stride", "expected"),
    [(8, 2, 2, [0, 2, 4, 6]), (8, 3, 2, [0, 2, 4, 5]), (8, 8, 1, [0]), (9, 2, 4, [0, 4, 7]), (32, None, None, None)],
)
def test_windows_are_counted_by_the_formula_and_stay_inside(side, size, stride, expected):
    windows = place((side, side), size, stride)
    size, stride = size or side // 4, stride or side // 16
    assert len(windows.starts[0]) == -(-(side - size) // stride) + 1
    assert windows.starts[0][-1] + size == side
    assert expected is None or list(windows.starts[0]) == expected


def test_a_template_net_loses_most_where_the_object_is():
    template = np.random.default_rng(0).normal(size=(5, 5, 1, 1)).astype(np.float32)
    image = keras.Input((24, 24, 1))
    model = keras.Model(image, L.GlobalMaxPooling2D()(L.Conv2D(1, 5, use_bias=False)(image)))
    model.set_weights([template])
    photo = np.zeros((1, 24, 24, 1), np.float32)
    photo[0, 13:18, 6:11] = template[..., 0]
    drop = occlusion(model, photo, 0, window=5, stride=1)[0]
    assert np.unravel_index(drop.argmax(), drop.shape) == (13, 6)
    assert drop[:8].max() == 0
    spread = to_pixels(drop, place((24, 24), 5, 1))
    assert spread.shape == (24, 24)
    assert spread[15, 8] > 5 * spread[2, 2]


def _branches(x):
    left = L.Conv2D(4, 1, activation="relu")(x)
    right = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    return L.Concatenate()([left, right])


def _residual(x):
    y = L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(L.ReLU(6.0)(x)))
    return L.Add()([x, y])


NETS = {
    "stride 2 same": lambda x: L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x),
    "stride 2 same even": lambda x: L.Conv2D(4, 4, strides=2, padding="same")(x),
    "stride 3 valid": lambda x: L.Conv2D(4, 5, strides=3)(x),
    "max same": lambda x: L.MaxPooling2D(3, 2, padding="same")(L.Conv2D(4, 3)(x) - 5.0),
    "max valid": lambda x: L.MaxPooling2D(2)(L.Conv2D(4, 3, padding="same")(x)),
    "average same": lambda x: L.AveragePooling2D(3, 2, padding="same")(L.Conv2D(4, 2, padding="same")(x)),
    "average same stride 1": lambda x: L.AveragePooling2D(3, 1, padding="same")(x),
    "pad": lambda x: L.Conv2D(4, 3, strides=2)(L.ZeroPadding2D(((0, 1), (2, 1)))(L.Conv2D(4, 1)(x))),
    "batch norm": lambda x: L.Conv2D(4, 3)(L.BatchNormalization()(x)),
    "add": lambda x: _residual(_residual(L.Conv2D(4, 3, padding="same")(x))),
    "concatenate": lambda x: _branches(L.MaxPooling2D(3, 2, padding="same")(_branches(x))),
    "depthwise stride 2": lambda x: L.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(x),
    "separable": lambda x: L.SeparableConv2D(4, 3, padding="same", activation="silu")(x),
    "dilated": lambda x: L.Conv2D(4, 3, dilation_rate=2, padding="same")(L.Conv2D(4, 3)(x)),
    "tall kernel": lambda x: L.Conv2D(4, (5, 1), padding="same")(x),
    "dropout, gelu": lambda x: L.Activation("gelu")(L.Dropout(0.5)(L.Conv2D(4, 3, padding="same")(x))),
    "whole in the middle": lambda x: L.Conv2D(4, 3)(L.UpSampling2D()(L.Conv2D(4, 3, strides=2)(x))),
    "gated": lambda x: x * keras.ops.mean(L.Conv2D(3, 3, padding="same")(x), axis=(1, 2), keepdims=True),
}


ALWAYS = {"stride 2 same", "concatenate"}


@pytest.mark.parametrize(
    ("net", "head"),
    [pytest.param(net, "dense", marks=[] if net in ALWAYS else pytest.mark.slow) for net in NETS] + [("add", "pool")],
)
@pytest.mark.quick("stride 2 same-dense")
def test_in_parts_equals_whole_and_what_is_occluded_by_hand(net, head):
    keras.utils.set_random_seed(3)
    image = keras.Input((27, 25, 3))
    features = L.Conv2D(4, 3, padding="same")(NETS[net](image))
    top = L.Flatten()(features) if head == "dense" else L.GlobalAveragePooling2D()(features)
    model = keras.Model(image, L.Dense(4)(top))
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.1, 1, w.shape) - (w.ndim > 1) * 0.5 for w in model.get_weights()])
    photos = random.normal(2, 1, size=(2, 27, 25, 3)).astype(np.float32)
    options = {"window": 5, "stride": 4, "fill": 7.0}
    whole = occlusion(model, photos, [1, 2], incremental=False, **options)
    parts = occlusion(model, photos, [1, 2], incremental=True, **options)
    by_hand = photos.copy()
    by_hand[:, 8:13, 20:25] = 7.0
    clean, covered = (model(x, training=False).numpy()[[0, 1], [1, 2]] for x in (photos, by_hand))
    rounding = 1e-6 * np.abs(clean).max() + 1e-4 * np.abs(whole).max()
    assert np.median(np.abs(whole)) > 100 * rounding
    np.testing.assert_allclose(parts, whole, atol=rounding, rtol=0)
    np.testing.assert_allclose(whole[:, 2, -1], clean - covered, atol=rounding, rtol=0)


def test_most_layers_of_a_small_vgg_are_run_in_parts(monkeypatch):
    plans = []
    monkeypatch.setattr(
        "kerasal.attribution.window_replay.window_loop.make_plan", lambda *a: plans.append(make_plan(*a)) or plans[-1]
    )
    image = keras.Input((64, 64, 3))
    x = L.MaxPooling2D()(L.Conv2D(4, 3, padding="same", activation="relu")(image))
    model = keras.Model(image, L.Dense(2)(L.Flatten()(L.Conv2D(4, 3, padding="same", activation="relu")(x))))
    occlusion(model, np.ones((1, 64, 64, 3), np.float32), window=8, stride=8)
    sizes = [(s.op.type, s.part.y.size) for s in plans[0].steps if s.slides and s.part]
    assert sizes == [("Conv2D", 10), ("MaxPool", 6), ("Conv2D", 8)]
    assert plans[0].is_faster


def test_the_class_under_each_window(make_model, batch):
    model = make_model("functional")
    found = occlusion(model, batch, measure="class", window=4, stride=4)
    assert found.dtype == np.int32
    for row, column in np.ndindex(2, 2):
        covered = batch.copy()
        covered[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 0
        np.testing.assert_array_equal(found[:, row, column], model(covered, training=False).numpy().argmax(axis=1))


@pytest.mark.parametrize("incremental", [True, False])
def test_the_strongest_map_of_a_layer(incremental, make_model, batch):
    model = make_model("functional")
    taps = keras.Model(model.inputs[0], model.get_layer("conv1").output)
    strongest = taps(batch).numpy().sum(axis=(1, 2)).argmax(axis=1)
    covered = batch.copy()
    covered[:, 2:5, 4:7] = 0
    expected = taps(covered).numpy().sum(axis=(1, 2))[np.arange(3), strongest]
    found = occlusion(model, batch, measure="layer", layer="conv1", window=3, stride=2, incremental=incremental)
    np.testing.assert_allclose(found[:, 1, 2], expected, rtol=1e-5)


def test_the_probability_falls_where_logits_are_off(make_model, batch):
    model = make_model("functional")
    covered = batch.copy()
    covered[:, :2, :2] = 0
    expected = (model(batch, training=False) - model(covered, training=False)).numpy()[:, 4]
    found = occlusion(model, batch, 4, logits=False, window=2, stride=2)
    np.testing.assert_allclose(found[:, 0, 0], expected, atol=1e-6)


def test_a_blur_keeps_a_constant_image_and_its_score(make_model):
    flat = np.full((1, 8, 8, 3), 3.0, np.float32)
    assert np.abs(occlusion(make_model("functional"), flat, 0, fill="blur")).max() < 1e-4


def test_other_kinds_of_models():
    one, two = keras.Input((9, 9, 1), name="one"), keras.Input((8, 8, 2), name="two")
    x = L.Concatenate()([L.Flatten()(L.Conv2D(2, 3)(one)), L.Flatten()(two)])
    model = keras.Model([one, two], {"a": L.Dense(2, name="a")(x), "b": L.Dense(3, name="b")(x)})
    random = np.random.default_rng(0)
    inputs = {"one": random.normal(size=(2, 9, 9, 1)), "two": random.normal(size=(2, 8, 8, 2))}
    maps = occlusion(model, inputs, 1, window=3, stride=3, output="b")
    assert {name: one.shape for name, one in maps.items()} == {"one": (2, 3, 3), "two": (2, 3, 3)}
    with pytest.raises(ValueError, match="several inputs"):
        occlusion(model, inputs, 1, window=3, output="b", incremental=True)
    image = keras.Input((None, None, 1))
    grouped = L.Conv2D(4, 3, groups=2, padding="same")(L.Conv2D(4, 3)(image))
    model = keras.Model(image, L.Dense(2, dtype="float32")(L.GlobalMaxPooling2D()(grouped)))
    assert occlusion(model, np.ones((2, 9, 8), np.float32), window=3, stride=2).shape == (2, 4, 4)
    with pytest.raises(ValueError, match="calls another function"):
        occlusion(model, np.ones((2, 9, 8), np.float32), window=3, incremental=True)


def test_mixed_precision_in_parts_equals_whole():
    image = keras.Input((16, 16, 3))
    x = L.Conv2D(8, 3, padding="same", activation="relu", dtype="mixed_bfloat16")(image)
    model = keras.Model(image, L.Dense(3)(L.GlobalAveragePooling2D(dtype="float32")(x)))
    photo = np.random.default_rng(0).normal(size=(1, 16, 16, 3))
    whole, parts = (occlusion(model, photo, 0, window=4, stride=3, incremental=i) for i in (False, True))
    assert np.abs(parts - whole).max() < 0.02 * np.abs(whole).max()


@pytest.mark.slow
def test_progress_counts_every_window(monkeypatch, make_model, batch):
    counted = []
    shown = progress.progress_bar

    def spy(description, total, shown_=True):
        counted.append(total)
        return shown(description, total, shown_)

    monkeypatch.setattr("kerasal.attribution.graph_bar.progress_bar", spy)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    model = make_model("functional")
    with_bar = occlusion(model, batch, 0, window=4, stride=2, progress=True)
    assert counted == [3 * 9]
    np.testing.assert_array_equal(with_bar, occlusion(model, batch, 0, window=4, stride=2))
    before = len(trace.traces(model))
    occlusion(model, batch[:1] + 1, 1, window=4, stride=2)
    assert len(trace.traces(model)) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 9}, r"at most 8 for images of 8 × 8 pixels, got 9\."),
        ({"window": 0}, r"window must be a positive integer, or None, got 0\."),
        ({"window": 2.5}, r"window must be an integer .*, got 2\.5\."),
        ({"stride": 0}, r"stride must be a positive integer, or None, got 0\."),
        ({"fill": np.zeros((4, 4))}, r"broadcasts to \(H, W, C\) = \(8, 8, 3\), got shape \(4, 4\)"),
        ({"fill": "gray"}, r'"mean" or "blur", got \'gray\''),
        ({"fill": float("nan")}, "NaN or infinite"),
        ({"measure": "layer"}, r'layer must be passed with measure="layer", got None'),
        ({"measure": "layer", "layer": "conv9"}, "conv1"),
        (
            {"measure": "layer", "layer": "flatten"},
            r"layer must have an output \(N, …, C\) with positions, got 'flatten'",
        ),
        ({"measure": "area"}, r"measure must be one of .*, got 'area'"),
        ({"incremental": "yes"}, r"incremental must be True or False or 'auto', got 'yes'"),
    ],
)
def test_bad_options_are_said(options, message, make_model, batch):
    with pytest.raises((TypeError, ValueError), match=message):
        occlusion(make_model("functional"), batch, **options)
