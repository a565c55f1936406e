"""Exemplars in signals and volumes: the fields are what changes a unit, and the patch alone gives the activation."""

import numpy as np
import pytest

from kerasal import receptive_field
from kerasal.receptive_field.geometry.field_geometry import remember_input_field

import keras
import tensorflow as tf

L = keras.layers
SIGNAL, VOLUME = (24, 2), (9, 8, 10, 1)


class _Residual(L.Layer):
    """A valid convolution beside its input, whose ends are cropped."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = L.Conv1D(2, 5)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return x[:, 2:-2] + self.inner(x)

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] - 4, 2)


SIGNALS = {
    "valid, strides": lambda: [L.Conv1D(3, 4, strides=2), L.Conv1D(2, 3)],
    "same, dilated": lambda: [L.Conv1D(3, 3, padding="same", strides=2), L.Conv1D(2, 3, dilation_rate=2)],
    "causal": lambda: [L.Conv1D(3, 4, padding="causal", dilation_rate=2)],
    "pooled": lambda: [L.Conv1D(3, 3), L.AveragePooling1D(3, 2), L.BatchNormalization(), L.ReLU()],
    "depthwise": lambda: [L.DepthwiseConv1D(3, strides=2, padding="same"), L.SeparableConv1D(3, 3)],
    "padded and cropped": lambda: [L.ZeroPadding1D(2), L.Conv1D(3, 3), L.Cropping1D((1, 3))],
    "enlarged": lambda: [L.Conv1D(3, 3, strides=2), L.UpSampling1D(2), L.Conv1D(2, 2)],
    "transposed": lambda: [L.Conv1D(3, 3, strides=3), L.Conv1DTranspose(2, 3, strides=2)],
    "residual": lambda: [_Residual(), L.Dense(3)],
}
VOLUMES = {
    "valid": lambda: [L.Conv3D(3, (2, 3, 4), strides=(1, 2, 1), activation="relu")],
    "same, pooled": lambda: [L.Conv3D(2, 3, padding="same"), L.AveragePooling3D(2), L.BatchNormalization()],
    "enlarged": lambda: [L.Conv3D(2, 3, strides=2), L.Conv3DTranspose(2, 2, strides=2)],
    "dilated": lambda: [L.Conv3D(2, 2, dilation_rate=(3, 1, 2)), L.Conv3D(2, 2, padding="same")],
    "padded": lambda: [L.ZeroPadding3D((1, 0, 2)), L.Conv3D(2, 3), L.Cropping3D(1)],
}


def chain(shape, layers, seed=0):
    layers[-1].name = "end"
    model = keras.Sequential([keras.Input(shape), *layers])
    random = np.random.default_rng(seed)
    model.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize(
    ("shape", "layers"),
    [*[(SIGNAL, layers) for layers in SIGNALS.values()], *[(VOLUME, layers) for layers in VOLUMES.values()]],
    ids=[*SIGNALS, *[f"volume, {name}" for name in VOLUMES]],
)
def test_the_field_of_a_unit_is_what_changes_it(shape, layers):
    model = chain(shape, layers())
    field = remember_input_field(model, "end", shape)
    clean = model(np.ones((1, *shape), np.float32)).numpy()
    for axis, (span, size) in enumerate(zip(field.spans, shape[:-1], strict=True)):
        inputs = np.ones((size, *shape), np.float32)
        np.moveaxis(inputs, axis + 1, 1)[np.arange(size), np.arange(size)] += 5
        others = tuple(other for other in range(1, len(shape) + 1) if other != axis + 1)
        changed = (np.abs(model(inputs).numpy() - clean) > 1e-3).any(axis=others)  # (position, unit)
        assert span.shape == (changed.shape[1], 2)
        for unit, (first, last) in enumerate(np.clip(span, 0, size)):
            (places,) = np.nonzero(changed[:, unit])
            if len(places) and span[unit, 0] >= 0 and span[unit, 1] <= size:
                assert (places[0], places[-1] + 1) == (first, last)
            elif len(places):
                assert first <= places[0] and places[-1] < last


def _model(shape, seed=1):
    conv = L.Conv1D if len(shape) == 2 else L.Conv3D
    layers = [conv(4, 3, activation="relu", name="first"), conv(3, 2, strides=2, activation="relu"), L.Flatten()]
    layers[1].name = "second"
    model = keras.Sequential([keras.Input(shape), *layers, L.Dense(2)])
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    return model, random.normal(size=(9, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [SIGNAL, VOLUME], ids=["signals", "volumes"])
def test_exemplars_are_the_strongest_inputs_and_their_patches(shape):
    model, inputs = _model(shape)
    found = receptive_field.top_exemplars(model, "second", [2, 0], inputs, 4, rule="gradient")
    maps = tf.function(keras.Model(model.inputs, model.get_layer("second").output))(inputs).numpy()
    for exemplars, channel in zip(found, (2, 0), strict=True):
        best = maps[..., channel].reshape(9, -1).max(axis=1)
        np.testing.assert_array_equal(exemplars.numbers, np.argsort(-best)[:4])
        np.testing.assert_allclose(exemplars.activations, np.sort(best)[::-1][:4], rtol=1e-5)
        length = 4
        assert exemplars.crops.shape == exemplars.reconstructions.shape == (4, *[length] * (len(shape) - 1), shape[-1])
        for rank, number in enumerate(exemplars.numbers):
            unit, box = exemplars.positions[rank], exemplars.boxes[rank]
            assert maps[(number, *unit, channel)] == pytest.approx(exemplars.activations[rank], rel=1e-5)
            np.testing.assert_array_equal(box, [*(2 * unit), *(2 * unit + length)])
            place = tuple(slice(first, first + length) for first in 2 * unit)
            np.testing.assert_array_equal(exemplars.crops[rank], inputs[number][place])
            with tf.GradientTape() as tape:
                x = tf.constant(inputs[number][None])
                tape.watch(x)
                value = model.get_layer("second")(model.get_layer("first")(x))[(0, *unit, channel)]
            gradient = (value * tape.gradient(value, x)).numpy()[0]
            np.testing.assert_allclose(exemplars.reconstructions[rank], gradient[place], rtol=1e-4, atol=1e-6)


def test_a_patch_beyond_the_end_of_a_signal_is_not_a_number_there():
    model = chain(SIGNAL, [L.Conv1D(3, 5, padding="same")])
    signals = np.zeros((2, *SIGNAL), np.float32)
    signals[0, 0], signals[1, 12] = 5, 1
    model.set_weights([np.ones((5, 2, 3)) * np.array([1, 1, 9, 1, 1])[:, None, None], np.zeros(3)])
    first, second = receptive_field.top_exemplars(model, "end", 0, signals, 2, rule="gradient").crops
    np.testing.assert_array_equal(np.isnan(first).all(axis=1), [True, True, False, False, False])
    np.testing.assert_array_equal(first[2], signals[0, 0])
    assert np.isfinite(second).all() and second.max() == 1


def test_streams_and_models_of_any_length_give_the_same():
    model, signals = _model(SIGNAL)
    expected = receptive_field.top_exemplars(model, "first", 1, signals, 3)
    open_model = keras.Sequential([keras.Input((None, 2)), *[L.Conv1D(4, 3, activation="relu", name="first")]])
    open_model.layers[0].set_weights(model.get_layer("first").get_weights())
    stream = (signals[start : start + 4] for start in range(0, 9, 4))
    for found in (
        receptive_field.top_exemplars(model, "first", 1, stream, 3),
        receptive_field.top_exemplars(open_model, "first", 1, signals, 3),
    ):
        np.testing.assert_array_equal(found.numbers, expected.numbers)
        np.testing.assert_array_equal(found.crops, expected.crops)
        np.testing.assert_allclose(found.reconstructions, expected.reconstructions, rtol=1e-5, atol=1e-6)


def test_after_a_recurrent_layer_a_unit_sees_the_whole_signal():
    layers = [L.Conv1D(3, 3, activation="relu", name="before"), L.LSTM(3, return_sequences=True)]
    model = chain(SIGNAL, layers)
    signals = np.random.default_rng(0).normal(size=(3, *SIGNAL)).astype(np.float32)
    assert receptive_field.top_exemplars(model, "before", 0, signals, 2).crops.shape == (2, 3, 2)
    assert receptive_field.top_exemplars(model, "end", 0, signals, 2).crops.shape == (2, *SIGNAL)


@pytest.mark.parametrize("shape", [SIGNAL, VOLUME], ids=["signals", "volumes"])
def test_pictures_and_the_table(shape):
    model, inputs = _model(shape)
    found = receptive_field.top_exemplars(model, "second", [0, 2], inputs, 3)
    pages = [receptive_field.draw_exemplars(exemplars) for exemplars in (found[0], found[1], found)]
    assert all(page.dtype == np.uint8 and page.shape[2] == 3 and np.ptp(page) > 100 for page in pages)
    assert pages[2].shape[1] > max(pages[0].shape[1], pages[1].shape[1]), "the channels are side by side"
    assert any((np.abs(page[..., 0].astype(int) - page[..., 2]) > 60).any() for page in pages), "in color"
    table = receptive_field.exemplar_table(found)
    axes = range(len(shape) - 1)
    names = [f"axis_{axis}{end}" for end in ("", "_min", "_max") for axis in axes]
    assert list(table.columns) == ["channel", "rank", "activation", "file", *names] and len(table) == 6
    assert (table["axis_0_max"] - table["axis_0_min"] == 4).all()


def test_bad_input():
    model, signals = _model(SIGNAL)

    def take(given=signals, layer="first", model=model, **options):
        return receptive_field.top_exemplars(model, layer, 0, given, 2, **options)

    with pytest.raises(ValueError, match=r"'dense.*' of .* must have a map along all 1 position axes"):
        take(layer=model.layers[-1].name)
    with pytest.raises(TypeError, match=r"images must be an array \(N, \*positions, C\).*got str.*images\.read_array"):
        take("signals.npy")
    with pytest.raises(ValueError, match=r"preprocessing and size must be None for .*which takes no images"):
        take(preprocessing="unit")
    with pytest.raises(ValueError, match="at least one input"):
        take(signals[:0])
    with pytest.raises(ValueError, match=r"must have shape \(N, 24, 2\), got \(9, 20, 2\)"):
        take(signals[:, :20])
    first = keras.Sequential([keras.Input((2, 24)), L.Conv1D(3, 3, name="first", data_format="channels_first")])
    with pytest.raises(
        ValueError, match=r"channels last and up to 3 position axes.*takes 1 position and channels on axis 1.*Permute"
    ):
        take(np.moveaxis(signals, 1, 2), model=first)
    with pytest.raises(ValueError, match="finite dataset"):
        take(tf.data.Dataset.from_tensors(signals).repeat())
