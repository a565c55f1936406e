"""Logits behind whatever follows the softmax: found, or a warning; never silently the probabilities."""

import warnings

import numpy as np
import pytest

import kerasal
from kerasal import attribution, hooks

import keras
import tensorflow as tf

SEED = np.random.default_rng(0)
IMAGES = SEED.normal(size=(3, 5)).astype(np.float32)
KERNELS = SEED.normal(size=(2, 5, 4)).astype(np.float32)
layers, ops = keras.layers, keras.ops


def relative_error(found, expected):
    """The largest difference, relative to the largest expected value."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.abs(expected).max()


class Head(keras.Model):
    """Two linear layers a and b with known weights, and what a test makes of their outputs."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.a, self.b = layers.Dense(4, use_bias=False), layers.Dense(4, use_bias=False)
        for layer, kernel in zip((self.a, self.b), KERNELS, strict=True):
            layer.build((None, 5))
            layer.set_weights([kernel])
        self(IMAGES)

    def call(self, x, training=False):
        return self.function(self.a(x), self.b(x))


def logits_of(model, images=IMAGES):
    return tf.function(lambda x: hooks.logits(model(x, training=False)), autograph=False)(tf.constant(images))


def by_hand(z):
    exponentials = ops.exp(z - ops.max(z, axis=-1, keepdims=True))
    return exponentials / ops.sum(exponentials, axis=-1, keepdims=True)


def by_hand_twice(z):
    def exponentials():
        return ops.exp(z - ops.max(z, axis=-1, keepdims=True))

    return exponentials() / (ops.sum(exponentials(), axis=-1, keepdims=True) + 1e-9)


def total(z):
    return tf.reduce_sum(tf.exp(z), axis=1, keepdims=True)


A, B = IMAGES @ KERNELS[0], IMAGES @ KERNELS[1]
softmax, sigmoid = tf.nn.softmax, tf.sigmoid
FOUND = {
    "clip": (lambda a, b: ops.clip(softmax(a), 1e-7, 1 - 1e-7), A),
    "slice": (lambda a, b: softmax(a)[:, 1:3], A[:, 1:3]),
    "one class": (lambda a, b: softmax(a)[:, 2:], A[:, 2:]),
    "choice of classes": (lambda a, b: ops.take(softmax(a), [3, 1], axis=1), A[:, [3, 1]]),
    "half": (lambda a, b: tf.split(sigmoid(a), 2, axis=1)[1], A[:, 2:]),
    "rescaled by 1": (lambda a, b: layers.Rescaling(1.0)(softmax(a)), A),
    "label smoothing": (lambda a, b: 0.9 * softmax(a) + 0.1 / 4, A),
    "permuted": (lambda a, b: layers.Permute((2, 1))(softmax(tf.stack([a, b], 1))), np.stack([A, B], 2)),
    "two softmaxes": (lambda a, b: ops.concatenate([softmax(a), softmax(b)], axis=1), np.concatenate([A, B], 1)),
    "two sigmoids, stacked": (lambda a, b: tf.stack([sigmoid(a), sigmoid(b)], 1), np.stack([A, B], 1)),
    "softmax beside linear": (lambda a, b: ops.concatenate([a, softmax(b)], axis=1), np.concatenate([A, B], 1)),
    "no and yes": (lambda a, b: tf.concat([1 - sigmoid(a), sigmoid(a)], 1), np.concatenate([-A, A], 1)),
    "by hand": (lambda a, b: by_hand(a), A),
    "by hand, twice": (lambda a, b: by_hand_twice(a), A),
    "sigmoid by hand": (lambda a, b: 1 / (1 + tf.exp(-a)), A),
    "log-softmax by hand": (lambda a, b: a - tf.reduce_logsumexp(a, axis=1, keepdims=True), A),
    "logarithm": (lambda a, b: tf.math.log(softmax(a) + 1e-9), A),
    "log-sigmoid": (lambda a, b: tf.math.log_sigmoid(a), A),
    "softmax over two axes": (lambda a, b: layers.Softmax(axis=(1, 2))(tf.stack([a, b], 1)), np.stack([A, B], 1)),
    "softmax of a softmax": (lambda a, b: softmax(softmax(a)), A),
    "exponentials times a reciprocal": (lambda a, b: tf.exp(a) * tf.math.reciprocal(total(a)), A),
    "exponentials times 1 / sum": (lambda a, b: tf.exp(a) * (1 / total(a)), A),
    "a softmax with one class more": (lambda a, b: tf.exp(a) / (1 + total(a)), A),
    "sigmoid to the power of -1": (lambda a, b: (1 + tf.exp(-a)) ** -1, A),
    "sigmoid by pow": (lambda a, b: tf.pow(1 + tf.exp(-a), -1.0), A),
    "sigmoid by tanh": (lambda a, b: 0.5 * (1 + tf.tanh(a / 2)), A),
    "sigmoid by tanh, as a sum": (lambda a, b: 0.5 * tf.tanh(0.5 * a) + 0.5, A),
    "1 - sigmoid of a sigmoid": (lambda a, b: 1 - sigmoid(sigmoid(a)), -A),
    "largest sigmoid": (lambda a, b: tf.reduce_max(sigmoid(tf.stack([a, b], 1)), 1), np.maximum(A, B)),
    "smallest 1 - sigmoid": (lambda a, b: tf.reduce_min(1 - sigmoid(tf.stack([a, b], 1)), 1), np.minimum(-A, -B)),
    "masked": (lambda a, b: layers.Softmax()(a, mask=a > -100), A),
}


