"""The gaze nets: every count and shape of their sources."""

import subprocess
import sys

import numpy as np
import pytest

import kerasal
from kerasal.models.weight_files import save_npz

import keras
import tensorflow as tf

TINY = {"filters": (2, 3, 4), "hidden": 5}


@pytest.mark.parametrize(
    ("variant", "parameters", "sides", "features"),
    [
        ("coursework", 76_778_816, [96, 48, 48, 23, 23, 11], 15_488),
        ("paper", 64_392_512, [92, 46, 44, 22, 20, 10], 12_800),
        ("lasagne", 34_864_384, [92, 46, 44, 22, 20, 10], 6_400),
    ],
)
@pytest.mark.quick("lasagne-34864384-sides2-6400")
def test_the_shallow_nets_shapes_and_counts(variant, parameters, sides, features):
    model = kerasal.create_model("shallow_saliency", variant=variant)
    assert model.count_params() == parameters
    found = {layer.name: layer.output.shape[1:] for layer in model.layers}
    names = ("conv1", "pool1", "conv2", "pool2", "conv3", "pool3")
    assert [found[name][0] for name in names] == sides == [found[name][1] for name in names]
    assert found["conv3"][2] == (64 if variant == "lasagne" else 128)
    assert found["flatten"] == (features,)
    assert found["dense1"] == (4_608,) and found["maxout"] == found["dense2"] == (2_304,)
    assert model.output_shape == (None, 48, 48)
    assert model.get_layer("dense1").activation is (keras.activations.get("relu" if variant == "lasagne" else None))
    assert model.get_layer("dense2").activation is keras.activations.linear
    if variant == "coursework":
        counts = {
            name: model.get_layer(name).count_params() for name in ("conv1", "conv2", "conv3", "dense1", "dense2")
        }
        assert list(counts.values()) == [2_432, 18_496, 73_856, 71_373_312, 5_310_720]


def test_the_shallow_nets_start():
    model = kerasal.create_model("shallow_saliency", preset="small")
    assert model.count_params() == 2_581_520
    kernels = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    assert np.std(kernels[3]) == pytest.approx(0.01, rel=0.02) and abs(np.mean(kernels[3])) < 1e-4
    assert np.std(np.concatenate([kernel.ravel() for kernel in kernels[:3]])) == pytest.approx(0.01, rel=0.05)
    for layer in model.layers:
        if hasattr(layer, "bias"):
            assert (layer.bias.numpy() == np.float32(0.1)).all()


def test_batch_norm_lies_between_convolution_and_relu():
    plain, normed = (kerasal.create_model("shallow_saliency", hidden=2, batch_norm=norm) for norm in (False, True))
    assert normed.count_params() - plain.count_params() == 896
    trainable = [sum(np.prod(weight.shape) for weight in model.trainable_weights) for model in (plain, normed)]
    assert trainable[1] - trainable[0] == 448
    names = [layer.name for layer in normed.layers]
    assert names[1:5] == ["conv1", "norm1", "relu1", "pool1"]
    assert normed.get_layer("norm2").epsilon == 1e-5 and normed.get_layer("norm2").momentum == 0.9
    assert normed.get_layer("conv1").activation is keras.activations.linear


def test_maxout_options():
    x = np.random.default_rng(0).random((2, 96, 96, 3)).astype(np.float32)
    adjacent = kerasal.create_model("shallow_saliency", **TINY)
    halves = kerasal.create_model("shallow_saliency", maxout_layout="halves", **TINY)
    halves.set_weights(adjacent.get_weights())
    assert np.abs(adjacent(x) - halves(x)).max() > 0
    dense = halves.get_layer("dense1")
    dense.set_weights([kerasal.layers.reorder_maxout(weight, "halves") for weight in dense.get_weights()])
    np.testing.assert_allclose(adjacent(x), halves(x), atol=1e-7)
    rectified = kerasal.create_model("shallow_saliency", maxout_activation="relu", **TINY)
    assert rectified.get_layer("maxout_activation").activation is keras.activations.relu


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".npz"])
def test_weights_of_another_variant_say_whose_they_are(tmp_path, suffix):
    options = {"preset": "small", "variant": "paper", "batch_norm": True}
    model = kerasal.create_model("shallow_saliency", **options)
    path = tmp_path / f"w{suffix}"
    {".weights.h5": model.save_weights, ".keras": model.save}.get(suffix, lambda to: save_npz(model, to))(path)
    again = kerasal.create_model("shallow_saliency", path, **options)
    for given, got in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(given, got)
    with pytest.raises(ValueError, match=r"do not fit.* shallow_saliency with variant='paper', preset='small'"):
        kerasal.create_model("shallow_saliency", path, preset="small")
    with pytest.raises(ValueError, match="batch_norm=True"):
        kerasal.create_model("shallow_saliency", path, preset="small", variant="paper")


