"""Volumes and videos with a map: planes through the strongest position, upright, one scale of colors for all."""

import numpy as np
import pytest

from kerasal import images
from kerasal.images import scenes, volumes

SHAPE = (12, 16, 20)
GRID = np.stack(np.meshgrid(*[np.arange(length) for length in SHAPE], indexing="ij"), axis=-1)
VOXELS = np.random.default_rng(0).normal(100, 20, SHAPE)
PLACE = (9, 4, 15)
SPOT = np.exp(-((GRID - PLACE) ** 2).sum(axis=-1) / 4)


def make(voxels, values, signed=None):
    return scenes.make_scene(voxels, values, signed=signed, strength=0.6, colormap=None)


def tints(picture):
    """Return the number of clearly red and of clearly blue pixels."""
    more = picture[..., 0].astype(int) - picture[..., 2]
    return int((more > 60).sum()), int((more < -60).sum())


def test_the_planes_go_through_the_strongest_position():
    scene = make(np.full(SHAPE, 9.0), SPOT)
    assert scene.strongest == PLACE
    plane = scene.plane(0, PLACE[0], over=True).astype(int)
    change = np.abs(plane - scene.plane(0, PLACE[0], over=False)).sum(axis=2)
    place = np.argwhere(change > 0.5 * change.max()).mean(axis=0)
    np.testing.assert_allclose(place, PLACE[1:], atol=0.5)
    far = scene.plane(0, 0, over=True).astype(int)
    assert np.ptp(far, axis=2).max() == 0  # gray: the map is 0 there
    assert make(VOXELS, -SPOT, True).strongest == PLACE
    assert make(VOXELS, 0 * SPOT).strongest == (6, 8, 10)


def test_all_planes_share_the_colors():
    weak = np.maximum(SPOT, 0.2 * np.roll(SPOT, -6, axis=0))
    scene = make(np.zeros(SHAPE), weak)
    strong, faint = (scene.plane(0, number, over=True).astype(int).sum(axis=2).max() for number in (9, 3))
    assert faint < 0.7 * strong


def test_evidence_against_is_never_drawn_as_evidence_for():
    for draw in (images.volume, images.video):
        positive, negative = (tints(draw(VOXELS, sign * SPOT, signed=True)) for sign in (1, -1))
        assert positive[0] > 50 and positive[1] == 0
        assert negative[1] > 50 and negative[0] == 0
        assert tints(draw(VOXELS, -SPOT, signed=False)) == (0, 0)


@pytest.mark.parametrize(
    ("axes", "save"),
    [
        ("RAS", lambda body: body),
        ("LPS", lambda body: body[::-1, ::-1]),
        ("SAR", lambda body: body.transpose(2, 1, 0)),
        ("PIR", lambda body: body.transpose(1, 2, 0)[::-1, ::-1]),
    ],
)
def test_a_scan_stands_upright_whatever_the_order_of_its_axes(axes, save):
    """The same body, saved with other axes, gives the same planes."""
    voxels, values = save(VOXELS), save(SPOT)
    usual, other = (
        volumes._turn(make(array, heat), *volumes._directions(code))
        for array, heat, code in ((VOXELS, SPOT, "RAS"), (voxels, values, axes))
    )
    assert other.strongest == usual.strongest == PLACE
    np.testing.assert_array_equal(other.pixels, usual.pixels)
    picture, same = images.volume(voxels, values, axes=axes), images.volume(VOXELS, SPOT, axes="RAS")
    assert picture.shape == same.shape
    titles = 60  # which name the axes
    np.testing.assert_array_equal(picture[titles:600], same[titles:600])


def test_up_is_up_and_right_is_right():
    voxels = np.zeros((10, 10, 10))
    voxels[-1, :, -1] = 1  # to the right and superior
    picture = images.volume(voxels, axes="RAS", slices=0, tile=100)
    coronal = picture[:, 120:224]  # the plane in the middle, which shows right and up
    bright = np.argwhere((coronal > 250).all(axis=2))
    inside = np.argwhere((coronal == 0).all(axis=2))
    corner = [(y, x) for y, x in bright if inside[:, 0].min() <= y <= inside[:, 0].max() and x > 60]
    assert corner and np.mean([y for y, _ in corner]) < inside[:, 0].mean()


def test_spacing_gives_the_proportions():
    flat = images.volume(np.random.default_rng(0).random((4, 20, 20)), slices=0)
    cube = images.volume(np.random.default_rng(0).random((4, 20, 20)), slices=0, spacing=(5, 1, 1))
    drawn = [(picture < 250).any(axis=2)[:, 320:560].sum() for picture in (flat, cube)]  # the second plane
    assert 4 < drawn[1] / drawn[0] < 6


def test_the_strip_leaves_out_empty_slices():
    padded = np.zeros((60, 16, 20))
    padded[20:32] = VOXELS
    pixels = make(padded, None).pixels
    numbers = volumes._spread(pixels, 0, 5)
    assert numbers.min() >= 20 and numbers.max() < 32 and len(numbers) == 5


def test_one_value_is_no_division_by_zero():
    assert images.volume(np.full((3, 4, 5), 7.0)).shape[2] == 3
    assert images.video(np.zeros((1, 4, 5, 3), np.uint8), np.zeros((1, 4, 5))).shape[2] == 3


def test_a_video_shows_the_frame_of_the_strongest_value():
    frames = np.random.default_rng(0).integers(0, 256, (30, 16, 20, 3), np.uint8)
    values = np.zeros((30, 16, 20))
    values[17, 8, 9] = 1
    picture = images.video(frames, values, count=4)
    assert (np.abs(picture.astype(int) - images.video(frames, count=4)[:1, :1]).sum(axis=2) > 0).any()
    tile = picture[:, 14 + 2 * 168 : 14 + 2 * 168 + 160]  # the third of four frames, 0 10 17 29, is that frame
    red = tile[..., 0].astype(int) - tile[..., 2]
    other = picture[:, 14:174, 0].astype(int) - picture[:, 14:174, 2]
    assert np.abs(red).sum() != np.abs(other).sum()
    assert (images.video(frames, values, rate=25) != images.video(frames, values)).any()  # labels in seconds


@pytest.mark.parametrize(
    ("draw", "voxels", "values", "options", "message"),
    [
        (images.volume, np.zeros((3, 4)), None, {}, r"The volume must be numbers \(D, H, W\) or \(D, H, W, C\)"),
        (images.video, np.zeros((3, 4)), None, {}, "The video must be numbers"),
        (images.volume, np.full(SHAPE, np.nan), None, {}, "The volume must be finite, got 3840 NaN"),
        (images.volume, VOXELS, SPOT[1:], {}, r"The map must be \(12, 16, 20\), as the volume, got \(11, 16, 20\)"),
        (images.volume, VOXELS, SPOT, {"spacing": (1, 0, 1)}, "spacing must be three positive numbers"),
        (images.volume, VOXELS, SPOT, {"axes": "RAR"}, "axes must be three letters"),
        (images.volume, VOXELS, SPOT, {"axes": "xyz"}, "axes must be three letters"),
        (images.volume, VOXELS, SPOT, {"slices": -1}, "slices must be 0 or a positive integer"),
        (images.volume, VOXELS, -SPOT, {"colormap": "viridis"}, "colormap must be diverging"),
        (images.video, VOXELS, SPOT, {"rate": -1}, "rate must be a finite number above 0"),
        (images.video, VOXELS, SPOT, {"count": 0}, "count must be a positive integer"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, voxels, values, options, message):
    with pytest.raises(ValueError, match=message):
        draw(voxels, values, **options)
