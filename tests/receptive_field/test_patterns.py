"""Patterns against a slow re-implementation of the paper, and the facts that must hold of them."""

import numpy as np
import pytest

from kerasal import attribution, hooks, receptive_field
from kerasal.objectives import neuron
from kerasal.receptive_field.patterns.pattern_projection import PatternProjector

import keras
import tensorflow as tf

L = keras.layers


def stack(convolutions=(2, 1), size=(24, 24), pool=2, **options):
    """Blocks of 3 × 3 convolutions with ReLU and random weights and biases, each followed by a max-pooling."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*size, 3))
    tensor = inputs
    for block, count in enumerate(convolutions, start=1):
        for number in range(1, count + 1):
            name = f"block{block}_conv{number}"
            convolution = L.Conv2D(4 + block, 3, padding="same", activation="relu", name=name, **options)
            tensor = convolution(tensor)
            convolution.set_weights(
                [np.random.default_rng(7 * block + number).normal(0, 0.4, w.shape) for w in convolution.get_weights()]
            )
        tensor = L.MaxPooling2D(pool, name=f"block{block}_pool")(tensor)
    return keras.Model(inputs, L.Dense(3, name="scores")(L.Flatten(name="flat")(tensor)), name="stack")


@pytest.fixture(scope="module")
def small():
    return stack()


def transposed(signal, kernel):
    """A = O * Fᵀ at stride 1 and "same" padding: each value paints its kernel around itself."""
    height, width = signal.shape[:2]
    k = kernel.shape[0]
    painted = np.zeros((height + k - 1, width + k - 1, kernel.shape[2]))
    for row in range(height):
        for column in range(width):
            painted[row : row + k, column : column + k] += kernel @ signal[row, column]
    return painted[k // 2 : k // 2 + height, k // 2 : k // 2 + width]


def he_pugeault(model, blocks, channel, constant, map_size, final_relu=True, gate=lambda A, bias: np.maximum(A, 0)):
    """The paper, step by step: S with one value, then for each block np.repeat, and A = O * Fᵀ and ReLU."""
    signal = np.zeros((*map_size, model.get_layer(f"block{len(blocks)}_pool").output.shape[-1]))
    signal[map_size[0] // 2, map_size[1] // 2, channel] = constant
    assert np.count_nonzero(signal) == 1
    for block in range(len(blocks), 0, -1):
        signal = signal.repeat(2, axis=0).repeat(2, axis=1)
        for number in range(blocks[block - 1], 0, -1):
            kernel, bias = (w.astype(np.float64) for w in model.get_layer(f"block{block}_conv{number}").get_weights())
            signal = transposed(gate(signal, bias), kernel)
    return np.maximum(signal, 0) if final_relu else signal


@pytest.mark.parametrize("final_relu", [True, False])
def test_patterns_are_the_papers(small, final_relu):
    found = receptive_field.patterns(small, "block2_pool", [0, 3, 5], 1.7, canvas=20, crop=False, final_relu=final_relu)
    for channel, pattern in zip([0, 3, 5], found, strict=True):
        expected = he_pugeault(small, (2, 1), channel, 1.7, (5, 5), final_relu)
        np.testing.assert_allclose(pattern, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
        assert expected.any()


def test_the_smallest_canvas_paints_the_same_as_a_large_one(small):
    for layer, size in (("block1_pool", 6), ("block2_pool", 12), ("block2_conv1", 10)):
        tight = receptive_field.patterns(small, layer, final_relu=False)
        assert tight.shape[1:] == (size, size, 3)
        for canvas in (24, (30, 27)) if size == 12 else (24,):
            wide = PatternProjector(small, layer, canvas, final_relu=False)
            whole = wide.project(wide.channels(None), np.ones(wide.count))
            np.testing.assert_allclose(tight, wide.canvas.crop(whole), atol=1e-5 * np.abs(whole).max())
            outside = whole.copy()
            wide.canvas.crop(outside)[:] = 0
            assert not outside.any()  # the support is the receptive field
            assert wide.canvas.crop(whole)[:, [0, -1]].any()


def test_the_pattern_is_positively_homogeneous(small):
    one = receptive_field.patterns(small, "block2_pool")
    for constant in (0.5, 3.0, 100.0):
        scaled = receptive_field.patterns(small, "block2_pool", constant=constant)
        np.testing.assert_allclose(scaled, constant * one, rtol=1e-5, atol=1e-5 * constant * one.max())
    assert one.min() >= 0
    assert receptive_field.patterns(small, "block2_pool", final_relu=False).min() < 0


def test_weights_normalized_by_channel_paint_the_same_shapes(small):
    """A VGG whose channels are divided by their mean responses has the patterns of the original up to a factor."""
    scaled, before = stack(), np.ones(3)
    for layer in (layer for layer in scaled.layers if isinstance(layer, L.Conv2D)):
        factors = np.random.default_rng(0).uniform(0.2, 5, layer.filters)
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel / before[:, None] * factors, bias * factors])
        before = factors
    patterns = [receptive_field.patterns(model, "block2_pool") for model in (small, scaled)]
    for original, found, factor in zip(*patterns, before, strict=True):
        np.testing.assert_allclose(found, factor * original, rtol=1e-4, atol=1e-5 * found.max())


def test_with_bias_the_gate_takes_it_off_and_the_shape_changes(small):
    for constant in (0.5, 4.0):
        (found,) = receptive_field.patterns(small, "block2_pool", 3, constant, canvas=20, crop=False, bias=True)

        def gate(A, bias):
            return np.where(A > 0, np.maximum(A - bias, 0), 0)

        expected = he_pugeault(small, (2, 1), 3, constant, (5, 5), gate=gate)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * max(expected.max(), 1))
    one = receptive_field.patterns(small, "block2_pool", 3, 1.0, bias=True)
    assert not np.allclose(receptive_field.patterns(small, "block2_pool", 3, 4.0, bias=True), 4 * one, rtol=1e-2)


def test_batches_and_singles_are_the_same(small):
    together = receptive_field.patterns(small, "block2_pool")
    assert together.dtype == np.float32
    for batch_size in (1, 4):
        np.testing.assert_allclose(
            receptive_field.patterns(small, "block2_pool", batch_size=batch_size), together, rtol=1e-5, atol=1e-6
        )
    np.testing.assert_allclose(receptive_field.patterns(small, "block2_pool", [5, 0]), together[[5, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "relu"),
    [("functional", "layer"), ("sequential", "attribute"), ("nested", "attribute"), ("subclassed", "layer")],
)
def test_every_kind_of_model_runs_on_the_small_canvas(kind, relu, make_model):
    """Batch norm lies between the two convolutions: it multiplies by gamma / sqrt(variance + epsilon)."""
    model = make_model(kind, relu)
    layer = "conv2" if relu == "attribute" else "relu2"
    found = receptive_field.patterns(model, layer, final_relu=False)
    assert found.shape == (5, 8, 8, 3)
    weights = {one.name: one.get_weights() for _, one in hooks.layers(model) if one.name in ("conv1", "norm", "conv2")}
    gamma, _, _, variance = weights["norm"]
    for channel in range(5):
        signal = weights["conv2"][0][..., channel] * gamma / np.sqrt(variance + 1e-3)
        signal = np.maximum(np.pad(signal.repeat(2, axis=0).repeat(2, axis=1), ((1, 1), (1, 1), (0, 0))), 0)
        np.testing.assert_allclose(found[channel], transposed(signal, weights["conv1"][0]), rtol=1e-4, atol=1e-5)


def test_repetition_is_nearest_upsampling():
    pool = L.MaxPooling2D(3, name="pool")
    model = keras.Sequential([keras.Input((9, 9, 2)), pool])
    (painted,) = receptive_field.patterns(model, "pool", 1, 2.5, canvas=9, crop=False)
    signal = np.zeros((1, 3, 3, 2), np.float32)
    signal[0, 1, 1, 1] = 2.5
    np.testing.assert_array_equal(painted, L.UpSampling2D(3)(signal)[0])


def test_average_pooling_spreads_evenly():
    model = keras.Sequential([keras.Input((8, 8, 1)), L.AveragePooling2D(4, name="pool")])
    assert (receptive_field.patterns(model, "pool") == 1 / 16).all()


def test_a_model_that_takes_one_size_only_keeps_it():
    class Positioned(keras.layers.Layer):
        def build(self, shape):
            self.places = self.add_weight(shape=shape[1:], initializer="ones")

        def call(self, x):
            return x + self.places

    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, L.Conv2D(2, 3, padding="same", name="conv")(Positioned()(inputs)))
    projector = PatternProjector(model, "conv")
    assert projector.canvas.size == (16, 16)
    assert receptive_field.patterns(model, "conv").shape == (2, 3, 3, 3)
    with pytest.raises(ValueError, match=r"incompatible|must be equal|Incompatible"):
        receptive_field.patterns(model, "conv", canvas=9)


def test_a_unit_that_sees_everything_paints_the_whole_image():
    inputs = keras.Input((10, 12, 3))
    tensor = L.Conv2D(4, 3, activation="relu")(inputs)
    model = keras.Model(inputs, tensor * L.GlobalAveragePooling2D(keepdims=True)(tensor))
    layer = model.layers[-1].name if hasattr(model.layers[-1], "name") else "multiply"
    assert receptive_field.patterns(model, model.operations[-1].name, 0).shape[1:] == (10, 12, 3), layer


def test_bad_input(small, make_model):
    with pytest.raises(ValueError, match=r"channels must be in 0..5, got 6\. Layer 'block2_pool' has 6 channels"):
        receptive_field.patterns(small, "block2_pool", [0, 6])
    with pytest.raises(ValueError, match="got -1"):
        receptive_field.patterns(small, "block2_pool", -1)
    with pytest.raises(TypeError, match=r"got 1\.5"):
        receptive_field.patterns(small, "block2_pool", 1.5)
    for layer in ("flat", "scores"):
        with pytest.raises(ValueError, match=f"'{layer}' of 'stack' has no spatial map"):
            receptive_field.patterns(small, layer)
    for constant in (0, -1, np.nan, np.inf, "1", True):
        with pytest.raises(ValueError, match="constant must be a finite number above 0"):
            receptive_field.patterns(small, "block1_pool", 0, constant)
    with pytest.raises(ValueError, match="large enough for layer 'block2_pool'"):
        receptive_field.patterns(small, "block2_pool", canvas=3)
    with pytest.raises(ValueError, match='canvas must be "auto"'):
        receptive_field.patterns(small, "block2_pool", canvas="small")
    dense = keras.Sequential([keras.Input((4,)), L.Dense(2, name="dense")])
    with pytest.raises(ValueError, match="one image input"):
        receptive_field.patterns(dense, "dense", 0)
    with pytest.raises(ValueError, match=r"block2_pool.*overflow"):
        broken = stack()
        broken.get_layer("block1_conv1").set_weights([np.full((3, 3, 3, 5), np.inf), np.zeros(5)])
        receptive_field.patterns(broken, "block2_pool", 0)


def test_the_model_is_as_it_was(small):
    before = small.get_weights()
    output = small(np.ones((1, 24, 24, 3), np.float32)).numpy()
    receptive_field.patterns(small, "block1_pool", 0)
    assert all(map(np.array_equal, before, small.get_weights()))
    np.testing.assert_array_equal(small(np.ones((1, 24, 24, 3), np.float32)), output)
    with pytest.raises(ValueError, match=r"incompatible|expected shape"):
        small(np.ones((1, 20, 20, 3), np.float32))


# The table of the four systems: what each makes of one unit, on tiny nets.


def four(model, layer, channel, image):
    """The columns: gradient, deconvnet with switches, guided, and He & Pugeault's pattern on the same canvas."""
    projector = PatternProjector(model, layer, image.shape[1:3], final_relu=False)
    row, column = projector.canvas.unit
    unit = neuron(layer, channel, position=(column, row))
    columns = [attribution.input_gradient(model, image, unit)[0]]
    for method in (attribution.deconvnet, attribution.guided_backprop):
        try:
            columns.append(method(model, image, unit)[0])
        except ValueError as error:  # a rule that has nothing to act on says so: it is the gradient
            assert "nothing to act on" in str(error)
            columns.append(columns[0])
    return [*columns, projector.project(np.array([channel]), np.ones(1))[0]]


