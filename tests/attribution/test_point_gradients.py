"""Several samples a pass give what one a pass gives, whatever the number left over."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.attribution import method_parts

import keras


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(5),
    ]
    return keras.Sequential(layers)


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("smoothgrad", {"samples": 7}),
        ("smoothgrad", {"samples": 7, "squared": True}),
        ("smoothgrad", {"samples": 7, "variance": True}),
        ("integrated_gradients", {"steps": 6}),
    ],
)
@pytest.mark.parametrize("points", [2, 3, 7, 50])
@pytest.mark.quick("7-smoothgrad-options2", "2-integrated_gradients-options3")
def test_the_number_a_pass_changes_no_map(model, images, monkeypatch, name, options, points):
    run = getattr(attribution, name)
    expected = run(model, images, third_class, **options)  # a function of the output is given one sample at a time
    # Room for so many points of three images, from which it follows how many there are together.
    monkeypatch.setattr(method_parts, "values_per_pass", lambda: points * images.size // method_parts._IMAGES_PER_PASS)
    found = run(model, images, [2, 2, 2], **options)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["smoothgrad", "integrated_gradients"])
def test_each_image_keeps_its_own_class_in_every_pass(model, images, name):
    run = getattr(attribution, name)
    together = run(model, images, [0, 3, 4])
    for number, target in enumerate([0, 3, 4]):
        np.testing.assert_allclose(together[number], run(model, images[number], target)[0], rtol=1e-4, atol=1e-7)


def third_class(output):
    return output[:, 2]