@pytest.mark.parametrize("name", FOUND)
def test_logits_behind_what_follows_the_softmax(name):
    function, expected = FOUND[name]
    assert relative_error(logits_of(Head(function)), expected) < 1e-5


@pytest.mark.parametrize("before", [(1, 2), (2, 1)])
@pytest.mark.parametrize("after", [(1, 2), (2, 1)])
def test_permutations_that_are_not_inverse_to_each_other_move_the_logits_alike(before, after):
    inputs = keras.Input((3, 4))
    tensor = layers.Permute(after)(layers.Softmax()(layers.Permute(before)(inputs)))
    images = SEED.normal(size=(2, 3, 4)).astype(np.float32)
    expected = images.transpose(0, *before).transpose(0, *after)
    assert relative_error(logits_of(keras.Model(inputs, tensor), images), expected) < 1e-6


def test_the_same_of_four_axes_that_are_turned_on():
    images = SEED.normal(size=(2, 3, 4, 5)).astype(np.float32)

    def turned(x):
        return tf.transpose(softmax(tf.transpose(x, (0, 2, 3, 1))), (0, 2, 3, 1))

    found = tf.function(lambda x: hooks.logits(turned(x)), autograph=False)(images)
    assert relative_error(found, images.transpose(0, 2, 3, 1).transpose(0, 2, 3, 1)) < 1e-6


def test_the_gradient_is_that_of_the_logits():
    model = Head(lambda a, b: ops.clip(softmax(a), 1e-7, 1 - 1e-7))
    found = attribution.input_gradient(model, IMAGES, 2)
    assert relative_error(found, np.broadcast_to(KERNELS[0, :, 2], IMAGES.shape)) < 1e-5


def test_the_top_class_of_two_softmaxes_is_the_one_with_the_largest_probability():
    """The second head is sure of itself with small logits; the first has larger ones and is in doubt."""
    model = Head(lambda a, b: ops.concatenate([softmax(a), softmax(b)], axis=1))
    first, second = np.zeros((5, 4), np.float32), np.zeros((5, 4), np.float32)
    first[0], second[1] = [30, 29.9, 29.8, 29.7], [0, 0, 5, 0]
    model.a.set_weights([first])
    model.b.set_weights([second])
    image = np.ones((1, 5), np.float32)
    top = int(model(image).numpy().argmax())
    assert top == 6
    np.testing.assert_array_equal(attribution.input_gradient(model, image), attribution.input_gradient(model, image, 6))
    assert attribution.input_gradient(model, image)[0].tolist() == second[:, 2].tolist()


