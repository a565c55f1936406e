"""AlexNet, ZFNet, Simonyan's net and the five-class net: the sizes of the papers, and every routine on small ones."""

import numpy as np
import pytest

import kerasal
from kerasal import attribution, receptive_field
from kerasal.layers import MaxFilterRMS

import keras

EIGHT = {  # the sides of conv1, pool1, conv2, pool2, conv3, conv4, conv5 and pool5
    "alexnet": [55, 27, 27, 13, 13, 13, 13, 6],
    "zfnet": [110, 55, 26, 13, 13, 13, 13, 6],
    "simonyan_cnn": [54, 27, 27, 13, 13, 13, 13, 6],
}
THIN = 1 / 24  # of AlexNet's 96 filters 4 are left


def thin(name, **options):
    keras.utils.set_random_seed(0)
    return kerasal.create_model(name, width=THIN, classes=5, input_shape=(67, 67, 3), **options)


@pytest.mark.parametrize("name", EIGHT)
def test_maps_are_as_large_as_the_papers(name):
    model = kerasal.create_model(name, width=THIN)
    sides = [layer.output.shape[1:3] for layer in model.layers if layer.name.startswith(("conv", "pool"))]
    assert sides == [(side, side) for side in EIGHT[name]]
    assert model.output_shape == (None, 1000)


@pytest.mark.slow
def test_ungrouped_alexnet():
    model = kerasal.create_model("alexnet", groups=1)
    assert model.count_params() == 62_378_344
    assert model.get_layer("conv2").kernel.shape == (5, 5, 96, 256)
    assert model.get_layer("flatten").output.shape == (None, 9216)


@pytest.mark.parametrize(
    ("options", "parameters", "sides"),
    [
        ({}, 259_397, [112, 56, 28, 14, 7, 3, 2, 1]),
        ({"stride": 1}, 3_454_277, [224, 112, 112, 56, 56, 28, 28, 14]),
        ({"classes": 3}, 259_397 - 2 * 129, [112, 56, 28, 14, 7, 3, 2, 1]),
    ],
)
def test_the_five_class_net(options, parameters, sides):
    model = kerasal.create_model("five_class_cnn", **options)
    assert model.count_params() == parameters
    assert [layer.output.shape[1] for layer in model.layers if layer.name.startswith(("conv", "pool"))] == sides
    names = [layer.name for layer in model.layers]
    assert names[1:4] == ["conv1", "pool1", "norm1"]


def test_groups_see_their_own_channels_alone():
    model = thin("alexnet")
    conv2 = model.get_layer("conv2")
    assert conv2.kernel.shape[2] * 2 == conv2.input.shape[-1]
    x = np.random.default_rng(0).normal(size=(2, *conv2.input.shape[1:])).astype(np.float32)
    changed = x.copy()
    changed[..., -1] += 5  # the second group's
    half = conv2.filters // 2
    before, after = np.asarray(conv2(x)), np.asarray(conv2(changed))
    assert (before[..., :half] == after[..., :half]).all() and (before[..., half:] != after[..., half:]).any()


def test_zfnets_filters_are_held_to_their_rms():
    assert all(thin("zfnet").get_layer(f"conv{n}").kernel_constraint.radius == 0.1 for n in range(1, 6))
    assert thin("zfnet", filter_rms=None).get_layer("conv1").kernel_constraint is None
    model = thin("zfnet")
    model.get_layer("conv1").kernel.assign(model.get_layer("conv1").kernel * 100)
    model.compile(keras.optimizers.SGD(1e-6), "sparse_categorical_crossentropy", jit_compile=False)
    model.train_on_batch(np.ones((1, 67, 67, 3), np.float32), np.array([0]))
    rms = np.sqrt((np.asarray(model.get_layer("conv1").kernel) ** 2).mean((0, 1, 2)))
    np.testing.assert_allclose(rms, 0.1, rtol=1e-5)


def test_simonyans_net_zeroes_in_training_alone():
    assert [layer.name for layer in thin("simonyan_cnn").layers][1] == "zeroing"
    assert "zeroing" not in [layer.name for layer in thin("simonyan_cnn", jitter=False).layers]


@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # random weights may hold no positive evidence
@pytest.mark.parametrize("name", [*EIGHT, "five_class_cnn"])
@pytest.mark.quick("five_class_cnn")
def test_every_routine_works_on_it(name):
    if name == "five_class_cnn":
        keras.utils.set_random_seed(0)
        model = kerasal.create_model(name, stride=1, input_shape=(20, 20, 3))
    else:
        model = thin(name)
    inputs = np.random.default_rng(0).normal(0, 60, (5, *model.input_shape[1:])).astype(np.float32)
    for method in ("class_saliency", "deconvnet", "gradcam"):
        maps = getattr(attribution, method)(model, inputs, range(5))
        assert maps.shape[:3] == inputs.shape[:3] and np.isfinite(maps).all() and maps.any()
    field = receptive_field.field(model, "conv2")
    assert 0 < field.size[0] < model.input_shape[1] and not field.whole
    assert receptive_field.patterns(model, "conv2", [0, 1]).any()


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("alexnet", {"groups": 3}, "groups must be 1 or 2, got 3"),
        ("alexnet", {"width": 0.01}, "width must give conv1 an even number"),
        ("alexnet", {"classes": 1}, "classes must be an integer of at least 2, got 1"),
        ("zfnet", {"width": 0}, "width must be a finite number above 0 and at most 4, got 0"),
        ("zfnet", {"input_shape": (None, None, 3)}, r"must be \(H, W, C\), three positive integers, got"),
        (
            "zfnet",
            {"input_shape": (40, 40, 3)},
            r"larger for zfnet, got .*pool5 gets 1 × 1 values and needs at least 3 × 3",
        ),
        ("zfnet", {"filter_rms": 0}, "radius must be a finite number above 0"),
        ("five_class_cnn", {"stride": 3}, "stride must be 1 or 2, got 3"),
        ("five_class_cnn", {"classes": "five"}, "classes must be an integer of at least 2, got 'five'"),
        ("five_class_cnn", {"input_shape": (64, 64, 3)}, r"must be larger for stride=2, got .*pool4 gets 1 × 1"),
        (
            "five_class_cnn",
            {"input_shape": (None, None, 3)},
            r"input_shape must be \(H, W, C\), three positive integers, got",
        ),
    ],
)
def test_wrong_options(name, options, says):
    with pytest.raises(ValueError, match=says):
        kerasal.create_model(name, **options)


def test_the_constraint_of_the_zoo_is_saved(tmp_path):
    model = thin("zfnet")
    model.save(tmp_path / "z.keras")
    again = kerasal.load_model(tmp_path / "z.keras")
    assert isinstance(again.get_layer("conv1").kernel_constraint, MaxFilterRMS)
