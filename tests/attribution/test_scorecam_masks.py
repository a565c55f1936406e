"""Score-CAM written out: masks are enlarged first and then scaled to 0..1, for inputs of any rank."""

import numpy as np
import pytest

from kerasal import attribution

import keras

SIZES = {1: (24,), 2: (8, 12), 3: (6, 8, 8)}  # enlarged by an even factor, no value of a coarse map is kept


def model_of(rank):
    """A network whose last convolution has a coarse map, with negative values."""
    keras.utils.set_random_seed(rank)
    layers, inputs = keras.layers, keras.Input((*SIZES[rank], 2))
    convolution, pool = (getattr(layers, f"{name}{rank}D") for name in ("Conv", "AveragePooling"))
    x = convolution(5, 3, padding="same", name="last")(pool(2)(inputs))
    return keras.Model(inputs, layers.Softmax()(layers.Dense(3)(layers.Flatten()(x))))


def enlarge(values, axis, size):
    """Interpolate linearly between the centers of positions, with the values at the borders repeated beyond them."""
    centers = (np.arange(size) + 0.5) * values.shape[axis] / size - 0.5
    return np.apply_along_axis(lambda line: np.interp(centers, np.arange(len(line)), line), axis, values)


def score_cam(model, image, target, *, scale_first=False):
    """Return relu(sum of probability × channel), where the channel's enlarged map masks the image."""

    def scaled(values):
        return (values - values.min()) / (values.max() - values.min())

    channels = keras.Model(model.input, model.get_layer("last").output)(image[None]).numpy()[0]
    total = np.zeros(channels.shape[:-1])
    for channel in np.moveaxis(channels, -1, 0):
        mask = scaled(channel) if scale_first else channel
        for axis, size in enumerate(image.shape[:-1]):
            mask = enlarge(mask, axis, size)
        mask = mask if scale_first else scaled(mask)
        total += model((image * mask[..., None])[None].astype(np.float32)).numpy()[0, target] * channel
    return np.maximum(total, 0)


@pytest.mark.parametrize("rank", SIZES)
def test_masks_are_enlarged_before_they_are_scaled(rank):
    model = model_of(rank)
    images = np.random.default_rng(2).normal(0, 2, (2, *SIZES[rank], 2)).astype(np.float32)
    targets = [2, 0]
    found = attribution.scorecam(model, images, targets, logits=False, resize=False)
    expected = [score_cam(model, image, target) for image, target in zip(images, targets, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.max(expected))
    other = [score_cam(model, image, target, scale_first=True) for image, target in zip(images, targets, strict=True)]
    assert np.abs(found - other).max() > 1e-3 * np.max(expected)  # the order matters here


def test_the_mask_is_0_where_the_model_has_cropped_its_input():
    """Also where a channel's smallest value is above 0, or all of its values are below."""
    inputs = keras.Input((12, 12, 1))
    x = keras.layers.Conv2D(4, 2, strides=2, name="last")(keras.layers.Cropping2D(((4, 0), (0, 0)))(inputs))
    seen = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    top = keras.layers.Flatten()(inputs[:, :3])  # the next row is interpolated between 0 and the map
    model = keras.Model(inputs, seen(inputs) + keras.layers.Dense(2, name="crop")(top))
    rows = np.random.default_rng(0).normal(size=(1, 12, 12, 1)).astype(np.float32)
    head = model.get_layer("crop")
    maps = attribution.scorecam(model, rows, 0, layer="last")
    head.set_weights([100 * head.get_weights()[0], head.get_weights()[1]])
    np.testing.assert_array_equal(attribution.scorecam(model, rows, 0, layer="last"), maps)
    assert maps.any()
