"""The kinds beside attribution on a classifier: maximize, gaze, several inputs and outputs, any size, subclassed."""

import numpy as np
import pytest

import kerasal
from kerasal import attribution, gaze, images
from kerasal.objectives import channel

import keras
import tensorflow as tf

pytestmark = pytest.mark.slow  # exports take seconds each


def _signatures(path):
    return tf.saved_model.load(path).signatures


def test_maximize_draws_what_the_process_draws(shared_model, tmp_path):
    model = shared_model("functional")
    texts = [
        "maximize:preset=channel,steps=3,init=zero,display=pixels",
        "noise=maximize:preset=channel,layer=conv1,steps=3,canvas=auto",
        "default=maximize:steps=3",
    ]
    found = _signatures(kerasal.export(model, tmp_path, signatures=texts, preprocessing="caffe"))
    asked = [5, 0, 5]
    served = found["maximize"](class_index=tf.constant(asked))
    settings = {"preset": "channel", "steps": 3, "preprocessing": "caffe"}
    here = kerasal.maximize(model, asked, init="zero", display="pixels", **settings)
    np.testing.assert_array_equal(served["image"], here.images)
    last = here.history[here.history["step"] == 3]["score"].to_numpy()
    np.testing.assert_allclose(served["score"], last, rtol=1e-5)
    served = found["noise"](channel=tf.constant([0, 3]))
    wanted = [channel("conv1", 0), channel("conv1", 3)]
    here = kerasal.maximize(model, wanted, canvas="auto", **settings)
    assert np.abs(served["image"].numpy().astype(int) - here.images).max() <= 1
    assert served["dead"].numpy().nonzero()[0].tolist() == here.dead == []
    by_default = found["default"](class_index=tf.constant(asked))["image"].numpy()  # the preset of a photo model
    here = kerasal.maximize(model, asked, steps=3, preprocessing="caffe")
    assert np.abs(by_default.astype(int) - here.images).max() <= 1
    for name, key, bad in (("maximize", "class_index", 6), ("noise", "channel", 4), ("noise", "channel", -1)):
        with pytest.raises(tf.errors.InvalidArgumentError):
            found[name](**{key: tf.constant([bad])})
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one row"):
        found["maximize"](class_index=tf.zeros(0, tf.int32))


def test_what_noise_does_not_wake_is_tried_once_more(make_model, tmp_path):
    model = make_model("functional")
    kernel, bias = model.get_layer("conv1").get_weights()
    bias[:] = -60.0  # asleep under noise of one gray level, woken by 32
    model.get_layer("conv1").set_weights([kernel, bias])
    found = _signatures(
        kerasal.export(
            model, tmp_path, signatures=["maximize:preset=channel,layer=conv1,steps=2"], preprocessing="none"
        )
    )
    served = found["maximize"](channel=tf.constant([0, 1, 2, 3]))
    here = kerasal.maximize(
        model, [channel("conv1", i) for i in range(4)], steps=2, preset="channel", preprocessing="none"
    )
    assert served["dead"].numpy().nonzero()[0].tolist() == here.dead
    assert len(here.dead) < 4
    assert np.abs(served["image"].numpy().astype(int) - here.images).max() <= 1


def _gaze_net(size=(None, None)):
    inputs = keras.Input((*size, 3))
    tensor = keras.layers.Conv2D(3, 3, strides=4, padding="same", activation="relu")(inputs)
    maps = keras.layers.Conv2D(1, 1)(tensor)
    return keras.Model(inputs, maps, name="looks")


def test_gaze_maps_are_those_of_the_predictor(tmp_path):
    keras.utils.set_random_seed(1)
    net = _gaze_net((24, 32))
    texts = ["gaze", "files=gaze:on=bytes"]
    found = _signatures(kerasal.export(net, tmp_path, signatures=texts, preprocessing="unit"))
    photographs = np.random.default_rng(0).integers(0, 256, (2, 24, 32, 3), np.uint8)
    expected = np.stack([*gaze.Predictor(net).raw(photographs)])
    np.testing.assert_array_equal(found["gaze"](images=tf.constant(photographs))["map"], expected)
    files = [tf.io.encode_png(one) for one in photographs]
    np.testing.assert_array_equal(found["files"](image_bytes=tf.stack(files))["map"], expected)


def test_a_gaze_net_of_any_size_looks_in_the_photographs_proportions(tmp_path):
    net = kerasal.load_model("gaze")
    path = kerasal.export("gaze", tmp_path)
    found = _signatures(path)
    assert sorted(found) == ["gaze", "serving_default"]
    assert "810 photographs" in (path / "assets" / "card.md").read_text()
    photograph = np.random.default_rng(0).integers(0, 256, (336, 448, 3), np.uint8)  # the size that the model sees
    wide = images.resize(photograph, (200, 500))
    predictor = gaze.Predictor(net, kerasal.model_spec("gaze").preprocessing)
    for one, exact in ((photograph, True), (wide, False)):
        served = found["gaze"](images=tf.constant(one[None]))["map"].numpy()[0]
        here = next(predictor.raw([one]))
        assert served.shape == here.shape
        np.testing.assert_allclose(served, here, atol=0 if exact else 0.02)


