"""Attention weights as the layers return them, and the maps of them as they are when written out step by step."""

import importlib.util
import math

import numpy as np
import pytest

from kerasal import attribution, hooks

import keras
import tensorflow as tf

pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # some heads have no positive evidence
METHODS = ("attention_gradcam", "attention_rollout", "raw_attention", "transformer_relevance")
SPELLINGS = (
    "exponentials",
    "OwnAttention",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("operation", "softmax", "merged")),
)
layers, ops = keras.layers, keras.ops


def row(matrix, prefix):
    """The row of the first prefix token, or the mean of the rows, without the prefix tokens and as a grid."""
    chosen = matrix[:, 0] if prefix else matrix.mean(axis=1)
    return chosen[:, prefix:].reshape(-1, 4, 6)


def rollout(attentions, identity=0.5, order=1, reduce=np.mean):
    product = np.eye(attentions[0].shape[-1])[None]
    for attention in attentions[::order]:
        weights = reduce(attention, axis=1)
        weights = weights / weights.sum(axis=-1, keepdims=True)
        product = ((1 - identity) * weights + identity * np.eye(weights.shape[-1])) @ product
    return product


def relevance(attentions, gradients):
    identity = np.eye(attentions[0].shape[-1])[None]
    result = identity
    for attention, gradient in zip(attentions, gradients, strict=True):
        result = result + np.maximum(attention * gradient, 0).mean(axis=1) @ result
    return result - identity


@pytest.fixture(scope="module")
def models(transformers):
    return {prefix: transformers.transformer(prefix=prefix) for prefix in (0, 1, 2, 5)}


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
def test_the_weights_and_all_maps_are_those_written_out(prefix, models, transformers):
    model, images = models[prefix], transformers.images()
    attentions, gradients = transformers.written_out(model, images, 3)
    weights = attribution.attention(model, images)
    assert list(weights) == [f"block{block}_attention" for block in range(3)]
    for found, expected in zip(weights.values(), attentions, strict=True):
        assert found.dtype == np.float32 and found.shape == (2, 2, 24 + prefix, 24 + prefix)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    maps = {name: getattr(attribution, name)(model, images, 3, resize=False) for name in METHODS}
    np.testing.assert_allclose(maps["raw_attention"], row(attentions[-1].mean(axis=1), prefix), rtol=1e-4)
    np.testing.assert_allclose(maps["attention_rollout"], row(rollout(attentions), prefix), rtol=1e-4)
    expected = row(relevance(attentions, gradients), prefix)
    np.testing.assert_allclose(maps["transformer_relevance"], expected, rtol=1e-3, atol=1e-5 * expected.max())
    heads = [[row(part[:, head], prefix) for head in range(2)] for part in (attentions[-1], gradients[-1])]
    parts = [gradient.mean(axis=(1, 2), keepdims=True) * weight for weight, gradient in zip(*heads, strict=True)]
    expected = np.maximum(np.mean(parts, axis=0), 0)
    np.testing.assert_allclose(maps["attention_gradcam"], expected, rtol=1e-3, atol=1e-5 * np.abs(parts).max())
    assert maps["raw_attention"].layer == maps["attention_gradcam"].layer == "block2_attention"


def test_the_rollout_has_the_identity_and_the_last_layer_first(models, transformers):
    model, images = models[1], transformers.images()
    attentions = list(attribution.attention(model, images).values())
    maps = attribution.attention_rollout(model, images, resize=False)
    for other in (rollout(attentions, identity=0), rollout(attentions, order=-1)):
        assert np.abs(row(other, 1) - maps).max() > 0.02 * maps.max()
    for name, reduce in (("max", np.max), ("min", np.min)):
        expected = row(rollout(attentions, reduce=reduce), 1)
        found = attribution.attention_rollout(model, images, resize=False, head_reduction=name)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        assert np.abs(found - maps).max() > 0.02 * maps.max()


