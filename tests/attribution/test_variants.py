"""Every method on the models that are easily forgotten: two outputs, one channel, half precision, ReLU6."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.attribution.questions import QUESTIONS

import keras

# The small net has an image with a class that nothing speaks for: a class activation map of 0, rightly.
pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")
RELU6 = [
    ("functional", "relu6 attribute"),
    ("functional", "relu6 op"),
    ("subclassed", "relu6 call"),
]


@pytest.fixture(params=attribution.list_methods())
def method(request):
    return getattr(attribution, request.param)


@pytest.mark.one_of_a_kind
@pytest.mark.quick("guided_backprop")
def test_of_two_outputs_the_one_that_is_named(method, shared_model, batch):
    model = shared_model("functional")
    other = keras.layers.Dense(2, name="other")(model.get_layer("flatten").output)
    both = keras.Model(model.input, [other, model.output])
    with pytest.raises(ValueError, match=r"output must be one of .* has 2 outputs"):
        method(both, batch, 0)
    maps = method(both, batch, [0, 1, 2], output="predictions")
    np.testing.assert_allclose(maps, method(model, batch, [0, 1, 2]), rtol=1e-5, atol=1e-7)
    if QUESTIONS[attribution.method_spec(method.__name__).question].by_class:
        assert np.abs(method(both, batch, 1, output="other") - maps).max() > 1e-4


@pytest.mark.one_of_a_kind
def test_one_channel_with_and_without_its_axis(method, shared_model, batch):
    gray = batch[..., :1]
    maps = method(shared_model("functional", shape=(8, 8, 1)), gray, [0, 1, 2])
    assert np.isfinite(maps).all()
    assert np.abs(maps).max() > 0
    np.testing.assert_array_equal(method(shared_model("functional", shape=(8, 8, 1)), gray[..., 0], [0, 1, 2]), maps)
    nested = method(shared_model("nested", shape=(8, 8, 1)), gray, [0, 1, 2])
    np.testing.assert_allclose(nested, maps, rtol=1e-5, atol=1e-7)


@pytest.mark.one_of_a_kind
def test_mixed_precision_differs_by_its_rounding_alone(method, shared_model, make_model, batch):
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        maps = method(make_model("functional"), batch, [0, 1, 2])
    finally:
        keras.config.set_dtype_policy(previous)
    assert maps.dtype == np.float32
    expected = method(shared_model("functional"), batch, [0, 1, 2])
    assert np.corrcoef(maps.ravel(), expected.ravel())[0, 1] > 0.97


@pytest.mark.one_of_a_kind
@pytest.mark.parametrize(("kind", "relu"), RELU6)
@pytest.mark.quick(
    "gradcam-functional-relu6 op", "guided_backprop-functional-relu6 op", "guided_backprop-subclassed-relu6 call"
)
def test_relu6_has_one_map_however_it_is_spelled(method, kind, relu, shared_model, batch):
    images = 3 * batch  # far enough for the upper gate to matter
    expected = method(shared_model("functional", "relu6 layer"), images, [0, 1, 2])
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(method(shared_model(kind, relu), images, [0, 1, 2]), expected, rtol=1e-5, atol=1e-7)
    plain = method(shared_model("functional"), images, [0, 1, 2])
    assert np.abs(plain - expected).max() > 1e-3 * np.abs(plain).max()