@pytest.mark.parametrize(("weights", "size"), [("distilled", (336, 448)), ("kerasal", (240, 320))])
def test_files_for_a_gaze_net_of_any_size_get_the_size_of_its_training(tmp_path, weights, size):
    net = kerasal.open_model("gaze", weights=weights)
    found = _signatures(kerasal.export(net, tmp_path, signatures=["gaze:on=bytes"]))
    photograph = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    served = found["gaze"](image_bytes=tf.stack([tf.io.encode_png(photograph)]))["map"][0]
    np.testing.assert_array_equal(served, next(gaze.Predictor.from_image_model(net).raw([photograph])))


def test_several_inputs_and_outputs_go_by_name(tmp_path):
    left, right = keras.Input((4, 4, 1), name="left"), keras.Input((3,), name="right")
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(left), right])
    ends = [keras.layers.Dense(3, activation="softmax", name=name)(joined) for name in ("kind", "color")]
    model = keras.Model([left, right], ends)
    texts = ["predict", "kinds=predict:output=kind,top=2", "class_saliency:output=color,target=class"]
    found = _signatures(kerasal.export(model, tmp_path, signatures=texts, name="two"))
    random = np.random.default_rng(0)
    inputs = {"left": random.normal(size=(2, 4, 4, 1)), "right": random.normal(size=(2, 3))}
    tensors = {key: tf.constant(value, tf.float32) for key, value in inputs.items()}
    outputs = found["serving_default"](**tensors)
    expected = model([tensors["left"], tensors["right"]], training=False)
    np.testing.assert_allclose(outputs["kind"], expected[0], rtol=1e-5)
    np.testing.assert_allclose(outputs["color"], expected[1], rtol=1e-5)
    assert found["kinds"](**tensors)["scores"].shape == (2, 2)
    served = found["class_saliency"](**tensors, class_index=tf.constant([2, 0]))
    maps = attribution.class_saliency(model, inputs, [2, 0], output="color")
    np.testing.assert_array_equal(served["map_left"], maps["left"])
    np.testing.assert_array_equal(served["map_right"], maps["right"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many rows as the first input"):
        found["serving_default"](left=tensors["left"], right=tensors["right"][:1])


@pytest.mark.parametrize("kind", ["sequential", "nested", "subclassed"])
def test_every_spelling_of_keras(kind, shared_model, batch, tmp_path):
    model = shared_model(kind)
    found = _signatures(kerasal.export(model, tmp_path, signatures=["guided_backprop"]))
    np.testing.assert_array_equal(
        found["guided_backprop"](inputs=tf.constant(batch))["map"], attribution.guided_backprop(model, batch)
    )


def test_a_gray_net_gets_gray_pixels(tmp_path):
    path = kerasal.export("mnist_cnn", tmp_path)
    found = _signatures(path)
    assert sorted(found) == ["class_saliency", "predict_bytes", "predict_image", "serving_default"]
    photograph = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 3), np.uint8)
    inputs = kerasal.preprocessing.get("unit").apply(images.to_channels(photograph[0], 1))[None]
    np.testing.assert_array_equal(
        found["predict_image"](images=tf.constant(photograph))["scores"],
        found["serving_default"](inputs=tf.constant(inputs))["scores"],
    )
    named = found["predict_bytes"](image_bytes=tf.constant([tf.io.encode_png(photograph[0]).numpy()]))["labels"]
    assert sorted(one.decode() for one in named.numpy()[0])[0].isdecimal()


def test_a_net_of_any_size_is_given_one(tmp_path):
    inputs = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(pooled), name="free")
    texts = ["class_saliency", "small=class_saliency:on=image,size=20x30", "occlusion:size=16x16,window=4,stride=4"]
    found = _signatures(kerasal.export(model, tmp_path, signatures=texts, preprocessing="unit"))
    x = np.random.default_rng(0).random((1, 12, 17, 3), np.float32)
    np.testing.assert_array_equal(
        found["class_saliency"](inputs=tf.constant(x))["map"], attribution.class_saliency(model, x)
    )
    assert found["small"](images=tf.zeros((2, 50, 60, 3), tf.uint8))["map"].shape == (2, 20, 30)
    assert found["occlusion"](inputs=tf.zeros((1, 16, 16, 3)))["map"].shape == (1, 4, 4)


def test_a_model_without_weights_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no weights yet"):
        kerasal.export(keras.Sequential([keras.layers.Dense(2)]), tmp_path)
