"""The default layer of a class activation map: before the target and its logits, with positions of its own, or none."""

import importlib.util

import numpy as np
import pytest

from kerasal import attribution, objectives

import keras
import tensorflow as tf

# Of random weights: some images hold nothing for a class.
pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")
layers = keras.layers


def filled(model, seed=0):
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(0, 0.3, w.shape) for w in model.weights])
    return model


def photos(count=2, size=(8, 8, 3), seed=1):
    return np.random.default_rng(seed).normal(size=(count, *size)).astype(np.float32)


def grad_cam(tensors, score_of, inputs):
    """Grad-CAM by an own tape: ``tensors(*inputs) -> (maps, scores)``; maps are watched by adding zeros to them."""
    shift = tf.zeros_like(tensors(*inputs, 0.0)[0])
    with tf.GradientTape() as tape:
        tape.watch(shift)
        maps, output = tensors(*inputs, shift)
        score = tf.reduce_sum(score_of(output))
    weights = tf.reduce_mean(tape.gradient(score, shift), axis=[1, 2], keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy()


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert np.abs(expected).max() > 0


class Norm(layers.LayerNormalization):
    """A normalization whose tokens are watched by adding zeros to them."""

    def build(self, shape):
        super().build(shape)
        self.shift = self.add_weight(shape=(shape[1], shape[2]), name="shift", initializer="zeros", trainable=False)

    def call(self, x):
        return super().call(x) + self.shift


def vit(tokens: int = 1, attention: str = "keras"):
    """A small vision transformer on 8 × 12 pixels: a patch embedding, prefix tokens, two blocks of attention."""

    class ClassToken(layers.Layer):
        def build(self, shape):
            self.token = self.add_weight(shape=(1, tokens, shape[-1]), name="token")

        def call(self, x):
            return tf.concat([tf.broadcast_to(self.token, (tf.shape(x)[0], tokens, x.shape[-1])), x], axis=1)

    class Written(layers.Layer):
        def build(self, shape):
            self.mix = layers.Dense(3 * shape[-1])
            self.mix.build(shape)

        def call(self, x):
            query, key, value = tf.split(self.mix(x), 3, axis=-1)
            return tf.nn.softmax(query @ tf.transpose(key, (0, 2, 1))) @ value

    x = inputs = keras.Input((8, 12, 3))
    x = layers.Conv2D(6, 2, strides=2, name="patches")(x)
    x = ClassToken()(layers.Reshape((24, 6))(x)) if tokens else layers.Reshape((24, 6))(x)
    for number in range(2):
        y = Norm(name=f"norm{number}")(x)
        x = x + (layers.MultiHeadAttention(2, 3)(y, y) if attention == "keras" else Written()(y))
        x = x + layers.Dense(6)(layers.Dense(8, activation="gelu")(layers.LayerNormalization()(x)))
    x = x[:, 0] if tokens else layers.GlobalAveragePooling1D()(x)
    model = filled(keras.Model(inputs, layers.Dense(4, activation="softmax")(x), name="vit"))
    for number in range(2):
        norm = model.get_layer(f"norm{number}")
        norm.shift.assign(tf.zeros_like(norm.shift))
    return model


def mixer():
    """MLP-Mixer: dense layers along the tokens, added to them."""
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Reshape((16, 6))(layers.Conv2D(6, 2, strides=2, name="patches")(x))
    y = layers.Permute((2, 1))(layers.LayerNormalization()(x))
    y = layers.Permute((2, 1))(layers.Dense(16)(layers.Dense(9, activation="gelu")(y)))
    x = layers.GlobalAveragePooling1D()(layers.Add(name="mixed")([x, y]))
    return filled(keras.Model(inputs, layers.Dense(4)(x), name="mixer"))


def swin(last_convolution: bool = False):
    """Attention inside of windows of 2 × 2, shifted in the second block, then half the size."""

    def windows(x, back=False):
        if back:
            x = keras.ops.reshape(x, (-1, 2, 2, 2, 2, 6))
            return keras.ops.reshape(keras.ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 4, 4, 6))
        x = keras.ops.reshape(x, (-1, 2, 2, 2, 2, 6))
        return keras.ops.reshape(keras.ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 4, 6))

    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 2, strides=2, name="patches")(x)
    for number in range(2):
        y = layers.LayerNormalization()(x)
        y = keras.ops.roll(y, -number, axis=1)
        y = windows(y)
        y = windows(layers.MultiHeadAttention(2, 3)(y, y), back=True)
        x = layers.Add(name=f"block{number}")([x, keras.ops.roll(y, number, axis=1)])
    if last_convolution:
        x = layers.Conv2D(5, 2, name="after")(x)
    else:  # patch merging
        x = keras.ops.reshape(
            keras.ops.transpose(keras.ops.reshape(x, (-1, 2, 2, 2, 2, 6)), (0, 1, 3, 2, 4, 5)), (-1, 4, 24)
        )
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(2, 3)(y, y)
        x = layers.Reshape((2, 2, 24), name="merged")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return filled(keras.Model(inputs, layers.Dense(4)(x), name="swin"))


