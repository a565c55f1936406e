"""The grid of feature maps: silent channels are listed instead of drawn, and the scale is stated."""

import numpy as np
import pytest

from kerasal import features


@pytest.fixture
def told(monkeypatch):
    """Return the arguments of the last grid that was drawn."""
    last = {}
    original = features.images.grid
    monkeypatch.setattr(
        features.images,
        "grid",
        lambda tiles, labels, **options: (
            last.update(options, tiles=tiles, labels=labels) or original(tiles, labels, **options)
        ),
    )
    return last


def test_silent_channels_are_listed_and_take_no_place(told):
    maps = np.random.default_rng(0).random((4, 5, 10)).astype(np.float32)
    maps[..., [3, 7]] = 0
    sheet = features.draw_feature_maps(maps, tile=40)
    assert told["labels"] == ["0", "1", "2", "4", "5", "6", "8", "9"] and len(told["tiles"]) == 8
    assert "2 of 10 channels are silent, 0 everywhere for this image: 3, 7." in told["note"]
    assert len(features.draw_feature_maps(np.ones_like(maps), tile=40)) > len(sheet)  # ten maps need two rows
    features.draw_feature_maps(maps, [3, 4])
    assert told["labels"] == ["4"] and "1 of 2 channels is silent" in told["note"]


def test_a_silent_layer_is_still_a_picture(told):
    sheet = features.draw_feature_maps(np.zeros((4, 4, 3), np.float32))
    assert sheet.dtype == np.uint8 and "3 of 3 channels are silent" in told["note"]


@pytest.mark.parametrize(("sign", "colors", "low"), [(1, "heat", "0"), (-1, "signed", "-2")])
def test_the_scale_is_stated(told, sign, colors, low):
    maps = np.ones((2, 2, 2), np.float32)
    maps[0, 0, 0], maps[0, 0, 1] = sign * 2, 0.5
    features.draw_feature_maps(maps, scale="layer")
    assert told["legend"] == [(colors, low, "2")] and "All maps have the same color scale" in told["note"]
    drawn = told["tiles"]
    features.draw_feature_maps(maps)
    assert "Each map has its own color scale" in told["note"]
    assert (told["tiles"][1] != drawn[1]).any()
