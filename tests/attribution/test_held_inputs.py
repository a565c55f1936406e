"""Inputs that are held: tokens explained at their embedding, metadata beside an image, and layers in their place."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.objectives import class_score

import keras
import tensorflow as tf

L = keras.layers
RNG = np.random.default_rng(5)
TOKENS = RNG.integers(1, 30, (3, 7))
CAMS = [name for name in attribution.list_methods() if attribution.method_spec(name).family == "cam"]
AT_LAYER = [name for name in attribution.list_methods() if attribution.method_spec(name).at_layer]


@pytest.fixture(scope="module")
def reader():
    """A classifier of seven tokens, and the part behind its embedding."""
    tokens = keras.Input((7,), dtype="int32", name="tokens")
    vectors = L.Embedding(30, 6, name="words")(tokens)
    hidden = L.Conv1D(8, 3, padding="same", activation="tanh")(vectors)
    model = keras.Model(tokens, L.Dense(3, activation="softmax")(L.GlobalMaxPooling1D()(hidden)))
    return model, keras.Model(vectors, model.output)


@pytest.fixture(scope="module")
def mixed():
    """A model of an image, metadata and a category, by name."""
    image, meta = keras.Input((8, 8, 3), name="image"), keras.Input((4,), name="meta")
    category = keras.Input((1,), dtype="int32", name="category")
    pooled = L.GlobalAveragePooling2D()(L.Conv2D(5, 3, activation="relu", name="conv")(image))
    joined = L.Concatenate()([pooled, meta, L.Flatten()(L.Embedding(4, 3, name="kinds")(category))])
    outputs = L.Dense(3)(L.Dense(9, activation="tanh")(joined))
    model = keras.Model({"image": image, "meta": meta, "category": category}, outputs)
    data = {
        "image": RNG.normal(size=(3, 8, 8, 3)).astype(np.float32),
        "meta": RNG.normal(size=(3, 4)).astype(np.float32),
        "category": np.array([[0], [3], [1]]),
    }
    return model, data


def close(actual, expected, tolerance=1e-5):
    return np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("name", [name for name in AT_LAYER if name != "rise"])  # whose masks of a signal are smooth
@pytest.mark.quick("input_gradient", "occlusion", "lime")
def test_tokens_are_explained_as_the_input_of_the_part_behind_their_embedding(reader, name):
    model, rest = reader
    options = {"window": 1, "stride": 1} if name == "occlusion" else {}
    if "cells" in attribution.method_spec(name).options:  # a region per token
        options = {"cells": 7}
    method = getattr(attribution, name)
    actual = method(model, TOKENS, [0, 1, 2], layer="words")
    expected = method(rest, model.get_layer("words")(TOKENS).numpy(), [0, 1, 2], **options)
    assert actual.shape[:2] == (3, 7)
    assert close(actual, expected)


@pytest.mark.parametrize("name", AT_LAYER)
@pytest.mark.quick("input_gradient", "occlusion", "lime", "deeplift")
def test_every_token_belongs_to_its_own_row_of_a_batch(reader, name):
    model, _ = reader
    method = getattr(attribution, name)
    together = method(model, TOKENS, class_score(1), layer="words")
    singles = np.concatenate([method(model, row[None], class_score(1), layer="words") for row in TOKENS])
    assert close(together, singles)


def test_the_gap_of_integrated_gradients_at_a_layer_is_that_of_its_score(reader):
    model, _ = reader
    maps, gap = attribution.integrated_gradients(model, TOKENS, 1, layer="words", steps=200, return_gap=True)
    vectors = model.get_layer("words")(TOKENS).numpy()
    pooled = model.layers[2](np.concatenate([vectors, 0 * vectors])).numpy().max(1)
    change = (pooled[:3] - pooled[3:]) @ model.layers[-1].kernel.numpy()[:, 1]
    np.testing.assert_allclose(maps.sum(1) - gap, change, rtol=1e-4, atol=1e-6)


def test_a_model_of_tokens_alone_names_its_embedding(reader):
    for name in ("class_saliency", "gradcam", "scorecam", "occlusion"):
        with pytest.raises(ValueError, match=r"all are integers, which have no gradient\..*layer='words'"):
            getattr(attribution, name)(reader[0], TOKENS)


def test_ragged_and_fractional_tokens_are_refused(reader):
    with pytest.raises(TypeError, match="Pad sequences to one length"):
        attribution.class_saliency(reader[0], [[1, 2, 3], [4, 5]], layer="words")
    for bad in (TOKENS + 0.5, TOKENS + 2**40):
        with pytest.raises(TypeError, match="values that are not in int32") as caught:
            attribution.class_saliency(reader[0], bad, layer="words")
        assert "Pad" not in str(caught.value)
    for words in (np.array([["good"] * TOKENS.shape[1]]), [["good"] * TOKENS.shape[1]], "good"):
        with pytest.raises(TypeError, match=r"must hold integers, got .*'good'.*\. Convert words to their indices"):
            attribution.class_saliency(reader[0], words, layer="words")
    for length in (1, 2):
        with pytest.raises(ValueError, match=rf"Pad or cut sequences, .*maxlen={TOKENS.shape[1]}"):
            attribution.class_saliency(reader[0], TOKENS[:, :length], layer="words")


def test_indices_outside_of_the_vocabulary_are_refused(reader):
    size = reader[0].get_layer("words").input_dim
    attribution.gradient_x_input(reader[0], np.full_like(TOKENS, size - 1), 0, layer="words")
    for bad in (size, -1):
        tokens = TOKENS.copy()
        tokens[1, 2] = bad
        with pytest.raises(
            ValueError, match=rf"in 0\.\.{size - 1} for the layer 'words', which has {size}, got {bad}\."
        ):
            attribution.gradient_x_input(reader[0], tokens, 0, layer="words")


def test_a_layer_of_an_image_model_has_its_own_positions(mixed):
    model, data = mixed
    maps = attribution.gradient_x_input(model, data, 1, layer="conv")
    assert maps.shape == (3, 6, 6)
    image = next(tensor for tensor in model.inputs if tensor.name == "image")
    conv = keras.Model(image, model.get_layer("conv").output)
    with tf.GradientTape() as tape:
        hidden = conv(data["image"])
        tape.watch(hidden)
        pooled = tf.reduce_mean(hidden, (1, 2))
        kinds = tf.reshape(model.get_layer("kinds")(data["category"]), (3, -1))
        dense = [layer for layer in model.layers if isinstance(layer, L.Dense)]
        score = dense[1](dense[0](tf.concat([pooled, data["meta"], kinds], 1)))[:, 1]
    expected = tf.reduce_sum(tape.gradient(score, hidden) * hidden, -1).numpy()
    assert close(maps, expected)


def test_channels_first_layers_keep_their_layout():
    inputs = keras.Input((3, 8, 10))
    hidden = L.Permute((2, 3, 1))(inputs)
    hidden = L.Conv2D(5, 3, activation="relu")(hidden)
    first = L.Permute((3, 1, 2), name="first")(hidden)
    last = L.Conv2D(4, 1)(L.Permute((2, 3, 1))(first))
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(last)))
    images = RNG.normal(size=(2, 3, 8, 10)).astype(np.float32)
    gradient = attribution.input_gradient(model, images, 1, layer="first")
    assert gradient.shape == (2, 5, 6, 8)
    maps = attribution.class_saliency(model, images, 1, layer="first")
    assert close(maps, np.abs(gradient).max(1))


def test_held_inputs_have_no_map_and_count_in_the_score(mixed):
    model, data = mixed
    maps = attribution.input_gradient(model, data, 2)
    assert maps["category"] is None
    x, meta = tf.constant(data["image"]), tf.constant(data["meta"])
    with tf.GradientTape() as tape:
        tape.watch((x, meta))
        score = model({"image": x, "meta": meta, "category": tf.constant(data["category"])})[:, 2]
    expected = tape.gradient(score, (x, meta))
    assert close(maps["image"], expected[0].numpy())
    assert close(maps["meta"], expected[1].numpy())
    other = {**data, "category": data["category"][::-1].copy()}
    assert not close(attribution.input_gradient(model, other, 2)["image"], maps["image"], 1e-3)


@pytest.mark.parametrize("name", CAMS)
@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # as the random weights may have no evidence
@pytest.mark.quick("gradcam")
def test_class_activation_maps_explain_the_image_beside_metadata(mixed, name):
    model, data = mixed
    maps = getattr(attribution, name)(model, data, 0)
    assert {key: None if value is None else value.shape for key, value in maps.items()} == {
        "image": (3, 8, 8),
        "meta": None,
        "category": None,
    }
    assert maps["image"].layer == "conv"
    fixed = keras.Model(model.inputs, model.outputs[0])
    listed = getattr(attribution, name)(fixed, [data[tensor.name] for tensor in fixed.inputs], 0)
    place = [tensor.name for tensor in fixed.inputs].index("image")
    assert [value is None for value in listed] == [number != place for number in range(3)]
    np.testing.assert_array_equal(listed[place], maps["image"])


def test_occlusion_covers_the_image_and_each_feature(mixed):
    model, data = mixed
    maps = attribution.occlusion(model, data, 1, window=4, stride=2)
    clean = model(data).numpy()[:, 1]
    covered = {**data, "image": data["image"].copy()}
    covered["image"][:, 2:6, 4:8] = 0
    np.testing.assert_allclose(maps["image"][:, 1, 2], clean - model(covered).numpy()[:, 1], rtol=1e-3, atol=1e-6)
    covered = {**data, "meta": data["meta"] * np.float32([1, 1, 0, 1])}
    np.testing.assert_allclose(maps["meta"][:, 2], clean - model(covered).numpy()[:, 1], rtol=1e-3, atol=1e-6)
    assert maps["category"] is None


def test_a_layer_that_runs_twice_is_refused():
    tokens = [keras.Input((5,), dtype="int32") for _ in range(2)]
    embed = L.Embedding(9, 4, name="words")
    outputs = L.Dense(2)(L.Flatten()(L.Concatenate()([embed(x) for x in tokens])))
    model = keras.Model(tokens, outputs)
    inputs = [RNG.integers(0, 9, (2, 5)) for _ in range(2)]
    with pytest.raises(ValueError, match="must run once to attribute to its output, but 'words' runs 2 times"):
        attribution.class_saliency(model, inputs, 0, layer="words")


def test_masked_tokens_stay_masked():
    tokens = keras.Input((6,), dtype="int32")
    hidden = L.LSTM(5)(L.Embedding(9, 4, mask_zero=True, name="words")(tokens))
    model = keras.Model(tokens, L.Dense(2)(hidden))
    inputs = np.array([[3, 4, 5, 0, 0, 0], [1, 2, 3, 4, 5, 6]])
    maps = attribution.class_saliency(model, inputs, 1, layer="words")
    assert (maps[0, 3:] == 0).all()
    assert (maps[0, :3] > 0).all() and (maps[1] > 0).all()


def test_a_model_of_bytes_is_explained_behind_its_rescaling():
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    hidden = L.Conv2D(4, 3)(L.Rescaling(1 / 255, name="rescaling")(inputs))
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(hidden)))
    images = RNG.integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    with pytest.raises(ValueError, match="converts them: layer='rescaling' of a gradient or perturbation method"):
        attribution.class_saliency(model, images, 0)
    assert attribution.class_saliency(model, images, 0, layer="rescaling").shape == (2, 8, 8)
