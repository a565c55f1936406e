"""Attention weights as the layers return them, and the maps of them as they are when written out step by step."""

import numpy as np
import pytest

from kerasal import attribution, hooks

import keras

pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # some heads have no positive evidence
METHODS = ("attention_gradcam", "attention_rollout", "raw_attention", "transformer_relevance")
SPELLINGS = (
    "exponentials",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("OwnAttention", "operation", "softmax", "merged")),
)
layers, ops = keras.layers, keras.ops


def row(matrix, prefix):
    """The row of the first prefix token, or the mean of the rows, without the prefix tokens and as a grid."""
    chosen = matrix[:, 0] if prefix else matrix.mean(axis=1)
    return chosen[:, prefix:].reshape(-1, 4, 6)


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
@pytest.mark.quick("1")
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
    np.testing.assert_allclose(maps["attention_rollout"], row(transformers.rollout(attentions), prefix), rtol=1e-4)
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
    for other in (transformers.rollout(attentions, identity=0), transformers.rollout(attentions, order=-1)):
        assert np.abs(row(other, 1) - maps).max() > 0.02 * maps.max()
    for name, reduce in (("max", np.max), ("min", np.min)):
        expected = row(transformers.rollout(attentions, reduce=reduce), 1)
        found = attribution.attention_rollout(model, images, resize=False, head_reduction=name)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        assert np.abs(found - maps).max() > 0.02 * maps.max()


@pytest.mark.slow
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
@pytest.mark.slow
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
@pytest.mark.quick("False-dropout", "True-grouped")
def test_the_weights_are_those_that_the_layer_returns(make, causal, transformers):
    inner = make()

    def attend(y, name):
        return inner(y, y, use_causal_mask=causal)

    model = transformers.transformer(attend, blocks=1)
    images = transformers.images()
    tokens = hooks.activations(model, ["block0_norm"], images)["block0_norm"]
    expected = inner(tokens, tokens, return_attention_scores=True, use_causal_mask=causal)[1]
    np.testing.assert_allclose(attribution.attention(model, images)[inner.name], expected, atol=1e-5)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
