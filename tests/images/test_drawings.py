"""Pictures of maps: visible whatever the scale, right in their colors, labeled."""

import itertools

import numpy as np
import pytest

from kerasal import images
from kerasal.images import colormaps, lettering

RAMP = np.linspace(0, 1, 50).reshape(5, 10)


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1, 1e30])
def test_a_map_looks_the_same_at_any_scale(scale):
    np.testing.assert_array_equal(images.heatmap(RAMP * scale), images.heatmap(RAMP))
    signed = RAMP - 0.5
    np.testing.assert_array_equal(images.heatmap(signed * scale), images.heatmap(signed))
    np.testing.assert_array_equal(images.relief(signed[..., None] * scale), images.relief(signed[..., None]))
    base = np.full((5, 10, 3), 90, np.uint8)
    np.testing.assert_array_equal(images.overlay(base, RAMP * scale), images.overlay(base, RAMP))


def test_colors():
    unsigned = images.heatmap(RAMP).astype(int).sum(axis=2)
    assert (np.diff(unsigned.ravel()) >= 0).all()
    assert images.heatmap(RAMP)[0, 0].tolist() == [0, 0, 0]
    signed = images.heatmap(np.array([[-1.0, 0.0, 1.0]]), limit=1)
    assert signed[0, 0, 2] > signed[0, 0, 0]
    assert signed[0, 1].min() > 240
    assert signed[0, 2, 0] > signed[0, 2, 2]
    assert images.relief(np.zeros((2, 2, 3))).tolist() == [[[128] * 3] * 2] * 2


def test_one_extreme_pixel_does_not_black_out_the_rest():
    values = np.ones((50, 50))
    values[0, 0] = 1e6
    assert images.heatmap(values)[10, 10].min() > 200


def test_a_long_title_is_broken_and_not_cut_off():
    panel = np.zeros((40, 200, 3), np.uint8)
    short, long = (images.sheet([panel], columns=1, title=title) for title in ("word", "word " * 30))
    assert long.shape[1] == short.shape[1]
    assert long.shape[0] > short.shape[0] + 60


def test_a_map_of_zeros_is_black_and_not_nan():
    assert not images.heatmap(np.zeros((3, 3))).any()


def test_a_limit_is_shared():
    assert images.heatmap(RAMP, limit=10).max() < images.heatmap(RAMP).max()


@pytest.mark.parametrize("wrong", [np.ones((2, 2, 2, 2)), np.full((2, 2), np.nan), np.ones((0, 3))])
def test_what_is_no_map_is_refused(wrong):
    with pytest.raises(ValueError, match="map"):
        images.heatmap(wrong)


def test_an_overlay_is_strong_where_the_map_is():
    base = np.full((40, 40, 3), 100, np.uint8)
    values = np.zeros((20, 20))
    values[5, 5] = 1
    change = np.abs(images.overlay(base, values).astype(int) - 100).sum(axis=2)
    assert np.unravel_index(change.argmax(), change.shape) == pytest.approx((10, 10), abs=2)
    assert change[35, 35] == 0
    assert (base == 100).all()


def test_an_overlay_tells_negative_values_from_positive_ones():
    base = np.full((40, 40, 3), 100, np.uint8)
    values = np.zeros((20, 20))
    values[5, 5], values[15, 15] = 1, -1
    drawn = images.overlay(base, values).astype(int)
    assert drawn[10, 10, 0] > drawn[10, 10, 2] + 40  # red
    assert drawn[30, 30, 2] > drawn[30, 30, 0] + 40  # blue
    positive = images.overlay(base, values, signed=False)
    assert (positive[30, 30] == 100).all() and (positive[10, 10] != 100).any()
    np.testing.assert_array_equal(positive, images.overlay(base, np.maximum(values, 0)))


def test_resize_and_crop():
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, 10:30] = 255
    assert images.resize(picture, (10, 20)).shape == (10, 20, 3)
    assert images.resize(picture[..., :1], (10, 20)).shape == (10, 20, 1)
    assert images.fit_image(picture, (10, 10)).min() == 255
    assert images.fit_image(picture, (10, 10), "stretch").min() == 0
    assert images.fit_image(picture, (7, 300)).shape == (7, 300, 3)
    with pytest.raises(ValueError, match="height, width"):
        images.resize(picture, (0, 5))


def test_a_grid_holds_every_picture_and_its_label():
    tiles = [np.full((10, 10, 3), 40 * i, np.uint8) for i in range(5)]
    plain = images.grid(tiles, columns=3, tile=50)
    assert plain.dtype == np.uint8
    for i in range(5):
        assert (plain == 40 * i).all(axis=2).sum() >= 50 * 50
    labeled = images.grid(
        tiles, list("abcde"), columns=3, tile=50, title="Title", note="note", row_labels=["one", "two"]
    )
    assert labeled.shape[0] > plain.shape[0]
    assert labeled.shape[1] > plain.shape[1]
    other = images.grid(tiles, list("abcdx"), columns=3, tile=50, title="Title", note="note", row_labels=["one", "two"])
    assert (labeled != other).any()