def test_relevance_depends_on_the_class_and_rollout_does_not(models, transformers):
    images = transformers.images()
    for name in METHODS:
        first, second = (getattr(attribution, name)(models[1], images, index) for index in (0, 1))
        if name in ("attention_rollout", "raw_attention"):
            np.testing.assert_array_equal(first, second)
            assert attribution.method_spec(name).question == "attention"
        else:
            assert np.abs(first - second).max() > 0.1 * first.max()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_attention_has_the_same_weights_and_maps_in_every_spelling(spelling, transformers):
    """The reference is the layer whose parts are copied: only the names and axes in the graph differ."""
    attend, images = getattr(transformers, spelling), transformers.images()
    make = (lambda y, name: attend(name=name)(y)) if isinstance(attend, type) else attend
    model = transformers.transformer(make, blocks=2)
    reference = transformers.transformer(blocks=2)
    for layer in reference.layers:
        if layer.name.endswith("_attention"):
            kernels = _kernels(model, layer.name)
            parts = [(layer.query_dense, 0), (layer.key_dense, 1), (layer.value_dense, 2)]
            for part, number in parts:
                part.set_weights(kernels[number])
            layer.output_dense.set_weights([np.eye(16).reshape(2, 8, 16), np.zeros(16)])
        elif layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    np.testing.assert_allclose(model(images), reference(images), atol=1e-4)
    found, expected = (list(attribution.attention(one, images).values()) for one in (model, reference))
    assert len(found) == 2
    for weights, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(weights, wanted, atol=1e-5)
    for name in METHODS:
        found, expected = (getattr(attribution, name)(one, images, 2) for one in (model, reference))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def _kernels(model, name):
    names = {layer.name for layer in model.layers}
    if name in names:
        return [[weight, np.zeros(weight.shape[1:])] for weight in model.get_layer(name).get_weights()]
    dense = [model.get_layer(f"{name}_{part}").get_weights() for part in "qkv"]
    return [[kernel.reshape(16, 2, 8), bias.reshape(2, 8)] for kernel, bias in dense]


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.MultiHeadAttention(2, 8, dropout=0.2),
        lambda: layers.MultiHeadAttention(2, 8, use_bias=False),
        lambda: layers.GroupQueryAttention(8, 4, 2),
    ],
    ids=["dropout", "fused", "grouped"],
)
@pytest.mark.parametrize("causal", [False, True])
def test_the_weights_are_those_that_the_layer_returns(make, causal, transformers):
    inner = make()

    def attend(y, name):
        return inner(y, y, use_causal_mask=causal)

    model = transformers.transformer(attend, blocks=1)
    images = transformers.images()
    tokens = hooks.activations(model, ["block0_norm"], images)["block0_norm"]
    expected = inner(tokens, tokens, return_attention_scores=True, use_causal_mask=causal)[1]
    np.testing.assert_allclose(attribution.attention(model, images)[inner.name], expected, atol=1e-5)


def test_layers_are_chosen_by_name_and_batches_change_nothing(models, transformers):
    model, images = models[1], transformers.images(3)
    every = attribution.attention(model, images)
    chosen = attribution.attention(model, images, ["block2_attention", "block0_attention"], batch_size=2)
    assert list(chosen) == ["block0_attention", "block2_attention"]
    for name, weights in chosen.items():
        np.testing.assert_allclose(weights, every[name], atol=1e-6)
    outer = keras.Model(inputs := keras.Input(transformers.SIZE), model(inputs))
    assert list(attribution.attention(outer, images, "block1_attention")) == ["transformer/block1_attention"]
    assert len(attribution.attention(outer, images, "transformer")) == 3
    with pytest.raises(ValueError, match=r"hold an attention, got 'norm'\. The attentions of .* 'block0_attention'"):
        attribution.attention(model, images, "norm")
    with pytest.raises(ValueError, match="layer must name a layer that holds an attention, got 'norm'"):
        attribution.raw_attention(model, images, layer="norm")


def test_a_layer_that_runs_twice_has_two_attentions(transformers):
    shared = layers.MultiHeadAttention(2, 8, name="shared")
    model = transformers.transformer(lambda y, name: shared(y, y), blocks=2)
    images = transformers.images()
    weights = attribution.attention(model, images)
    assert list(weights) == ["shared", "shared:2"]
    assert np.abs(weights["shared"] - weights["shared:2"]).max() > 0.01
    maps = attribution.raw_attention(model, images, layer="shared", resize=False)
    np.testing.assert_allclose(maps, row(weights["shared:2"].mean(axis=1), 1), rtol=1e-5)


