"""Which axes are positions and which channels, whatever layout a model takes; every method is right in both."""

import numpy as np
import pytest

from kerasal import attribution, feature_maps, objectives, receptive_field
from kerasal.attribution import evaluation
from kerasal.hooks.image_shapes import declared_image_shape, image_shape
from kerasal.hooks.positions import channel_axes

import keras
import tensorflow as tf

# Of random weights: some images hold nothing for a class.
pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")
FIRST, LAST = "channels_first", "channels_last"
OPTIONS = {
    "occlusion": {"window": 3, "stride": 2},
    "smoothgrad": {"noise": 0.0, "samples": 2},
}
# One method of each kind is a quick test; the others are in the slow suite.
QUICK = {
    "first": ["class_saliency", "gradcam", "integrated_gradients", "occlusion", "scorecam"],
    "permuted": ["gradient_x_input", "layercam", "occlusion"],
}
TWINS = [
    pytest.param(kind, name, marks=[] if name in QUICK[kind] else pytest.mark.slow)
    for kind in QUICK
    for name in attribution.list_methods()
    if not attribution.method_spec(name).needs
]
layers = keras.layers


def tower(layout: str, name: str | None = None) -> keras.Model:
    """A small network in one layout; Keras runs its depthwise convolutions and poolings on a CPU in both."""
    shape = (8, 10, 3) if layout == LAST else (3, 8, 10)
    x = inputs = keras.Input(shape)
    x = layers.ZeroPadding2D(1, data_format=layout)(x)
    x = layers.SeparableConv2D(4, 3, activation="relu", data_format=layout, name="early")(x)
    x = layers.MaxPooling2D(data_format=layout)(x)
    x = layers.SeparableConv2D(7, 2, padding="same", data_format=layout, name="conv")(x)
    x = layers.BatchNormalization(axis=-1 if layout == LAST else 1, name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling2D(data_format=layout)(x)
    model = keras.Model(inputs, layers.Dense(6, activation="softmax")(x), name=name)
    random = np.random.default_rng(0)
    for weight in model.weights:
        values = random.normal(0, 0.5, weight.shape)
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.path else values)
    return model


@pytest.fixture(scope="module")
def last():
    return tower(LAST)


@pytest.fixture(scope="module")
def first():
    return tower(FIRST)


@pytest.fixture(scope="module")
def permuted(last):
    """Takes channels first, although every layer with a data_format says channels last."""
    inputs = keras.Input((3, 8, 10))
    return keras.Model(inputs, last(layers.Permute((2, 3, 1))(inputs)))


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(1).normal(size=(2, 8, 10, 3)).astype(np.float32)


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert np.abs(expected).max() > 0


@pytest.mark.parametrize(("kind", "name"), TWINS)
@pytest.mark.quick("first-class_saliency", "permuted-layercam", "permuted-occlusion")
def test_a_channels_first_model_has_the_maps_of_its_channels_last_twin(name, kind, last, photos, request):
    model, options = request.getfixturevalue(kind), OPTIONS.get(name, {})
    method = getattr(attribution, name)
    expected = method(last, photos, [0, 1], **options)
    found = method(model, photos.transpose(0, 3, 1, 2), [0, 1], **options)
    assert_same(found.transpose(0, 2, 3, 1) if found.ndim == 4 else found, expected)


@pytest.mark.parametrize("reduction", ["max_abs", "mean_abs", "norm", "sum"])
def test_channels_are_reduced_and_not_columns(reduction, first, photos):
    x = tf.constant(photos.transpose(0, 3, 1, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = tf.reduce_sum(first(x)[:, 2])
    gradient = tape.gradient(score, x).numpy()
    expected = {
        "max_abs": np.abs(gradient).max(axis=1),
        "mean_abs": np.abs(gradient).mean(axis=1),
        "norm": np.linalg.norm(gradient, axis=1),
        "sum": gradient.sum(axis=1),
    }[reduction]
    found = attribution.class_saliency(first, x, 2, logits=False, channel_reduction=reduction)
    assert_same(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"fill": "mean"}, {"fill": "blur"}])
@pytest.mark.parametrize("progress", [False, True])
def test_occlusion_slides_over_rows_and_columns(options, progress, last, first, photos, capsys):
    options = {"window": 4, "stride": 3, "progress": progress, **options}
    expected = attribution.occlusion(last, photos + 1, **options)
    assert_same(attribution.occlusion(first, photos.transpose(0, 3, 1, 2) + 1, **options), expected)


@pytest.mark.slow
def test_a_layer_of_the_other_layout_is_a_target(last, first, photos):
    turned = photos.transpose(0, 3, 1, 2)
    for target in (objectives.channel("conv", 3), objectives.neuron("early", 2, (7, 2)), objectives.layer("norm")):
        expected = attribution.input_gradient(last, photos, target)
        assert_same(attribution.input_gradient(first, turned, target).transpose(0, 2, 3, 1), expected)
    assert_same(feature_maps(first, turned, "relu"), feature_maps(last, photos, "relu"))


@pytest.mark.slow
def test_a_layer_of_the_other_layout_is_measured(last, first, photos):
    turned = photos.transpose(0, 3, 1, 2)
    found = attribution.occlusion(first, turned, measure="layer", layer="relu", window=3)
    assert_same(found, attribution.occlusion(last, photos, measure="layer", layer="relu", window=3))
    found = attribution.layercam(first, turned, 0, layer="early", resize=False)
    assert_same(found, attribution.layercam(last, photos, 0, layer="early", resize=False))


