"""What is accepted as input, and what is said of what is not; models of several inputs, outputs and precisions."""

import numpy as np
import pandas as pd
import pytest

from kerasal import attribution, feature_maps
from kerasal.objectives import channel, class_score

import keras
import tensorflow as tf


def _gray():
    inputs = keras.Input((6, 6, 1))
    tensor = keras.layers.Conv2D(2, 3, activation="relu", name="conv")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(tensor)))


def _two_in_two_out():
    image, meta = keras.Input((6, 6, 3), name="image"), keras.Input((4,), name="meta")
    tensor = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, activation="relu", name="conv")(image))
    joined = keras.layers.Concatenate()([tensor, meta])
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(joined)
    age = keras.layers.Dense(1, name="age")(joined)
    return image, meta, kind, age


@pytest.mark.filterwarnings("ignore::kerasal.hooks.model_inputs.PixelInputs")
def test_one_channel_images_in_every_spelling():
    keras.utils.set_random_seed(0)  # other weights may give a map of zeros, and its warning
    model = _gray()
    images = np.random.default_rng(0).integers(0, 255, (2, 6, 6, 1), dtype=np.uint8)
    expected = attribution.class_saliency(model, images.astype(np.float32), [0, 1])
    for given in (images, images[..., 0], tf.constant(images), images.astype(np.float64), list(images)):
        np.testing.assert_array_equal(attribution.class_saliency(model, given, [0, 1]), expected)
    for single in (images[0], images[0, ..., 0], images[:1]):
        np.testing.assert_allclose(attribution.class_saliency(model, single, 0), expected[:1], rtol=1e-6)


def test_dense_models_and_data_frames():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4], "c": [0.5, 0.1]})
    maps = attribution.class_saliency(model, frame, 1)
    np.testing.assert_allclose(maps, np.abs(np.tile(model.get_weights()[0][:, 1], (2, 1))), rtol=1e-6)


def test_images_without_a_channel_axis_keep_their_shape():
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(2)])
    assert attribution.class_saliency(model, np.zeros((3, 28, 28))).shape == (3, 28, 28)