def test_heads_and_queries_of_a_raw_map(models, transformers):
    model, images = models[2], transformers.images()
    weights = attribution.attention(model, images, "block1_attention")["block1_attention"]

    def read(**options):
        return attribution.raw_attention(model, images, layer="block1_attention", resize=False, **options)

    for head, query, expected in (
        (1, 9, weights[:, 1, 9]),
        ("max", "prefix", weights.max(axis=1)[:, 0]),
        ("mean", 1, weights.mean(axis=1)[:, 1]),
        ("min", 25, weights.min(axis=1)[:, 25]),
        (0, "mean", weights[:, 0, 2:].mean(axis=1)),
    ):
        if head not in ("max", "min"):
            np.testing.assert_allclose(
                read(head=head, query=query), expected[:, 2:].reshape(-1, 4, 6), rtol=1e-5, atol=1e-7
            )
        else:
            assert (read(head=head, query=query) == expected[:, 2:].reshape(-1, 4, 6)).all()
    for options, says in (
        ({"head": 2}, "head must be the number of one of the 2 heads of 'block1_attention', got 2"),
        ({"head": -1}, "got -1"),
        ({"query": 26}, "query must be the index of one of the 26 tokens"),
        ({"query": -1}, "got -1"),
    ):
        with pytest.raises(ValueError, match=says):
            read(**options)
    with pytest.raises(ValueError, match=r"query must be 'mean' .* no tokens before those of the positions"):
        attribution.attention_rollout(transformers.transformer(prefix=0), images, query="prefix")


