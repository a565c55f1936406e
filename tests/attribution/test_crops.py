"""Ten crops: against each crop's own map, turned back, laid where it was, and counted."""

import numpy as np
import pytest

from kerasal import attribution, objectives

import keras


@pytest.fixture(scope="module")
def linear():
    """A linear model of 4 × 5 crops, and its saliency, which is the same for every crop."""
    model = keras.Sequential([keras.Input((4, 5, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])
    return model, np.abs(model.layers[-1].kernel.numpy().reshape(4, 5, 2, 3)).max(2)


def _places(rows, columns):
    return [(0, 0), (0, columns - 5), (rows - 4, 0), (rows - 4, columns - 5), ((rows - 4) // 2, (columns - 5) // 2)]


def test_a_linear_model_has_its_closed_form(linear):
    model, saliency = linear
    images = np.random.default_rng(0).normal(size=(2, 6, 9, 2))
    summed, covered = np.zeros((6, 9)), np.zeros((6, 9))
    for top, left in _places(6, 9):
        for one in (saliency[..., 1], saliency[:, ::-1, 1]):
            # What a mirrored crop sees at a pixel is what lies mirrored in it, so its map is turned back.
            summed[top : top + 4, left : left + 5] += one
            covered[top : top + 4, left : left + 5] += 1
    assert covered.max() == 10
    assert covered[0, 0] == 2
    found = attribution.crop_averaged_saliency(model, images, 1)
    np.testing.assert_allclose(found, np.stack([summed / np.maximum(covered, 1)] * 2), rtol=1e-5)
    plain = attribution.crop_averaged_saliency(model, images, 1, average="crops")
    np.testing.assert_allclose(plain[0], (saliency[..., 1] + saliency[:, ::-1, 1]) / 2, rtol=1e-5)


def test_it_is_the_mean_of_the_crops_own_maps(make_model):
    model = make_model("functional")
    images = np.random.default_rng(1).normal(size=(2, 11, 10, 3)).astype(np.float32)
    summed, covered = np.zeros((2, 11, 10)), np.zeros((11, 10))
    for top, left in [(0, 0), (0, 2), (3, 0), (3, 2), (1, 1)]:
        for step in (1, -1):
            crop = images[:, top : top + 8, left : left + 8][:, :, ::step]
            summed[:, top : top + 8, left : left + 8] += attribution.class_saliency(model, crop, 3)[:, :, ::step]
            covered[top : top + 8, left : left + 8] += 1
    np.testing.assert_allclose(
        attribution.crop_averaged_saliency(model, images, 3), summed / covered, rtol=1e-4, atol=1e-6
    )


def test_the_ten_crops_choose_the_class_together(make_model):
    model = make_model("functional")
    images = np.random.default_rng(2).normal(size=(4, 11, 10, 3)).astype(np.float32)
    total = 0
    for top, left in [(0, 0), (0, 2), (3, 0), (3, 2), (1, 1)]:
        crop = images[:, top : top + 8, left : left + 8]
        total = total + model(crop, training=False).numpy() + model(crop[:, :, ::-1], training=False).numpy()
    expected = attribution.crop_averaged_saliency(model, images, total.argmax(1))
    np.testing.assert_allclose(attribution.crop_averaged_saliency(model, images), expected, rtol=1e-5)


def test_crops_of_another_size_on_a_model_that_takes_any():
    inputs = keras.Input((None, None, 3))
    tensor = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(tensor))
    images = np.random.default_rng(0).normal(size=(1, 20, 30, 3))
    assert attribution.crop_averaged_saliency(model, images, crop=(12, 16)).shape == (1, 20, 30)


class _Undeclared(keras.Model):
    """A model that does not declare its input's size, but was built for 8 × 8."""

    def __init__(self):
        super().__init__(name="undeclared")
        self.parts = [keras.layers.Conv2D(4, 7), keras.layers.Flatten(), keras.layers.Dense(2)]

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x


def test_a_crop_that_the_model_does_not_take():
    images, size = np.zeros((1, 9, 12, 3), np.float32), (8, 8)
    fixed = keras.Sequential([keras.Input((*size, 3)), keras.layers.Flatten(), keras.layers.Dense(2)], name="fixed")
    message = r"a size that 'fixed' takes, got \(8, 9\)\. Its input has the size \(8, 8\)\. Pass that, or omit crop"
    with pytest.raises(ValueError, match=message):
        attribution.crop_averaged_saliency(fixed, images, crop=(8, 9))
    free = _Undeclared()
    free(np.zeros((1, *size, 3), np.float32))
    with pytest.raises(ValueError, match=r"got \(9, 12\)\. Pass crop=\(height, width\), the size for which"):
        attribution.crop_averaged_saliency(free, images)
    with pytest.raises(ValueError, match=r"got \(6, 6\)\. Pass a size for which it was built, or a larger one"):
        attribution.crop_averaged_saliency(free, images, crop=(6, 6))
    assert attribution.crop_averaged_saliency(free, images, crop=size).shape == (1, 9, 12)


def test_what_does_not_fit(make_model):
    with pytest.raises(ValueError, match="at least as large as a crop"):
        attribution.crop_averaged_saliency(make_model("functional"), np.zeros((1, 7, 9, 3)))
    with pytest.raises(ValueError, match="crop must be"):
        attribution.crop_averaged_saliency(make_model("functional"), np.zeros((1, 9, 9, 3)), crop=(0, 4))
    with pytest.raises(ValueError, match="a single image input"):
        flat = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        attribution.crop_averaged_saliency(flat, np.zeros((1, 4)))


def test_targets_with_positions_do_not_move_with_the_crops():
    inputs = keras.Input((8, 8, 3))
    scores = keras.layers.Conv2D(2, 1, name="scores")(inputs)
    boxes = keras.layers.Reshape((-1, 4))(keras.layers.Conv2D(4, 1)(inputs))
    model = keras.Model(inputs, {"scores": scores, "boxes": boxes, "kinds": keras.layers.Reshape((-1, 2))(scores)})
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    mask = np.eye(8, dtype=bool)
    targets = {
        "region": objectives.output("scores", objectives.region(mask, 1)) - objectives.output("scores", 0),
        "neuron": objectives.neuron("scores", 1, (2, 3)),
        "box": objectives.box((1, 1, 4, 4), 0, boxes="boxes", scores="kinds", activation="sigmoid"),
    }
    for kind, target in targets.items():
        with pytest.raises(ValueError, match=rf"must not have positions for crop_averaged_saliency, .*got {kind}\."):
            attribution.crop_averaged_saliency(model, image, target)
    center = attribution.crop_averaged_saliency(model, image, objectives.neuron("scores", 1))
    assert center.any()
