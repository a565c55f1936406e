"""Class activation maps written out: closed forms, singular vectors, ablations by hand, contrasts and curvature."""

import contextlib

import numpy as np
import pytest

from kerasal import attribution, hooks, objectives

import keras
import tensorflow as tf

layers = keras.layers
IMAGES = np.random.default_rng(3).normal(size=(2, 8, 9, 3)).astype(np.float32)
TARGETS = [2, 0]
# Of random weights: an image may hold no evidence for a class.
pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")


def network(head, activation="relu"):
    """A model whose head follows the map of 6 channels of the layer "late"; the model of that map; and the head."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input(IMAGES.shape[1:])
    late = layers.Conv2D(6, 3, activation=activation, name="late")(inputs)
    maps = keras.Input(late.shape[1:])
    tail = keras.Model(maps, head(maps))
    model = keras.Model(inputs, tail(late))
    random = np.random.default_rng(1)
    model.set_weights([random.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    return model, keras.Model(inputs, late), tail


def curved(maps):
    return layers.Dense(5)(layers.Dense(7, "tanh")(layers.GlobalAveragePooling2D()(maps)))


def picked(scores):
    return np.asarray(scores)[range(len(TARGETS)), TARGETS]


def assert_same(found, expected, tolerance=1e-5):
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())
    assert np.abs(expected).max() > 0


@pytest.mark.parametrize("pooling", [layers.GlobalAveragePooling2D, layers.Flatten])
@pytest.mark.quick("Flatten")
def test_hirescam_adds_up_to_the_score_without_its_bias(pooling):
    model, _, tail = network(lambda maps: layers.Dense(5)(pooling()(maps)), "linear")
    maps = attribution.hirescam(model, IMAGES, TARGETS, resize=False, positive=False)
    bias = tail.layers[-1].get_weights()[1][TARGETS]
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), picked(model(IMAGES)) - bias, rtol=1e-5)
    assert maps.min() < 0
    assert_same(attribution.hirescam(model, IMAGES, TARGETS, resize=False), np.maximum(maps, 0))
    same = np.allclose(attribution.gradcam(model, IMAGES, TARGETS, resize=False), np.maximum(maps, 0), atol=1e-6)
    assert same == (pooling is layers.GlobalAveragePooling2D)  # otherwise each position has a gradient of its own
    spec = attribution.method_spec("hirescam")
    assert spec.is_signed({"positive": False}) and not spec.is_signed({})


@pytest.mark.slow
def test_xgradcam_keeps_the_sum_of_gradient_times_activation():
    model, body, tail = network(lambda maps: layers.Dense(5)(layers.Flatten()(maps)))
    activations = body(IMAGES).numpy()
    gradients = np.moveaxis(tail.layers[-1].get_weights()[0][:, TARGETS].reshape(*activations.shape[1:], 2), -1, 0)
    weights = (gradients * activations).sum(axis=(1, 2)) / activations.sum(axis=(1, 2))
    expected = np.einsum("nyxc,nc->nyx", activations, weights)
    np.testing.assert_allclose(expected.sum(axis=(1, 2)), (gradients * activations).sum(axis=(1, 2, 3)), rtol=1e-4)
    assert_same(attribution.xgradcam(model, IMAGES, TARGETS, resize=False), np.maximum(expected, 0))


def gradients_of(tail, maps):
    """The activations, the gradients of the scores by them, and Hessian × activations, by tapes of their own."""
    maps = tf.convert_to_tensor(maps)
    with tf.GradientTape() as outer:
        outer.watch(maps)
        with tf.GradientTape() as inner:
            inner.watch(maps)
            scores = tf.gather(tail(maps), TARGETS, batch_dims=1)
        gradients = inner.gradient(scores, maps)
        product = tf.reduce_sum(gradients * tf.stop_gradient(maps))
    return maps.numpy(), gradients.numpy(), outer.gradient(product, maps, unconnected_gradients="zero").numpy()


def first_pattern(rows, uncentered, reference):
    """The projection of rows on their first singular vector, with the sign that agrees with the reference."""
    vector = np.linalg.svd(rows.astype(np.float64))[2][0]
    return rows @ vector * np.sign((uncentered @ vector * reference).sum())


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("side", [4, 8])  # 4 and 36 positions of 6 channels
@pytest.mark.quick("4-False")
def test_eigencam_is_the_projection_on_the_first_singular_vector(center, side):
    _, body, _ = network(curved, "linear")
    inputs = keras.Input((side, side, 3))
    late = body.get_layer("late")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(late)))
    images = IMAGES[:, :side, :side]
    maps = attribution.eigencam(model, images, 0, resize=False, center=center)
    for found, activations in zip(maps, keras.Model(inputs, late)(images).numpy(), strict=True):
        rows = activations.reshape(-1, 6)
        projection = first_pattern(rows - center * rows.mean(axis=0), rows, np.ones(len(rows)))
        assert_same(found, np.maximum(projection, 0).reshape(found.shape))
        assert projection.min() < 0  # so that another sign is another map
    np.testing.assert_array_equal(attribution.eigencam(model, images, 2, resize=False, center=center), maps)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.quick("False")
def test_eigengradcam_has_the_sign_of_the_evidence(center):
    model, body, tail = network(curved, "linear")
    activations, gradients, _ = gradients_of(tail, body(IMAGES))
    found = attribution.eigengradcam(model, IMAGES, TARGETS, resize=False, center=center)
    expected = []
    for evidence in activations * gradients:
        rows = evidence.reshape(-1, 6)
        projection = first_pattern(rows - center * rows.mean(axis=0), rows, rows.sum(axis=1))
        expected.append(np.maximum(projection, 0).reshape(evidence.shape[:2]))
    assert_same(found, expected)


def test_shapleycam_adds_the_curvature_to_the_weights():
    model, body, tail = network(curved)
    activations, gradients, product = gradients_of(tail, body(IMAGES))
    weights = (gradients - product / 2).mean(axis=(1, 2), keepdims=True)
    found = attribution.shapleycam(model, IMAGES, TARGETS, resize=False)
    assert_same(found, np.maximum((weights * activations).sum(axis=-1), 0))
    plain = attribution.gradcam(model, IMAGES, TARGETS, resize=False)
    assert np.abs(found - plain).max() > 0.1 * plain.max()


@pytest.mark.slow
def test_shapleycam_is_gradcam_where_the_head_is_made_of_relus():
    model, *_ = network(lambda maps: layers.Dense(5)(layers.Dense(9, "relu")(layers.Flatten()(maps))))
    expected = attribution.gradcam(model, IMAGES, TARGETS, resize=False)
    assert_same(attribution.shapleycam(model, IMAGES, TARGETS, resize=False), expected)


def ablated_by_hand(tail, activations):
    """relu(sum of drop × channel), a run of the head for each channel that is set to 0."""
    total = np.zeros(activations.shape[:-1])
    for channel in range(activations.shape[-1]):
        without = activations.copy()
        without[..., channel] = 0
        drops = picked(tail(activations)) - picked(tail(without))
        total += drops[:, None, None] * activations[..., channel]
    return np.maximum(total, 0)


def test_ablationcam_runs_the_head_without_each_channel():
    model, body, tail = network(curved)
    found = attribution.ablationcam(model, IMAGES, TARGETS, resize=False)
    assert_same(found, ablated_by_hand(tail, body(IMAGES).numpy()))
    function = attribution.ablationcam(model, IMAGES, lambda y: tf.gather(y, TARGETS, batch_dims=1), resize=False)
    assert_same(function, found)  # one channel per pass


def test_ablationcam_leaves_what_goes_around_the_layer():
    """The head also reads a tensor before the layer, which runs a second time on another tensor."""
    inputs = keras.Input(IMAGES.shape[1:])
    shared = layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    first = shared(inputs)
    last = shared(first)
    joined = layers.Concatenate()([layers.GlobalAveragePooling2D()(x) for x in (inputs, first, last)])
    head = layers.Dense(5)(layers.Dense(7, "tanh")(joined))
    model = keras.Model(inputs, head)
    model.set_weights([np.random.default_rng(2).normal(0, 0.5, w.shape) for w in model.get_weights()])
    early = shared(IMAGES)
    dense = model.layers[-2:]

    def tail(activations):
        x = np.concatenate([np.mean(x, axis=(1, 2)) for x in (IMAGES, early, activations)], axis=1)
        return dense[1](dense[0](x))

    found = attribution.ablationcam(model, IMAGES, TARGETS, layer="shared", resize=False)
    assert_same(found, ablated_by_hand(tail, shared(early).numpy()))


@pytest.mark.slow
def test_ablationcam_reads_a_target_at_the_layer_itself():
    model, body, _ = network(curved)
    activations = body(IMAGES).numpy()[..., 2]
    expected = activations.mean(axis=(1, 2), keepdims=True) * activations
    inputs = keras.Input(IMAGES.shape[1:])
    nested = keras.Model(inputs, keras.Model(model.input, model.output, name="inner")(inputs))
    for outer, layer in ((model, "late"), (nested, "inner/late")):  # the target has another name of the same layer
        found = attribution.ablationcam(outer, IMAGES, objectives.channel("late", 2), layer=layer, resize=False)
        assert_same(found, expected)


@pytest.mark.slow
def test_ablationcam_refuses_a_map_that_is_no_output_of_a_layer():
    class Block(layers.Layer):
        def call(self, x):
            y = keras.ops.tanh(x)
            return x + keras.ops.softmax(y @ keras.ops.swapaxes(y, 1, 2)) @ y

    inputs = keras.Input((8, 8, 3))
    tokens = layers.Reshape((16, 6))(layers.Conv2D(6, 2, strides=2)(inputs))
    tokens = Block(name="second")(Block(name="first")(tokens))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(tokens)))
    images = IMAGES[:, :8, :8]
    assert attribution.hirescam(model, images, 1).layer not in dict(hooks.layers(model))
    with pytest.raises(ValueError, match=r"must set channels of a layer's output to 0, but .* an operation"):
        attribution.ablationcam(model, images, 1)
    assert attribution.ablationcam(model, images, 1, layer="first").layer == "first"


@pytest.mark.slow
def test_ablationcam_takes_the_channels_whose_gradient_predicts_the_largest_change():
    model, body, tail = network(lambda maps: layers.Dense(5)(layers.Flatten()(maps)))
    activations, gradients, _ = gradients_of(tail, body(IMAGES))
    drops = (activations * gradients).sum(axis=(1, 2))  # exact, because the head is linear
    drops[np.abs(drops) < np.sort(np.abs(drops), axis=1)[:, -2:-1]] = 0
    expected = np.maximum(np.einsum("nc,nyxc->nyx", drops, activations), 0)
    assert_same(attribution.ablationcam(model, IMAGES, TARGETS, resize=False, channels=2), expected, 1e-4)


@pytest.mark.parametrize("name", ["ablationcam", "scorecam"])
@pytest.mark.slow
def test_several_channels_per_pass_give_what_one_gives(name, monkeypatch):
    model, *_ = network(curved)
    together = getattr(attribution, name)(model, IMAGES, TARGETS)
    for size in (8, 1):  # 4 channels of 2 images and then 2; one channel
        monkeypatch.setattr("kerasal.attribution.channel_scores.chunk_size", lambda tensors, size=size: size)
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        assert_same(getattr(attribution, name)(copy, IMAGES, TARGETS), together)


@pytest.mark.parametrize("name", ["ablationcam", "scorecam"])
@pytest.mark.quick("scorecam")
def test_the_bar_has_a_step_for_each_channel_of_each_image(name, monkeypatch):
    steps, totals = [], []

    def record(description, total):
        assert total is None
        return contextlib.nullcontext(lambda count, total=None: (steps.append(count), totals.append(total)))

    monkeypatch.setattr("kerasal.attribution.graph_bar.progress_bar", record)
    model, *_ = network(curved)
    quiet = getattr(attribution, name)(model, IMAGES, TARGETS, batch_size=1)
    assert not steps
    shown = getattr(attribution, name)(model, IMAGES, TARGETS, batch_size=1, progress=True)
    np.testing.assert_array_equal(shown, quiet)
    assert sum(steps) == 12 and set(totals) == {12}


@pytest.mark.parametrize(("gamma", "classes"), [(0.6, 3), (1.0, 1), (0.5, 99)])
@pytest.mark.quick("0.6-3")
def test_finer_cam_is_gradcam_of_the_difference_to_the_closest_classes(gamma, classes):
    model, body, tail = network(curved)
    activations = body(IMAGES).numpy()
    scores = np.asarray(tail(activations))
    weights = []
    for number, own in enumerate(TARGETS):
        others = [index for index in np.argsort(np.abs(scores[number] - scores[number, own])) if index != own]
        factors = np.zeros(5, np.float32)
        factors[own], factors[others[:classes]] = 1, -gamma / len(others[:classes])
        maps = tf.convert_to_tensor(activations[number : number + 1])
        with tf.GradientTape() as tape:
            tape.watch(maps)
            score = tf.reduce_sum(tail(maps) * factors)
        weights.append(tape.gradient(score, maps).numpy().mean(axis=(0, 1, 2)))
    expected = np.maximum(np.einsum("nyxc,nc->nyx", activations, weights), 0)
    options = {"gamma": gamma, "classes": classes, "resize": False}
    assert_same(attribution.finer_cam(model, IMAGES, TARGETS, **options), expected)
    scaled = attribution.finer_cam(model, IMAGES, [2 * objectives.class_score(c) for c in TARGETS], **options)
    assert_same(scaled, 2 * expected)  # the other classes are scored like this one


@pytest.mark.slow
def test_finer_cam_without_a_comparison_is_gradcam():
    model, *_ = network(curved)
    assert_same(attribution.finer_cam(model, IMAGES, 1, gamma=0), attribution.gradcam(model, IMAGES, 1))


@pytest.mark.slow
def test_finer_cam_compares_a_channel_with_those_of_its_layer():
    model, body, _ = network(curved)
    activations = body(IMAGES).numpy()
    means = activations.mean(axis=(1, 2))
    closest = [np.argsort(np.abs(row - row[2]))[1] for row in means]
    expected = activations[..., 2] - np.stack([maps[..., c] for maps, c in zip(activations, closest, strict=True)])
    options = {"layer": "late", "resize": False, "gamma": 1, "classes": 1}
    found = attribution.finer_cam(model, IMAGES, objectives.channel("late", 2), **options)
    assert_same(found, np.maximum(expected, 0) / activations[0, ..., 0].size)


def test_finer_cam_refuses_what_has_no_others_beside_it():
    model, *_ = network(curved)
    for target in (objectives.class_score(1) - objectives.class_score(0), objectives.layer("late")):
        with pytest.raises(ValueError, match=r"must be a single class or channel for finer_cam.* Use gradcam"):
            attribution.finer_cam(model, IMAGES, target)
    single, *_ = network(lambda maps: layers.Dense(1, "sigmoid")(layers.GlobalAveragePooling2D()(maps)))
    with pytest.raises(ValueError, match=r"several classes or channels for finer_cam, .*, got one of 1"):
        attribution.finer_cam(single, IMAGES, 0)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("finer_cam", {"gamma": -1}, "gamma must be a finite number of at least 0, got -1"),
        ("finer_cam", {"classes": 0}, "classes must be a positive integer, got 0"),
        ("ablationcam", {"channels": 0}, "channels must be a positive integer, or None to use all, got 0"),
    ],
)
def test_wrong_options(name, options, says):
    model, *_ = network(curved)
    with pytest.raises(ValueError, match=says):
        getattr(attribution, name)(model, IMAGES, 0, **options)