def test_windows_are_put_back_where_they_were_cut(transformers):
    """By hand: the weight on a position is that in its window, of the grid rolled by a row and two columns."""
    model = transformers.transformer(lambda y, name: transformers.Windows(name=name)(y), prefix=0, blocks=1)
    images = transformers.images()
    weights = attribution.attention(model, images)["block0_attention/heads"]
    assert weights.shape == (2, 4, 2, 6, 6)
    expected = np.zeros((2, 4, 6))
    for window in range(4):
        for key in range(6):
            line, column = 2 * (window // 2) + key // 3 + 1, 3 * (window % 2) + key % 3 + 2
            expected[:, line % 4, column % 6] = weights[:, window, :, :, key].mean(axis=(1, 2))
    np.testing.assert_allclose(attribution.raw_attention(model, images, resize=False), expected, rtol=1e-5)
    assert attribution.attention_gradcam(model, images, 0).shape == (2, 32, 48)
    for name in ("attention_rollout", "transformer_relevance"):
        with pytest.raises(ValueError, match=r"'block0_attention/heads' attends within 4 windows separately\. Look at"):
            getattr(attribution, name)(model, images)


def _reduced(y, name):
    return layers.MultiHeadAttention(2, 8, name=name)(y, layers.AveragePooling1D(2)(y))


def _learned(y, name):
    """A cross-attention from as many learned tokens as there are positions."""
    tokens = layers.Embedding(24, 16)(ops.arange(24))[None] + 0 * y[:, :1]
    return layers.MultiHeadAttention(2, 8, name=name)(tokens, y)


class _Compiled(layers.Layer):
    """An attention inside a function of its own, or inside a loop."""

    def __init__(self, loop, **options):
        super().__init__(**options)
        self.heads, self.loop = layers.MultiHeadAttention(2, 8, name="heads"), loop

    def build(self, shape):
        self.heads.build(shape, shape)
        self.run = tf.function(lambda y: self.heads(y, y), autograph=False)

    def call(self, y):
        if not self.loop:
            return self.run(y)
        return tf.while_loop(lambda i, _: i < 2, lambda i, y: (i + 1, y + self.heads(y, y)), (0, y))[1]

    def compute_output_shape(self, shape):
        return shape


def _added_mask(y, name):
    q, k, v = (layers.Dense(16, name=f"{name}_{part}")(y) for part in "qkv")
    mask = -1e9 * (1 - np.tril(np.ones((24, 24), np.float32)))
    return ops.matmul(ops.softmax(ops.matmul(q, ops.transpose(k, (0, 2, 1))) / 4 + mask), v)


CANNOT_COMBINE = {
    "reduced": (_reduced, "'block0_attention' attends from 24 tokens to 12 others"),
    "crossed": (_learned, "'block0_attention' attends from 24 tokens to 24 others"),
    "causal": (lambda y, name: layers.MultiHeadAttention(2, 8, name=name)(y, y, use_causal_mask=True), "is causal"),
    "masked": (
        lambda y, name: layers.MultiHeadAttention(2, 8, dropout=0.1, name=name)(y, y, use_causal_mask=True),
        "'block0_attention' is causal",
    ),
    "added": (_added_mask, "is causal: its first tokens never read the others"),
    "compiled": (lambda y, name: _Compiled(False, name=name)(y), "inside a compiled function or a loop"),
    "loop": (lambda y, name: _Compiled(True, name=name)(y), "inside a compiled function or a loop"),
}


@pytest.mark.parametrize("kind", CANNOT_COMBINE)
@pytest.mark.parametrize("name", ["attention_rollout", "transformer_relevance"])
def test_attentions_that_cannot_be_combined_are_errors(kind, name, transformers):
    attend, says = CANNOT_COMBINE[kind]
    model = transformers.transformer(attend, prefix=0, blocks=2)
    with pytest.raises(ValueError, match=says):
        getattr(attribution, name)(model, transformers.images())
    if kind in ("compiled", "loop"):
        with pytest.raises(ValueError, match=says):
            attribution.attention(model, transformers.images())
    elif kind not in ("reduced", "crossed"):
        assert attribution.raw_attention(model, transformers.images()).shape == (2, 32, 48)


def test_a_model_without_attention_is_an_error(make_model, batch):
    for name in METHODS:
        with pytest.raises(ValueError, match="must have an attention, a softmax over positions times values"):
            getattr(attribution, name)(make_model("functional"), batch)
    with pytest.raises(ValueError, match="must have an attention"):
        attribution.attention(make_model("functional"), batch)


@pytest.mark.parametrize("name", METHODS)
def test_a_grid_that_is_not_known_is_asked_for(name, transformers):
    inputs = keras.Input(transformers.SIZE)
    tokens = layers.Reshape((24, 16))(layers.Conv2D(16, 8, strides=8, name="patches")(inputs))
    order = np.random.default_rng(0).permutation(24)
    model = transformers.transformer(inputs=inputs, tokens=ops.take(tokens, order, axis=1))
    images, method = transformers.images(), getattr(attribution, name)
    with pytest.raises(ValueError, match=r"grid of the 25 tokens .* must be known.*Pass grid=\(rows, columns\)"):
        method(model, images, 0)
    maps = method(model, images, 1, grid=(4, 6), resize=False)
    assert maps.shape == (2, 4, 6) and np.abs(maps).max() > 0
    if name == "raw_attention":
        weights = attribution.attention(model, images)["block2_attention"]
        np.testing.assert_allclose(maps, row(weights.mean(axis=1), 1), rtol=1e-5)
    for grid in ((5, 6), 6, (0, 4)):
        with pytest.raises(ValueError, match="grid must hold the positions of the 25 tokens of 'block"):
            method(model, images, 1, grid=grid)


def test_a_target_before_all_attentions_is_an_error(models, transformers):
    from kerasal.objectives import channel

    for name in ("attention_gradcam", "transformer_relevance"):
        with pytest.raises(ValueError, match="target must depend on an attention"):
            getattr(attribution, name)(models[1], transformers.images(), channel("patches", 1))


def _signal(transformers):
    inputs = keras.Input((36, 2))
    return transformers.transformer(inputs=inputs, tokens=layers.Conv1D(16, 3, strides=3, name="patches")(inputs))


def _volume(transformers):
    inputs = keras.Input((4, 6, 8, 1))
    tokens = layers.Conv3D(16, 2, strides=2, name="patches")(inputs)
    return transformers.transformer(inputs=inputs, tokens=layers.Reshape((24, 16))(tokens))


def _channels_first(transformers):
    inputs = keras.Input((3, 32, 48))
    moved = layers.Permute((2, 3, 1))(inputs)
    tokens = layers.Reshape((24, 16))(layers.Conv2D(16, 8, strides=8, name="patches")(moved))
    return transformers.transformer(inputs=inputs, tokens=tokens)


@pytest.mark.parametrize(
    ("make", "shape", "grid"),
    [(_signal, (36, 2), (12,)), (_volume, (4, 6, 8, 1), (2, 3, 4)), (_channels_first, (3, 32, 48), (4, 6))],
    ids=["signal", "volume", "channels first"],
)
@pytest.mark.parametrize("name", METHODS)
def test_maps_have_the_positions_of_signals_and_volumes(name, make, shape, grid, transformers):
    model, inputs = make(transformers), transformers.images(size=shape)
    maps = getattr(attribution, name)(model, inputs, 1)
    assert maps.shape[1:] == (shape[1:] if shape[0] == 3 else shape[:-1])
    small = getattr(attribution, name)(model, inputs, 1, resize=False)
    assert small.shape[1:] == grid
    if name == "raw_attention":
        weights = attribution.attention(model, inputs)["block2_attention"].mean(axis=1)[:, 0, 1:]
        np.testing.assert_allclose(small.reshape(2, -1), weights, rtol=1e-5)
    if name == "attention_rollout" and shape[0] == 3:
        last = transformers.transformer()
        last.set_weights(model.get_weights())
        expected = attribution.attention_rollout(last, np.moveaxis(inputs, 1, -1))
        np.testing.assert_allclose(maps, expected, rtol=1e-4)


def test_attention_over_frames_gives_each_frame_one_value():
    inputs = keras.Input((5, 8, 8, 1))
    frames = layers.TimeDistributed(layers.Conv2D(4, 3))(inputs)
    frames = ops.mean(frames, axis=(2, 3))
    frames = frames + layers.MultiHeadAttention(2, 3, name="time")(frames, frames)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(frames)))
    videos = np.random.default_rng(0).normal(size=(2, 5, 8, 8, 1)).astype(np.float32)
    maps = attribution.raw_attention(model, videos)
    expected = attribution.attention(model, videos)["time"].mean(axis=(1, 2))
    assert maps.shape == (2, 5, 8, 8)
    np.testing.assert_allclose(maps, np.broadcast_to(expected[:, :, None, None], maps.shape), rtol=1e-5)


