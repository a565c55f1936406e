"""What other packages get wrong without a word. Each title says what happens elsewhere; here the opposite is held.

The purity of the model, the cache that lets it go and logits as the default are in test_contract.py, for every method.
"""

import numpy as np
import pytest

from kerasal import attribution, images, objectives
from kerasal.attribution.questions import QUESTIONS

import keras
import tensorflow as tf

TARGETED = [name for name in attribution.list_methods() if QUESTIONS[attribution.method_spec(name).question].by_class]


@pytest.fixture(scope="module")
def mobilenet():
    keras.utils.set_random_seed(0)
    whole = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, weights=None, classes=5)
    return keras.Model(whole.input, whole.get_layer("block_1_depthwise_relu").output)  # all of it takes long to trace


@pytest.fixture(scope="module")
def photographs():
    return np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)


@pytest.mark.parametrize("rule", ["guided_backprop", "deconvnet"])
def test_guided_backprop_is_the_plain_gradient_where_relus_are_layers(rule, mobilenet, photographs):
    target = objectives.channel("block_1_depthwise", 3)
    plain = attribution.input_gradient(mobilenet, photographs, target)
    ruled = getattr(attribution, rule)(mobilenet, photographs, target)
    assert np.abs(ruled - plain).max() > 0.1 * np.abs(plain).max()


def test_guided_backprop_is_the_plain_gradient_in_nested_models(mobilenet, photographs):
    outer = keras.Input((32, 32, 3))
    nested = keras.Model(outer, mobilenet(outer))
    target = objectives.channel("block_1_depthwise", 3)
    expected = attribution.guided_backprop(mobilenet, photographs, target)
    np.testing.assert_allclose(attribution.guided_backprop(nested, photographs, target), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("maximum", [keras.ops.maximum, tf.maximum])
def test_a_relu_written_as_a_maximum_keeps_its_plain_gradient(maximum):
    class Written(keras.layers.Layer):
        def call(self, x):
            return maximum(x, 0.0)

    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.ReLU()(Written()(inputs))))
    with pytest.raises(ValueError, match=r"a ReLU written as a maximum with 0"):
        attribution.guided_backprop(model, np.ones((1, 4)), 0)
    assert attribution.input_gradient(model, np.ones((1, 4)), 0).any()


def test_the_gradient_passes_relu6_above_6():
    inputs = keras.Input((1, 1, 2))
    model = keras.Model(inputs, keras.layers.Flatten()(keras.layers.ReLU(max_value=6)(inputs)))
    image = np.float32([5, 7]).reshape(1, 1, 1, 2)
    for name in ("input_gradient", "guided_backprop"):
        assert getattr(attribution, name)(model, image, lambda y: y[:, 0] + y[:, 1]).ravel().tolist() == [1, 0]


@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # saturated, on purpose
def test_the_logits_option_changes_nothing(make_model, batch):
    model = make_model("functional")
    model.get_layer("predictions").kernel.assign(model.get_layer("predictions").kernel * 20)  # a model that is sure
    logits = attribution.input_gradient(model, batch, 1)
    posterior = attribution.input_gradient(model, batch, 1, logits=False)
    assert np.abs(logits).max() > 100 * np.abs(posterior[np.argmax(model(batch), axis=1) != 1]).max()


@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # one class has nothing for it
@pytest.mark.one_of_a_kind
@pytest.mark.parametrize("name", [name for name in TARGETED if name not in ("hsic", "sobol")])  # which have no scale
@pytest.mark.quick("guided_backprop")
def test_small_gradients_are_drawn_black(name, make_model, batch):
    """An absolute epsilon in the normalization: the same net with its last kernel times 1e-8 has a blank picture."""
    model, faint = make_model("functional"), make_model("functional")
    for one, factor in ((model, 1), (faint, 1e-8)):
        kernel, bias = one.get_layer("predictions").get_weights()
        one.get_layer("predictions").set_weights([kernel * factor, 0 * bias])
    strong, weak = (np.asarray(getattr(attribution, name)(one, batch, [0, 1, 2])) for one in (model, faint))
    if strong.ndim == 4:
        strong, weak = strong[..., 0], weak[..., 0]
    image = strong.reshape(3, -1).max(axis=1).argmax()
    assert 0 < np.abs(weak[image]).max() < 1e-6 * np.abs(strong[image]).max()
    pictures = [images.heatmap(one[image]).astype(int) for one in (strong, weak)]
    assert np.ptp(pictures[1]) > 100
    if name != "scorecam":  # which weighs its channels by a softmax of their scores, not in proportion
        assert np.abs(pictures[0] - pictures[1]).max() <= 2
