"""Arrays taken for images: those that are none are refused with a remedy that works, wherever an image is expected."""

import numpy as np
import pytest
from PIL import Image

from kerasal import datasets, images
from kerasal.localization.segmentation import check_cut_image

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (8, 10, 3)).astype(np.uint8)
FLOATS = RANDOM.random((8, 10, 3)).astype(np.float32)
BAD = {
    "bool": (PIXELS > 100, r"got bool \(8, 10, 3\)\. Draw it black and white"),
    "float16": (FLOATS.astype(np.float16), r"got float16 .* From 0\.\.1"),
    "float32": (FLOATS, r"got float32 .* From 0\.\.1"),
    "float64": (PIXELS * 1.0, r"got float64 .* From 0\.\.255"),
    "nan": (np.where(FLOATS > 0.5, np.nan, FLOATS), "NaN or infinite"),
    "int64": (PIXELS.astype(np.int64), r"got int64 .* Its values fit"),
    "uint16": (PIXELS.astype(np.uint16) * 257, r"got uint16 .* scale them to 0\.\.255"),
    "negative": (PIXELS.astype(np.int16) - 5, r"got int16 .* scale them to 0\.\.255"),
    "text": (PIXELS.astype(str), "got <U"),
    "objects": (PIXELS.astype(object), "got object"),
    "five channels": (np.zeros((8, 10, 5), np.uint8), r"got uint8 \(8, 10, 5\)\. Choose three channels"),
    "two channels": (np.zeros((8, 10, 2), np.uint8), r"got uint8 \(8, 10, 2\)\. Choose three channels"),
    "transparency": (np.zeros((8, 10, 4), np.uint8), r"image\[\.\.\., :3\]"),
    "channels first": (np.zeros((3, 8, 10), np.uint8), "moveaxis"),
    "a batch": (PIXELS[None], "Pass one image at a time"),
    "no pixels": (np.zeros((0, 10, 3), np.uint8), "no pixels"),
    "masked": (np.ma.masked_array(PIXELS, PIXELS > 9), "masked"),
}
TAKERS = {
    "overlay": lambda image: images.overlay(image, np.ones((8, 10))),
    "grid": lambda image: images.grid([image]),
    "sheet": lambda image: images.sheet([image], columns=1),
    "caption": lambda image: images.caption(image, "text"),
    "to_channels": lambda image: images.to_channels(image, 1),
    "GazeDataset": lambda image: datasets.GazeDataset([image], fixations=[np.zeros((1, 2))]),
    "graphcut": check_cut_image,
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("taker", TAKERS)
def test_what_is_no_image_is_refused_with_a_remedy(taker, name):
    bad, message = BAD[name]
    with pytest.raises(ValueError, match=rf"must (be uint8|have no masked).*{message}"):
        TAKERS[taker](bad)


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_image_is_not_written(name, tmp_path):
    with pytest.raises(ValueError, match=r"must (be uint8|have no masked)"):
        images.write(tmp_path / "a.png", BAD[name][0])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("bool", lambda image: np.uint8(255) * image),
        ("float32", lambda image: np.round(255 * image).astype(np.uint8)),
        ("float64", lambda image: np.clip(np.round(image), 0, 255).astype(np.uint8)),
        ("int64", lambda image: image.astype(np.uint8)),
        ("transparency", lambda image: image[..., :3]),
        ("channels first", lambda image: np.moveaxis(image, 0, -1)),
        ("masked", lambda image: image.filled(0)),
    ],
)
def test_the_remedies_work(name, remedy):
    images.check_image(remedy(BAD[name][0]))


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "int64", "uint32", "float16", "complex64", "O", "U1"])
def test_what_opencv_cannot_resize_is_a_value_error(dtype):
    with pytest.raises(ValueError, match=r"An image to resize must have the dtype uint8, .* got"):
        images.resize(np.ones((8, 8), dtype), (4, 4))


@pytest.mark.parametrize("shape", [(8,), (0, 3), (2, 8, 8, 3), ()])
def test_what_is_no_image_is_not_resized(shape):
    with pytest.raises(ValueError, match="at least one pixel"):
        images.resize(np.ones(shape, np.uint8), (4, 4))


@pytest.mark.parametrize("size", [(4.0, 4), (4, -1), (True, 0), ("4", 4)])
def test_sizes_are_positive_integers(size):
    with pytest.raises(ValueError, match="two positive integers"):
        images.resize(PIXELS, size)


def test_numbers_of_the_other_byte_order_are_resized():
    values = RANDOM.random((8, 9))
    np.testing.assert_array_equal(images.resize(values.astype(">f8"), (4, 4)), images.resize(values, (4, 4)))


@pytest.mark.parametrize("values", [np.ones((4, 4), complex), np.full((4, 4), "1")])
def test_a_map_holds_real_numbers(values):
    with pytest.raises(ValueError, match="A map must hold real numbers"):
        images.heatmap(values)


def _gray(path, values, mode=None):
    Image.fromarray(values, mode).save(path) if mode else Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("high", [1.0001, 1.5, 200.5, 255.5, 256.0, np.nan, np.inf, -np.inf, -0.1])