@pytest.mark.parametrize(
    ("tokens", "attention"),
    [
        pytest.param(1, "keras"),
        pytest.param(0, "keras", marks=pytest.mark.slow),
        pytest.param(2, "written", marks=pytest.mark.slow),
        pytest.param(0, "written"),
    ],
)
@pytest.mark.quick("0-written")
def test_the_default_layer_of_a_transformer_is_what_the_last_attention_reads(tokens, attention):
    model, x = vit(tokens, attention), photos(1, (8, 12, 3))
    norm, head, strongest = model.get_layer("norm1"), model.layers[-1], 0.0
    read = keras.Model(model.input, [norm.output, head.input])
    for target in range(4):
        found = attribution.gradcam(model, x, target)
        assert found.layer == "norm1"
        with tf.GradientTape() as tape:
            tape.watch(norm.shift.value)
            norm_output, features = read(x)
            score = (features @ head.kernel + head.bias)[0, target]
        weights = tf.reduce_mean(tape.gradient(score, norm.shift.value)[tokens:], axis=0)
        expected = tf.nn.relu(tf.reduce_sum(norm_output[:, tokens:] * weights, axis=-1))
        expected = tf.image.resize(tf.reshape(expected, (1, 4, 6, 1)), (8, 12))[..., 0].numpy()
        assert found.shape == (1, 8, 12)
        assert np.abs(found - expected).max() <= 1e-5 * expected.max()
        strongest = max(strongest, expected.max())
    assert strongest > 0
    assert attribution.gradcam(model, x, 2, resize=False).shape == (1, 4, 6)


def test_the_last_tokens_of_a_mixer_have_positions():
    assert attribution.gradcam(mixer(), photos(), 0).layer == "mixed"


def test_where_attention_reads_tokens_in_an_unknown_order_there_is_no_default_layer():
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Reshape((16, 6))(layers.Conv2D(6, 2, strides=2, name="patches")(x))
    x = keras.ops.take(x, np.random.default_rng(0).permutation(16), axis=1)
    x = layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 3)(x, x))
    model = filled(keras.Model(inputs, layers.Dense(4)(x)))
    with pytest.raises(ValueError, match=r"mixes those of .*choose a layer with layer=.*'patches'"):
        attribution.gradcam(model, photos(), 0)
    maps = attribution.gradcam(model, photos(), 0, layer="patches")
    assert maps.shape == (2, 8, 8)
    assert maps.layer == "patches"


@pytest.mark.slow
def test_windows_are_put_back_together():
    model = swin()
    found = attribution.gradcam(model, photos(), 0, resize=False)
    assert found.layer.startswith("layer_normalization")
    assert found.shape == (2, 2, 2)
    merged = attribution.gradcam(model, photos(), 0, layer="merged", resize=False)
    assert merged.shape == (2, 2, 2)


def test_a_convolution_after_attention_is_the_last_map():
    assert attribution.gradcam(swin(last_convolution=True), photos(), 0).layer == "after"


