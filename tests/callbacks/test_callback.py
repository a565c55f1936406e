"""What a training leaves behind while it is watched, and that watching changes nothing of it."""

import warnings

import numpy as np
import pytest
from PIL import Image

import kerasal
from kerasal import images as pictures
from kerasal.callbacks import draw_strip, strips
from kerasal.receptive_field.exemplars.evolution_files import EpochStore

import keras
import tensorflow as tf

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
CLASSES = np.arange(8) % 3
DATA = IMAGES / np.float32(255), CLASSES
LOOK = {"images": IMAGES[:2], "preprocessing": "unit"}


def net():
    keras.utils.set_random_seed(3)
    layers = keras.layers
    stack = [
        keras.Input((8, 8, 3)),
        layers.Conv2D(4, 3, activation="relu", name="conv"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax", name="scores"),
    ]
    model = keras.Sequential(stack, name="net")
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    return model


def train(callback, model=None, **options):
    model = model or net()
    callbacks = [callback] if callback else []
    model.fit(*DATA, **{"batch_size": 4, "epochs": 3, "verbose": 0, "shuffle": False} | options, callbacks=callbacks)
    return model


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Three epochs, looked at every two: before, after the second, and at the end."""
    folder = tmp_path_factory.mktemp("watched")
    options = {"maps": ["class_saliency", "gradcam"], "classes": [0, 2], "labels": ["ant", "bee", "cat"]}
    options |= {"ascent": {"steps": 3, "preset": "channel"}, "features": {"conv": [0, 1]}, "tensorboard": True}
    return folder, train(kerasal.KerasalCallback(folder, every=2, **LOOK, **options))


def test_it_changes_nothing_of_the_training(watched):
    plain = train(None)
    assert all(np.array_equal(a, b) for a, b in zip(plain.get_weights(), watched[1].get_weights(), strict=True))


def test_what_is_stored(watched):
    folder, model = watched
    assert list(EpochStore(folder).epochs()) == [0, 2, 3]
    tiles = EpochStore(folder).read(strips.read_tiles)[3]
    rows = [one.row for one in tiles]
    assert rows == [
        *("image 0, class_saliency", "image 0, gradcam", "image 1, class_saliency", "image 1, gradcam", "ant", "cat")
    ]
    scores = model.predict(DATA[0][:2], verbose=0)
    top = scores[0].argmax()
    assert tiles[0].label == f"{['ant', 'bee', 'cat'][top]}, {100 * scores[0, top]:.0f} %"
    values = kerasal.attribution.class_saliency(model, DATA[0][:2], scores.argmax(axis=1))
    np.testing.assert_array_equal(tiles[2].image, pictures.overlay(IMAGES[1], values[1]))
    found = kerasal.maximize(model, [0, 2], preset="channel", steps=3, preprocessing="unit")
    np.testing.assert_array_equal(tiles[5].image, found.images[1])
    for name in ("maps.png", "classes.png", "features/evolution.png"):
        with Image.open(folder / name) as strip:
            assert np.ptp(np.asarray(strip)) > 100
    assert np.array_equal(draw_strip(folder, "maps"), pictures.read(folder / "maps.png"))


def test_tensorboard_gets_the_pictures(watched):
    (file,) = (watched[0] / "events").glob("events*")
    found = {}
    for record in tf.data.TFRecordDataset(str(file)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            found[value.tag, event.step] = value
    assert {step for _, step in found} == {0, 2, 3}
    one = found["maps/image 0, gradcam", 3]
    assert one.metadata.plugin_data.plugin_name == "images"
    width, height, png = one.tensor.string_val
    assert (width, height) == (b"8", b"8") and tf.io.decode_png(png).shape == (8, 8, 3)
    assert ("strips/classes", 2) in found


def test_a_training_that_goes_on_adds_to_the_strips(tmp_path):
    model = train(kerasal.KerasalCallback(tmp_path, **LOOK), epochs=2)
    before = pictures.read(tmp_path / "maps.png")
    train(kerasal.KerasalCallback(tmp_path, **LOOK), model, epochs=3, initial_epoch=2)
    assert list(EpochStore(tmp_path).epochs()) == [0, 1, 2, 3]
    assert pictures.read(tmp_path / "maps.png").shape[1] > before.shape[1]


@pytest.mark.slow
def test_a_folder_of_another_training_is_refused(tmp_path):
    train(kerasal.KerasalCallback(tmp_path, **LOOK))
    kept = EpochStore(tmp_path).epochs()[3].read_bytes()
    with pytest.raises(ValueError, match="holds pictures of an earlier run, up to epoch 3"):
        train(kerasal.KerasalCallback(tmp_path, **LOOK))
    with pytest.raises(ValueError, match=r"holds pictures with other settings \(maps: "):
        train(kerasal.KerasalCallback(tmp_path, **LOOK, maps=["gradcam"]), initial_epoch=3, epochs=4)
    changed = net()
    changed.get_layer("conv").activation = keras.activations.elu
    with pytest.raises(ValueError, match=r"holds pictures with other settings \(architecture: "):
        train(kerasal.KerasalCallback(tmp_path, **LOOK), changed, initial_epoch=3, epochs=4)
    assert EpochStore(tmp_path).epochs()[3].read_bytes() == kept
    train(kerasal.KerasalCallback(tmp_path, **LOOK, overwrite=True), epochs=1)
    assert list(EpochStore(tmp_path).epochs()) == [0, 1]


def test_a_damaged_epoch_costs_a_column(tmp_path):
    model = train(kerasal.KerasalCallback(tmp_path, **LOOK), epochs=2)
    EpochStore(tmp_path).epochs()[1].write_bytes(b"half")
    with pytest.warns(UserWarning, match=r"epoch-0001.npz is damaged .* skipped"):
        train(kerasal.KerasalCallback(tmp_path, **LOOK), model, epochs=3, initial_epoch=2)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"maps": ["gradcm"], **LOOK}, ValueError, "gradcam"),
        ({"every": 0, **LOOK}, ValueError, "every must be a positive integer, got 0"),
        ({}, ValueError, "images or classes must be specified"),
        ({"classes": [1], "features": {"conv": 0}}, ValueError, "images must be specified with features"),
        ({"classes": [7]}, ValueError, "3 classes|0 to 2|7"),
        ({"images": IMAGES[:2]}, ValueError, "preprocessing must be known for 'net'"),
        ({"features": {"no_layer": 0}, **LOOK}, ValueError, "no_layer"),
        ({"maps": {"gradcam": {"layer": "no_layer"}}, **LOOK}, ValueError, "no_layer"),
    ],
)
def test_errors_come_before_the_first_step(tmp_path, options, error, message):
    model = net()
    before = model.get_weights()
    with pytest.raises(error, match=message):
        train(kerasal.KerasalCallback(tmp_path / "run", **options), model)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert not EpochStore(tmp_path / "run").epochs()


def test_a_failure_later_costs_only_the_pictures(tmp_path):
    callback = kerasal.KerasalCallback(tmp_path, **LOOK)

    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.layers[-1].bias.assign([np.nan] * 3)

    model = net()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*DATA, batch_size=4, epochs=3, verbose=0, callbacks=[Spoil(), callback])
    assert any("after epoch 2 could not be stored and drawn" in str(one.message) for one in caught)
    assert list(EpochStore(tmp_path).epochs()) == [0, 1] and (tmp_path / "maps.png").exists()


def test_a_long_training_is_drawn_evenly(tmp_path):
    for epoch in range(1, 31):
        tile = strips.Tile("maps", "one", "", np.full((8, 8, 3), epoch, np.uint8))
        EpochStore(tmp_path).write(epoch, *strips.epoch_contents([tile], {}))
    wide = draw_strip(tmp_path, most=5, tile=32)
    seen = [value for value in np.unique(wide[..., 0]) if value in (1, 8, 9, 15, 16, 23, 30)]
    assert seen[0] == 1 and seen[-1] == 30
    assert wide.shape[1] < draw_strip(tmp_path, most=20, tile=32).shape[1]
    with pytest.raises(FileNotFoundError, match="with no classes"):
        draw_strip(tmp_path, "classes")


def test_where_the_zero_image_has_no_gradient_the_ascent_starts_from_noise(tmp_path):
    model = net()
    options = {"classes": [1], "ascent": {"preset": "simonyan", "steps": 3}, "preprocessing": "unit"}
    train(kerasal.KerasalCallback(tmp_path, **options), model, epochs=1)
    (tile,) = EpochStore(tmp_path).read(strips.read_tiles)[0]
    assert tile.label == "from noise" and tile.image.std() > 10
    model.get_layer("conv").set_weights([np.zeros((3, 3, 3, 4)), -np.ones(4)])
    train(kerasal.KerasalCallback(tmp_path / "dead", **options), model, epochs=1)
    (tile,) = EpochStore(tmp_path / "dead").read(strips.read_tiles)[0]
    assert tile.label == "zero gradient"


def test_a_wrong_path_is_told_first(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        kerasal.KerasalCallback(tmp_path, images="nowhere")
