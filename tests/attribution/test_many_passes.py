"""SmoothGrad, integrated gradients and the class activation maps: closed forms, limits, and what tf-keras-vis finds."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.objectives import channel, class_score

import keras

# tf-keras-vis calls functional models with a list, which Keras remarks on.
_THEIR_WARNING = pytest.mark.filterwarnings("ignore:The structure of:UserWarning")
CAMS = tuple(name for name in attribution.list_methods() if attribution.method_spec(name).family == "cam")


@pytest.fixture
def model(make_model):
    return make_model("functional")


def test_smoothgrad_without_noise_is_the_gradient(model, batch):
    expected = attribution.class_saliency(model, batch)
    np.testing.assert_allclose(attribution.smoothgrad(model, batch, noise=0.0, samples=3), expected, rtol=1e-5)
    squared = attribution.smoothgrad(model, batch, noise=0.0, samples=3, squared=True)
    np.testing.assert_allclose(squared, expected**2, rtol=1e-5)
    assert np.abs(attribution.smoothgrad(model, batch, noise=0.0, samples=3, variance=True)).max() < 1e-9


def _smoothgrad_by_hand(model, batch, target, samples, noise, seed):
    """The same noise, one gradient after the other: (samples, N, H, W, C)."""
    import tensorflow as tf

    ranges = batch.max((1, 2, 3), keepdims=True) - batch.min((1, 2, 3), keepdims=True)
    gradients = []
    for sample in range(samples):
        normal = tf.random.stateless_normal(batch.shape[1:], [seed, sample]).numpy()
        gradients.append(attribution.input_gradient(model, batch + noise * ranges * normal, target))
    return np.stack(gradients)


def test_smoothgrad_is_the_mean_over_noise_relative_to_the_range(model, batch):
    gradients = _smoothgrad_by_hand(model, batch, [0, 1, 2], 7, 0.2, 5)
    options = {"samples": 7, "noise": 0.2, "seed": 5}
    for found, expected in (
        (attribution.smoothgrad(model, batch, [0, 1, 2], **options), gradients.mean(0)),
        (attribution.smoothgrad(model, batch, [0, 1, 2], squared=True, **options), (gradients**2).mean(0)),
        (attribution.smoothgrad(model, batch, [0, 1, 2], variance=True, **options), gradients.var(0)),
    ):
        np.testing.assert_allclose(found, np.abs(expected).max(-1), rtol=1e-4, atol=1e-6)


def test_smoothgrad_keeps_the_clean_images_class(model, batch):
    top = np.argmax(model(batch, training=False), axis=1)
    options = {"samples": 5, "noise": 2.0}
    np.testing.assert_allclose(
        attribution.smoothgrad(model, batch, **options), attribution.smoothgrad(model, batch, top, **options), rtol=1e-5
    )


def test_smoothgrad_seeds(model, batch):
    one, again, other = (attribution.smoothgrad(model, batch, samples=3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-4


@_THEIR_WARNING
def test_tf_keras_vis_agrees_on_smoothgrad_with_the_same_noise(model, batch, monkeypatch):
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    import tensorflow as tf

    noise = np.stack([tf.random.stateless_normal(batch.shape[1:], [0, sample]).numpy() for sample in range(4)])

    def normal(mean, deviation, size):
        return mean + deviation * np.broadcast_to(noise[:, None], (4, *batch.shape)).reshape(size)

    monkeypatch.setattr(np.random, "normal", normal)
    theirs = Saliency(model, ReplaceToLinear())(
        CategoricalScore([0, 1, 2]),
        batch,
        smooth_samples=4,
        smooth_noise=0.15,
        normalize_map=False,
        keepdims=True,
        gradient_modifier=None,  # theirs takes absolute values before the mean; the paper's mean is signed
    )
    ours = attribution.smoothgrad(model, batch, [0, 1, 2], samples=4, noise=0.15)
    np.testing.assert_allclose(ours, np.abs(theirs).max(-1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("baseline", [0.0, 0.5, "blur", "array"])
def test_integrated_gradients_add_up_to_the_scores_change(baseline, model, batch):
    start = np.full((8, 8, 3), 0.3, np.float32) if baseline == "array" else baseline
    maps, gap = attribution.integrated_gradients(model, batch, 2, steps=400, baseline=start, return_gap=True)
    assert gap.shape == (3,)
    for image, shares, error in zip(batch, maps, gap, strict=True):
        change = shares.sum() - error
        assert abs(error) < 0.01 * max(abs(change), 1.0)
        if baseline == 0.5:
            ends = np.stack([image, np.full_like(image, 0.5)])
            linear = (
                keras.Model(model.input, model.layers[-2].output)(ends) @ model.layers[-1].kernel
                + model.layers[-1].bias
            )
            assert change == pytest.approx(float(linear[0, 2] - linear[1, 2]), rel=1e-3, abs=1e-4)


def test_integrated_gradients_are_complete_on_a_trained_net():
    """The mnist_cnn that ships, real digits: the gap is below 1 % of the score's change."""
    import kerasal
    from kerasal.datasets import digits

    trained = kerasal.create_model("mnist_cnn", weights="kerasal")
    images = digits()[0][:10, ..., None] / np.float32(255)
    maps, gap = attribution.integrated_gradients(trained, images, steps=300, return_gap=True)
    change = maps.sum((1, 2)) - gap
    assert (np.abs(gap) < 0.01 * np.abs(change)).all()


