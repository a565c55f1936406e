"""Masks: read from files, fitted like photos without mixing values, and outlined so that any ground shows them."""

import numpy as np
import pytest
from PIL import Image

from kerasal import images


def test_a_mask_is_what_is_not_black(tmp_path):
    values = np.zeros((6, 9), np.uint8)
    values[2:4, 3:7] = 1
    Image.fromarray(values).save(tmp_path / "gray.png")
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "deep.png")
    palette = Image.fromarray(values, "P")
    palette.putpalette([0, 0, 0, 0, 0, 200])
    palette.save(tmp_path / "palette.png")
    for name in ("gray", "deep", "palette"):
        mask = images.read_mask(tmp_path / f"{name}.png")
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, values > 0)


def test_a_transparent_mask_is_refused(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "clear.png")
    with pytest.raises(ValueError, match="without transparency"):
        images.read_mask(tmp_path / "clear.png")
    pixels[..., 3], pixels[1, 2, 0] = 255, 9
    Image.fromarray(pixels, "RGBA").save(tmp_path / "opaque.png")
    assert np.argwhere(images.read_mask(tmp_path / "opaque.png")).tolist() == [[1, 2]]


@pytest.mark.parametrize("mode", ["crop", "stretch"])
@pytest.mark.parametrize("shape", [(40, 90), (64, 64), (90, 31)])
def test_a_mask_follows_the_fit_of_its_photo(mode, shape):
    random = np.random.default_rng(0)
    mask = np.kron(random.random((9, 9)) > 0.5, np.ones((10, 10)))[: shape[0], : shape[1]] > 0
    photo = np.repeat(np.uint8(255 * mask)[..., None], 3, axis=2)
    fitted = images.fit_mask(mask, (16, 20), mode)
    shown = images.fit_image(photo, (16, 20), mode)[..., 0]
    assert fitted.dtype == bool
    assert (fitted == (shown > 127)).mean() > 0.93  # they differ at edges only, where the photo is averaged


def test_a_position_takes_the_value_at_its_center():
    mask = np.zeros((6, 6), bool)
    mask[4, 1] = True
    assert np.argwhere(images.fit_mask(mask, (2, 2))).tolist() == [[1, 0]]
    mask[:] = False
    mask[3, 0] = True
    assert not images.fit_mask(mask, (2, 2)).any()
    with pytest.raises(ValueError, match=r"shape \(H, W\)"):
        images.fit_mask(mask[None], (2, 2))


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_an_outline_shows_on_any_ground_and_keeps_the_rest(ground):
    image = np.full((40, 60, 3), ground, np.uint8)
    drawn = images.outline(image, np.array([0.25, 0.25, 0.5, 0.75]))
    changed = (drawn != image).any(axis=2)
    assert changed.any()
    assert not changed[12:28, 17:28].any()  # the inside of the box at rows 10..29, columns 15..29
    assert not changed[:9].any() and not changed[:, 31:].any()
    assert (drawn[10, 15:30] == 255).all() and (drawn[9, 15:30] == 0).all()
    assert (image == ground).all()


def test_the_outline_of_a_mask_is_at_its_edge_in_a_part_of_the_image():
    image = np.full((30, 40, 3), 90, np.uint8)
    mask = np.zeros((2, 2), bool)
    mask[0, 1] = True
    drawn = images.outline(image, mask, (10, 5, 30, 25))  # the area: rows 5..14, columns 20..29
    white, black = (drawn == 255).all(axis=2), (drawn == 0).all(axis=2)
    expected = np.zeros((30, 40), bool)
    expected[5:15, 20:30] = True
    expected[6:14, 21:29] = False
    np.testing.assert_array_equal(white, expected)
    expected[:] = False
    expected[4:16, 19:31] = True
    expected[5:15, 20:30] = False
    np.testing.assert_array_equal(black, expected)


def test_an_area_of_the_whole_image_is_outlined_at_its_border_and_a_tiny_box_is_seen():
    image = np.full((20, 20, 3), 90, np.uint8)
    white = (images.outline(image, np.ones((3, 3))) == 255).all(axis=2)
    assert white[0].all() and white[:, -1].all() and not white[1:-1, 1:-1].any()
    assert (images.outline(image, np.array([0.501, 0.501, 0.502, 0.502])) != image).any()
    with pytest.raises(ValueError, match="a mask"):
        images.outline(image, np.ones(3))
