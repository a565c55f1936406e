"""Propagation, validation and comparison: what must hold of each, and the pictures of all."""

import numpy as np
import pandas as pd
import pytest

from kerasal import receptive_field

import keras

L = keras.layers


def net(seed=0, positive=False):
    """Two blocks; random weights by a seed, positive and without bias if asked."""
    random = np.random.default_rng(seed)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            L.Conv2D(5, 3, padding="same", activation="relu", name="conv1", use_bias=not positive),
            L.MaxPooling2D(name="pool1"),
            L.Conv2D(8, 3, padding="same", activation="relu", name="conv2", use_bias=not positive),
            L.MaxPooling2D(name="pool2"),
        ]
    )
    weights = [random.normal(0, 0.4, weight.shape) for weight in model.get_weights()]
    model.set_weights([np.abs(one) if positive else one for one in weights])
    return model


@pytest.fixture(scope="module")
def model():
    return net()


def test_propagation_is_one_pattern_at_several_brightnesses(model):
    found = receptive_field.propagation(model, "pool2", 3)
    assert found.constants == (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
    one = receptive_field.patterns(model, "pool2", 3)[0]
    assert found.limit == pytest.approx(one.max(), rel=1e-6)
    for c, pattern in zip(found.constants, found.patterns, strict=True):
        np.testing.assert_allclose(pattern, c * one, rtol=1e-5, atol=1e-6)
    areas = found.table["area"].to_numpy()
    assert (np.diff(areas) >= 0).all()
    assert areas[-1] > areas[0]
    assert areas[1] == (one.max(axis=2) > 0.1 * one.max()).sum()
    assert receptive_field.propagation(model, "pool2", 3, [7.0]).limit == found.limit


def test_with_bias_propagation_is_not_homogeneous(model):
    found = receptive_field.propagation(model, "pool2", 3, (1.0, 3.0), bias=True)
    assert not np.allclose(found.patterns[1], 3 * found.patterns[0], rtol=1e-2)


def test_validation_sums_the_map_of_every_channel(model):
    frame = receptive_field.validate_pattern(model, "pool2", 3)
    (pattern,) = receptive_field.patterns(model, "pool2", 3)
    assert pattern.shape == (10, 10, 3)
    image = np.zeros((1, 11, 11, 3), np.float32)  # the unit (1, 1) sees the pixels 1 to 10
    image[0, 1:, 1:] = pattern
    expected = image
    for layer in model.layers:
        expected = layer(expected)
    sums = expected.numpy().sum(axis=(0, 1, 2))
    np.testing.assert_allclose(frame["activation"], sums, rtol=1e-4, atol=1e-5)
    assert frame["channel"].tolist() == list(range(8))
    assert frame.attrs["rank"] == frame.attrs["above"] + 1 == frame["rank"][3]
    assert frame.attrs["above"] == (sums > sums[3]).sum()
    assert frame.attrs["silent"] == (sums == 0).sum()
    assert frame["rank"].min() == 1
    shown = receptive_field.validate_pattern(model, "pool2", 3, pattern)
    np.testing.assert_allclose(shown["activation"], frame["activation"], rtol=1e-5)


def test_in_a_linear_positive_net_the_clamped_channel_answers():
    model = net(positive=True)
    for channel in (0, 7):
        frame = receptive_field.validate_pattern(model, "pool2", channel)
        assert frame["activation"][channel] > 0
        assert frame.attrs["silent"] == 0
    np.testing.assert_allclose(  # no biases: the answer grows with the image
        receptive_field.validate_pattern(model, "pool2", 0, rescale=128)["activation"],
        frame_scale(model) * receptive_field.validate_pattern(model, "pool2", 0)["activation"],
        rtol=1e-4,
    )


def frame_scale(model):
    return 128 / receptive_field.patterns(model, "pool2", 0).max()


def test_many_channels_are_validated_as_each_alone(model):
    table = receptive_field.validate_patterns(model, "pool2", [6, 3], rescale=128)
    for row, channel in enumerate([6, 3]):
        one = receptive_field.validate_pattern(model, "pool2", channel, rescale=128)
        assert table["channel"][row] == channel
        assert table["activation"][row] == pytest.approx(one["activation"][channel], rel=1e-5)
        assert [table[name][row] for name in ("rank", "above", "silent")] == [
            one.attrs[name] for name in ("rank", "above", "silent")
        ]
    known = receptive_field.patterns(model, "pool2", [6, 3])
    pd.testing.assert_frame_equal(
        receptive_field.validate_patterns(model, "pool2", [6, 3], patterns=known, rescale=128), table, rtol=1e-5
    )
    swapped = receptive_field.validate_patterns(model, "pool2", [6, 3], patterns=known[::-1], rescale=128)
    assert not np.allclose(swapped["activation"], table["activation"], rtol=1e-2)


def test_a_model_compared_with_itself_is_alike(model):
    same = receptive_field.compare_patterns(model, model, "pool2")
    np.testing.assert_allclose(same.table["similarity"], 1, rtol=1e-6)
    np.testing.assert_array_equal(same.left, same.right)
    np.testing.assert_array_equal(same.table["center_surround_left"], same.table["center_surround_right"])
    assert len(same.table) == 8


def test_fine_tuning_above_changes_no_pattern_below(model):
    """A frozen encoder: cosine 1; another first layer: not."""
    tuned = net()
    tuned.get_layer("conv2").set_weights(net(seed=5).get_layer("conv2").get_weights())
    below = receptive_field.compare_patterns(model, tuned, "pool1", [4, 0])
    np.testing.assert_allclose(below.table["similarity"], 1, rtol=1e-6)
    assert below.table["channel"].tolist() == [4, 0]
    above = receptive_field.compare_patterns(model, tuned, "pool2")
    np.testing.assert_allclose(above.left, receptive_field.patterns(model, "pool2"), rtol=1e-5, atol=1e-6)  # as shown
    assert above.table["similarity"].max() < 0.99
    left, right = above.left[2].ravel(), above.right[2].ravel()
    expected = left @ right / np.linalg.norm(left) / np.linalg.norm(right)
    assert above.table["similarity"][2] == pytest.approx(expected, rel=1e-5)


def test_models_that_cannot_be_compared(model):
    other = keras.Sequential([keras.Input((32, 32, 3)), L.Conv2D(5, 5, name="pool1")])
    with pytest.raises(ValueError, match=r"\(5, 4, 4, 3\).*\(5, 5, 5, 3\)"):
        receptive_field.compare_patterns(model, other, "pool1")


def test_bad_input(model):
    with pytest.raises(ValueError, match="has 8 channels"):
        receptive_field.validate_pattern(model, "pool2", 8)
    with pytest.raises(ValueError, match=r"pattern must be an image of shape \(h, w, 3\)"):
        receptive_field.validate_pattern(model, "pool2", 0, np.zeros((10, 10)))
    with pytest.raises(ValueError, match="rescale must be a finite number above 0"):
        receptive_field.validate_pattern(model, "pool2", 0, rescale=0)
    with pytest.raises(ValueError, match="patterns must be one per channel, 2, got 1"):
        receptive_field.validate_patterns(model, "pool2", [0, 1], patterns=np.zeros((1, 10, 10, 3)))
    with pytest.raises(ValueError, match="constants must be a finite number above 0"):
        receptive_field.propagation(model, "pool2", 0, [1, -1])
    with pytest.raises(ValueError, match="threshold must be a finite number above 0"):
        receptive_field.propagation(model, "pool2", 0, threshold=np.nan)


def test_pictures(model):
    found = receptive_field.patterns(model, "pool2")
    found[5] = 0
    sheet = receptive_field.draw_patterns(found, range(8), title="pool2")
    assert sheet.dtype == np.uint8
    everything = receptive_field.draw_patterns(found + 1, range(8), title="pool2")
    assert everything.shape[1] > 8 * 84 > sheet.shape[1]  # the silent channel is listed instead
    blue_first = receptive_field.draw_patterns(found, range(8), title="pool2", bgr=True)
    first = np.s_[41:125, 14:98]  # the first tile
    np.testing.assert_array_equal(sheet[first], blue_first[first][..., ::-1])
    assert sheet[first].max() == 255
    assert sheet[first].min() == 0
    spread = receptive_field.propagation(model, "pool2", 3)
    drawn = receptive_field.draw_propagation(spread, title="pool2:3")
    half, whole = drawn[41:241, 14:214], drawn[41:241, 222:422]
    assert half.max() == 128  # one brightness range for all: c = 0.5 is half as bright as c = 1
    assert whole.max() == 255
    bars = receptive_field.draw_validation(receptive_field.validate_pattern(model, "pool2", 3))
    assert (bars == (213, 94, 0)).all(axis=2).sum() > 100  # the clamped channel's bar, in orange
    both = receptive_field.compare_patterns(model, net(seed=1), "pool2")
    assert receptive_field.draw_comparison(both, ("one", "other")).shape[1] > 2 * 8 * 72