def test_a_map_of_classes_is_read_along_its_channels(photos):
    def classifier(layout):
        inputs = keras.Input((8, 10, 3) if layout == LAST else (3, 8, 10))
        x = layers.SeparableConv2D(4, 3, activation="relu", data_format=layout)(inputs)
        x = layers.SeparableConv2D(5, 3, data_format=layout)(x)
        model = keras.Model(inputs, layers.Softmax(axis=-1 if layout == LAST else 1)(x))
        random = np.random.default_rng(0)
        model.set_weights([random.normal(size=w.shape) for w in model.weights])
        return model

    for target in (None, 4):
        expected = attribution.class_saliency(classifier(LAST), photos, target, logits=False)
        found = attribution.class_saliency(classifier(FIRST), photos.transpose(0, 3, 1, 2), target, logits=False)
        assert_same(found, expected)


def test_deletion_takes_pixels_and_not_channels(last, first, photos):
    maps = attribution.class_saliency(last, photos, 0)
    for curve in (evaluation.deletion, evaluation.insertion):
        expected = curve(last, photos, maps, 0, steps=7)
        turned = curve(first, photos.transpose(0, 3, 1, 2), maps, 0, steps=7)
        assert_same(turned.details["curve"].scores, expected.details["curve"].scores)
        assert_same(turned.controls["edges"], expected.controls["edges"])


@pytest.mark.slow
def test_compiled_methods_and_other_sizes(last, first, photos):
    turned = tf.constant(photos.transpose(0, 3, 1, 2))
    compiled = attribution.class_saliency.compiled(first)
    assert_same(compiled(turned).numpy(), attribution.class_saliency(last, photos))
    large = np.random.default_rng(2).normal(size=(1, 11, 13, 3)).astype(np.float32)
    expected = attribution.crop_averaged_saliency(last, large, 1)
    turned = large.transpose(0, 3, 1, 2)
    assert_same(attribution.crop_averaged_saliency(first, turned, 1), expected)
    compiled = attribution.crop_averaged_saliency.compiled(first)
    assert_same(compiled(tf.constant(turned), tf.constant([1])).numpy(), expected)


def test_layers_that_disagree_are_named(photos):
    inputs = keras.Input((8, 10, 3))
    one = layers.GlobalAveragePooling2D()(layers.DepthwiseConv2D(3)(inputs))
    other = layers.GlobalAveragePooling2D()(layers.DepthwiseConv2D(3, data_format=FIRST)(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([one, other])))
    with pytest.raises(ValueError, match=r"one channel axis, but the model takes axis 1 by .* and axis 3 by"):
        attribution.class_saliency(model, photos)
    assert attribution.input_gradient(model, photos, 0).shape == photos.shape


def test_where_no_layer_tells_the_shape_may_contradict(photos):
    def dense(shape):
        return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(2)])

    assert attribution.class_saliency(dense((8, 10, 3)), photos).shape == (2, 8, 10)
    with pytest.raises(ValueError, match="must have a known channel axis"):
        attribution.class_saliency(dense((3, 8, 10)), photos.transpose(0, 3, 1, 2))
    keras.config.set_image_data_format(FIRST)
    try:
        assert attribution.class_saliency(dense((3, 8, 10)), photos.transpose(0, 3, 1, 2)).shape == (2, 8, 10)
        with pytest.raises(ValueError, match="must have a known channel axis"):
            attribution.class_saliency(dense((8, 10, 3)), photos)
    finally:
        keras.config.set_image_data_format(LAST)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((60, 1), 2), ((4, 60), 1), ((4, 1), 2), ((60, 4), 2), ((30, 4), None), ((60, 6), None), ((28, 28), None)],
)
def test_of_axes_that_are_flattened_a_short_one_has_the_channels(shape, axis):
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(2)])
    assert channel_axes(model) == [axis]
    maps = attribution.class_saliency(model, np.ones((2, *shape), np.float32), 0)
    assert maps.shape == (2, *(side for place, side in enumerate(shape, 1) if place != axis))
    if axis is None:
        assert declared_image_shape(model) == shape
    else:
        with pytest.raises(ValueError, match=r"flattens it, so that its sizes are those of a signal"):
            declared_image_shape(model)


def test_routines_that_need_channels_last_refuse_and_take_the_wrapped_model(first, last, photos):
    assert channel_axes(first) == [1]
    assert channel_axes(last) == [3]
    for routine in (
        lambda: image_shape(first),
        lambda: receptive_field.field(first, "conv"),
    ):
        with pytest.raises(ValueError, match=r"must be channels last here, but .* takes \(N, 3, 8, 10\)"):
            routine()
    wrapped = keras.Sequential([keras.Input((8, 10, 3)), layers.Permute((3, 1, 2)), first])
    assert image_shape(wrapped) == (8, 10, 3)
    assert_same(attribution.gradcam(wrapped, photos, 0), attribution.gradcam(last, photos, 0))
    with pytest.raises(ValueError, match="no spatial map"):
        receptive_field.field(wrapped, "relu")


def test_wrongly_turned_images_are_refused_with_the_way_to_turn_them(first, photos):
    with pytest.raises(ValueError, match=r"must have shape \(N, 3, 8, 10\), got .* takes channels first"):
        attribution.class_saliency(first, photos)
