"""LeGrad as it is when written out block by block, the blocks that it finds in a graph, and those that it cannot."""

import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import kerasal
from kerasal import attribution, preprocessing
from kerasal import images as pictures
from kerasal.objectives import channel, class_score

import keras
import tensorflow as tf

pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")
layers, ops = keras.layers, keras.ops


def attend(layer, y):
    """Return the weights of an attention layer, and a function that goes on from them."""
    q, k, v = (getattr(layer, f"{part}_dense")(y) for part in ("query", "key", "value"))
    weights = tf.nn.softmax(tf.einsum("nqhd,nkhd->nhqk", q, k) / q.shape[-1] ** 0.5)
    return weights, lambda weights: layer.output_dense(tf.einsum("nhqk,nkhd->nqhd", weights, v))


def written_out(blocks, tokens, score):
    """Return the map of each block over all tokens: one tape for each block, which begins at its attention.

    ``blocks`` are functions ``x -> (weights, rest)``, where ``rest(weights)`` is the output of the block.
    """
    maps, x = [], tokens
    for block in blocks:
        weights, rest = block(x)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            x = rest(weights)
            total = tf.reduce_sum(score(x))
        gradient = tape.gradient(total, weights).numpy()
        maps.append(np.maximum(gradient, 0).mean(axis=(1, 2)))
    return maps


def small_blocks(model):
    """Return the tokens of images, the blocks of a small transformer and its scores of all classes."""
    layer = model.get_layer
    prefix = [part.name for part in model.layers if part.name.startswith("prefix")]

    def tokens(images):
        x = tf.reshape(layer("patches")(images), (len(images), 24, 16))
        return tf.concat([*[layer(name)(tf.ones_like(x[:, :1])) for name in prefix], x], axis=1)

    def block(number):
        def run(x):
            weights, project = attend(layer(f"block{number}_attention"), layer(f"block{number}_norm")(x))

            def rest(weights):
                y = x + project(weights)
                return y + layer(f"block{number}_dense")(layer(f"mlp{number}")(y))

            return weights, rest

        return run

    def scores(x):
        x = layer("norm")(x)
        return layer("head")(x[:, 0] if prefix else tf.reduce_mean(x, axis=1))

    return tokens, [block(number) for number in range(3)], scores


@pytest.mark.parametrize(
    "prefix", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(5, marks=pytest.mark.slow)]
)
def test_the_map_is_that_written_out_block_by_block(prefix, transformers):
    model, images = transformers.transformer(prefix=prefix), transformers.images()
    tokens, blocks, scores = small_blocks(model)
    maps = written_out(blocks, tokens(images), lambda x: scores(x)[:, 3])
    expected = [part[:, prefix:].reshape(2, 4, 6) for part in maps]
    found = attribution.legrad(model, images, 3, resize=False)
    assert found.dtype == np.float32 and found.max() > 0
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=1e-3, atol=1e-5 * found.max())
    found = attribution.legrad(model, images, 3, resize=False, last_layers=2)
    np.testing.assert_allclose(found, np.mean(expected[-2:], axis=0), rtol=1e-3, atol=1e-5 * found.max())


@pytest.mark.slow
def test_the_top_class_of_every_block_is_that_of_the_model(transformers):
    model, images = transformers.fill(transformers.transformer(), seed=5), transformers.images(6)
    top = np.argmax(model(images), axis=1)
    tokens, blocks, scores = small_blocks(model)
    first = np.argmax(scores(blocks[0](tokens(images))[1](blocks[0](tokens(images))[0])), axis=1)
    assert (first != top).any(), "the first block would choose another class"
    expected = attribution.legrad(model, images, top)
    np.testing.assert_allclose(attribution.legrad(model, images), expected, rtol=1e-5)


@pytest.mark.slow
def test_a_combined_target_is_combined_for_every_block(transformers):
    model, images = transformers.transformer(), transformers.images(6)
    tokens, blocks, scores = small_blocks(model)
    target = class_score(1) - 0.5 * class_score(2)
    written = written_out(blocks, tokens(images), lambda x: scores(x)[:, 1] - 0.5 * scores(x)[:, 2])
    grid = np.mean(written, axis=0)[:, 1:].reshape(6, 4, 6)
    found = attribution.legrad(model, images, target, resize=False)
    np.testing.assert_allclose(found, grid, rtol=1e-3, atol=1e-5 * grid.max())


def _post_norm(inputs, tokens, blocks=3):
    x = tokens
    for block in range(blocks):
        y = layers.MultiHeadAttention(2, 8, name=f"block{block}_attention")(x, x)
        x = layers.LayerNormalization(name=f"block{block}_norm")(x + y)
        y = layers.Dense(16, "relu", name=f"block{block}_dense")(x)
        x = layers.LayerNormalization(name=f"block{block}_last")(x + y)
    return keras.Model(inputs, layers.Dense(4, "softmax", name="head")(layers.GlobalAveragePooling1D()(x)))