ALONG_ANOTHER_AXIS = {
    "no and yes of each label": lambda z: softmax(tf.reshape(z, (-1, 3, 2)))[:, :, 1],
    "flattened": lambda z: tf.reshape(softmax(tf.reshape(z, (-1, 3, 2))), (-1, 6)),
    "axis 1, flattened": lambda z: layers.Flatten()(layers.Softmax(axis=1)(tf.reshape(z, (-1, 2, 3)))),
    "axis 1, one row": lambda z: layers.Softmax(axis=1)(tf.reshape(z, (-1, 2, 3)))[:, 0],
    "by hand over axis 1": lambda z: tf.exp(z) / tf.reduce_sum(tf.exp(z), axis=0, keepdims=True),
    "log-softmax": lambda z: tf.nn.log_softmax(tf.reshape(z, (-1, 3, 2)))[:, :, 1],
    "sigmoid of a softmax": lambda z: sigmoid(softmax(tf.reshape(z, (-1, 3, 2))))[:, :, 1],
}


@pytest.mark.parametrize("name", ALONG_ANOTHER_AXIS)
def test_the_top_class_is_the_outputs_where_the_softmax_runs_along_another_axis(name):
    """An own tape over the logits, for the class whose probability NumPy finds largest."""
    model = Head(lambda a, b: ALONG_ANOTHER_AXIS[name](tf.concat([a, b[:, :2]], 1) * 4))
    images = np.random.default_rng(4).normal(size=(16, 5)).astype(np.float32)
    top = np.asarray(model(images)).argmax(axis=1)
    with tf.GradientTape() as tape:
        x = tf.constant(images)
        tape.watch(x)
        logits = tf.concat([x @ KERNELS[0], (x @ KERNELS[1])[:, :2]], 1) * 4
        scores = {6: logits, 3: logits[:, :3] if "row" in name else logits[:, 1::2]}[model(images).shape[1]]
        score = tf.gather(scores, top, batch_dims=1)
    assert (scores.numpy().argmax(axis=1) != top).any()
    assert relative_error(attribution.input_gradient(model, images), tape.gradient(score, x)) < 1e-5


