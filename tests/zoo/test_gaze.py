"""The net that ships: any size of photograph, a density, switchable layers, and an encoder that is EfficientNet's."""

import numpy as np
import pytest

import kerasal
from kerasal import gaze
from kerasal.layers import center_bias_switched_off
from kerasal.training import prepare_gaze

import keras

LITE0 = "models/efficientnet_lite0_imagenet.keras"
TINY = {"encoder_width": 0.25, "readout": 4, "taps": (2, 4)}
RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def tiny():
    keras.utils.set_random_seed(0)
    return kerasal.create_model("gaze", **TINY)


@pytest.mark.parametrize("shape", [(32, 48), (37, 61), (1, 1), (16, 640)])
def test_any_size_gives_a_density(tiny, shape):
    maps = np.asarray(tiny(RANDOM.normal(size=(2, *shape, 3)).astype(np.float32)))
    assert maps.shape == (2, -(-shape[0] // 4), -(-shape[1] // 4))  # block 2 is the first tap
    np.testing.assert_allclose(np.exp(maps).sum(axis=(1, 2)), 1, rtol=1e-5)


def test_blur_and_prior_are_layers_that_can_be_left_out(tiny):
    names = {layer.name for layer in tiny.layers}
    assert {"blur", "center_prior"} <= names
    plain = kerasal.create_model("gaze", blur=False, center_prior=False, **TINY)
    assert not {"blur", "center_prior"} & {layer.name for layer in plain.layers}
    x = RANDOM.normal(size=(1, 64, 64, 3)).astype(np.float32)
    with center_bias_switched_off(tiny) as layers:
        assert len(layers) == 1
        without = np.asarray(tiny(x))[0]
    difference = np.asarray(tiny(x))[0] - without
    assert difference[8, 8] > difference[0, 0] + 0.1  # the prior raises the middle


def test_a_frozen_encoder_leaves_the_readout():
    net = kerasal.create_model("gaze", frozen=True, **TINY)
    trained = {weight.path.split("/")[0] for weight in net.trainable_weights}
    assert trained == {"read2", "read4", "combine", "readout", "blur", "center_prior"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"taps": ()}, "taps must be increasing block numbers"),
        ({"taps": (4, 2)}, "taps must be increasing block numbers"),
        ({"taps": (16,)}, r"in 0\.\.15, got"),
        ({"readout": 0}, "readout a positive integer"),
        ({"input_shape": (10, 10, 1)}, "input_shape must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        kerasal.create_model("gaze", **options)


@pytest.mark.slow
def test_the_encoder_is_efficientnet_with_its_normalization_folded(data_folder):
    source = keras.models.load_model(data_folder / LITE0)
    net = kerasal.create_model("gaze", taps=(4, 10, 12), encoder_weights=data_folder / LITE0)
    x = RANDOM.normal(0, 0.5, (1, 224, 224, 3)).astype(np.float32)
    for name in ("block4_add", "block10_add", "block12_add"):
        expected = np.asarray(keras.Model(source.inputs, source.get_layer(name).output)([x]))
        found = np.asarray(keras.Model(net.inputs, net.get_layer(name).output)([x]))
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_an_encoder_of_another_net_is_refused(tmp_path):
    other = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
    other.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="no stem_conv with a batch normalization"):
        kerasal.create_model("gaze", encoder_weights=tmp_path / "other.keras", **TINY)
    with pytest.raises(FileNotFoundError, match="no weights file"):
        kerasal.create_model("gaze", encoder_weights=tmp_path / "none.keras", **TINY)


def test_both_weights_are_small_and_differ():
    weights = kerasal.model_spec("gaze").weights
    assert list(weights) == ["distilled", "kerasal"], "load_model uses the first"
    assert all(one.file.stat().st_size <= 3_000_000 for one in weights.values())
    image = RANDOM.uniform(-1, 1, (1, 240, 320, 3)).astype(np.float32)
    first, second = (np.asarray(kerasal.create_model("gaze", name)(image)) for name in weights)
    np.testing.assert_array_equal(kerasal.load_model("gaze")(image), first)
    assert np.abs(first - second).max() > 0.1


def test_a_model_file_says_at_which_size_it_was_trained(tmp_path):
    saved = kerasal.create_model("gaze", encoder_width=0.25, image_size=(96, 128))
    saved.save(tmp_path / "own.keras")
    saved.save_weights(tmp_path / "own.weights.h5")

    def image_size(file, **options):
        return kerasal.create_model("gaze", tmp_path / file, encoder_width=0.25, **options).layers[-1].image_size

    assert image_size("own.keras") == (96, 128)
    assert image_size("own.keras", image_size=(64, 64)) == (64, 64), "an option overrides the file"
    assert image_size("own.weights.h5") == (336, 448), "which has no size"
    (tmp_path / "damaged.keras").write_bytes(b"PK")
    with pytest.raises(ValueError, match="damaged"):
        image_size("damaged.keras")


def test_photos_get_the_size_that_the_weights_were_trained_at():
    sizes = {"kerasal": (240, 320), None: (336, 448)}
    for weights, size in sizes.items():
        predictor = gaze.Predictor.from_image_model(kerasal.open_model("gaze", weights=weights))
        assert predictor.image_size == size and predictor.size is None
        assert prepare_gaze("gaze", weights=weights).size == size
