"""The scripts of the page compute what kerasal.gaze does: sizes, resizing, maps, hotspots, shares and PNG files."""

import io

import numpy as np
import pytest
from PIL import Image

from kerasal import images
from kerasal.gaze.gaze_prediction import GazePrediction, resize_map

SETTINGS = {"image_size": (336, 448), "step": 32, "narrow": 16}


def smooth(height, width, seed=0):
    """Return a map that varies slowly, as those of models do."""
    random = np.random.default_rng(seed)
    coarse = random.random((max(height // 5, 2), max(width // 5, 2))).astype(np.float32)
    return np.clip(images.resize(coarse, (height, width)), 1e-6, 1)


def test_the_size_at_which_the_model_sees_a_photo(node):
    shapes = [(h, w) for h in (1, 3, 60, 240, 333, 600, 1200) for w in (1, 17, 240, 320, 500, 800, 4000)]
    shapes.append((100, 192))
    sizes = node(
        "photo_resize",
        "data.shapes.map(([h, w]) => page.sizeLike(h, w, data.settings))",
        shapes=shapes,
        settings=SETTINGS,
    )
    assert [tuple(size) for size in sizes] == [images.size_like(shape, (336, 448)) for shape in shapes]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((90, 120), (36, 48)),
        ((320, 282), (288, 256)),
        ((96, 144), (32, 48)),
        ((96, 128), (48, 64)),
        ((120, 90), (40, 30)),
        ((37, 53), (37, 53)),
        ((40, 30), (97, 71)),
        ((9, 200), (16, 160)),
        ((200, 9), (160, 16)),
        ((90, 120), (90, 48)),
        ((3, 2), (48, 32)),
        ((2, 1), (8, 8)),
    ],
)
def test_photos_are_resized_as_by_opencv(node, old, new):
    photo = np.random.default_rng(1).integers(0, 256, (*old, 3), np.uint8)
    photo[old[0] // 2 :] = 255  # an edge, at which cubic interpolation overshoots
    rgba = np.concatenate([photo, np.full((*old, 1), 255, np.uint8)], axis=2)
    pixels = node(
        "photo_resize",
        "page.resizePhoto(data.rgba, ...data.old, ...data.new)",
        rgba=rgba.ravel().tolist(),
        old=old,
        new=new,
    )
    difference = np.abs(np.reshape(pixels, (*new, 3)) - images.resize(photo, new).astype(int))
    grows = new[0] > old[0] or new[1] > old[1]  # the weights of OpenCV's cubic kernel have 11 bits for some sizes
    assert difference.max() <= grows and (difference > 0).mean() < 0.05


@pytest.mark.parametrize("shape", [(90, 120), (6, 120), (5, 4), (12, 16), (12, 200)])
@pytest.mark.parametrize("density", [True, False])
def test_the_map_is_that_of_predict(node, shape, density):
    cells = smooth(12, 16)
    settings = {"log_density": density, "postprocess": "none" if density else "examiners"}
    if density:
        cells /= cells.max()
        expected = np.maximum(resize_map(cells, shape, "none"), cells.min())
        expected = expected / expected.max()
    else:
        expected = resize_map(cells, shape, "examiners")
    found = node(
        "gaze_map",
        "page.finishMap(Float32Array.from(data.cells), 12, 16, ...data.shape, data.settings)",
        cells=cells.ravel().tolist(),
        shape=shape,
        settings=settings,
    )
    # Pillow rounds maps of 8 bits between its two passes, whose order depends on its version and on the sizes.
    np.testing.assert_allclose(np.reshape(found, shape), expected, rtol=0, atol=2e-6 if density else 2e-3)
    assert np.abs(np.reshape(found, shape) - expected).mean() < 5e-4


def test_a_constant_map_stays_constant(node):
    settings = {"log_density": False, "postprocess": "examiners"}
    found = node(
        "gaze_map", "page.finishMap(new Float32Array(12).fill(.3), 3, 4, 30, 41, data.settings)", settings=settings
    )
    np.testing.assert_array_equal(np.reshape(found, (30, 41)), resize_map(np.full((3, 4), 0.3, np.float32), (30, 41)))


def test_values_that_are_not_finite_are_refused(node):
    text = node(
        "gaze_map",
        "{ try { page.finishMap(Float32Array.of(1, NaN), 1, 2, 4, 4, {}); } catch (error) { return error.message; } }",
    )
    assert "not finite" in text


def test_hotspots_are_those_of_predict(node):
    for cells in (smooth(12, 16), np.zeros((3, 4), np.float32), np.ones((1, 1), np.float32)):
        shape = (91, 123)
        expected = GazePrediction(resize_map(cells, shape, "none"), cells).hotspots
        found = node(
            "gaze_map",
            "page.findHotspots(Float32Array.from(data.cells), ...data.grid, ...data.shape)",
            cells=cells.ravel().tolist(),
            grid=cells.shape,
            shape=shape,
        )
        rows = np.reshape([[spot["x"], spot["y"], spot["height"]] for spot in found], (-1, 3))
        np.testing.assert_allclose(rows, expected, atol=1e-4)


def test_boxes_and_rest_sum_to_1_and_overlaps_are_divided(node):
    values = smooth(30, 40, seed=2)
    density = np.exp(GazePrediction(values, values).log_density)
    boxes = [(0, 0, 20, 15), (10, 5, 30, 25), (39, 29, 40, 30)]
    covering = np.zeros((30, 40), int)
    for left, top, right, bottom in boxes:
        covering[top:bottom, left:right] += 1
    expected = [(density / np.maximum(covering, 1))[top:bottom, left:right].sum() for left, top, right, bottom in boxes]
    keys = ("x_min", "y_min", "x_max", "y_max")
    answer = node(
        "gaze_map",
        "page.shareAttention(Float32Array.from(data.map), 30, 40, data.boxes)",
        map=values.ravel().tolist(),
        boxes=[dict(zip(keys, box, strict=True)) for box in boxes],
    )
    np.testing.assert_allclose(answer["shares"], expected, rtol=1e-5)
    assert answer["rest"] == pytest.approx(density[covering == 0].sum(), rel=1e-5)
    assert sum(answer["shares"]) + answer["rest"] == pytest.approx(1, abs=1e-12)


def test_a_map_is_a_png_of_16_bits(node):
    values = smooth(7, 9, seed=5)
    data = node(
        "png",
        "{ const file = await page.encodeMap(Float32Array.from(data.map), 7, 9, [0, 1]);"
        "return new Uint8Array(await file.arrayBuffer()); }",
        map=values.ravel().tolist(),
    )
    picture = Image.open(io.BytesIO(bytes(data)))
    assert picture.mode.startswith("I;16") and picture.size == (9, 7)
    np.testing.assert_array_equal(np.asarray(picture), np.round(65535 * values.astype(float)).astype(np.uint16))