def _box(sheet, color):
    """Return (top, bottom, left, right) of the pixels of a color."""
    rows, columns = np.nonzero((sheet == color).all(axis=2))
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def test_a_row_is_as_high_as_its_highest_picture():
    wide, tall = np.zeros((10, 20, 3), np.uint8), np.zeros((20, 10, 3), np.uint8)
    low = images.grid([wide] * 4, columns=2, tile=40).shape[0]
    assert images.grid([wide, wide, wide, tall], columns=2, tile=40).shape[0] == low + 20


def test_a_column_is_as_wide_as_its_widest_picture():
    tall = np.zeros((40, 10, 3), np.uint8)
    top, bottom, left, right = _box(images.grid([tall] * 3, columns=3, tile=160), (0, 0, 0))
    assert (bottom - top, right - left) == (160, 3 * 40 + 2 * 8)


def test_captions_stand_directly_below_pictures_of_any_shape():
    red, blue = np.full((10, 40, 3), (255, 0, 0), np.uint8), np.full((40, 10, 3), (0, 0, 255), np.uint8)
    sheet = images.grid([red, blue], ["x", "x"], tile=120)
    assert _box(sheet, (255, 0, 0))[1] == _box(sheet, (0, 0, 255))[1]  # both end where the captions begin
    ink = (sheet < 100).all(axis=2)
    assert ink[_box(sheet, (255, 0, 0))[1] : _box(sheet, (255, 0, 0))[1] + 20].any()


def test_labels_that_repeat_are_written_once_above_the_columns():
    tiles = [np.full((10, 10, 3), 200, np.uint8)] * 4
    repeated = images.grid(tiles, ["a", "b"] * 2, columns=2, tile=60)
    np.testing.assert_array_equal(repeated, images.grid(tiles, columns=2, tile=60, column_labels=["a", "b"]))
    other = images.grid(tiles, ["a", "b", "a", "c"], columns=2, tile=60)
    assert len(other) > len(repeated)
    with pytest.raises(ValueError, match="column_labels must hold 2 texts, got 1"):
        images.grid(tiles, columns=2, column_labels=["a"])


def test_type_grows_with_the_page_that_is_scaled_to_a_column():
    sizes = [lettering.type_size(width) for width in (100, 800, 1200, 1600)]
    assert sizes == sorted(sizes) and all(
        size * 800 / width >= 11.5 for size, width in zip(sizes[1:], (800, 1200, 1600), strict=True)
    )
    tile = np.full((10, 10, 3), 200, np.uint8)
    assert len(images.grid([tile], ["label"], tile=60, page_width=1600)) > len(images.grid([tile], ["label"], tile=60))


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("short", 400, "short"),
        ("king penguin, Aptenodytes patagonica", 120, "king penguin…"),
        ("n01440764_10026_large_photo.jpeg", 160, "n01440764_…hoto.jpeg"),
    ],
)
def test_long_lines_are_cut_after_a_word_or_in_the_middle_of_a_name(text, width, expected):
    face = lettering.font(13)
    line = lettering.abbreviate(text, face, width)
    assert face.getlength(line) <= width
    assert line == expected


@pytest.mark.parametrize("name", ["heat", "signed", "overlay", "gray", "viridis", "coolwarm"])
def test_a_legend_shows_the_colors_of_its_scale_in_order(name):
    bar = np.array(lettering.draw_legend((name, "", ""), lettering.font(13)))[8].astype(int)
    places = [np.abs(bar - color).sum(axis=1).argmin() for color in colormaps.color_scale(name)[[9, 128, 246]]]
    assert places == sorted(set(places))


def test_a_grid_is_longer_with_every_legend():
    tile = np.full((10, 10, 3), 7, np.uint8)
    bars = [("heat", "low", "high"), ("signed", "low", "high")]
    lengths = [len(images.grid([tile], tile=40, legend=bars[:count])) for count in range(3)]
    assert lengths == sorted(set(lengths))
    with pytest.raises(ValueError, match="name must be one of heat, overlay, signal, text, gray, signed, got 'tab10'"):
        images.grid([tile], legend=[("tab10", "low", "high")])


def test_a_legend_below_a_picture_leaves_the_picture_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (60, 300, 3), np.uint8)
    drawn = images.append_legend(picture, ("overlay", "low", "high"))
    np.testing.assert_array_equal(drawn[:60, :300], picture)
    assert drawn.shape[1] == 300 and len(drawn) > 70
    assert images.append_legend(picture[:, :20], ("overlay", "hardly looked at", "looked at most")).shape[1] > 20


