"""Numbers that are known beforehand: closed forms, finite differences, adjoints, and what tf-keras-vis finds."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.attribution.method_parts import reduce_channels
from kerasal.objectives import class_score, neuron

import keras
import tensorflow as tf

# tf-keras-vis calls functional models with a list, which Keras remarks on.
_THEIR_WARNING = pytest.mark.filterwarnings("ignore:The structure of:UserWarning")


@pytest.fixture(scope="module")
def linear():
    """S = W x + b on 5 × 4 images of 3 channels, and W as (5, 4, 3, classes)."""
    model = keras.Sequential(
        [keras.Input((5, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    )
    weights = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    model.layers[-1].set_weights([weights, np.float32([1, -1])])
    return model, weights.reshape(5, 4, 3, 2)


def test_saliency_of_a_linear_model_is_its_weights_for_every_image(linear):
    model, weights = linear
    images = np.random.default_rng(1).normal(size=(4, 5, 4, 3))
    maps = attribution.class_saliency(model, images, 1)
    np.testing.assert_allclose(maps, np.broadcast_to(np.abs(weights[..., 1]).max(axis=2), maps.shape), rtol=1e-6)


def test_shares_of_a_linear_model_add_up_to_its_score(linear):
    model, weights = linear
    image = np.random.default_rng(2).normal(size=(1, 5, 4, 3)).astype(np.float32)
    shares = attribution.gradient_x_input(model, image, 0)
    np.testing.assert_allclose(shares.sum(), (weights[..., 0] * image[0]).sum(), rtol=1e-4)


def test_the_posteriors_gradient_has_the_factor_of_the_softmax(linear):
    model, weights = linear
    image = np.random.default_rng(3).normal(scale=0.1, size=(1, 5, 4, 3)).astype(np.float32)
    p = model(image, training=False).numpy()[0, 1]
    expected = p * (1 - p) * (weights[..., 1] - weights[..., 0])
    found = attribution.input_gradient(model, image, 1, logits=False)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(attribution.input_gradient(model, image, 1)[0], weights[..., 1], rtol=1e-6)


def test_gradient_is_the_finite_difference(make_model, batch):
    model = make_model("nested")
    gradient = attribution.input_gradient(model, batch[:1], 2, logits=False)[0]
    for place in [(0, 0, 0), (3, 4, 1), (7, 7, 2), (5, 2, 0)]:
        step = np.zeros_like(batch[:1], dtype=np.float64)
        step[(0, *place)] = 1e-2
        up, down = (model((batch[:1] + sign * step).astype(np.float32)).numpy()[0, 2] for sign in (1, -1))
        assert gradient[place] == pytest.approx((up - down) / 2e-2, rel=2e-2, abs=1e-5)


def test_three_rules_differ_on_one_relu_as_they_must():
    """Score = sum(a · relu(x)) with x = (1, 1, -1, -1) and a = (2, -2, 2, -2), worked out by hand."""
    inputs = keras.Input((1, 1, 4))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.ReLU()(inputs))))
    model.layers[-1].set_weights([np.float32([[2], [-2], [2], [-2]]), np.float32([0])])
    image = np.float32([1, 1, -1, -1]).reshape(1, 1, 1, 4)
    assert attribution.input_gradient(model, image, 0).ravel().tolist() == [2, -2, 0, 0]
    assert attribution.deconvnet(model, image, 0).ravel().tolist() == [2, 0, 2, 0]
    assert attribution.guided_backprop(model, image, 0).ravel().tolist() == [2, 0, 0, 0]


def test_relu6_lets_nothing_through_above_6():
    inputs = keras.Input((1, 1, 4))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.ReLU(max_value=6)(inputs))))
    model.layers[-1].set_weights([np.float32([[1], [-1], [1], [1]]), np.float32([0])])
    image = np.float32([3, 3, 7, -1]).reshape(1, 1, 1, 4)
    assert attribution.input_gradient(model, image, 0).ravel().tolist() == [1, -1, 0, 0]
    assert attribution.guided_backprop(model, image, 0).ravel().tolist() == [1, 0, 0, 0]
    assert attribution.deconvnet(model, image, 0).ravel().tolist() == [1, 0, 1, 1]


def test_zeiler_and_fergus_relu_example():
    """The matrix on their slide: [[2,1,-3],[1,2,1],[2,1,-1]] rectified on the way back is [[2,1,0],[1,2,1],[2,1,0]]."""
    slide = np.float32([[2, 1, -3], [1, 2, 1], [2, 1, -1]])
    inputs = keras.Input((3, 3, 1))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.ReLU()(inputs))))
    model.layers[-1].set_weights([slide.reshape(9, 1), np.float32([0])])
    back = attribution.deconvnet(model, np.full((1, 3, 3, 1), -1.0), 0)
    assert back[0, ..., 0].tolist() == [[2, 1, 0], [1, 2, 1], [2, 1, 0]]


@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [7, 8])
def test_back_projection_is_the_adjoint_of_the_convolution(strides, padding, size):
    """<conv_transpose(S), x> = <S, conv(x)> catches every slip of a flip or a padding."""
    inputs = keras.Input((size, size, 2))
    convolution = keras.layers.Conv2D(3, 3, strides=strides, padding=padding, use_bias=False, name="conv")
    model = keras.Model(inputs, convolution(inputs))
    random = np.random.default_rng(0)
    x = random.normal(size=(1, size, size, 2)).astype(np.float32)
    signal = random.normal(size=model(x).shape).astype(np.float32)
    back = attribution.input_gradient(model, x, lambda output: tf.reduce_sum(output * signal, axis=[1, 2, 3]))
    assert (back * x).sum() == pytest.approx(float((signal * model(x).numpy()).sum()), rel=1e-4)


def test_switches_put_maxima_back_in_their_places():
    """pool(unpool(pool(x))) = pool(x) for x >= 0: the deconvnet of max-pooling is unpooling with switches."""
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.MaxPooling2D()(inputs))
    x = np.random.default_rng(0).permutation(16).reshape(1, 4, 4, 1).astype(np.float32) + 1
    pooled = model(x).numpy()
    unpooled = attribution.input_gradient(model, x, lambda output: tf.reduce_sum(output * pooled, axis=[1, 2, 3]))
    assert (unpooled > 0).sum() == 4
    np.testing.assert_array_equal(unpooled[unpooled > 0], x[unpooled > 0])
    np.testing.assert_array_equal(model(unpooled).numpy(), pooled)


def test_without_a_relu_the_rules_refuse_instead_of_repeating_the_gradient(linear):
    model, _ = linear
    image = np.zeros((1, 5, 4, 3))
    for method in (attribution.guided_backprop, attribution.deconvnet):
        with pytest.raises(ValueError, match="nothing to act on"):
            method(model, image)


def test_of_a_tie_only_the_first_class_is_explained():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.layers[-1].set_weights([np.float32([[1, 1], [2, 2], [0, 3]]), np.zeros(2, np.float32)])
    assert attribution.input_gradient(model, np.float32([[1, 1, 0]])).tolist() == [[1, 2, 0]]


def test_channel_reductions():
    tensor = tf.constant([[[[3.0, -4.0, 0.0]]]])
    found = {how: float(reduce_channels(tensor, how)[0, 0, 0]) for how in ("max_abs", "mean_abs", "norm", "sum")}
    assert found == pytest.approx({"max_abs": 4, "mean_abs": 7 / 3, "norm": 5, "sum": -1})
    features = tf.constant([[[-2.0], [1.0]]])  # as a method sees (N, F): with an axis in place of channels
    assert reduce_channels(features, "max_abs").numpy().tolist() == [[2, 1]]


@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # of two images it is off
def test_a_neuron_sees_only_its_receptive_field(make_model, batch):
    maps = attribution.class_saliency(make_model("functional"), batch, neuron("conv1", 1, position=(2, 5)))
    for saliency in maps:
        rows, columns = np.nonzero(saliency)
        if len(rows):
            assert rows.min() >= 4
            assert rows.max() <= 6
            assert columns.min() >= 1
            assert columns.max() <= 3
    assert maps.any()


@_THEIR_WARNING
@pytest.mark.parametrize("relu", ["attribute", "layer"])
def test_tf_keras_vis_agrees_on_gradients(relu, make_model, batch):
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    model = make_model("functional", relu)
    score = CategoricalScore([0, 1, 2])
    theirs = Saliency(model, ReplaceToLinear())(score, batch, keepdims=True, normalize_map=False)
    np.testing.assert_allclose(np.abs(attribution.input_gradient(model, batch, score)), theirs, rtol=1e-5, atol=1e-7)


@_THEIR_WARNING
def test_tf_keras_vis_agrees_on_guided_backprop(make_model, batch):
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.model_modifiers import GuidedBackpropagation, ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    model = make_model("functional", "attribute")
    modifiers = [ReplaceToLinear(), GuidedBackpropagation()]
    theirs = Saliency(model, modifiers)(CategoricalScore([0, 1, 2]), batch, keepdims=True, normalize_map=False)
    ours = attribution.guided_backprop(model, batch, class_score([0, 1, 2]))
    np.testing.assert_allclose(np.abs(ours), theirs, rtol=1e-5, atol=1e-7)
