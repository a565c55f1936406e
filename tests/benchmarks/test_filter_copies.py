"""Copies of filters up to rotation and color: a copy that was planted is found, and no filter is its own partner."""

import pathlib
import sys

import numpy as np
import pytest

from kerasal import preprocessing

import keras

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import fewer_filters
import filter_copies


def convolve(pixels, kernels):
    inputs = preprocessing.Preprocessing("none", (0.0,), (1.0,), bgr=True).apply(pixels)
    return np.asarray(keras.ops.conv(inputs, kernels, padding="valid"))


@pytest.mark.parametrize("turn", range(4))
def test_a_transformed_kernel_sees_a_photo_as_the_kernel_sees_the_transformed_photo(turn):
    random = np.random.default_rng(0)
    kernels = random.normal(size=(3, 3, 3, 5)).astype(np.float32)
    pixels = random.integers(0, 256, (2, 9, 9, 3)).astype(np.float32)
    for color, order in enumerate(fewer_filters.COLORS):
        transformed = np.rot90(pixels, turn, axes=(1, 2))[..., order]
        back = np.rot90(convolve(transformed, kernels), -turn, axes=(1, 2))
        copies = np.ascontiguousarray(fewer_filters.transform_kernels(kernels, turn, color))
        np.testing.assert_allclose(convolve(pixels, copies), back, rtol=1e-3, atol=0.1)


@pytest.mark.parametrize("side", [7, 13, 27, 39, 56, 79, 112])
def test_the_grid_of_positions_turns_with_the_map(side):
    maps = np.random.default_rng(0).normal(size=(2, side, side, 3))
    thinned = filter_copies.thin(maps)
    assert 5 <= thinned.shape[1] <= 20
    turned = filter_copies.thin(np.rot90(maps, axes=(1, 2)))
    np.testing.assert_array_equal(turned, np.rot90(thinned, axes=(1, 2)))


def test_partners_are_chosen_on_one_half_and_measured_on_the_other():
    r = np.zeros((2, 4, 6, 3, 3), np.float32)
    r[:, 0, 0, range(3), range(3)] = 1  # each filter with itself, which does not count
    r[0, 1, 0, 0, 2], r[1, 1, 0, 0, 2], r[1, 0, 0, 0, 1] = 0.9, 0.4, 0.8  # .8 is not known when choosing
    best = filter_copies.best_partners(r, fewer_filters.GROUPS["rotation"])
    assert best[0] == np.float32(0.4) and best.max() < 1


def planted_model():
    """Return a convolution of the gradient to the right, that upward, and a difference of two colors."""
    inputs = keras.Input((33, 33, 3))
    outputs = keras.layers.Conv2D(3, 3, activation="relu", name="conv1", padding="valid")(inputs)
    model = keras.Model(inputs, outputs)
    kernels = np.zeros((3, 3, 3, 3), np.float32)
    kernels[:, 0, :, 0], kernels[:, 2, :, 0] = -1, 1
    kernels[..., 1] = np.rot90(kernels[..., 0])
    kernels[1, 1, :, 2] = 1, 0, -1
    model.get_layer("conv1").set_weights([kernels, np.zeros(3, np.float32)])
    return model


def test_a_planted_rotation_is_found():
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (8, 11, 11, 3)).repeat(3, axis=1).repeat(3, axis=2).astype(np.uint8)
    found = filter_copies.measure_copies(planted_model(), ["conv1"], coarse)
    assert (found["conv1/rotation"][:2] > 0.99).all() and (found["conv1/both"][:2] > 0.99).all()
    assert (found["conv1/identity"] < 0.5).all() and (found["conv1/misfit"] < 0.5).all()
    assert found["conv1/rotation"][2] < 0.5


def test_no_filter_is_replaced_and_a_partner():
    kernels = np.asarray(planted_model().get_layer("conv1").kernel)
    (first, kernel), *rest = fewer_filters.kernel_partners(kernels, fewer_filters.GROUPS["rotation"])
    np.testing.assert_allclose(kernel, kernels[..., first], atol=1e-6)
    assert first in (0, 1) and {0, 1} - {first} != {rest[0][0]}


@pytest.mark.slow
def test_the_tables_on_little_data(data_folder, tmp_path, capsys, monkeypatch):
    models = data_folder / "models"
    files = [models / "squeezenet_v1_1_imagenet_q8.keras", models / "vgg16_edges_conv.npz"]
    arguments = [data_folder / "imagenet1000" / "images", *files, "-o", tmp_path, "--small"]
    monkeypatch.setattr(sys, "argv", ["filter_copies.py", *map(str, arguments)])
    filter_copies.main()
    printed = capsys.readouterr().out
    assert "SqueezeNet conv1" in printed and "misfit" in printed and "replaced" in printed
    filter_copies.main()
    again = capsys.readouterr().out.splitlines()
    assert again and set(again) <= set(printed.splitlines()), "the second run reads what the first has stored"
