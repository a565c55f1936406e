"""Small transformers in many spellings, and what they compute written out step by step."""

import numpy as np

import keras
import tensorflow as tf

layers, ops = keras.layers, keras.ops
GRID, WIDTH, HEADS = (4, 6), 16, 2
SIZE = (32, 48, 3)


def images(count=2, size=SIZE, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *size)).astype(np.float32)


def multi_head(y, name):
    return layers.MultiHeadAttention(HEADS, 8, name=name)(y, y)


def fill(model, seed=0):
    """Give a model larger weights than its own, so that its attention is not the same everywhere."""
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(0, 0.5, weight.shape) for weight in model.weights])
    return model


def transformer(attend=multi_head, prefix=1, blocks=3, inputs=None, tokens=None, head=5, name="transformer"):
    """A vision transformer of ``blocks`` blocks with ``prefix`` tokens before those of a grid of 4 × 6 patches.

    Its head reads the first prefix token, or without prefix tokens the mean over all.
    """
    if inputs is None:
        inputs = keras.Input(SIZE)
        tokens = layers.Reshape((24, WIDTH))(layers.Conv2D(WIDTH, 8, strides=8, name="patches")(inputs))
    x = tokens
    if prefix:
        ones = ops.ones_like(x[:, :1])
        x = layers.Concatenate(axis=1)([*[layers.Dense(WIDTH, name=f"prefix{i}")(ones) for i in range(prefix)], x])
    for block in range(blocks):
        y = layers.LayerNormalization(name=f"block{block}_norm")(x)
        x = layers.Add(name=f"block{block}_add")([x, attend(y, f"block{block}_attention")])
        y = layers.Dense(WIDTH, "gelu", name=f"block{block}_dense")(layers.LayerNormalization(name=f"mlp{block}")(x))
        x = layers.Add(name=f"block{block}_out")([x, y])
    x = layers.LayerNormalization(name="norm")(x)
    x = x[:, 0] if prefix else layers.GlobalAveragePooling1D()(x)
    return fill(keras.Model(inputs, layers.Dense(head, name="head")(x), name=name))


def split_heads(y, name):
    """Return queries, keys and values (N, tokens, heads, channels)."""
    shape = (-1, y.shape[1], HEADS, WIDTH // HEADS)
    return [ops.reshape(layers.Dense(WIDTH, name=f"{name}_{part}")(y), shape) for part in "qkv"]


def operation(y, name):
    """The attention as ``keras.ops.dot_product_attention``."""
    return ops.reshape(ops.dot_product_attention(*split_heads(y, name)), (-1, y.shape[1], WIDTH))


def softmax(y, name):
    """The attention with a softmax and products, heads second."""
    q, k, v = [ops.transpose(part, (0, 2, 1, 3)) for part in split_heads(y, name)]
    weights = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / (WIDTH // HEADS) ** 0.5)
    return ops.reshape(ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3)), (-1, y.shape[1], WIDTH))


