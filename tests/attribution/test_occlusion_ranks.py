"""Occlusion of signals, volumes, videos, gray images, features and tokens equals a slow loop over the windows."""

import io
import itertools

import numpy as np
import pytest

from kerasal.attribution import method_spec, occlusion
from kerasal.attribution.gaussian_blur import gaussian_blur
from kerasal.attribution.window_replay.windows import place, to_pixels

import keras
import tensorflow as tf
from keras import layers as L

FIRST = {"data_format": "channels_first"}


def model_of(shape, *layers):
    keras.utils.set_random_seed(4)
    return keras.Sequential([keras.Input(shape), *layers, L.Flatten(), L.Dense(3, bias_initializer="normal")])


def tokens_of_images(shape):
    """A small transformer on the patches of an image, with a class token."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input(shape)
    x = L.Reshape((-1, 8))(L.Conv2D(8, 4, strides=4)(inputs))
    x = L.ZeroPadding1D((1, 0))(x)
    x = L.Add()([x, L.MultiHeadAttention(2, 4)(L.LayerNormalization()(x), L.LayerNormalization()(x))])
    return keras.Model(inputs, L.Dense(3)(x[:, 0]))


# The model, the axis of its channels, the window and the stride.
KINDS = {
    "signal": (lambda: model_of((20, 3), L.Conv1D(4, 3, activation="relu")), 2, 5, 2),
    "signal, first": (lambda: model_of((3, 20), L.SeparableConv1D(4, 3, **FIRST)), 1, 5, 4),
    "recurrent": (lambda: model_of((12, 3), L.LSTM(4, return_sequences=True)), 2, 3, 3),
    "volume": (lambda: model_of((5, 6, 7, 2), L.Conv3D(3, 3, activation="relu")), 4, (2, 3, 4), (2, 2, 3)),
    "volume, one side": (lambda: model_of((5, 6, 7, 2), L.Conv3D(3, 3, activation="relu")), 4, 3, 2),
    "volume, first": (lambda: model_of((2, 5, 6, 7), L.Conv3D(3, 3, **FIRST)), 1, (2, 3, 4), 3),
    "video": (lambda: model_of((4, 6, 5, 3), L.TimeDistributed(L.Conv2D(3, 3))), 4, (1, 3, 3), (1, 2, 2)),
    "gray": (lambda: model_of((6, 8), L.Reshape((6, 8, 1)), L.Conv2D(3, 3)), None, (2, 3), 2),
    "features": (lambda: model_of((7,), L.Dense(5, activation="relu")), None, None, None),
    "pairs of features": (lambda: model_of((7,), L.Dense(5, activation="relu")), None, 2, 1),
    "rectangles": (lambda: model_of((9, 8, 2), L.Conv2D(3, 3, activation="relu")), 3, (2, 5), (3, 1)),
    "tokens": (lambda: tokens_of_images((12, 8, 3)), 3, 4, 4),
}


def blur_slowly(inputs, share, axes):
    """Blur along each axis with edge values repeated, in float64."""
    result = inputs.astype(np.float64)
    for axis in axes:
        sigma = share * (inputs.shape[axis] if len(axes) > 2 else min(inputs.shape[axis] for axis in axes))
        radius = int(np.ceil(3 * sigma))
        offsets = np.arange(-radius, radius + 1)
        weights = np.exp(-0.5 * (offsets / sigma) ** 2)
        size = result.shape[axis]
        shifted = [result.take(np.clip(np.arange(size) + offset, 0, size - 1), axis=axis) for offset in offsets]
        result = sum(w * part for w, part in zip(weights / weights.sum(), shifted, strict=True))
    return result


def occlude_slowly(model, inputs, classes, axes, window, stride, filling):
    """The drop of the score for one window after another, (N, *windows)."""
    sides = [inputs.shape[axis] for axis in axes]
    windows, strides = (np.broadcast_to(value or 1, len(sides)) for value in (window, stride))
    starts = [
        [min(step * number, side - size) for number in range(-(-(side - size) // step) + 1)]
        for side, size, step in zip(sides, windows, strides, strict=True)
    ]
    rows = np.arange(len(inputs))
    run = tf.function(model)
    clean = run(inputs, training=False).numpy()[rows, classes]
    drops = []
    for corner in itertools.product(*starts):
        covered, box = inputs.copy(), [slice(None)] * inputs.ndim
        for axis, start, size in zip(axes, corner, windows, strict=True):
            box[axis] = slice(start, start + size)
        covered[tuple(box)] = np.broadcast_to(filling, inputs.shape)[tuple(box)]
        drops.append(clean - run(covered, training=False).numpy()[rows, classes])
    return np.stack(drops, axis=1).reshape(len(inputs), *map(len, starts))


@pytest.mark.parametrize("fill", [0.5, "mean", "blur", "array"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.quick("signal-0.5", "volume, first-mean")
def test_it_equals_a_slow_loop(kind, fill):
    make, channels, window, stride = KINDS[kind]
    model = make()
    random = np.random.default_rng(5)
    inputs = random.normal(1, 1, (2, *model.input_shape[1:])).astype(np.float32)
    axes = [axis for axis in range(1, inputs.ndim) if axis != channels]
    filling: object = fill
    if fill == "mean":
        filling = inputs.mean(axis=tuple(axes), keepdims=True)
    if fill == "blur":
        if channels is None and inputs.ndim == 2:
            with pytest.raises(ValueError, match=r"must not be 'blur' for features \(N, F\)"):
                occlusion(model, inputs, fill="blur")
            return
        filling = blur_slowly(inputs, 1 / 16, axes)
    if fill == "array":  # channels last, like every option
        filling = random.normal(size=inputs.shape[1:]).astype(np.float32)
        fill = filling if channels is None else np.moveaxis(filling, channels - 1, -1)
    expected = occlude_slowly(model, inputs, [1, 2], axes, window, stride, filling)
    found = occlusion(model, inputs, [1, 2], window=window, stride=stride, fill=fill)
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0.001
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max() + 2e-6)


@pytest.mark.parametrize(("kind", "shape"), [("signal", (13,)), ("volume", (5, 6, 7)), ("video", (4, 6, 5))])
def test_default_windows_cover_every_position(kind, shape):
    make, *_ = KINDS[kind]
    model = make()
    inputs = np.random.default_rng(0).normal(size=(1, *model.input_shape[1:])).astype(np.float32)
    drops = occlusion(model, inputs, 0)[0]
    positions = model.input_shape[1:-1]
    if kind == "signal":
        assert drops.shape == (16,)  # ceil((20 - 5) / 1) + 1
    else:
        assert drops.shape == tuple(-(-(side - side // 4) // max(1, side // 8)) + 1 for side in positions)
    spread = method_spec("occlusion").to_pixels(np.ones_like(drops), positions, {})  # a drop may be 0
    assert spread.shape == positions
    assert np.all(spread != 0)


@pytest.mark.parametrize("sides", [(11,), (7, 9), (5, 6, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_values_of_windows_are_spread_over_the_positions(sides, dtype):
    windows = place(sides, 3, 2)
    values = np.random.default_rng(0).integers(1, 9, windows.shape).astype(dtype)
    found = to_pixels(values, windows)
    assert found.shape == sides
    for position in np.ndindex(*sides):
        inside, distances = [], {}
        for index in np.ndindex(*windows.shape):
            begin = [start[i] for start, i in zip(windows.starts, index, strict=True)]
            if all(b <= p < b + 3 for b, p in zip(begin, position, strict=True)):
                inside.append(values[index])
            distances[index] = sum(abs(p - b - 1) for b, p in zip(begin, position, strict=True))
        if dtype is np.float32:
            assert found[position] == pytest.approx(np.mean(inside))
        else:
            nearest = min(distances.values())
            assert found[position] in {values[index] for index, far in distances.items() if far == nearest}


def test_other_measures_in_one_dimension():
    model = model_of((20, 3), L.Conv1D(4, 3, activation="relu", name="conv"))
    taps = keras.Model(model.inputs[0], model.get_layer("conv").output)
    inputs = np.random.default_rng(5).normal(1, 1, (2, 20, 3)).astype(np.float32)
    covered = inputs.copy()
    covered[:, 10:15] = 0
    classes = occlusion(model, inputs, measure="class", window=5, stride=5)
    assert classes.dtype == np.int32
    np.testing.assert_array_equal(classes[:, 2], model(covered).numpy().argmax(axis=1))
    strongest = taps(inputs).numpy().sum(axis=1).argmax(axis=1)
    found = occlusion(model, inputs, measure="layer", layer="conv", window=5, stride=5)
    np.testing.assert_allclose(found[:, 2], taps(covered).numpy().sum(axis=1)[[0, 1], strongest], rtol=1e-5)


@pytest.mark.slow
def test_progress_counts_the_windows_of_any_rank(monkeypatch):
    counted = []

    class Bar:
        def __init__(self, description, total, shown=True):
            counted.append(total)

        def __enter__(self):
            return counted.append

        def __exit__(self, *error):
            pass

    monkeypatch.setattr("kerasal.attribution.graph_bar.progress_bar", Bar)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    for kind in ("signal", "volume", "features", "gray"):
        make, _, window, stride = KINDS[kind]
        model = make()
        inputs = np.ones((2, *model.input_shape[1:]), np.float32)
        maps = occlusion(model, inputs, 0, window=window, stride=stride, progress=True)
        assert counted[0] == maps.size == sum(counted[1:])
        counted.clear()


def test_only_a_few_windows_of_a_large_volume_are_in_memory_at_once():
    sides, rows = (40, 96, 96), []

    def record(x):
        tf.numpy_function(lambda count: rows.append(int(count)), [tf.shape(x)[0]], [])
        return tf.identity(x)

    inputs = keras.Input((*sides, 1))
    x = L.Lambda(record, output_shape=(*sides, 1))(inputs)
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling3D()(x)))
    volume = np.random.default_rng(0).normal(size=(3, *sides, 1)).astype(np.float32)
    maps = occlusion(model, volume, 0, window=(20, 48, 48), stride=(20, 24, 24))
    assert maps.shape == (3, 2, 3, 3)
    assert max(rows) == 1  # each volume is larger than an efficient pass
    assert sum(rows) >= 3 * 18


def test_a_long_signal_is_blurred_in_linear_memory():
    signal = np.random.default_rng(0).normal(size=(1, 50_000, 1)).astype(np.float32)
    found = gaussian_blur(tf.constant(signal), 1e-4).numpy()
    np.testing.assert_allclose(found, blur_slowly(signal, 1e-4, [1]), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("signal", {"window": 21}, r"window must be at most 20 for inputs of 20 positions, got 21\."),
        (
            "signal",
            {"window": (2, 3)},
            r"window must be an integer or one for each of the 1 position axes, got \(2, 3\)",
        ),
        ("volume", {"window": 6}, r"at most 5 for inputs of 5 × 6 × 7 positions, got 6\. Pass a side per axis\."),
        ("volume", {"window": (2, 7, 7)}, r"at most \(5, 6, 7\) for inputs .* got \(2, 7, 7\)"),
        ("volume", {"stride": (1, 0, 1)}, r"stride\[1\] must be a positive integer, got 0"),
        ("volume", {"window": 2.5}, r"window must be an integer or one per axis or None, got 2\.5"),
        ("volume", {"fill": np.zeros(5)}, r"broadcasts to \(5, 6, 7, 2\), got shape \(5,\)"),
        ("features", {"fill": np.zeros(5)}, r"broadcasts to \(7,\), got shape \(5,\)"),
        ("signal", {"incremental": True}, r"two-dimensional convolutions.*its input is not an image"),
    ],
)
def test_bad_options_name_what_the_input_needs(kind, options, message):
    make, *_ = KINDS[kind]
    model = make()
    with pytest.raises((TypeError, ValueError), match=message):
        occlusion(model, np.ones((1, *model.input_shape[1:]), np.float32), **options)
