"""Maps on the photo at its own resolution, and the legends of their colors."""

import numpy as np
import pytest

import kerasal
from kerasal import images
from kerasal.viewer.menus import method_options
from kerasal.viewer.photo_maps import draw_on_photo, seen_part


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (33, 33), (7, 50), (8, 8)])
@pytest.mark.parametrize("size", [(8, 8), (8, 12)])
@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_the_seen_part_is_what_the_model_gets(shape, size, fit):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    seen = pixels[seen_part(pixels.shape, size, fit)]
    np.testing.assert_array_equal(images.resize(seen, size), images.fit_image(pixels, size, fit))


def test_the_map_lies_on_the_middle_of_a_cropped_photo(opened, photo):
    pixels = images.read(photo)
    drawn = draw_on_photo(kerasal.explain(opened, pixels, "occlusion"), pixels)
    assert drawn.over.shape == drawn.map.shape == pixels.shape and drawn.cropped
    outside = np.r_[0:8, 32:40]
    assert (drawn.over[:, outside].std(axis=2) == 0).all()  # gray
    assert (drawn.map[:, outside] == 128).all()
    assert drawn.over[:, 8:32].std(axis=2).min() > 0


def test_the_map_covers_a_stretched_photo(opened, photo):
    model = kerasal.open_model(opened.keras_model, preprocessing="unit", fit="stretch")
    pixels = images.read(photo)
    drawn = draw_on_photo(kerasal.explain(model, pixels, "occlusion"), pixels, "stretch")
    assert not drawn.cropped and (drawn.map == 128).all(axis=2).mean() < 0.1


@pytest.mark.parametrize(
    ("method", "layer", "over", "alone"),
    [
        ("gradcam", None, "overlay", "heat"),
        ("gradcam", "conv1", "overlay", "heat"),
        ("class_saliency", None, "overlay", "heat"),
        ("occlusion", None, "signed", "signed"),
        ("gradient_x_input", None, "signed", "signed"),
        ("guided_backprop", None, "overlay", "gray"),
        ("crop_averaged_saliency", None, "overlay", "heat"),
    ],
)
def test_the_legend_is_that_of_the_colors(opened, photo, method, layer, over, alone):
    pixels = images.read(photo)
    explanation = kerasal.explain(opened, pixels, method, 1, **method_options(method, layer))
    drawn = draw_on_photo(explanation, pixels)
    assert (drawn.over_legend.scale, drawn.map_legend.scale) == (over, alone)
    assert ("lowers the score" in drawn.over_legend) == (over == "signed")


def test_red_and_blue_of_a_signed_map_are_where_its_signs_are(opened, photo):
    pixels = np.full((16, 16, 3), 128, np.uint8)
    explanation = kerasal.explain(opened, pixels, "gradient_x_input", 1)
    values = np.zeros((8, 8), np.float32)
    values[:, :4], values[:, 4:] = 1, -1
    object.__setattr__(explanation, "map", values)
    over = draw_on_photo(explanation, pixels).over.astype(int)
    assert (over[:, :6, 0] > over[:, :6, 2] + 20).all() and (over[:, 10:, 2] > over[:, 10:, 0] + 20).all()