def test_each_input_of_a_siamese_model_has_its_own_map(transformers):
    tower, images = transformers.transformer(blocks=2), [transformers.images(seed=seed) for seed in (1, 2)]
    pair = [keras.Input(transformers.SIZE, name=name) for name in ("one", "two")]
    model = keras.Model(pair, layers.Dense(3)(layers.Concatenate()([tower(x) for x in pair])))
    assert len(attribution.attention(model, images)) == 4
    for name in ("attention_rollout", "raw_attention"):
        for maps, x in zip(getattr(attribution, name)(model, images), images, strict=True):
            np.testing.assert_allclose(maps, getattr(attribution, name)(tower, x), rtol=1e-4)
    together = attribution.transformer_relevance(model, images, 1)
    alone = [attribution.transformer_relevance(model, [images[0], other], 1)[0] for other in (images[1], images[0])]
    np.testing.assert_allclose(together[0], alone[0], rtol=1e-4)
    np.testing.assert_allclose(alone[0], alone[1], rtol=1e-4)  # the head is linear
    tokens = [layers.Reshape((24, 16))(layers.Conv2D(16, 8, strides=8)(x)) for x in pair]
    mixed = transformers.multi_head(ops.concatenate(tokens, axis=1), "joint")
    joint = keras.Model(pair, layers.Dense(3)(ops.mean(mixed, axis=1)))
    with pytest.raises(ValueError, match="'joint' depends on 2 inputs"):
        attribution.attention_rollout(joint, images)
    with pytest.raises(ValueError, match="attention that depends on input 'one' alone"):
        attribution.raw_attention(joint, images)