@pytest.mark.slow
def test_saved_models_load_where_nothing_was_imported(tmp_path):
    kerasal.create_model("shallow_saliency", **TINY).save(tmp_path / "a.keras")
    kerasal.create_model("salnet", width=0.03, input_shape=(8, 12, 3)).save(tmp_path / "b.keras")
    paths = [str(tmp_path / name) for name in ("a.keras", "b.keras")]
    code = f"import kerasal; print([kerasal.load_model(path).name for path in {paths}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['shallow_saliency', 'salnet']", done.stderr


@pytest.mark.parametrize(
    ("backbone", "encoder", "last"), [("vgg19", 20_024_384, "block5_conv4"), ("vgg16", 14_714_688, "block5_conv3")]
)
def test_the_deep_nets_counts_and_strides(backbone, encoder, last):
    model = kerasal.create_model("deep_saliency", backbone=backbone)
    assert model.count_params() == encoder + 512
    assert model.get_layer("readout").count_params() == 512 and not model.get_layer("readout").use_bias
    assert model.get_layer("readout").output.shape[1:] == (7, 7, 1)
    assert model.output_shape == (None, 224, 224)
    above = kerasal.create_model("deep_saliency", backbone=backbone, from_layer=last)
    assert above.get_layer("readout").output.shape[1:] == (14, 14, 1)
    assert above.count_params() == encoder + 512
    with pytest.raises(ValueError, match=r"from_layer must be one of block1_conv1, .*got 'block9'"):
        kerasal.create_model("deep_saliency", backbone=backbone, from_layer="block9")


def test_the_deep_net_reads_any_size_and_its_map_is_guarded(tmp_path):
    options = {"backbone": "vgg16", "from_layer": "block2_pool"}
    model = kerasal.create_model("deep_saliency", input_shape=(None, None, 3), **options)
    images = np.random.default_rng(0).uniform(-100, 100, (2, 33, 50, 3)).astype(np.float32)
    maps = np.asarray(model(images))
    assert maps.shape == (2, 33, 50)
    np.testing.assert_allclose([maps.min((1, 2)), maps.max((1, 2))], [[0, 0], [1, 1]], atol=1e-6)
    model.get_layer("readout").set_weights([np.zeros((1, 1, 128, 1))])
    assert (np.asarray(model(images)) == 0).all()
    model.save(tmp_path / "m.keras")
    assert kerasal.load_model(tmp_path / "m.keras").output_shape == (None, None, None)


def test_the_encoder_is_that_of_keras():
    for name, build in (("vgg16", keras.applications.VGG16), ("vgg19", keras.applications.VGG19)):
        published = build(include_top=False, weights=None, input_shape=(64, 96, 3))
        model = kerasal.create_model("deep_saliency", backbone=name, input_shape=(64, 96, 3))
        names = [layer.name for layer in published.layers[1:]]
        assert [layer.name for layer in model.layers[1 : len(names) + 1]] == names
        model.set_weights([*published.get_weights(), model.get_weights()[-1]])
        encoder = keras.Model(model.input, model.get_layer(names[-1]).output)
        images = np.random.default_rng(0).normal(size=(1, 64, 96, 3)).astype(np.float32)
        np.testing.assert_allclose(encoder(images), published(images), atol=1e-6)


