"""Attention in signals, volumes, videos and several inputs, and in the transformers that others wrote."""

import importlib.util
import math
import pathlib

import numpy as np
import pytest

import kerasal
from kerasal import attribution, hooks, preprocessing
from kerasal import images as pictures

import keras

pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # some heads have no positive evidence
METHODS = ("attention_gradcam", "attention_rollout", "legrad", "raw_attention", "transformer_relevance")
layers, ops = keras.layers, keras.ops


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
@pytest.mark.quick("raw_attention-signal")
def test_maps_have_the_positions_of_signals_and_volumes(name, make, shape, grid, transformers):
    model, inputs = make(transformers), transformers.images(size=shape)
    maps = getattr(attribution, name)(model, inputs, 1)
    assert maps.shape[1:] == (shape[1:] if shape[0] == 3 else shape[:-1])
    small = getattr(attribution, name)(model, inputs, 1, resize=False)
    assert small.shape[1:] == grid
    if name == "raw_attention":
        weights = attribution.attention(model, inputs)["block2_attention"].mean(axis=1)[:, 0, 1:]
        np.testing.assert_allclose(small.reshape(2, -1), weights, rtol=1e-5)
        again = attribution.raw_attention(model, inputs, 1, grid=grid, resize=False)  # one number per axis of the input
        np.testing.assert_allclose(again, small, rtol=1e-5)
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


@pytest.mark.slow
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


@pytest.mark.slow
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
def test_the_weights_of_a_pretrained_transformer_are_those_of_its_layers(data_folder, transformers):
    path = data_folder / "models" / "dinov2_small.py"
    spec = importlib.util.spec_from_file_location("dinov2_small", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.dinov2_small((112, 168))
    assets = pathlib.Path(kerasal.__file__).parent / "assets"
    photos = [pictures.fit_image(pictures.read(assets / name), (112, 168)) for name in ("coffee.jpg", "cat.jpg")]
    images = preprocessing.get("torch").apply(np.stack(photos))
    weights = attribution.attention(model, images)
    assert list(weights) == [f"block{block}_attention" for block in range(12)]
    inputs = hooks.activations(model, [f"block{block}_norm1" for block in range(12)], images)
    for block, (name, found) in enumerate(weights.items()):
        tokens = inputs[f"block{block}_norm1"]
        expected = model.get_layer(name)(tokens, tokens, return_attention_scores=True)[1]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    maps = attribution.attention_rollout(model, images, resize=False)
    expected = transformers.rollout(list(weights.values()))[:, 0, 1:].reshape(2, 8, 12)
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
def test_models_of_keras_hub(name, transformers):
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
        if name in ("Swin", "MiT") and method not in ("attention_gradcam", "raw_attention"):
            with pytest.raises(ValueError, match="windows separately" if name == "Swin" else "from 64 tokens to 16"):
                getattr(attribution, method)(model, images, 1)
        else:
            assert getattr(attribution, method)(model, images, 1, resize=False).shape == (2, *GRIDS[name])
    if name in PREFIXES:
        expected = transformers.rollout(list(weights.values()))[:, 0, PREFIXES[name] :].reshape(2, *GRIDS[name])
        found = attribution.attention_rollout(model, images, resize=False)
        np.testing.assert_allclose(found, expected, rtol=1e-3)