def test_integrated_gradients_of_a_linear_model_are_exact_in_one_step():
    linear = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Flatten(), keras.layers.Dense(2)])
    image = np.random.default_rng(0).normal(size=(1, 4, 4, 2)).astype(np.float32)
    weights = linear.layers[-1].kernel.numpy()[:, 1].reshape(4, 4, 2)
    found = attribution.integrated_gradients(linear, image, 1, steps=1, baseline=0.25)
    np.testing.assert_allclose(found[0], (weights * (image[0] - 0.25)).sum(-1), rtol=1e-5)


def test_the_trapezoid_counts_both_ends_half():
    """F = x²: gradients 0 and 2x at the ends, so one step gives x² exactly, and so must every number of steps."""
    inputs = keras.Input((1, 1, 1))
    model = keras.Model(inputs, keras.layers.Flatten()(keras.ops.square(inputs)))
    for steps in (1, 2, 5):
        found = attribution.integrated_gradients(model, np.full((1, 1, 1, 1), 3.0), 0, steps=steps)
        assert found.item() == pytest.approx(9.0, rel=1e-5)


@pytest.fixture(scope="module")
def pooled():
    """Convolution with ReLU, global average pooling, one dense layer: the net of class activation maps."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((10, 10, 3))
    tensor = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="early")(inputs)
    tensor = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="late")(tensor)
    outputs = keras.layers.Dense(5, activation="softmax", name="dense")(keras.layers.GlobalAveragePooling2D()(tensor))
    return keras.Model(inputs, outputs)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(3).normal(size=(3, 10, 10, 3)).astype(np.float32)


@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # random weights may hold no positive evidence
def test_gradcam_on_pooling_and_dense_is_the_class_activation_map(pooled, pictures):
    late = keras.Model(pooled.input, pooled.get_layer("late").output)(pictures).numpy()
    weights = pooled.get_layer("dense").kernel.numpy()
    expected = np.maximum(np.einsum("nhwc,cn->nhw", late, weights[:, [0, 3, 4]]), 0) / (4 * 4)
    found = attribution.gradcam(pooled, pictures, [0, 3, 4], resize=False)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    assert found.layer == "late"


@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # random weights may hold no positive evidence
@_THEIR_WARNING
@pytest.mark.parametrize("layer", ["late", "early"])
@pytest.mark.parametrize("name", ["gradcam", "gradcam_plus_plus", "layercam"])
def test_tf_keras_vis_agrees_on_class_activation_maps(name, layer, pooled, pictures):
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.layercam import Layercam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    method = {"gradcam": Gradcam, "gradcam_plus_plus": GradcamPlusPlus, "layercam": Layercam}[name]
    theirs = method(pooled, ReplaceToLinear())(
        CategoricalScore([0, 3, 4]), pictures, penultimate_layer=layer, expand_cam=False, normalize_cam=False
    )
    ours = np.asarray(getattr(attribution, name)(pooled, pictures, [0, 3, 4], layer=layer, resize=False))
    theirs = np.asarray(theirs)
    if name == "gradcam_plus_plus":  # theirs carries the exponential of the score
        theirs = theirs / (theirs.max((1, 2), keepdims=True) + 1e-12)
        ours = ours / (ours.max((1, 2), keepdims=True) + 1e-12)
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-5)
    assert ours.any()


@_THEIR_WARNING
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.slow
def test_tf_keras_vis_agrees_on_scorecam(batch):
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.scores import CategoricalScore

    inputs = keras.Input((8, 8, 3))  # the map has the image's size, since the two resize differently
    tensor = keras.layers.Conv2D(5, 3, padding="same", activation="relu", name="conv")(inputs)
    logits = keras.layers.Dense(3)(keras.layers.Flatten()(tensor))
    linear, softmax = keras.Model(inputs, logits), keras.Model(inputs, keras.layers.Softmax()(logits))
    theirs = Scorecam(linear)(CategoricalScore([0, 1, 2]), batch, expand_cam=False, normalize_cam=False)
    ours = attribution.scorecam(softmax, batch, [0, 1, 2], logits=False)  # theirs takes the softmax of the output
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    fewer = attribution.scorecam(softmax, batch, [0, 1, 2], logits=False, channels=5)
    np.testing.assert_allclose(fewer, ours, rtol=1e-5)
    one = attribution.scorecam(softmax, batch, [0, 1, 2], logits=False, channels=1)
    assert np.abs(one - ours).max() > 1e-3


@pytest.mark.one_of_a_kind
@pytest.mark.parametrize("name", CAMS)
@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # of random weights: no evidence in an image
def test_the_last_map_is_found_after_norm_and_activation(name, make_model, batch):
    method = getattr(attribution, name)
    assert method(make_model("functional"), batch).layer == "conv2"
    assert method(make_model("sequential", "layer"), batch).layer == "relu2"
    assert method(make_model("nested"), batch).layer == "encoder/conv2"
    assert method(make_model("functional"), batch, layer="norm").layer == "norm"
    maps = method(make_model("functional"), batch)
    assert maps[0].layer == "conv2"
    assert type(maps + 1) is np.ndarray


def test_a_layer_after_the_target_is_refused(pooled, pictures):
    with pytest.raises(ValueError, match="must depend on layer 'late'"):
        attribution.gradcam(pooled, pictures, channel("early", 0), layer="late")
    assert attribution.gradcam(pooled, pictures, channel("early", 0)).layer == "early"


def test_a_map_is_resized_to_the_image(pooled, pictures):
    assert attribution.gradcam(pooled, pictures).shape == (3, 10, 10)
    assert attribution.gradcam(pooled, pictures, layer="early").shape == (3, 10, 10)


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("smoothgrad", {"samples": 0}, "samples must be a positive integer, got 0"),
        ("smoothgrad", {"noise": -0.1}, "noise must be a finite number of at least 0"),
        ("smoothgrad", {"squared": True, "variance": True}, "must not both be True"),
        ("integrated_gradients", {"steps": 0}, "steps must be a positive integer, got 0"),
        (
            "integrated_gradients",
            {"baseline": np.zeros((7, 8, 3))},
            r"input's shape \(8, 8, 3\), got shape \(7, 8, 3\)",
        ),
        ("integrated_gradients", {"baseline": "blurred"}, "or, for inputs with an order"),
        ("integrated_gradients", {"baseline": np.nan}, "finite"),
        ("gradcam", {"layer": "conv9"}, "Did you mean conv"),
        ("layercam", {"layer": "predictions"}, "must have a map"),
        ("scorecam", {"channels": 0}, "channels must be a positive integer, or None to use all, got 0"),
    ],
)
def test_wrong_options(method, options, says, model, batch):
    with pytest.raises(ValueError, match=says):
        getattr(attribution, method)(model, batch, **options)


@pytest.mark.parametrize("name", CAMS)
def test_a_model_without_convolutions(name):
    dense = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="must have a convolution, an attention or a recurrent layer"):
        getattr(attribution, name)(dense, np.zeros((1, 4, 4, 1)))
    flat = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="must have a convolution, an attention or a recurrent layer"):
        getattr(attribution, name)(flat, np.zeros((1, 4)), class_score(0))