@pytest.mark.slow
def test_backbone_weights_by_path(tmp_path):
    encoder = kerasal.create_model("vgg16", include_top=False)
    save_npz(encoder, tmp_path / "whole.npz")
    encoder.save_weights(tmp_path / "whole.weights.h5")
    for name in ("whole.npz", "whole.weights.h5"):
        model = kerasal.create_model("deep_saliency", backbone="vgg16", backbone_weights=tmp_path / name)
        last = model.get_layer("block5_conv3").get_weights()[0]
        np.testing.assert_array_equal(last, encoder.get_layer("block5_conv3").get_weights()[0])
    low = {"block1_conv1/kernel": np.ones((3, 3, 3, 64)), "block1_conv1/bias": np.ones(64), "fc1/bias": np.ones(9)}
    np.savez(tmp_path / "low.npz", **low)
    with pytest.warns(UserWarning, match=r"low\.npz has no weights for block1_conv2, .* which stay random"):
        model = kerasal.create_model("deep_saliency", backbone="vgg16", backbone_weights=tmp_path / "low.npz")
    assert (model.get_layer("block1_conv1").get_weights()[0] == 1).all()
    np.savez(tmp_path / "other.npz", **{"conv1/kernel": np.ones((3, 3, 3, 64))})
    with pytest.raises(ValueError, match=r"other\.npz.*do not fit vgg16.*1 unknown \(conv1/kernel\)"):
        kerasal.create_model("deep_saliency", backbone="vgg16", backbone_weights=tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError, match="backbone_weights must be an existing file"):
        kerasal.create_model("deep_saliency", backbone_weights=tmp_path / "nowhere.npz")


NARROW = {"width": 1 / 32, "padding": "reflect", "from_layer": "block2_conv1", "input_shape": (32, 48, 3)}


