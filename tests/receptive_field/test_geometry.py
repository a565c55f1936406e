"""Receptive fields: published sizes, and the support of the gradient, for every kind of layer and model."""

import numpy as np
import pytest

from kerasal import hooks, receptive_field
from kerasal.receptive_field.geometry.field_geometry import to_field
from kerasal.receptive_field.geometry.route_reader import read_routes

import keras
import tensorflow as tf

L = keras.layers


def positive(model, seed=0):
    """Give a model random positive weights, so that nothing on the way from a pixel to a unit cancels out."""
    random = np.random.default_rng(seed)
    model.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    return model


def supports(model, layer, size):
    """Return, for the units (i, i) of a layer's map, the box of the pixels with a gradient (max-pooling summed)."""
    path, _ = hooks.find_layer(model, layer)
    pools = any(isinstance(one, L.MaxPooling2D) for _, one in hooks.layers(model))

    def run(x):
        watched = hooks.watched(model, taps=[path], any_size=True, pooling="sum" if pools else "max")
        with tf.GradientTape() as tape:
            tape.watch(x)
            _, seen = watched(x)
            count = min(seen[path].shape[1:3])
            signal = tf.linalg.diag(tf.eye(count))  # unit (i, i) for image i
            padded = tf.pad(signal, [[0, 0], *([0, n - count] for n in seen[path].shape[1:3])])
            score = tf.reduce_sum(seen[path] * padded[..., None])
        return tape.gradient(score, x)

    route, _ = read_routes(model, [path], size)[path]
    field = to_field(route, size)
    x = tf.ones((min(field.map_size), *size, model.inputs[0].shape[-1] if getattr(model, "inputs", None) else 3))
    gradient = tf.function(run, autograph=False)(x).numpy()
    boxes = []
    for one in gradient:
        rows, columns = np.nonzero(np.abs(one).sum(axis=(1, 2)))[0], np.nonzero(np.abs(one).sum(axis=(0, 2)))[0]
        boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows) else None)
    return route, field, boxes


def check(model, layer, size):
    """Compare all units of the diagonal: the same box; where a unit looks at padding, at most its box."""
    route, field, boxes = supports(positive(model), layer, size)
    units = np.arange(len(boxes))
    inside = [route.sees_no_padding(axis, route.lengths(axis, size[axis]), units) for axis in (0, 1)]
    assert np.all(inside, axis=0).any()
    for number, found in enumerate(boxes):
        expected = field.box(number, number, clip=True)
        if inside[0][number] and inside[1][number]:
            assert found == expected == field.box(number, number)
        elif found is not None:
            assert (np.array(found[:2]) >= expected[:2]).all()
            assert (np.array(found[2:]) <= expected[2:]).all()
    return field


def chain(*layers, size=(23, 26)):
    """A Sequential model of the layers, the last one named "end"."""
    layers[-1].name = "end"
    return keras.Sequential([keras.Input((*size, 2)), *layers])


@pytest.mark.parametrize(("name", "sizes"), [("vgg16", (6, 16, 44, 100, 212)), ("vgg19", (6, 16, 52, 124, 268))])
def test_the_fields_of_vggs_poolings(name, sizes):
    from kerasal import create_model

    found = receptive_field.fields(create_model(name, include_top=False))
    for block, size in enumerate(sizes, start=1):
        field = found[f"block{block}_pool"]
        assert field.size == (size, size)
        assert field.stride == (2**block, 2**block)
        assert field.box(0, 0)[0] == -(field.box(0, 0)[2] - field.stride[0])  # centered on its own pixels
        assert not field.whole


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 5])
def test_convolutions_then_convolutions(kernel, stride, padding):
    model = chain(L.Conv2D(2, kernel, strides=stride, padding=padding), L.Conv2D(2, 3, strides=2, padding=padding))
    field = check(model, "end", (23, 26))
    assert field.size == (kernel + 2 * stride,) * 2
    assert field.stride == (2 * stride, 2 * stride)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    "layer",
    [
        lambda padding: L.Conv2D(2, (3, 2), dilation_rate=(2, 3), padding=padding),
        lambda padding: L.DepthwiseConv2D(3, dilation_rate=2, padding=padding),
        lambda padding: L.DepthwiseConv2D(3, strides=2, padding=padding),
        lambda padding: L.SeparableConv2D(3, 4, padding=padding),
        lambda padding: L.Conv2D(4, 3, groups=2, strides=2, padding=padding),
        lambda padding: L.MaxPooling2D(3, 2, padding=padding),
        lambda padding: L.AveragePooling2D((2, 4), padding=padding),
        lambda padding: L.Conv2DTranspose(2, 3, strides=2, padding=padding),
        lambda padding: L.Conv2DTranspose(2, 2, strides=3, padding=padding),
    ],
)
def test_every_sliding_layer_between_two_convolutions(layer, padding):
    model = chain(L.Conv2D(2, 3, padding=padding), layer(padding), L.Conv2D(2, 2, padding=padding))
    check(model, "end", (23, 26))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: L.UpSampling2D((2, 3)),
        lambda: L.UpSampling2D(2, interpolation="bilinear"),
        lambda: L.UpSampling2D(3, interpolation="bilinear"),
        lambda: L.UpSampling2D(2, interpolation="bicubic"),
        lambda: L.ZeroPadding2D(((1, 2), (3, 0))),
        lambda: L.Cropping2D(((2, 1), (0, 3))),
        lambda: L.Dense(3),
        lambda: L.BatchNormalization(),
        lambda: L.Dropout(0.5),
        lambda: L.Activation("softplus"),
        lambda: L.Lambda(lambda x: tf.nn.depth_to_space(tf.concat([x, x], -1), 2)),
        lambda: L.Lambda(lambda x: x[:, 2:-1:2, 3:, :1]),
        lambda: L.Lambda(lambda x: tf.nn.avg_pool2d(x, 3, 1, "SAME") + 2.0 * x),  # the wider branch first, then last
        lambda: L.Lambda(lambda x: 2.0 * x + tf.nn.avg_pool2d(x, 3, 1, "SAME")),
    ],
)
def test_every_other_layer_between_two_convolutions(layer):
    check(chain(L.Conv2D(2, 3, strides=2), layer(), L.Conv2D(2, 3)), "end", (23, 26))