LOST = {
    "average of two": lambda a, b: (softmax(a) + softmax(b)) / 2,
    "Average": lambda a, b: layers.Average()([softmax(a), sigmoid(b)]),
    "product": lambda a, b: softmax(a) * sigmoid(b),
    "factors by class": lambda a, b: softmax(a) * np.float32([1, 2, 3, 4]),
    "priors held as a tensor": lambda a, b: softmax(a) * PRIORS,
    "1 - a softmax": lambda a, b: 1 - softmax(a),
    "mean over positions": lambda a, b: tf.reduce_mean(sigmoid(tf.stack([a, b], 1)), axis=1),
    "classes put together": lambda a, b: softmax(a) @ np.repeat(np.eye(2, dtype=np.float32), 2, axis=0),
    "stop_gradient": lambda a, b: tf.stop_gradient(softmax(a)),
    "decision": lambda a, b: tf.cast(sigmoid(a) > 0.5, tf.float32),
    "1 - a sigmoid of a softmax": lambda a, b: 1 - sigmoid(softmax(a)),
    "1 - a softmax of a sigmoid": lambda a, b: 1 - softmax(sigmoid(a)),
    "largest of a softmax": lambda a, b: tf.reduce_max(softmax(tf.stack([a, b], 1)), 1),
    "exponentials over a product": lambda a, b: tf.exp(a) / (tf.exp(a) @ np.ones((4, 1), np.float32)),
    "exponentials over their mean": lambda a, b: tf.exp(a) / (4 * tf.reduce_mean(tf.exp(a), axis=1, keepdims=True)),
    "powers of 2": lambda a, b: tf.pow(2.0, a) / tf.reduce_sum(tf.pow(2.0, a), axis=1, keepdims=True),
    "exponentials of length 1": lambda a, b: ops.normalize(tf.exp(a), axis=-1, order=1) * 2,
    "exponentials over another sum": lambda a, b: tf.exp(a) / tf.reduce_sum(tf.exp(2 * a), axis=1, keepdims=True),
}
PRIORS = tf.constant([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("name", LOST)
def test_where_there_are_no_logits_the_output_is_explained_with_a_warning(name):
    model = Head(LOST[name])
    with pytest.warns(hooks.NoLogits, match=r"no logits: .* The output itself is explained\. Pass logits=False"):
        found = logits_of(model)
    assert relative_error(found, model(IMAGES)) < 1e-6


def test_the_warning_comes_once_per_trace_and_not_with_logits_false():
    model = Head(LOST["average of two"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = attribution.smoothgrad(model, IMAGES, 1, samples=2)
        assert [one.category for one in caught] == [hooks.NoLogits]
        expected = attribution.smoothgrad(model, IMAGES, 1, samples=2, logits=False)
        assert len(caught) == 1
    np.testing.assert_array_equal(found, expected)
    with pytest.warns(hooks.NoLogits):
        attribution.class_saliency.compiled(model)(IMAGES)


WITHIN = {
    "linear": lambda a, b: a,
    "rectified": lambda a, b: tf.nn.relu(a),
    "tanh": lambda a, b: tf.tanh(a),
    "swish": lambda a, b: tf.nn.swish(a),
    "gelu": lambda a, b: tf.nn.gelu(a),
    "gated linear unit": lambda a, b: a * sigmoid(b),
    "squeeze and excite": lambda a, b: a * sigmoid(layers.Rescaling(2.0)(b)) + b,
    "attention": lambda a, b: softmax(a[:, :, None] * b[:, None]) @ b[:, :, None],
    "rates": lambda a, b: tf.exp(a),
    "rates per second": lambda a, b: tf.exp(a) / 1000,
    "log-variances": lambda a, b: tf.concat([a[:, :2], tf.exp(0.5 * b[:, :2])], axis=1),
    "softplus by hand": lambda a, b: tf.math.log(1 + tf.exp(a)),
    "gate by hand": lambda a, b: a * (1 / (1 + tf.exp(-b))),
    "swish by hand": lambda a, b: a / (1 + tf.exp(-a)) + b,
    "attention by hand": lambda a, b: a + tf.reduce_sum(by_hand(a) * b, axis=1, keepdims=True),
    "unit length": lambda a, b: tf.nn.l2_normalize(a, axis=1),
}


@pytest.mark.parametrize("name", WITHIN)
def test_a_squashing_within_the_network_is_not_the_outputs(name):
    """Any warning is an error here."""
    model = Head(WITHIN[name])
    assert relative_error(logits_of(model), model(IMAGES)) < 1e-6


def test_weights_after_a_softmax_make_it_a_part_of_the_network():
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layers.Dense(3)(layers.Dense(4, activation="softmax")(inputs)))
    assert relative_error(logits_of(model), model(IMAGES)) < 1e-6


@pytest.mark.parametrize("after", [tf.identity, lambda p: tf.clip_by_value(p, 0.1, 0.9)])
def test_a_softmax_within_a_compiled_function_is_refused(after):
    compiled = tf.function(lambda a: after(softmax(a)))
    with pytest.raises(ValueError, match=r"logits are not available\. Pass logits=False to explain"):
        logits_of(Head(lambda a, b: compiled(a)))


def test_a_gate_within_a_compiled_function_is_not():
    swish = tf.function(lambda a: sigmoid(a) * a)
    model = Head(lambda a, b: swish(a))
    assert relative_error(logits_of(model), model(IMAGES)) < 1e-6


def _clipped():
    """A model whose softmax is clipped, and the same without either."""
    inputs = keras.Input((6, 6, 1))
    logits = layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(inputs)))
    return keras.Model(inputs, ops.clip(ops.softmax(logits), 1e-7, 1 - 1e-7)), keras.Model(inputs, logits)


@pytest.mark.parametrize("incremental", [False, True])
def test_occlusion_takes_the_logits_too(incremental):
    images = SEED.normal(size=(2, 6, 6, 1)).astype(np.float32)
    options = {"window": 2, "stride": 2, "incremental": incremental}
    found, expected = (attribution.occlusion(one, images, 1, **options) for one in _clipped())
    assert relative_error(found, expected) < 1e-5


@pytest.mark.slow
def test_maximization_takes_the_logits_too():
    found, expected = (
        kerasal.maximize(one, 1, steps=1, seed=0, preset="channel", preprocessing="none").raw for one in _clipped()
    )
    assert relative_error(found, expected) < 1e-5