@pytest.mark.parametrize("structure", ["list", "dict"])
def test_several_inputs_and_outputs(structure):
    image, meta, kind, age = _two_in_two_out()
    inputs = [image, meta] if structure == "list" else {"image": image, "meta": meta}
    model = keras.Model(inputs, [kind, age] if structure == "list" else {"kind": kind, "age": age})
    random = np.random.default_rng(0)
    pictures, facts = random.normal(size=(3, 6, 6, 3)), random.normal(size=(3, 4))
    given = [pictures, facts] if structure == "list" else {"meta": facts, "image": pictures}
    with pytest.raises(ValueError, match=r"output must be one of (kind, age|age, kind), got None\. .* has 2 outputs"):
        attribution.input_gradient(model, given, 0)
    with pytest.raises(ValueError, match=r"Unknown output 'agee'.*age"):
        attribution.input_gradient(model, given, 0, output="agee")
    found = attribution.input_gradient(model, given, 0, output="age")
    if structure == "list":
        first, second = found
    else:
        assert set(found) == {"image", "meta"}
        first, second = found["image"], found["meta"]
    assert first.shape == (3, 6, 6, 3)
    weights = model.get_layer("age").get_weights()[0]
    np.testing.assert_allclose(second, np.tile(weights[-4:, 0], (3, 1)), rtol=1e-5)
    by_kind = attribution.class_saliency(model, given, [0, 1, 2], output="kind")
    assert np.abs(by_kind["image"] if structure == "dict" else by_kind[0]).max() > 0
    with pytest.warns(attribution.ZeroMap, match=r"at input 1 of 2 .* does not depend on this input"):
        inner = attribution.input_gradient(model, given, channel("conv", 0))
    assert (inner["image"] if structure == "dict" else inner[0]).shape == (3, 6, 6, 3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"])
@pytest.mark.quick("mixed_float16")
def test_low_precision_models(policy, make_model, batch):
    expected = attribution.class_saliency(make_model("functional"), batch, [0, 1, 2])
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = make_model("functional")
        for method in (attribution.class_saliency, attribution.guided_backprop):
            maps = method(model, batch, [0, 1, 2])
            assert maps.dtype == np.float32
        maps = attribution.class_saliency(model, batch, [0, 1, 2])
        assert np.corrcoef(maps.ravel(), expected.ravel())[0, 1] > 0.97
    finally:
        keras.config.set_dtype_policy(previous)


def test_an_overflow_says_at_which_image():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.layers[-1].set_weights([np.float32([[1e30], [1]]), np.float32([0])])
    with pytest.raises(ValueError, match=r"1 of 3 images, the first at image 1"):
        attribution.gradient_x_input(model, np.float32([[1, 1], [1e30, 1], [3, 1]]), 0)


@pytest.mark.parametrize(
    ("inputs", "error", "says"),
    [
        (np.zeros((2, 6, 5, 1)), ValueError, r"must have shape \(N, 6, 6, 1\), got \(2, 6, 5, 1\)\. Resize"),
        (np.zeros((2, 6, 6, 3)), ValueError, "takes 1 channel, channels last"),
        (np.zeros((0, 6, 6, 1)), ValueError, "must not be empty"),
        (np.full((2, 6, 6, 1), np.nan), ValueError, "must be finite, got NaN or infinity, first in image 0"),
        (np.array(["a", "b"]), TypeError, "must be a numeric array"),
        ([np.zeros((6, 6, 1)), np.zeros((5, 6, 1))], TypeError, "numeric array of images of equal size"),
        ({"wrong": np.zeros((1, 6, 6, 1))}, ValueError, "inputs must be a dictionary with the keys"),
        (None, TypeError, "must be a numeric array"),
    ],
)
def test_bad_inputs_say_what_is_expected(inputs, error, says):
    with pytest.raises(error, match=says):
        attribution.class_saliency(_gray(), inputs)


def test_signals_of_several_lengths_or_of_none():
    x = keras.Input((None, 3))
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(keras.layers.Conv1D(4, 3)(x))))
    signals = [np.ones((9, 3), np.float32), np.ones((5, 3), np.float32)]
    for several in (signals, np.array(signals, dtype=object)):
        with pytest.raises(TypeError, match=r"of \(9, 3\) and \(5, 3\), one at a time, or pad them"):
            attribution.class_saliency(model, several)
    with pytest.raises(ValueError, match=r"must not be empty, got shape \(2, 0, 3\)"):
        attribution.class_saliency(model, np.ones((2, 0, 3)))
    with pytest.raises(TypeError, match=r"Bring \(6, 6, 1\) and \(5, 6, 1\) to the shape .* \(N, 6, 6, 1\)"):
        attribution.class_saliency(_gray(), [np.ones((6, 6, 1)), np.ones((5, 6, 1))])


def test_models_that_cannot_be_explained():
    unbuilt = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="no weights yet"):
        attribution.class_saliency(unbuilt, np.zeros((1, 2)))
    tokens = keras.Input((3,), dtype="int32")
    model = keras.Model(tokens, keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.Embedding(5, 2)(tokens))))
    with pytest.raises(ValueError, match=r"must hold floating-point values.*layer=.embedding"):
        attribution.class_saliency(model, np.zeros((1, 3)))
    model = _gray()
    with pytest.raises(ValueError, match="must be a differentiable function"):
        attribution.class_saliency(
            model, np.zeros((1, 6, 6, 1)), lambda output: tf.cast(tf.argmax(output, axis=1), tf.float32)
        )