def branches():
    inputs = keras.Input((32, 32, 3))
    stem = L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(inputs)
    short = L.Conv2D(4, 1)(stem)
    long = L.Conv2D(4, 5, padding="same", activation="relu")(L.Conv2D(4, 3, padding="same")(stem))
    joined = L.Add(name="add")([short, L.BatchNormalization()(long)])
    pooled = L.MaxPooling2D(2, name="pool")(joined)
    back = L.UpSampling2D(2, name="up")(L.Conv2D(4, 3, padding="same")(pooled))
    both = L.Concatenate(name="concat")([joined, back])
    scores = L.Dense(2)(L.GlobalAveragePooling2D(name="mean")(both))
    return keras.Model(inputs, [scores, keras.ops.relu(both)])


def test_branches_take_the_box_of_all_paths():
    model = branches()
    assert check(model, "add", (32, 32)).size == (15, 15)
    assert check(model, "concat", (32, 32)).stride == (2, 2)
    with pytest.raises(ValueError, match=r"'mean' of 'functional.*no spatial map"):
        receptive_field.field(model, "mean")


@pytest.mark.parametrize("kind", ["functional", "sequential", "nested", "subclassed"])
def test_any_kind_of_model(kind, make_model):
    field = receptive_field.field(make_model(kind), "conv2")
    assert field.size == (8, 8)
    assert field.stride == (2, 2)
    assert field.offset == (-1, -1)
    assert field.map_size == (2, 2)
    assert field.box(1, 0) == (-1, 1, 7, 9)
    assert field.box(1, 0, clip=True) == (0, 1, 7, 8)


def test_an_image_of_another_size(make_model):
    """The dense layer above does not fit, but does not matter to a layer below it."""
    for kind in ("functional", "nested", "subclassed"):
        model = make_model(kind)
        field = receptive_field.field(model, "norm", input_size=(20, 14))
        assert field.map_size == (10, 7)
        assert field.input_size == (20, 14)
        assert receptive_field.field(model, "norm").map_size == (4, 4)
        with pytest.raises(ValueError, match=r"incompatible|expected shape|dimensions"):
            model(np.zeros((1, 20, 14, 3), np.float32))  # its own checks are back


def test_global_layers_see_the_whole_image():
    inputs = keras.Input((16, 20, 3))
    tensor = L.Conv2D(4, 3, name="local")(inputs)
    weights = L.GlobalAveragePooling2D(keepdims=True, name="mean")(tensor)
    model = keras.Model(inputs, L.Conv2D(2, 3, name="after")(tensor * L.Conv2D(4, 1, activation="sigmoid")(weights)))
    assert receptive_field.field(model, "local").whole == ""
    for name in ("mean", "after"):
        field = receptive_field.field(model, name)
        assert "Mean" in field.whole
        assert field.size == (16, 20)
        assert field.box(0, 0) == (0, 0, 20, 16)
    assert receptive_field.field(model, "mean").stride == (0, 0)
    assert receptive_field.field(model, "after").stride == (1, 1)


def test_attention_sees_the_whole_image():
    inputs = keras.Input((8, 8, 4))
    rows = L.Reshape((64, 4))(inputs)
    attended = L.Reshape((8, 8, 4), name="attended")(L.MultiHeadAttention(1, 2)(rows, rows))
    model = keras.Model(inputs, attended)
    assert receptive_field.field(model, "attended").whole


def test_bad_input(make_model):
    model = make_model("functional")
    with pytest.raises(ValueError, match=r"Unknown layer 'conv9'.*Did you mean conv"):
        receptive_field.field(model, "conv9")
    with pytest.raises(ValueError, match=r"'flatten'.*no spatial map"):
        receptive_field.field(model, "flatten")
    with pytest.raises(ValueError, match="two positive integers, got"):
        receptive_field.field(model, "conv1", input_size=(8, 0))
    with pytest.raises(IndexError, match="2 rows and 2 columns"):
        receptive_field.field(model, "conv2").box(2, 0)
    dense = keras.Sequential([keras.Input((4,)), L.Dense(2, name="dense")])
    with pytest.raises(ValueError, match=r"one image input .*takes \(N, 4\)"):
        receptive_field.field(dense, "dense")


def test_a_compiled_function_is_refused():
    class Compiled(keras.layers.Layer):
        @tf.function
        def call(self, x):
            return tf.nn.relu(tf.nn.max_pool2d(x, 2, 2, "SAME"))

    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, L.Conv2D(2, 3, name="conv")(Compiled()(inputs)))
    with pytest.raises(ValueError, match="must not contain a compiled function"):
        receptive_field.field(model, "conv")


def test_the_model_stays_as_it_was(make_model, batch):
    model = make_model("nested")
    before = [{**vars(layer)} for _, layer in hooks.layers(model)]
    receptive_field.fields(model)
    assert [{**vars(layer)} for _, layer in hooks.layers(model)] == before