def test_a_float_image_of_no_clear_range_is_refused(high, tmp_path):
    """One highlight above 1.0 made a picture of 0..1 black, and NaN was 0."""
    values = RANDOM.random((6, 7)).astype(np.float32)
    values[2, 3] = high
    with pytest.raises(ValueError, match=r"a\.tif must hold (fractions of 0\.\.1, or integers|finite)"):
        images.read(_gray(tmp_path / "a.tif", values))


def test_float_images_of_both_ranges(tmp_path):
    values = RANDOM.random((6, 7)).astype(np.float32)
    found = images.read(_gray(tmp_path / "unit.tif", values))
    np.testing.assert_array_equal(found[..., 1], np.round(values.astype(float) * 255))
    whole = np.round(values * 255)
    np.testing.assert_array_equal(images.read(_gray(tmp_path / "whole.tif", whole))[..., 0], whole)


@pytest.mark.parametrize(("low", "high"), [(-1, 200), (0, 65536), (-70000, 3)])
def test_whole_numbers_of_no_clear_range_are_refused(low, high, tmp_path):
    values = np.array([[low, 5], [9, high]], np.int32)
    with pytest.raises(ValueError, match=r"a\.tif must hold integers of 0\.\.255 or 0\.\.65535, got values of"):
        images.read(_gray(tmp_path / "a.tif", values))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".bmp", ".tif", ".avif", ".jp2"])
def test_damaged_files_raise_value_errors_only(suffix, tmp_path):
    """A damaged AVIF raised Pillow's RuntimeError. What ends early is never a picture with a part missing."""
    try:
        images.write(tmp_path / "a.png", PIXELS.repeat(4, 0).repeat(4, 1))
        with Image.open(tmp_path / "a.png") as image:
            image.save(tmp_path / f"a{suffix}")
    except (OSError, ValueError, KeyError):
        pytest.skip(f"this Pillow writes no {suffix}")
    whole, expected = (tmp_path / f"a{suffix}").read_bytes(), images.read(tmp_path / f"a{suffix}")
    random = np.random.default_rng(1)
    path = tmp_path / f"b{suffix}"
    for number in range(60):
        content = bytearray(whole[: random.integers(len(whole))] if number % 2 else whole)
        for place in random.integers(0, len(content) or 1, 3) if number % 2 == 0 else ():
            content[place] = random.integers(256)
        path.write_bytes(content)
        try:
            found = images.read(path)
            images.frames(path)
        except ValueError as error:
            assert path.name in str(error)
        else:
            assert number % 2 == 0 or np.array_equal(found, expected)


def _area_matrix(have, want):
    """Each new pixel is the mean of the old ones under it, by cutting pixels into ``want`` equal parts."""
    return np.repeat(np.eye(have), want, axis=0).reshape(want, have, have).mean(axis=1)


def _cubic_matrix(have, want):
    """OpenCV's cubic kernel with a = -0.75, one position after the other."""

    def kernel(x, a=-0.75):
        x = abs(x)
        if x < 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0

    matrix = np.zeros((want, have))
    for row in range(want):
        place = (row + 0.5) * have / want - 0.5
        for pixel in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            matrix[row, np.clip(pixel, 0, have - 1)] += kernel(place - pixel)
    return matrix


@pytest.mark.parametrize(
    ("have", "want"), [((100, 100), (50, 400)), ((100, 100), (400, 50)), ((90, 40), (17, 60)), ((30, 80), (31, 7))]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_a_side_that_shrinks_is_averaged_though_the_other_grows(have, want, dtype):
    """Stripes of single rows became stripes again, or vanished, instead of their mean."""
    values = RANDOM.integers(0, 256, (*have, 3))
    values[::2] = 0
    values = values.astype(dtype)
    sides = [_area_matrix(h, w) if w < h else _cubic_matrix(h, w) for h, w in zip(have, want, strict=True)]
    expected = np.einsum("yh,hwc->ywc", sides[0], values.astype(float))
    expected = np.einsum("xw,ywc->yxc", sides[1], expected)
    if np.dtype(dtype).kind != "f":
        expected = np.clip(expected, np.iinfo(dtype).min, np.iinfo(dtype).max)
    found = images.resize(values, want)
    assert found.dtype == dtype
    rounding = 0.5 if np.dtype(dtype).kind != "f" else 0
    assert np.abs(found - expected).max() <= rounding + 1e-4 * expected.max()
    assert np.abs(images.resize(values[..., 0], want) - found[..., 0].astype(float)).max() <= rounding * 2 + 1e-6 * 255


@pytest.mark.parametrize("want", [(20, 30), (41, 20), (20, 45), (90, 100), (90, 45)])
def test_sides_that_go_the_same_way_are_opencvs_to_the_last_bit(want):
    import cv2

    values = RANDOM.integers(0, 256, (41, 45, 3)).astype(np.uint8)
    smaller = want[0] <= 41 and want[1] <= 45
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    np.testing.assert_array_equal(images.resize(values, want), cv2.resize(values, want[::-1], interpolation=how))