def exponentials(y, name):
    """The attention as exponentials divided by their sum, with the keys before the queries and the heads last."""
    q, k, v = split_heads(y, name)
    logits = ops.einsum("bqhd,bkhd->bkqh", q, k) / (WIDTH // HEADS) ** 0.5
    powers = ops.exp(logits - ops.max(logits, axis=1, keepdims=True))
    weights = powers / ops.sum(powers, axis=1, keepdims=True)
    return ops.reshape(ops.einsum("bkqh,bkhd->bqhd", weights, v), (-1, y.shape[1], WIDTH))


def merged(y, name):
    """The attention with the heads in the batch axis."""
    shape = (-1, y.shape[1], WIDTH // HEADS)
    q, k, v = [ops.reshape(ops.transpose(part, (0, 2, 1, 3)), shape) for part in split_heads(y, name)]
    weights = ops.softmax(ops.einsum("bqd,bkd->bqk", q, k) / (WIDTH // HEADS) ** 0.5)
    heads = ops.reshape(ops.einsum("bqk,bkd->bqd", weights, v), (-1, HEADS, y.shape[1], WIDTH // HEADS))
    return ops.reshape(ops.transpose(heads, (0, 2, 1, 3)), (-1, y.shape[1], WIDTH))


class OwnAttention(layers.Layer):
    """The attention inside a layer, in TensorFlow's operations."""

    def build(self, shape):
        self.parts = [self.add_weight(shape=(WIDTH, HEADS, WIDTH // HEADS), name=part) for part in "qkv"]

    def call(self, y):
        q, k, v = [tf.einsum("ntc,chd->nthd", y, part) for part in self.parts]
        weights = tf.nn.softmax(tf.einsum("nqhd,nkhd->nhqk", q, k) / (WIDTH // HEADS) ** 0.5)
        return tf.reshape(tf.einsum("nhqk,nkhd->nqhd", weights, v), tf.shape(y))

    def compute_output_shape(self, shape):
        return shape


class Windows(layers.Layer):
    """Self-attention within windows of 2 × 3 of the grid, which is rolled by one row and two columns before."""

    def __init__(self, **options):
        super().__init__(**options)
        self.heads = layers.MultiHeadAttention(HEADS, 8, name="heads")

    def build(self, shape):
        self.heads.build((None, 6, WIDTH), (None, 6, WIDTH))

    def call(self, y):
        maps = ops.roll(ops.reshape(y, (-1, *GRID, WIDTH)), (-1, -2), axis=(1, 2))
        parts = ops.transpose(ops.reshape(maps, (-1, 2, 2, 2, 3, WIDTH)), (0, 1, 3, 2, 4, 5))
        parts = ops.reshape(parts, (-1, 6, WIDTH))
        parts = ops.reshape(self.heads(parts, parts), (-1, 2, 2, 2, 3, WIDTH))
        maps = ops.reshape(ops.transpose(parts, (0, 1, 3, 2, 4, 5)), (-1, *GRID, WIDTH))
        return ops.reshape(ops.roll(maps, (1, 2), axis=(1, 2)), ops.shape(y))

    def compute_output_shape(self, shape):
        return shape


def written_out(model, inputs, class_index):
    """Return the attentions of a transformer, and the gradients of the scores by them, computed layer by layer."""
    layer = model.get_layer
    with tf.GradientTape() as tape:
        x = tf.reshape(layer("patches")(inputs), (len(inputs), 24, WIDTH))
        prefix = [name.name for name in model.layers if name.name.startswith("prefix")]
        x = tf.concat([*[layer(name)(tf.ones_like(x[:, :1])) for name in prefix], x], axis=1)
        attentions = []
        for block in range(sum(name.name.endswith("_attention") for name in model.layers)):
            y, attention = layer(f"block{block}_norm")(x), layer(f"block{block}_attention")
            q, k, v = (getattr(attention, f"{part}_dense")(y) for part in ("query", "key", "value"))
            weights = tf.nn.softmax(tf.einsum("nqhd,nkhd->nhqk", q, k) / 8**0.5)
            tape.watch(weights)
            attentions.append(weights)
            x = x + attention.output_dense(tf.einsum("nhqk,nkhd->nqhd", weights, v))
            x = x + layer(f"block{block}_dense")(layer(f"mlp{block}")(x))
        x = layer("norm")(x)
        scores = layer("head")(x[:, 0] if prefix else tf.reduce_mean(x, axis=1))[:, class_index]
    return [a.numpy() for a in attentions], [g.numpy() for g in tape.gradient(scores, attentions)]


def rollout(attentions, identity=0.5, order=1, reduce=np.mean):
    """Return the product of the attentions of all layers as matrices, the last layer at the left."""
    product = np.eye(attentions[0].shape[-1])[None]
    for attention in attentions[::order]:
        weights = reduce(attention, axis=1)
        weights = weights / weights.sum(axis=-1, keepdims=True)
        product = ((1 - identity) * weights + identity * np.eye(weights.shape[-1])) @ product
    return product