@pytest.mark.slow
def test_a_block_that_ends_in_a_normalization_ends_after_it(transformers):
    inputs = keras.Input((36, 2))
    model = transformers.fill(_post_norm(inputs, layers.Conv1D(16, 3, strides=3, name="patches")(inputs)))
    layer, signals = model.get_layer, transformers.images(size=(36, 2))

    def block(number):
        def run(x):
            weights, project = attend(layer(f"block{number}_attention"), x)

            def rest(weights):
                y = layer(f"block{number}_norm")(x + project(weights))
                return layer(f"block{number}_last")(y + layer(f"block{number}_dense")(y))

            return weights, rest

        return run

    def score(x):
        kernel, bias = layer("head").get_weights()
        return (tf.reduce_mean(x, axis=1) @ kernel + bias)[:, 2]

    expected = np.mean(written_out([block(number) for number in range(3)], layer("patches")(signals), score), axis=0)
    found = attribution.legrad(model, signals, 2, resize=False)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * found.max())


def _read(*numbers):
    return lambda outputs: layers.Concatenate()([outputs[number][:, 0] for number in numbers])


def _model(transformers, last, read):
    """A transformer of three blocks: ``last`` comes after the last attention, ``read`` takes the outputs of all."""
    inputs = keras.Input(transformers.SIZE)
    x, outputs = layers.Reshape((24, 16))(layers.Conv2D(16, 8, strides=8)(inputs)), []
    for block in range(3):
        x = x + layers.MultiHeadAttention(2, 8, name=f"block{block}_attention")(x, x)
        x = x + (last if block == 2 else layers.Dense(16, "gelu"))(x)
        outputs.append(x)
    return transformers.fill(keras.Model(inputs, layers.Dense(4)(read(outputs))))


class _CompiledHead(layers.Layer):
    def call(self, x):
        return tf.function(lambda x: tf.reduce_mean(tf.square(x), axis=1), autograph=False)(x)


@pytest.mark.parametrize(
    ("last", "read", "says"),
    [
        (layers.Dense(16, "gelu"), _read(0, 1, 2), "of 'block1_attention' to that of 'block2_attention' to score each"),
        (layers.Dense(16, "gelu"), _read(1, 2), "from the block of 'block2_attention' to the score to score each"),
        (layers.Dense(16, "tanh"), _read(2), "of 'block1_attention' and 'block2_attention' must be alike"),
        (layers.Dense(16, "gelu"), lambda x: _CompiledHead()(x[-1]), "runs a compiled function or a loop"),
    ],
    ids=["all blocks read", "two blocks read", "another last block", "compiled head"],
)
@pytest.mark.quick("another last block")
def test_blocks_that_cannot_be_scored_are_errors(last, read, says, transformers):
    model, images = _model(transformers, last, read), transformers.images()
    with pytest.raises(ValueError, match=rf"{says}.*Pass last_layers=1"):
        attribution.legrad(model, images, 1)
    assert attribution.legrad(model, images, 1, last_layers=1).max() > 0


def test_errors_of_arguments(transformers):
    model, images = transformers.transformer(), transformers.images()
    for count, says in ((0, "got 0"), (4, r"in 1\.\.3.*got 4.*depends on 3 attentions")):
        with pytest.raises(ValueError, match=f"last_layers must be.*{says}"):
            attribution.legrad(model, images, 1, last_layers=count)
    with pytest.raises(ValueError, match="target must depend on an attention, but it depends on none"):
        attribution.legrad(model, images, channel("patches", 1))
    early = attribution.legrad(model, images, channel("block1_out", 1), resize=False)
    inputs = keras.Model(model.input, model.get_layer("block1_out").output)
    expected = attribution.legrad(inputs, images, channel("block1_out", 1), resize=False)
    np.testing.assert_allclose(early, expected, rtol=1e-4)


@pytest.mark.slow
def test_the_map_of_a_pretrained_transformer_is_that_written_out(data_folder):
    path = data_folder / "models" / "dinov2_small.py"
    spec = importlib.util.spec_from_file_location("dinov2_small", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    backbone = module.dinov2_small((112, 168))
    layer = backbone.get_layer
    model = keras.Model(backbone.input, layers.Dense(5, name="head")(backbone.output[:, 0]))
    assets = pathlib.Path(kerasal.__file__).parent / "assets"
    photos = [pictures.fit_image(pictures.read(assets / name), (112, 168)) for name in ("coffee.jpg", "cat.jpg")]
    images = preprocessing.get("torch").apply(np.stack(photos))

    def block(number):
        def run(x):
            weights, project = attend(layer(f"block{number}_attention"), layer(f"block{number}_norm1")(x))

            def rest(weights):
                x1 = x + project(weights)
                y = keras.activations.gelu(layer(f"block{number}_fc1")(layer(f"block{number}_norm2")(x1)))
                return x1 + layer(f"block{number}_fc2")(y)

            return weights, rest

        return run

    tokens = keras.Model(backbone.input, layer("tokens").output)(images)
    maps = written_out(
        [block(number) for number in range(12)], tokens, lambda x: model.get_layer("head")(layer("norm")(x)[:, 0])[:, 2]
    )
    expected = np.mean(maps, axis=0)[:, 1:].reshape(2, 8, 12)
    found = attribution.legrad(model, images, 2, resize=False)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * found.max())


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("legrad") is None, reason="see benchmarks/legrad_equality.py")
def test_maps_equal_those_of_the_authors_package():
    script = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "legrad_equality.py"
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    differences = dict(line.split(": ") for line in result.stdout.splitlines()[-3:])
    assert set(differences) == {"scores", "all layers", "the last two"}
    assert max(map(float, differences.values())) < 1e-5