def test_pixels_stay_pixels_when_a_tiny_picture_is_enlarged():
    checks = np.uint8([[0, 255], [255, 0]])
    sheet = images.grid([checks], tile=64)
    assert set(np.unique(sheet)) == {0, 255}


def test_a_grid_refuses_what_it_cannot_label():
    with pytest.raises(ValueError, match="at least one"):
        images.grid([])
    with pytest.raises(ValueError, match="labels must hold 2 texts, got 1"):
        images.grid([np.zeros((2, 2), np.uint8)] * 2, ["a"])


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((240, 320), (240, 320)),
        ((600, 800), (240, 320)),
        ((1200, 800), (336, 224)),
        ((800, 1200), (240, 352)),
        ((1, 1), (272, 288)),
        ((100, 4000), (80, 1280)),
        ((4000, 100), (1104, 64)),
    ],
)
def test_a_size_like_another_keeps_the_proportions_of_a_photo_up_to_a_limit(shape, expected):
    assert images.size_like(shape, (240, 320)) == expected


def test_a_size_like_another_has_the_same_remainders():
    for shape in itertools.product((1, 37, 240, 601, 5000), repeat=2):
        height, width = images.size_like(shape, (336, 448))
        assert height > 0 and width > 0 and (height % 32, width % 32) == (16, 0)
        if shape[0] < 16 * shape[1] < 256 * shape[0]:
            assert height * width == pytest.approx(336 * 448, rel=0.4)


def test_colormaps_of_matplotlib_color_maps_and_overlays():
    image, values = np.full((30, 40, 3), 90, np.uint8), np.linspace(0, 1, 12).reshape(3, 4)
    ends = images.heatmap(values, colormap="viridis")[[0, -1], [0, -1]]
    np.testing.assert_array_equal(ends, [[68, 1, 84], [253, 231, 37]])
    reverse = images.heatmap(values, colormap="viridis_r")[[-1, 0], [-1, 0]]
    np.testing.assert_array_equal(reverse, ends)
    signed = images.heatmap(values - 0.5, colormap="coolwarm", limit=0.5)
    assert signed[0, 0, 2] > signed[0, 0, 0] and signed[-1, -1, 0] > signed[-1, -1, 2]
    assert (images.overlay(image, values, colormap="gray") != images.overlay(image, values)).any()


@pytest.mark.parametrize(
    ("values", "colormap", "message"),
    [
        (1.0, "virdis", r"got 'virdis'\. Did you mean viridis\?"),
        (1.0, "tab10", "sequential or diverging colormap of matplotlib, got 'tab10'. Use viridis"),
        (1.0, "coolwarm", "must be sequential for a map without negative values, got 'coolwarm'"),
        (-1.0, "viridis", "must be diverging for a map with negative values, got 'viridis'. Use coolwarm"),
    ],
)
def test_a_colormap_must_fit_the_sign_of_the_map(values, colormap, message):
    image, array = np.zeros((8, 8, 3), np.uint8), np.full((4, 4), values)
    for draw in (
        lambda: images.heatmap(array, colormap=colormap),
        lambda: images.overlay(image, array, colormap=colormap),
    ):
        with pytest.raises(ValueError, match=message):
            draw()


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), "much"])
def test_the_opacity_of_an_overlay_is_a_share(strength):
    with pytest.raises(ValueError, match=r"strength must be a finite number in 0\.\.1, got"):
        images.overlay(np.zeros((4, 4, 3), np.uint8), np.ones((4, 4)), strength=strength)


@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (64, 64), (7, 5)])
@pytest.mark.parametrize("size", [(32, 32), (20, 60)])
def test_the_crop_box_is_the_part_that_fitting_keeps(shape, size):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    left, top, right, bottom = images.crop_box(image.shape, size)
    np.testing.assert_array_equal(images.resize(image[top:bottom, left:right], size), images.fit_image(image, size))
    assert left + right in range(shape[1] - 1, shape[1] + 2) and (left == 0 or top == 0)
    assert images.crop_box(image.shape, size, "stretch") == (0, 0, shape[1], shape[0])


def test_a_placed_drawing_keeps_its_pixels_and_fades_the_rest():
    image = np.random.default_rng(0).integers(0, 120, (30, 50, 3), dtype=np.uint8)
    drawn = np.full((30, 30, 3), (200, 10, 10), np.uint8)
    placed = images.place(image, drawn, (10, 0, 40, 30))
    assert (placed[2:-2, 12:38] == (200, 10, 10)).all()
    assert placed[:, :8].mean() > 160 > image[:, :8].mean()
    whole = images.place(image, images.resize(drawn, (30, 50)), (0, 0, 50, 30))
    assert (whole == (200, 10, 10)).all()  # nothing is outside, so there is no frame
    for box in ((10, 0, 60, 30), (5, 5, 5, 9), (-1, 0, 9, 9)):
        with pytest.raises(ValueError, match="box must be a part of the image of 30 × 50 pixels"):
            images.place(image, drawn, box)
