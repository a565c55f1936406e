"""Attentions that cannot be read or combined, and grids that are not known: each error names what to do."""

import numpy as np
import pytest

from kerasal import attribution

import keras
import tensorflow as tf

pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # some heads have no positive evidence
METHODS = ("attention_gradcam", "attention_rollout", "legrad", "raw_attention", "transformer_relevance")
layers, ops = keras.layers, keras.ops


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


class _Recomputed(layers.Layer):
    """An attention that is computed once more for its gradient."""

    def __init__(self, **options):
        super().__init__(**options)
        self.heads = layers.MultiHeadAttention(2, 8, name="heads")

    def build(self, shape):
        self.heads.build(shape, shape)

    def call(self, y):
        return tf.recompute_grad(lambda y: self.heads(y, y))(y)

    def compute_output_shape(self, shape):
        return shape


def _recompute_first(y, name):
    first = name == "block0_attention"
    return _Recomputed(name=name)(y) if first else layers.MultiHeadAttention(2, 8, name=name)(y, y)


@pytest.mark.parametrize("name", ["attention_gradcam", "legrad", "transformer_relevance"])
@pytest.mark.quick("transformer_relevance")
def test_an_attention_within_a_custom_gradient_is_named(name, transformers):
    """Of two attentions one is enough: the other's gradient alone would be wrong in silence."""
    model, images = transformers.transformer(_recompute_first, blocks=2), transformers.images()
    options = {"layer": "block0_attention"} if name == "attention_gradcam" else {}
    message = r"by layer 'block0_attention/heads' must be known.* custom gradient \(.*\): .*keras\.RematScope"
    with pytest.raises(ValueError, match=message):
        getattr(attribution, name)(model, images, 1, **options)
    assert attribution.attention_rollout(model, images).max() > 0  # needs no gradient
    assert attribution.gradcam(model, images, 1).layer == "block1_norm"


def test_a_map_within_a_custom_gradient_is_named(transformers):
    model, images = transformers.transformer(_recompute_first, blocks=2), transformers.images()
    with pytest.raises(ValueError, match=r"by layer 'block0_attention/heads' must be known.*tf\.recompute_grad"):
        attribution.gradcam(model, images, 1, layer="block0_attention/heads")


@pytest.mark.parametrize("kind", CANNOT_COMBINE)
@pytest.mark.parametrize("name", ["attention_rollout", "legrad", "transformer_relevance"])
@pytest.mark.quick("attention_rollout-reduced", "legrad-crossed", "transformer_relevance-compiled")
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


def _talking(y, name, heads_last):
    """Talking heads: dense layers mix the heads before and after the softmax."""
    shape = (-1, 24, 2, 8)
    q, k, v = (layers.Reshape(shape[1:])(layers.Dense(16, name=f"{name}_{part}")(y)) for part in "qkv")
    if heads_last:
        weights = layers.Dense(2, name=f"{name}_before")(ops.einsum("bqhd,bkhd->bqkh", q, k) / 3)
        weights = layers.Dense(2, name=f"{name}_after")(ops.softmax(weights, axis=2))
        return ops.reshape(ops.einsum("bqkh,bkhd->bqhd", weights, v), (-1, 24, 16))
    weights = ops.softmax(ops.einsum("bqhd,bkhd->bhqk", q, k) / 3)
    mix = layers.EinsumDense("bhqk,hg->bgqk", (2, None, None), name=f"{name}_mix")
    return ops.reshape(ops.einsum("bhqk,bkhd->bqhd", mix(weights), v), (-1, 24, 16))


@pytest.mark.parametrize("heads_last", [True, False])
@pytest.mark.slow
def test_mixed_heads_are_an_error_for_attention_and_none_for_grad_cam(heads_last, transformers):
    def attend(y, name):
        return _talking(y, name, heads_last) if name.startswith("block0") else transformers.multi_head(y, name)

    model, images = transformers.transformer(attend, prefix=0, blocks=2), transformers.images()
    says = r"must weight its values by a softmax, but it mixes its heads .*talking heads"
    with pytest.raises(ValueError, match=says):
        attribution.attention(model, images)
    assert list(attribution.attention(model, images, "block1_attention")) == ["block1_attention"]
    assert attribution.raw_attention(model, images, layer="block1_attention").layer == "block1_attention"
    for name in ("attention_rollout", "legrad", "transformer_relevance"):
        with pytest.raises(ValueError, match=says):
            getattr(attribution, name)(model, images, 1)
    model = transformers.transformer(lambda y, name: _talking(y, name, heads_last), prefix=0, blocks=2)
    for name in ("attention_gradcam", "raw_attention"):
        with pytest.raises(ValueError, match=says):
            getattr(attribution, name)(model, images, 1)
    assert attribution.gradcam(model, images, 1).layer == "block1_norm"


def test_a_model_without_attention_is_an_error(make_model, batch):
    for name in METHODS:
        with pytest.raises(ValueError, match="must have an attention, a softmax over positions times values"):
            getattr(attribution, name)(make_model("functional"), batch)
    with pytest.raises(ValueError, match="must have an attention"):
        attribution.attention(make_model("functional"), batch)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.quick("attention_rollout")
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
        np.testing.assert_allclose(maps, weights.mean(axis=1)[:, 0, 1:].reshape(-1, 4, 6), rtol=1e-5)
    for grid in ((5, 6), 6, (0, 4)):
        with pytest.raises(ValueError, match="grid must hold the positions of the 25 tokens of 'block"):
            method(model, images, 1, grid=grid)


def test_a_target_before_all_attentions_is_an_error(transformers):
    from kerasal.objectives import channel

    model = transformers.transformer(blocks=1)
    for name in ("attention_gradcam", "legrad", "transformer_relevance"):
        with pytest.raises(ValueError, match="target must depend on an attention"):
            getattr(attribution, name)(model, transformers.images(), channel("patches", 1))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.quick("attention_rollout")
def test_a_grid_that_is_not_that_of_the_graph_is_an_error(name, transformers):
    model, images, method = transformers.transformer(), transformers.images(), getattr(attribution, name)
    for grid in ((6, 4), 4, (2, 12), (4,)):
        with pytest.raises(
            ValueError, match=r"grid must be .* the graph of the model determines, \(4, 6\), got .*Leave"
        ):
            method(model, images, 1, grid=grid)
    np.testing.assert_array_equal(method(model, images, 1, grid=[4, 6]), method(model, images, 1))