@pytest.mark.slow
def test_the_default_layer_of_dinov2_is_the_norm_of_its_last_block(data_folder):
    path = data_folder / "models" / "dinov2_small.py"
    if not path.is_file():
        pytest.skip(f"no real vision transformer: {path} is missing")
    spec = importlib.util.spec_from_file_location("dinov2_small", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.dinov2_small((56, 70))
    found = attribution.gradcam(model, photos(1, (56, 70, 3)), lambda tokens: tokens[:, 0, 3], resize=False)
    assert found.layer == "block11_norm1"
    assert found.shape == (1, 4, 5)


@pytest.mark.parametrize("kind", ["squeeze-excite", "cbam", "global context", "attention pooling", "bilinear", "flat"])
def test_attention_over_channels_and_pooling_by_attention_are_no_mixing(kind):
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(x)
    last = "conv"
    if kind in ("squeeze-excite", "cbam"):
        squeezed = layers.GlobalAveragePooling2D(keepdims=True)(x)
        squeezed = layers.Conv2D(6, 1, activation="sigmoid")(layers.Conv2D(2, 1, activation="relu")(squeezed))
        last = "excited"
        x = layers.Multiply(name="excited")([x, squeezed])
    if kind == "cbam":
        both = keras.ops.concatenate([keras.ops.mean(x, -1, keepdims=True), keras.ops.max(x, -1, keepdims=True)], -1)
        x = layers.Multiply(name="spatial")(
            [x, layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="gate")(both)]
        )
        last = "spatial"
    if kind == "global context":
        flat = layers.Reshape((36, 6))(x)
        weights = layers.Softmax(axis=1)(layers.Dense(1)(flat))
        context = keras.ops.matmul(keras.ops.transpose(flat, (0, 2, 1)), weights)
        x = layers.Add(name="context")([x, layers.Reshape((1, 1, 6))(context)])
        last = "context"
    if kind == "attention pooling":
        flat = layers.Reshape((36, 6))(x)
        x = layers.MultiHeadAttention(2, 3)(keras.ops.mean(flat, axis=1, keepdims=True), flat)
    if kind == "bilinear":
        flat = layers.Reshape((36, 6))(x)
        x = keras.ops.matmul(keras.ops.transpose(flat, (0, 2, 1)), flat)
    model = filled(keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x))))
    assert attribution.gradcam(model, photos(), 0).layer == last


def test_a_layer_in_another_outputs_branch_is_not_the_default():
    inputs = keras.Input((8, 8, 3))
    trunk = layers.Conv2D(4, 3, activation="relu", name="trunk")(inputs)
    one = layers.Dense(3, activation="softmax", name="one")(layers.Flatten()(trunk))
    late = layers.Conv2D(4, 3, activation="relu", name="late")(trunk)
    two = layers.Dense(3, activation="softmax", name="two")(layers.Flatten()(late))
    model = filled(keras.Model(inputs, {"one": one, "two": two}))
    for method in (attribution.gradcam, attribution.scorecam):
        assert method(model, photos(), 1, output="one").layer == "trunk"
    assert attribution.gradcam(model, photos(), 1, output="two").layer == "late"


def test_a_target_within_the_model_has_no_layer_after_it():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="early")(inputs)
    x = layers.Conv2D(5, 3, activation="relu", name="late")(layers.ReLU(name="relu")(x))
    model = filled(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x))))
    maps = attribution.gradcam(model, photos(), objectives.channel("early", 3))
    assert maps.layer == "early"
    early = model.get_layer("early")

    def tensors(x, shift):
        shifted = early(x) + shift
        return shifted, tf.reduce_mean(shifted, axis=[1, 2])

    expected = grad_cam(tensors, lambda channels: channels[:, 3], [photos()])
    found = attribution.gradcam(model, photos(), objectives.channel("early", 3), resize=False)
    assert_same(found, expected)
    assert attribution.gradcam(model, photos(), objectives.channel("late", 0)).layer == "late"