def narrow_weights(path, **others):
    """Write random weights up to block2_conv1, two and four filters wide, after a convolution of the colors."""
    random = np.random.default_rng(3)
    shapes = {"block1_conv1": (3, 3, 3, 2), "block1_conv2": (3, 3, 2, 2), "block2_conv1": (3, 3, 2, 4)}
    arrays = {f"{name}/kernel": random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    arrays |= {f"{name}/bias": random.normal(size=shape[3]).astype(np.float32) for name, shape in shapes.items()}
    arrays |= {"input_affine/kernel": random.normal(size=(1, 1, 3, 3)), "input_affine/bias": random.normal(size=3)}
    arrays |= others
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return arrays


def test_a_convolution_of_the_colors_is_folded_into_the_first(tmp_path):
    arrays = narrow_weights(tmp_path / "w.npz", **{"aux_block1_conv1/bias": np.ones(64)})
    model = kerasal.create_model("deep_saliency", backbone_weights=tmp_path / "w.npz", **NARROW)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3)).astype(np.float32)
    tensor = images / 255 @ np.float32(arrays["input_affine/kernel"][0, 0]) + np.float32(arrays["input_affine/bias"])
    for name in ("block1_conv1", "block1_conv2", "block2_conv1"):
        tensor = tf.nn.max_pool2d(tensor, 2, 2, "VALID") if name == "block2_conv1" else tensor
        padded = np.pad(tensor, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        tensor = tf.nn.relu(tf.nn.conv2d(padded, arrays[f"{name}/kernel"], 1, "VALID") + arrays[f"{name}/bias"])
    features = keras.Model(model.input, model.get_layer("block2_conv1").output)
    found = features(kerasal.preprocessing.get("caffe").apply(images))
    np.testing.assert_allclose(found, tensor, atol=1e-4 * np.abs(tensor).max())


@pytest.mark.parametrize(
    ("options", "others", "message"),
    [
        ({"padding": "same"}, {}, 'padding must be "reflect" with input_affine'),
        ({"width": 1.0}, {}, r"block1_conv1 must have 64 filters, got 2\. Use width=0\.03125"),
        ({}, {"input_affine/bias": None}, "must both be present"),
        ({}, {"input_affine/bias": np.ones(2)}, r"a kernel \(1, 1, 3, 3\) and a bias \(3,\), got"),
        ({}, {"block2_conv1/bias": np.ones(3)}, r"block2_conv1/bias must have the shape \(4,\), got \(3,\)"),
    ],
)
def test_backbone_weights_that_do_not_fit(tmp_path, options, others, message):
    narrow_weights(tmp_path / "w.npz", **others)
    with pytest.raises(ValueError, match=rf"w\.npz' do not fit vgg19: .*{message}"):
        kerasal.create_model("deep_saliency", backbone_weights=tmp_path / "w.npz", **NARROW | options)


def test_imagenet_weights_are_asked_of_keras(monkeypatch):
    asked, whole = {}, keras.applications.VGG16

    def published(**options):
        asked.update(options)
        asked["model"] = whole(**options | {"weights": None})
        return asked["model"]

    monkeypatch.setattr(keras.applications, "VGG16", published)
    model = kerasal.create_model("deep_saliency", weights="imagenet", backbone="vgg16", padding="reflect")
    assert asked["weights"] == "imagenet" and not asked["include_top"]
    for given, got in zip(asked["model"].get_weights(), model.get_weights()[:-1], strict=True):
        np.testing.assert_array_equal(given, got)


@pytest.mark.parametrize(
    "options",
    [{"backbone": "vgg16"}, {"backbone": "vgg19", "width": 0.0625, "from_layer": "block5_conv1"}],
    ids=["vgg16", "cut"],
)
def test_weights_of_other_options_say_so(tmp_path, options):
    model = kerasal.create_model("deep_saliency", **options)
    model.save_weights(tmp_path / "w.weights.h5")
    said = ", ".join(f"{name}={value!r}" for name, value in options.items())
    with pytest.raises(ValueError, match=f"They belong to deep_saliency with {said}"):
        kerasal.create_model("deep_saliency", tmp_path / "w.weights.h5", width=0.125)


@pytest.mark.parametrize(("variant", "parameters"), [("deployed", 25_806_209), ("paper", 25_326_785)])
def test_salnets_shapes_and_counts(variant, parameters):
    model = kerasal.create_model("salnet", variant=variant)
    assert model.count_params() == parameters
    found = {layer.name: layer.output.shape[1:] for layer in model.layers}
    assert found["conv1"] == (240, 320, 96) == found["norm1"]
    assert found["pool1"] == (120, 160, 96) and found["pool2"] == (60, 80, 256)
    last = "conv9" if variant == "deployed" else "conv8"
    assert found[last] == (60, 80, 1) and found["deconv1"] == (240, 320, 1)
    assert model.get_layer(last).kernel.shape[:2] == (13, 13)
    assert model.get_layer(last).activation is keras.activations.linear
    assert model.get_layer("deconv1").kernel.shape == (8, 8, 1, 1) and not model.get_layer("deconv1").use_bias
    assert model.output_shape == (None, 240, 320)


def test_salnet_enlarges_bilinearly_and_runs():
    model = kerasal.create_model("salnet", width=0.03, input_shape=(48, 64, 3))
    deconv = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2DTranspose(1, 8, 4, "same", use_bias=False)])
    deconv.layers[0].set_weights(model.get_layer("deconv1").get_weights())
    ramp = np.arange(6, dtype=np.float32)[None, :, None, None] * np.ones((1, 1, 6, 1), np.float32)
    found = np.asarray(deconv(ramp))[0, 6:18, 12, 0]
    np.testing.assert_allclose(np.diff(found), 0.25, atol=1e-5)
    maps = np.asarray(model(np.random.default_rng(0).normal(size=(2, 48, 64, 3))))
    assert maps.shape == (2, 48, 64) and np.isfinite(maps).all() and np.ptp(maps) > 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("shallow_saliency", {"variant": "theano"}, "variant must be one of coursework, paper, lasagne"),
        ("shallow_saliency", {"preset": "tiny"}, "preset must be one of full, small"),
        ("shallow_saliency", {"filters": (1, 2)}, "filters must be three positive integers"),
        ("shallow_saliency", {"maxout_layout": "rows", **TINY}, "layout must be one of adjacent, halves, got"),
        ("deep_saliency", {"backbone": "resnet"}, "backbone must be one of vgg16, vgg19"),
        ("deep_saliency", {"input_shape": (16, 16, 3)}, "of at least 32 pixels"),
        ("deep_saliency", {"padding": "zeros"}, "padding must be one of same, reflect"),
        ("deep_saliency", {"width": 0}, "width must be a finite number above 0 and at most 4"),
        ("deep_saliency", {"width": 0.5, "weights": "imagenet"}, "must be used with width=1"),
        ("salnet", {"variant": "big"}, "variant must be one of"),
        ("salnet", {"input_shape": (50, 64, 3)}, "sides divisible by 4"),
        ("salnet", {"width": 0}, "width must be a finite number above 0 and at most 4"),
    ],
)
def test_options_that_do_not_exist(name, options, message):
    with pytest.raises(ValueError, match=message):
        kerasal.create_model(name, **options)