def test_images_of_any_size_have_the_grid_of_their_size(transformers):
    inputs = keras.Input((None, None, 3))
    tokens = layers.Reshape((-1, 16))(layers.Conv2D(16, 8, strides=8, name="patches")(inputs))
    x = tokens + layers.MultiHeadAttention(2, 8, name="heads")(tokens, tokens)
    model = keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))
    for size in ((32, 48, 3), (64, 24, 3)):
        images = transformers.images(size=size)
        for name in METHODS:
            assert getattr(attribution, name)(model, images, 0).shape == (2, *size[:2])
            assert getattr(attribution, name)(model, images, 0, resize=False).shape == (2, size[0] // 8, size[1] // 8)
        assert attribution.attention(model, images)["heads"].shape[-1] == math.prod(size[:2]) // 64


def test_attention_over_channels_is_no_attention_over_positions(transformers):
    def attend(y, name):
        q, k, v = (layers.Dense(16, name=f"{name}_{part}")(y) for part in "qkv")
        weights = ops.softmax(ops.einsum("bti,btj->bij", q, k) / 4)
        return ops.einsum("bij,btj->bti", weights, v)

    model = transformers.transformer(attend, blocks=1)
    with pytest.raises(ValueError, match="must have an attention, a softmax over positions"):
        attribution.attention(model, transformers.images())


@pytest.mark.slow
def test_the_weights_of_a_pretrained_transformer_are_those_of_its_layers(data_folder):
    path = data_folder / "models" / "dinov2_small.py"
    spec = importlib.util.spec_from_file_location("dinov2_small", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.dinov2_small((112, 168))
    images = np.random.default_rng(0).normal(size=(2, 112, 168, 3)).astype(np.float32)
    weights = attribution.attention(model, images)
    assert list(weights) == [f"block{block}_attention" for block in range(12)]
    inputs = hooks.activations(model, [f"block{block}_norm1" for block in range(12)], images)
    for block, (name, found) in enumerate(weights.items()):
        tokens = inputs[f"block{block}_norm1"]
        expected = model.get_layer(name)(tokens, tokens, return_attention_scores=True)[1]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    maps = attribution.attention_rollout(model, images, resize=False)
    expected = rollout(list(weights.values()))[:, 0, 1:].reshape(2, 8, 12)
    np.testing.assert_allclose(maps, expected, rtol=1e-3)


HUB = {
    "ViT": lambda hub: hub.ViTBackbone((32, 48, 3), 8, 2, 2, 32, 64),
    "DeiT": lambda hub: hub.DeiTBackbone((32, 48, 3), 8, 2, 2, 32, 64),
    "DINOv2": lambda hub: hub.DINOV2Backbone(14, 2, 32, 2, 64, num_register_tokens=4, image_shape=(56, 56, 3)),
    "Swin": lambda hub: hub.SwinTransformerBackbone((56, 88, 3), 16, [2, 2], [2, 4], 4),
    "MiT": lambda hub: hub.MiTBackbone(
        [1, 1], 2, [1, 2], [2, 1], 0.1, [7, 3], [4, 2], image_shape=(32, 32, 3), hidden_dims=[16, 32]
    ),
}
GRIDS = {"ViT": (4, 6), "DeiT": (4, 6), "DINOv2": (4, 4), "Swin": (7, 11), "MiT": (4, 4)}
PREFIXES = {"ViT": 1, "DeiT": 2, "DINOv2": 5}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer 'attn':UserWarning")
@pytest.mark.parametrize("name", HUB)
def test_models_of_keras_hub(name):
    hub = pytest.importorskip("keras_hub.models")
    backbone = HUB[name](hub)
    shape = backbone.input["images"].shape[1:] if isinstance(backbone.input, dict) else backbone.input.shape[1:]
    inputs = keras.Input(shape)
    features = backbone({"images": inputs} if isinstance(backbone.input, dict) else inputs)
    pooled = features[:, 0] if len(features.shape) == 3 else ops.mean(features, (1, 2))
    model = keras.Model(inputs, layers.Dense(4)(pooled))
    images = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    weights = attribution.attention(model, images)
    assert len(weights) == (4 if name == "Swin" else 2)
    for method in METHODS:
        if name in ("Swin", "MiT") and method in ("attention_rollout", "transformer_relevance"):
            with pytest.raises(ValueError, match="windows separately" if name == "Swin" else "from 64 tokens to 16"):
                getattr(attribution, method)(model, images, 1)
        else:
            assert getattr(attribution, method)(model, images, 1, resize=False).shape == (2, *GRIDS[name])
    if name in PREFIXES:
        expected = rollout(list(weights.values()))[:, 0, PREFIXES[name] :].reshape(2, *GRIDS[name])
        found = attribution.attention_rollout(model, images, resize=False)
        np.testing.assert_allclose(found, expected, rtol=1e-3)