@pytest.mark.parametrize("head", ["softmax", "layer", "resized", "linear"])
@pytest.mark.parametrize("logits", [True, False])
def test_the_map_of_the_classes_themselves_is_not_the_default(head, logits):
    """A fully convolutional classifier: the last convolution gives the classes' scores at each place."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(5, 1, activation="softmax" if head == "softmax" else None, name="scores")(x)
    x = layers.Softmax()(x) if head == "layer" else x
    x = layers.UpSampling2D(2, interpolation="bilinear")(x) if head == "resized" else x
    model = filled(keras.Model(inputs, x))
    assert attribution.gradcam(model, photos(), 2, logits=logits).layer == "relu"
    assert attribution.gradcam(model, photos(), lambda output: output[:, 1, 1, 0], logits=logits).layer == "relu"


def test_the_maps_of_the_classes_before_their_pooling_are():
    """The setting of Zhou et al. 2016, and SqueezeNet's: class maps, their averages, softmax."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(5, 1, activation="relu", name="maps")(layers.Conv2D(4, 3, activation="relu")(inputs))
    x = layers.Softmax()(layers.GlobalAveragePooling2D()(x))
    assert attribution.gradcam(filled(keras.Model(inputs, x)), photos(), 2).layer == "maps"


@pytest.mark.parametrize("keepdims", [True, False])
def test_a_map_of_pooled_features_is_not_the_default(keepdims):
    """MobileNet and MobileNetV3 end in convolutions of pooled maps, where every map is constant."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = layers.GlobalAveragePooling2D(keepdims=keepdims)(x)
    x = x if keepdims else layers.Reshape((1, 1, 4))(x)
    x = layers.Conv2D(3, 1, name="scores")(layers.Conv2D(7, 1, activation="relu", name="features")(x))
    model = filled(keras.Model(inputs, layers.Softmax()(layers.Flatten()(x))))
    maps = attribution.gradcam(model, photos(), 2)
    assert maps.layer == "conv"
    assert np.ptp(maps, axis=(1, 2)).min() > 0


def test_a_map_that_strides_made_one_place_is():
    x = inputs = keras.Input((8, 8, 3))
    for name in ("one", "two", "three"):
        x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name=name)(x)
    model = filled(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x))))
    assert attribution.gradcam(model, photos(), 2).layer == "three"


def test_queries_and_keys_of_attention_are_no_maps():
    """Their outputs have four axes, but these are tokens and heads."""
    image = keras.Input((16, 16, 3))
    tokens = keras.layers.Reshape((16, 8))(keras.layers.Conv2D(8, 4, strides=4, name="patch")(image))
    tokens = keras.layers.MultiHeadAttention(2, 4, name="attention")(tokens, tokens)
    scores = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(tokens))
    model, batch = keras.Model(image, scores), np.ones((1, 16, 16, 3), np.float32)
    with pytest.raises(ValueError, match=r"'attention/query' must have a map.*\(None, 16, 2, 4\)"):
        attribution.gradcam(model, batch, layer="attention/query")
    assert attribution.gradcam(model, batch).shape == (1, 16, 16)
    assert attribution.gradcam(model, batch, layer="patch").shape == (1, 16, 16)


@pytest.mark.parametrize("name", ["gradcam", "layercam", "scorecam"])
@pytest.mark.parametrize("kind", ["cropped", "flipped", "both"])
@pytest.mark.quick("cropped-layercam", "flipped-scorecam", "both-gradcam")
def test_a_map_is_where_the_input_is_cropped_and_flipped(name, kind):
    """The only bright pixel is at row 13 and column 2, and all weights are positive."""
    parts = [layers.Cropping2D(((8, 0), (0, 4)))] if kind != "flipped" else []
    parts += [layers.Lambda(lambda x: x[:, :, ::-1])] if kind != "cropped" else []
    parts += [layers.Conv2D(2, 1, use_bias=False, kernel_initializer="ones"), layers.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((16, 12, 1)), *parts, layers.Dense(2, kernel_initializer="ones")])
    image = np.zeros((1, 16, 12, 1), np.float32)
    image[0, 13, 2] = 1
    found = getattr(attribution, name)(model, image, 0)
    assert found.shape == (1, 16, 12)
    assert np.unravel_index(found[0].argmax(), (16, 12)) == (13, 2)
    assert np.count_nonzero(found[0]) == 1


def test_a_decoder_has_no_positions_of_the_input():
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu", name="encoder")(x))
    x = layers.Reshape((4, 4, 2))(layers.Dense(32)(x))
    x = layers.Conv2DTranspose(3, 2, strides=2, name="decoder")(x)
    model = filled(keras.Model(inputs, layers.GlobalAveragePooling2D()(x)))
    assert attribution.gradcam(model, photos(1, (8, 8, 1)), 1).layer == "encoder"
    with pytest.raises(ValueError, match="'decoder' must have a map"):
        attribution.gradcam(model, photos(1, (8, 8, 1)), 1, layer="decoder")


@pytest.mark.parametrize("kind", ["forward", "backward", "bidirectional"])
@pytest.mark.quick("backward")
def test_the_time_of_a_recurrent_layer_is_that_of_the_input(kind):
    """Without recurrent weights, the output at a time step depends on the input at this step alone."""
    start = {"kernel_initializer": "ones", "recurrent_initializer": "zeros", "activation": "linear"}
    recurrent = layers.SimpleRNN(2, return_sequences=True, go_backwards=kind == "backward", **start)
    recurrent = layers.Bidirectional(recurrent) if kind == "bidirectional" else recurrent
    head = [layers.GlobalAveragePooling1D(), layers.Dense(2, kernel_initializer="ones")]
    model = keras.Sequential([keras.Input((9, 3)), recurrent, *head])
    signal = np.zeros((1, 9, 3), np.float32)
    signal[0, 6] = 1
    found = attribution.gradcam(model, signal, 0)
    assert found.layer == recurrent.name
    assert np.flatnonzero(found[0]).tolist() == [6]


def test_a_segmentation_is_explained_at_its_coarsest_positions():
    inputs = keras.Input((16, 16, 3))
    top = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="top")(inputs)
    bottom = keras.layers.Conv2D(6, 3, strides=4, padding="same", activation="relu", name="bottom")(top)
    bottom = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="deepest")(bottom)
    joined = keras.layers.Concatenate()([keras.layers.UpSampling2D(4)(bottom), top])
    decoded = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="decoder")(joined)
    model = keras.Model(inputs, keras.layers.Conv2D(3, 1, activation="softmax", name="classes")(decoded))
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)
    mask = np.zeros((16, 16), bool)
    mask[2:7, 3:9] = True
    for target in (objectives.region(mask, 1), 1, lambda output: output[:, 3, 3, 1]):
        assert attribution.gradcam(model, images, target).layer == "deepest"
    pooled = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(decoded))
    assert attribution.gradcam(pooled, images, 1).layer == "decoder"


class Thinned(keras.layers.Layer):
    """The tokens with the largest sums."""

    def call(self, x):
        _, places = keras.ops.top_k(keras.ops.sum(x, -1), 8)
        return keras.ops.take_along_axis(x, places[..., None], axis=1)


class Latents(keras.layers.Layer):
    """Tokens of its own that read the patches, as in a Perceiver."""

    def build(self, shape):
        self.tokens = self.add_weight(shape=(1, 5, shape[-1]))
        self.attention = keras.layers.MultiHeadAttention(2, 4)
        self.attention.build((None, 5, shape[-1]), shape)

    def call(self, x):
        rows = keras.ops.shape(x)[0]
        return self.attention(keras.ops.broadcast_to(self.tokens, (rows, 5, x.shape[-1])), x)


class Compiled(keras.layers.Layer):
    """Attention inside a compiled function."""

    def build(self, shape):
        self.run = tf.function(lambda x: tf.matmul(tf.nn.softmax(tf.matmul(x, x, transpose_b=True)), x))

    def call(self, x):
        return x + self.run(x)

    def compute_output_shape(self, shape):
        return shape


def _merge(x):
    return keras.layers.Permute((2, 1))(keras.layers.Dense(8)(keras.layers.Permute((2, 1))(x)))


@pytest.mark.parametrize("step", [Thinned(), _merge, Latents(), Compiled()], ids=["thinned", "merged", "latents", "tf"])
@pytest.mark.parametrize(("name", "extras"), [("gradcam", False), ("scorecam", False), ("gradcam", True)])
@pytest.mark.quick("gradcam-False-thinned", "scorecam-False-merged", "gradcam-True-latents")
def test_a_patch_embedding_is_never_the_default_layer(step, name, extras):
    inputs = keras.Input((16, 16, 3))
    pixels = keras.layers.Rescaling(1 / 255)(inputs) if extras else inputs
    x = keras.layers.Conv2D(8, 4, strides=4, name="patch_embedding")(pixels)
    x = keras.layers.Reshape((16, 8))(x)
    x = step(x + keras.ops.arange(16, dtype="float32")[:, None] if extras else x)  # the place of each patch
    for _ in range(2):
        x = Compiled()(x) if isinstance(step, Compiled) else x + keras.layers.MultiHeadAttention(2, 4)(x, x)
    x = keras.layers.LayerNormalization()(x)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(x)))
    images = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
    with pytest.raises(ValueError, match=r"positions of the default layer must stay separate.*or accept the mixing"):
        getattr(attribution, name)(model, images, 0)
    assert attribution.gradcam(model, images, 0, layer="patch_embedding").layer == "patch_embedding"


ANY_LENGTH = {
    "strides": lambda h: _convolve(_convolve(h, strides=2), dilation_rate=2),
    "pooling": lambda h: _convolve(keras.layers.AveragePooling1D(2)(keras.layers.MaxPool1D(2)(_convolve(h)))),
    "residual": lambda h: keras.layers.Add()([keras.layers.BatchNormalization()(_convolve(x := _convolve(h))), x]),
    "causal": lambda h: keras.layers.SeparableConv1D(4, 3)(_convolve(h, padding="causal", strides=1)),
    "padding": lambda h: keras.layers.ZeroPadding1D((5, 2))(_convolve(h)),
}


def _convolve(h, **options):
    return keras.layers.Conv1D(4, 5, **{"padding": "same", "activation": "relu", **options})(h)


@pytest.mark.parametrize("kind", ANY_LENGTH)
@pytest.mark.quick("causal", "pooling")
def test_signals_of_any_length_are_explained_as_those_of_a_declared_one(kind):
    maps = []
    signals = photos(2, (48, 3))
    for length in (48, None):
        x = keras.Input((length, 3))
        h = ANY_LENGTH[kind](x)
        name = h._keras_history.operation.name
        model = filled(keras.Model(x, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(h))))
        model.set_weights(list(map(np.abs, model.get_weights())))  # every map is above 0, every variance too
        maps.append(attribution.gradcam(model, signals, 1))
        named = attribution.gradcam(model, signals, 1, layer=name)
        assert named.shape == (2, 48)
        maps.append(named)
    for fixed, free in zip(maps[:2], maps[2:], strict=True):
        assert fixed.max() > 0
        np.testing.assert_allclose(free, fixed, rtol=1e-5, atol=1e-7)


def test_a_time_distributed_model_says_how_to_follow_its_positions():
    frame = keras.Sequential([keras.layers.Conv2D(3, 3, activation="relu"), keras.layers.GlobalAveragePooling2D()])
    inputs = keras.Input((4, 8, 8, 3))
    features = keras.layers.GlobalAveragePooling1D()(keras.layers.TimeDistributed(frame)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(features))
    with pytest.raises(ValueError, match=r"A TimeDistributed of a whole model .* wrap its layers one by one"):
        attribution.gradcam(model, np.ones((1, 4, 8, 8, 3), np.float32), 0)


def test_attention_in_a_decoder_is_no_default_layer_of_a_segmentation():
    inputs = keras.Input((16, 16, 3))
    top = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(inputs)
    bottom = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(top)
    tokens = keras.layers.LayerNormalization(name="encoder")(keras.layers.Reshape((16, 8))(bottom))
    tokens = keras.layers.Reshape((4, 4, 8))(tokens + keras.layers.MultiHeadAttention(2, 4)(tokens, tokens))
    joined = keras.layers.Concatenate()([keras.layers.UpSampling2D(2)(tokens), top])
    tokens = keras.layers.LayerNormalization(name="decoder")(keras.layers.Reshape((64, 16))(joined))
    tokens = keras.layers.Reshape((8, 8, 16))(tokens + keras.layers.MultiHeadAttention(2, 4)(tokens, tokens))
    outputs = keras.layers.Conv2D(3, 1, activation="softmax")(keras.layers.UpSampling2D(2)(tokens))
    images = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
    mask = np.zeros((16, 16), bool)
    mask[2:7, 3:9] = True
    target = objectives.region(mask, 1)
    assert attribution.layercam(keras.Model(inputs, outputs), images, target).layer == "encoder"


def test_a_layer_that_returns_its_input_is_no_default_layer():
    inputs = keras.Input((16, 16, 3))
    features = keras.layers.Conv2D(4, 3, activation="relu", name="features")(keras.layers.Dropout(0.5)(inputs))
    scores = keras.layers.Dense(3)(keras.layers.Flatten()(features))
    images = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
    assert attribution.gradcam(keras.Model(inputs, scores), images, 0).layer == "features"


class Convolved(layers.Layer):
    """A convolution with a ReLU inside a compiled function, and perhaps the mean over its positions."""

    def __init__(self, pools=False, **options):
        super().__init__(**options)
        self.inner, self.pools = layers.Conv2D(4, 3, activation="relu"), pools

    def build(self, shape):
        self.inner.build(shape)

    @tf.function(autograph=False)
    def call(self, x):
        return tf.reduce_mean(self.inner(x), axis=(1, 2)) if self.pools else self.inner(x)

    def compute_output_shape(self, shape):
        return (shape[0], 4) if self.pools else (shape[0], shape[1] - 2, shape[2] - 2, 4)


def _with(part):
    inputs = keras.Input((8, 10, 3))
    x = part(layers.Conv2D(4, 3, activation="relu", name="before")(inputs))
    x = layers.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else x
    return filled(keras.Model(inputs, layers.Dense(3)(x)))


def test_a_convolution_inside_a_compiled_function_is_the_default_layer():
    plain, hidden = _with(layers.Conv2D(4, 3, activation="relu", name="last")), _with(Convolved(name="last"))
    inputs = photos(size=(8, 10, 3))
    expected = attribution.gradcam(plain, inputs, 1)
    found = attribution.gradcam(hidden, inputs, 1)
    assert found.layer == expected.layer == "last" and expected.max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_convolutions_whose_maps_stay_inside_a_compiled_function_are_named():
    inputs = keras.Input((8, 10, 3))
    model = keras.Model(inputs, layers.Dense(3)(Convolved(pools=True, name="hidden")(inputs)))
    message = r"run its convolutions in its own graph, but operation '.*hidden.*' runs them inside a compiled function"
    for name in ("gradcam", "layercam"):
        with pytest.raises(ValueError, match=message):
            getattr(attribution, name)(model, photos(size=(8, 10, 3)), 1)
    assert attribution.class_saliency(model, photos(size=(8, 10, 3)), 1).max() > 0


def test_a_named_layer_whose_size_is_open_says_so():
    inputs = keras.Input((None, 2))
    x = layers.Cropping1D((1, 2), name="cropped")(layers.Conv1D(4, 3, name="before")(inputs))
    model = filled(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x))))
    signals = np.random.default_rng(0).normal(size=(2, 20, 2)).astype(np.float32)
    assert attribution.gradcam(model, signals, 1).layer == "before"
    with pytest.raises(ValueError, match=r"'cropped' must have a map.*Build the model for inputs of a fixed size"):
        attribution.gradcam(model, signals, 1, layer="cropped")
