"""The layers that Keras does not have, against slow re-implementations."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from kerasal.layers import (
    DensityAdaptation,
    GaussianBlur,
    GroupedConv2D,
    LocalResponseNormalization,
    LogDensity,
    MaxFilterRMS,
    Maxout,
    MinMax,
    RandomZeroing,
    ReflectionPadding2D,
    ResizeLike,
    reorder_maxout,
)

import keras
import tensorflow as tf

RANDOM = np.random.default_rng(0)


def test_maxout_is_the_largest_of_its_slices_and_convex():
    z, other = (RANDOM.normal(size=(3, 8)).astype(np.float32) for _ in range(2))
    np.testing.assert_array_equal(Maxout(2)(z), np.maximum(z[:, ::2], z[:, 1::2]))
    np.testing.assert_array_equal(Maxout(2, "halves")(z), np.maximum(z[:, :4], z[:, 4:]))
    np.testing.assert_array_equal(Maxout(4)(z), z.reshape(3, 2, 4).max(-1))
    for layout in ("adjacent", "halves"):
        layer = Maxout(2, layout)
        middle, ends = np.asarray(layer((z + other) / 2)), (np.asarray(layer(z)) + np.asarray(layer(other))) / 2
        assert (middle <= ends + 1e-6).all() and (middle < ends - 1e-3).any()


@pytest.mark.parametrize("pieces", [2, 3])
def test_weights_of_one_layout_serve_the_other(pieces):
    x, kernel, bias = (RANDOM.normal(size=shape).astype(np.float32) for shape in ((4, 5), (5, 12), (12,)))
    adjacent = Maxout(pieces)(x @ kernel + bias)
    turned = (reorder_maxout(array, "halves", pieces) for array in (kernel, bias))
    halves = Maxout(pieces, "halves")(x @ next(turned) + next(turned))
    np.testing.assert_allclose(adjacent, halves, atol=1e-6)
    back = reorder_maxout(reorder_maxout(kernel, "halves", pieces), "adjacent", pieces)
    np.testing.assert_array_equal(back, kernel)
    assert (reorder_maxout(kernel, "halves", pieces) != kernel).any()


def test_local_response_normalization_is_caffes():
    x = RANDOM.normal(0, 30, (2, 3, 4, 9)).astype(np.float32)
    expected = np.empty_like(x)
    for channel in range(9):
        near = x[..., max(0, channel - 2) : channel + 3]
        expected[..., channel] = x[..., channel] / (1 + 0.1 / 5 * (near**2).sum(-1)) ** 0.75
    np.testing.assert_allclose(LocalResponseNormalization(5, alpha=0.1)(x), expected, rtol=1e-5)


def test_min_max_guards_constant_maps():
    maps = np.stack([RANDOM.normal(5, 3, (4, 6)), np.full((4, 6), 7.3)]).astype(np.float32)
    scaled = np.asarray(MinMax()(maps))
    np.testing.assert_allclose(scaled[0], (maps[0] - maps[0].min()) / np.ptp(maps[0]), atol=1e-6)
    assert (scaled[1] == 0).all()


def test_resize_like_is_bilinear_between_pixel_centers():
    maps = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    found = np.asarray(ResizeLike()([maps, np.zeros((1, 1, 8, 3))]))[0, 0, :, 0]
    np.testing.assert_allclose(found, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3], atol=1e-6)


def test_gaussian_blur_is_scipys_and_its_width_is_learned():
    maps = RANDOM.normal(size=(2, 9, 14)).astype(np.float32)
    layer = GaussianBlur(1.5)
    expected = [gaussian_filter(one, 1.5, mode="nearest", truncate=4.0) for one in maps]
    np.testing.assert_allclose(layer(maps), expected, atol=1e-5)
    assert np.ptp(np.asarray(layer(np.full((1, 3, 2), 5.0, np.float32)))) < 1e-5  # also where it is wider than the map
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(maps) ** 2)
    slope = float(tape.gradient(value, layer.log_sigma.value))
    sums = []
    for step in (-1e-2, 1e-2):
        layer.log_sigma.assign(np.log(1.5) + step)
        sums.append(float(tf.reduce_sum(layer(maps) ** 2)))
    assert slope < 0 and slope == pytest.approx((sums[1] - sums[0]) / 2e-2, rel=1e-2)
    with pytest.raises(ValueError, match="must be positive, got 0 and"):
        GaussianBlur(0)


def test_log_densities_sum_to_one_and_keep_differences():
    maps = (RANDOM.normal(size=(3, 5, 7)) * 40).astype(np.float32)
    found = np.asarray(LogDensity()(maps))
    np.testing.assert_allclose(np.exp(found).sum(axis=(1, 2)), 1, rtol=1e-4)
    np.testing.assert_allclose(found - found[:, :1, :1], maps - maps[:, :1, :1], atol=1e-4)

    assert LogDensity.from_config(LogDensity([336, 448]).get_config()).image_size == (336, 448)
    with pytest.raises(ValueError, match=r"image_size must be \(height, width\), two positive integers, got 9"):
        LogDensity(9)


def test_reflection_padding_is_numpys():
    images = RANDOM.normal(size=(2, 4, 5, 3)).astype(np.float32)
    expected = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(ReflectionPadding2D(2)(images), expected)
    assert ReflectionPadding2D(2)(keras.Input((None, 5, 3))).shape == (None, None, 9, 3)


def test_layers_are_saved_and_loaded(tmp_path):
    inputs = keras.Input((None, None, 4))
    padded = ReflectionPadding2D(2)(inputs)
    tensor = LocalResponseNormalization(3, 0.2, 0.5, 2.0)(Maxout(2, "halves")(padded))
    model = keras.Model(inputs, MinMax()(ResizeLike()([tensor, inputs])))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    x = RANDOM.normal(size=(2, 5, 6, 4)).astype(np.float32)
    np.testing.assert_array_equal(again(x), model(x))
    assert model(x).shape == (2, 5, 6, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Maxout(2, "rows"), "layout must be one of adjacent, halves, got"),
        (lambda: Maxout(0), "pieces must be a positive integer, got 0"),
        (lambda: Maxout(2)(np.zeros((1, 3))), "divisible by pieces=2, got 3"),
        (lambda: reorder_maxout(np.zeros(3), "halves"), "divisible by pieces=2, got 3"),
        (lambda: LocalResponseNormalization(4), "size must be a positive odd integer, got 4"),
        (lambda: ReflectionPadding2D(-1), "padding must be 0 or a positive integer, got -1"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("options", [{"padding": "same"}, {"padding": "valid", "strides": 2}])
def test_grouped_convolution_is_keras_own(options):
    x = RANDOM.normal(size=(2, 7, 8, 6)).astype(np.float32)
    ours, theirs = (kind(9, 3, groups=3, activation="relu", **options) for kind in (GroupedConv2D, keras.layers.Conv2D))
    found = ours(x)
    theirs.build(x.shape)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(found, theirs(x), atol=1e-5)


def test_filters_are_held_to_a_radius():
    kernel = RANDOM.normal(size=(3, 3, 2, 4)).astype(np.float32) * np.float32([0.01, 0.05, 1, 10])
    held = np.asarray(MaxFilterRMS(0.1)(kernel))
    rms = np.sqrt((held**2).mean((0, 1, 2)))
    np.testing.assert_allclose(rms[2:], 0.1, rtol=1e-5)
    np.testing.assert_allclose(held[..., :2], kernel[..., :2], rtol=1e-6)
    np.testing.assert_allclose(held[..., 2] / held[0, 0, 0, 2], kernel[..., 2] / kernel[0, 0, 0, 2], rtol=1e-4)
    np.testing.assert_array_equal(MaxFilterRMS(0.1)(np.zeros((3, 3, 2, 4), np.float32)), 0)
    with pytest.raises(ValueError, match="above 0"):
        MaxFilterRMS(0.0)


def test_random_zeroing_zeroes_one_rectangle_in_training_alone():
    images = np.ones((400, 20, 30, 3), np.float32)
    layer = RandomZeroing((0.2, 0.5), probability=0.75, seed=1)
    np.testing.assert_array_equal(layer(images), images)
    zeroed = np.asarray(layer(images, training=True))
    assert set(np.unique(zeroed)) == {0, 1} and (zeroed == zeroed[..., :1]).all()
    holes = zeroed[..., 0] == 0
    changed = holes.any(axis=(1, 2))
    assert 0.68 < changed.mean() < 0.82
    heights, widths = holes.any(axis=2).sum(axis=1)[changed], holes.any(axis=1).sum(axis=1)[changed]
    assert (heights * widths == holes.sum(axis=(1, 2))[changed]).all()  # rectangles
    assert (heights.min(), heights.max(), widths.min(), widths.max()) == (4, 10, 6, 15)
    cover = holes.mean(axis=0)
    assert cover[0].any() and cover[-1].any() and cover[:, 0].any() and cover[:, -1].any()  # up to every edge
    assert (np.asarray(layer(images, training=True))[..., 0] != zeroed[..., 0]).any()
    again = RandomZeroing.from_config(layer.get_config())
    np.testing.assert_array_equal(again(images, training=True), zeroed)


@pytest.mark.parametrize(
    ("share", "probability", "message"),
    [
        ((0.5, 0.2), 0.5, r"share must be .*, got \(0\.5, 0\.2\)"),
        ((0, 0.5), 0.5, r"share must be .*, got \(0, 0\.5\)"),
        ((0.1, 0.2), 2, r"probability must be a finite number in 0\.\.1, got 2"),
    ],
)
def test_random_zeroing_refuses_what_is_no_share(share, probability, message):
    with pytest.raises(ValueError, match=message):
        RandomZeroing(share, probability)


def test_density_adaptation_is_its_formula():
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 5, 7))
    logs = logits - np.log(np.exp(logits).sum(axis=(1, 2), keepdims=True))
    np.testing.assert_allclose(DensityAdaptation()(logs.astype(np.float32)), logs, rtol=1e-5)
    layer = DensityAdaptation(1.5, 0.8, (0.1, -0.2), (0.2, 0.3), 0.04)
    y, x = np.meshgrid((np.arange(5) + 0.5) / 5 - 0.5, (np.arange(7) + 0.5) / 7 - 0.5, indexing="ij")
    powers = np.exp(1.5 * logs + 0.8 * np.exp(-(((y - 0.1) / 0.2) ** 2 + ((x + 0.2) / 0.3) ** 2) / 2))
    wanted = 0.96 * powers / powers.sum(axis=(1, 2), keepdims=True) + 0.04 / 35
    np.testing.assert_allclose(np.exp(layer(logs.astype(np.float32))), wanted, rtol=1e-4)
    again = DensityAdaptation.from_config(layer.get_config())
    np.testing.assert_array_equal(again(logs), layer(logs))
    with pytest.raises(ValueError, match="scale must be a finite number above 0, got 0"):
        DensityAdaptation(scale=0)
    with pytest.raises(ValueError, match="floor must be"):
        DensityAdaptation(floor=1.0)