@pytest.fixture
def image():
    return np.random.default_rng(3).normal(size=(1, 15, 14, 2)).astype(np.float32)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_linear_convolutions_all_four_are_the_gradient_and_the_adjoint(stride, padding, image):
    model = keras.Sequential(
        [
            keras.Input((15, 14, 2)),
            L.Conv2D(3, 3, strides=stride, padding=padding, bias_initializer="ones"),
            L.Conv2D(4, 2, padding=padding, name="conv"),
        ]
    )
    gradient, deconvnet, guided, pattern = four(model, "conv", 1, image)
    for other in (deconvnet, guided, pattern):
        np.testing.assert_allclose(other, gradient, atol=1e-6)
    # <pattern, x> = <S, conv(x)>, where the biases, which no pattern has, are taken off.
    row, column = PatternProjector(model, "conv", (15, 14)).canvas.unit
    response = (model(image) - model(0 * image)).numpy()[0, row, column, 1]
    assert (pattern * image[0]).sum() == pytest.approx(response, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_linear_with_max_pooling_only_he_and_pugeault_differ(padding, image):
    model = keras.Sequential(
        [
            keras.Input((15, 14, 2)),
            L.Conv2D(3, 3, padding=padding),
            L.MaxPooling2D(2, padding=padding),
            L.Conv2D(4, 3, strides=2, padding=padding, name="conv"),
        ]
    )
    gradient, deconvnet, guided, pattern = four(model, "conv", 1, image)
    np.testing.assert_array_equal(deconvnet, gradient)
    np.testing.assert_array_equal(guided, gradient)
    assert np.abs(pattern - gradient).max() > 0.1 * np.abs(gradient).max()


def test_relu_gates_as_each_paper_says(image):
    """One ReLU between two convolutions: the mask is X > 0, R > 0, both, and R > 0 after the filter."""
    first, second = L.Conv2D(6, 3, padding="same", activation="relu"), L.Conv2D(4, 3, padding="same", name="conv")
    model = keras.Sequential([keras.Input((15, 14, 2)), first, second])
    projector = PatternProjector(model, "conv", (15, 14))
    signal = np.zeros((15, 14, 4))
    signal[(*projector.canvas.unit, 1)] = 1
    returned = transposed(signal, second.get_weights()[0])
    seen = first(image)[0].numpy()
    for found, mask in zip(
        four(model, "conv", 1, image),
        (seen > 0, returned > 0, (seen > 0) & (returned > 0), returned > 0),
        strict=True,
    ):
        np.testing.assert_allclose(found, transposed(returned * mask, first.get_weights()[0]), atol=1e-5)


def test_positive_kernels_without_pooling_paint_the_gradient(image):
    model = keras.Sequential(
        [keras.Input((15, 14, 2)), *(L.Conv2D(3, 3, activation="relu", name=f"conv{i}") for i in range(2))]
    )
    model.set_weights([np.abs(weight) + 0.1 for weight in model.get_weights()])
    gradient, _, _, pattern = four(model, "conv1", 1, np.abs(image))
    np.testing.assert_allclose(pattern, gradient, rtol=1e-5)


def test_one_convolution_is_tensorflows_own_gradient(image):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype(np.float32)
    for stride, padding in ((1, "same"), (2, "same"), (2, "valid"), (3, "valid")):
        layer = L.Conv2D(4, 3, strides=stride, padding=padding, name="conv")
        model = keras.Sequential([keras.Input((15, 14, 2)), layer])
        layer.set_weights([kernel, np.ones(4, np.float32)])
        projector = PatternProjector(model, "conv", (15, 14), final_relu=False)
        signal = np.zeros((1, *projector.canvas.map_size, 4), np.float32)
        signal[(0, *projector.canvas.unit, 2)] = 1
        expected = tf.nn.conv2d_transpose(signal, kernel, image.shape, stride, padding.upper())[0]
        np.testing.assert_allclose(projector.project(np.array([2]), np.ones(1))[0], expected, atol=1e-6)