def test_wrong_options():
    model = _gray()
    image = np.zeros((1, 6, 6, 1))
    with pytest.raises(TypeError, match="Did you mean channel_reduction"):
        attribution.class_saliency(model, image, chanel_reduction="norm")
    with pytest.raises(ValueError, match="one of 'max_abs', "):
        attribution.class_saliency(model, image, channel_reduction="median")
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="batch_size"):
            attribution.class_saliency(model, image, batch_size=wrong)
    with pytest.raises(ValueError, match=r"must be in range, got 3\. There are 3 classes, counted from 0"):
        attribution.class_saliency(model, image, 3)
    with pytest.raises(ValueError, match="must be at least 0, got -1"):
        attribution.class_saliency(model, image, -1)
    for wrong in ("cat", 1.5, True):
        with pytest.raises(TypeError, match=r"target must be (None|a class index, got 'cat')"):
            attribution.class_saliency(model, image, wrong)
    with pytest.raises(ValueError, match="one entry per image, 1"):
        attribution.class_saliency(model, image, class_score([0, 1]))


@pytest.mark.parametrize("wrong", [lambda o: o[0], lambda o: tf.reduce_sum(o, 0), lambda o: o, tf.reduce_sum])
def test_a_target_function_of_the_wrong_shape(wrong):
    for images in (1, 3):  # as many images as classes would fit by chance
        with pytest.raises(ValueError, match=r"one score per image, shape \(N,\)"):
            attribution.class_saliency(_gray(), np.zeros((images, 6, 6, 1)), wrong)
    with pytest.raises(TypeError, match="got None"):
        attribution.class_saliency(_gray(), np.zeros((1, 6, 6, 1)), lambda o: None)


@pytest.mark.parametrize(
    ("method", "wrong", "says"),
    [
        ("smoothgrad", {"samples": 1.5}, r"samples must be an integer, got 1\.5\."),
        ("smoothgrad", {"samples": True}, "samples must be an integer"),
        ("smoothgrad", {"noise": None}, "noise must be a number"),
        ("smoothgrad", {"seed": None}, "seed must be an integer"),
        ("integrated_gradients", {"steps": 2.0}, "steps must be an integer"),
        ("scorecam", {"channels": 1.5}, "channels must be an integer or None"),
        ("gradcam", {"resize": "x"}, "resize must be True or False"),
        ("crop_averaged_saliency", {"crop": 8}, r"crop must be \(an integer, an integer\) or None"),
        ("class_saliency", {"logits": "no"}, "logits must be True or False"),
    ],
)
def test_options_of_another_type(method, wrong, says):
    with pytest.raises(TypeError, match=says):
        getattr(attribution, method)(_gray(), np.zeros((1, 6, 6, 1)), 0, **wrong)


def test_feature_maps_at_any_depth(make_model, batch):
    model = make_model("nested")
    maps = feature_maps(model, batch, "encoder/innermost/conv1", batch_size=2)
    reference = make_model("functional")
    expected = keras.Model(reference.input, reference.get_layer("conv1").output)(batch)
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-6)
    assert feature_maps(model, batch, "predictions").shape == (3, 6)
    with pytest.raises(ValueError, match="Did you mean"):
        feature_maps(model, batch, "conv9")


def test_a_list_is_refused_where_the_model_takes_a_dictionary():
    query, anchor = keras.Input((2,), name="query"), keras.Input((2,), name="anchor")
    joined = keras.layers.Concatenate()([query, anchor])
    model = keras.Model({"query": query, "anchor": anchor}, keras.layers.Dense(1)(joined))
    arrays = [np.full((1, 2), 1, np.float32), np.full((1, 2), 2, np.float32)]
    with pytest.raises(ValueError, match="must be a dictionary with the keys anchor, query, got a list"):
        attribution.gradient_x_input(model, arrays, 0)
    maps = attribution.gradient_x_input(model, dict(zip(["query", "anchor"], arrays, strict=True)), 0)
    np.testing.assert_allclose(maps["query"], model.get_weights()[0][None, :2, 0], rtol=1e-6)
    np.testing.assert_allclose(maps["anchor"], 2 * model.get_weights()[0][None, 2:, 0], rtol=1e-6)
    single = keras.Model({"query": query}, keras.layers.Dense(1)(query))
    assert attribution.gradient_x_input(single, [np.ones(2), np.ones(2)], 0).shape == (2, 2)
