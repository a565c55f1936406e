"""D-RISE against NumPy: masks resized whole and cut out, the weighted mean one mask at a time, a closed form."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.attribution.perturbation.random_masks import RandomMasks, make_masks
from kerasal.objectives import box

import keras
import tensorflow as tf

L = keras.layers
RNG = np.random.default_rng(4)
IMAGES = RNG.normal(size=(2, 10, 13, 3)).astype(np.float32)
OPTIONS = {"samples": 9, "cells": (2, 3), "probability": 0.4, "seed": 5}


@pytest.fixture(scope="module")
def detector():
    keras.utils.set_random_seed(2)  # by which a detection overlaps each box that is asked about
    inputs = keras.Input((10, 13, 3))
    hidden = L.Conv2D(6, 3, strides=2, padding="same", activation="relu")(inputs)
    boxes = L.Reshape((-1, 4), name="boxes")(L.Conv2D(4, 1, activation="sigmoid")(hidden))
    scores = L.Reshape((-1, 3), name="scores")(L.Conv2D(3, 1, activation="softmax")(hidden))
    sure = L.Reshape((-1, 1), name="sure")(L.Conv2D(1, 1, activation="sigmoid")(hidden))
    return keras.Model(inputs, {"boxes": boxes, "scores": scores, "sure": sure})


def target(asked=(2, 1, 9, 8), index=1):
    options = {"box_format": "rel_xywh", "match": "cosine", "objectness": "sure"}
    return box(asked, index, boxes="boxes", scores="scores", **options)


def draw(number, sides, cells, probability, seed):
    """Return a mask: a random grid, resized to one cell more per side and cut out at a random shift."""
    count = int(np.prod(cells))
    uniform = tf.random.stateless_uniform([count + len(sides)], (seed, number)).numpy()
    mask = (uniform[:count] < probability).astype(np.float64).reshape(cells)
    for axis, (side, cell) in enumerate(zip(sides, cells, strict=True)):
        size = int(np.ceil(side / cell))
        length = (cell + 1) * size
        centers = (np.arange(cell) + 0.5) * length / cell - 0.5
        whole = np.apply_along_axis(lambda row, c=centers, n=length: np.interp(np.arange(n), c, row), axis, mask)
        shift = int(uniform[count + axis] * size)
        mask = np.take(whole, range(shift, shift + side), axis)
    return mask


def detection_score(found, asked, index):
    """Return the largest overlap × cosine × objectness of the detections of an image."""
    x, y, width, height = np.moveaxis(found["boxes"] * [13, 10, 13, 10], -1, 0)
    common = np.clip(np.minimum(x + width, asked[2]) - np.maximum(x, asked[0]), 0, None)
    common = common * np.clip(np.minimum(y + height, asked[3]) - np.maximum(y, asked[1]), 0, None)
    area = (asked[2] - asked[0]) * (asked[3] - asked[1])
    overlap = common / (width * height + area - common)
    cosine = found["scores"][..., index] / np.linalg.norm(found["scores"], axis=-1)
    return (overlap * cosine * found["sure"][..., 0]).max()


def one_at_a_time(detector, image, fill, samples, cells, probability, seed):
    masks = [draw(number, image.shape[:2], cells, probability, seed) for number in range(samples)]
    scores = []
    for mask in masks:
        masked = image * mask[..., None] + fill * (1 - mask[..., None])
        found = detector(masked[None].astype(np.float32))
        scores.append(detection_score({name: value[0].numpy() for name, value in found.items()}, (2, 1, 9, 8), 1))
    weighted = sum(score * mask for score, mask in zip(scores, masks, strict=True)) / sum(masks)
    return weighted, np.mean(scores)


@pytest.mark.parametrize("sides", [(10,), (10, 13), (4, 6, 5)])
def test_masks_are_random_grids_resized_and_cut_out(sides):
    masks = make_masks(sides, (2, 3, 2)[: len(sides)], 0.4, 7)
    drawn = masks.draw(tf.range(3, 9)).numpy()
    expected = [draw(number, sides, masks.cells, 0.4, 7) for number in range(3, 9)]
    np.testing.assert_allclose(drawn, expected, atol=1e-6)
    assert len(np.unique(drawn.reshape(6, -1), axis=0)) > 2


def test_masks_of_features_keep_each_by_itself():
    masks = make_masks((50,), None, 0.3, 0, ordered=False).draw(tf.range(200)).numpy()
    assert set(np.unique(masks)) == {0.0, 1.0}
    assert abs(masks.mean() - 0.3) < 0.02
    assert np.abs(np.corrcoef(masks.T)[np.triu_indices(50, 1)]).max() < 0.4


def test_the_default_grid_has_cells_of_four_pixels_or_more():
    assert make_masks((224, 40, 3), None, 0.5, 0).cells == (16, 10, 1)
    assert make_masks((8, 9), 3, 0.5, 0) == RandomMasks((8, 9), (3, 3), 0.5, 0)


@pytest.mark.parametrize("fill", [0.0, -1.5, "mean"])
@pytest.mark.quick("mean")
def test_the_map_is_the_mean_of_the_masks_weighted_by_the_score_of_the_box(detector, fill):
    actual = attribution.drise(detector, IMAGES, target(), fill=fill, **OPTIONS)
    paper = attribution.drise(detector, IMAGES, target(), fill=fill, subtract_mean=False, **OPTIONS)
    for number, image in enumerate(IMAGES):
        filling = image.mean((0, 1)) if fill == "mean" else fill
        expected, mean = one_at_a_time(detector, image, filling, **OPTIONS)
        assert np.abs(paper[number] - expected).max() < 1e-5 * expected.max()
        assert np.abs(actual[number] - (expected - mean)).max() < 1e-5 * expected.max()


def test_each_image_may_have_a_box_of_its_own_and_functions_decode(detector):
    boxes = [(2, 1, 9, 8), (0, 3, 5, 10)]
    together = attribution.drise(detector, IMAGES, [target(one, n) for n, one in enumerate(boxes)], **OPTIONS)
    for number, one in enumerate(boxes):
        alone = attribution.drise(detector, IMAGES[number], target(one, number), **OPTIONS)
        np.testing.assert_allclose(together[number], alone[0], rtol=1e-4, atol=1e-6)
    decoded = box(
        boxes[0],
        0,
        boxes=lambda outputs: outputs["boxes"] * [13.0, 10.0, 13.0, 10.0],
        scores="scores",
        objectness=lambda outputs: outputs["sure"],
        box_format="xywh",
        match="cosine",
    )
    np.testing.assert_allclose(
        attribution.drise(detector, IMAGES[:1], decoded, **OPTIONS)[0], together[0], rtol=1e-4, atol=1e-6
    )


@pytest.mark.slow
def test_the_map_does_not_depend_on_how_many_masks_run_at_once(detector, monkeypatch):
    expected = attribution.drise(detector, IMAGES, target(), **OPTIONS)
    for rows in (1, 4, 8):  # 2 images: 1, 2 and 4 masks at once, of 9
        monkeypatch.setattr("kerasal.attribution.perturbation.masked_scores.chunk_size", lambda inputs, rows=rows: rows)
        model = keras.models.clone_model(detector)
        model.set_weights(detector.get_weights())
        maps = attribution.drise(model, IMAGES, target(), **OPTIONS)
        assert np.abs(maps - expected).max() < 1e-5 * np.abs(expected).max()


def test_a_linear_score_has_the_map_of_the_covariance_of_its_masks():
    """Of a score Σ a x, the map is Σ a x · cov(mask there, mask here) / mean mask here, over the masks drawn."""
    inputs = keras.Input((10, 13, 3))
    model = keras.Model(inputs, L.Dense(1, use_bias=False)(L.Flatten()(inputs)))
    weights = model.layers[-1].kernel.numpy().reshape(10, 13, 3)
    parts = (IMAGES[0] * weights).sum(-1).ravel()
    masks = make_masks((10, 13), (2, 3), 0.4, 5).draw(tf.range(40)).numpy().reshape(40, -1).astype(np.float64)
    centered = masks - masks.mean(0)
    expected = (centered.T @ (centered @ parts) / 40 / masks.mean(0)).reshape(10, 13)
    actual = attribution.drise(model, IMAGES[0], 0, **OPTIONS | {"samples": 40})[0]
    assert np.abs(actual - expected).max() < 1e-5 * np.abs(expected).max()


def test_a_position_that_no_mask_keeps_gets_0(detector):
    options = {"samples": 1, "cells": 2, "probability": 0.3}
    mask = draw(0, (10, 13), (2, 2), 0.3, 0)
    assert 0 < (mask == 0).sum() < mask.size
    maps = attribution.drise(detector, IMAGES[:1], target(), subtract_mean=False, **options)[0]
    assert np.all(maps[mask == 0] == 0) and np.all(maps[mask > 0] > 0)


def test_signals_features_and_an_image_beside_metadata():
    signal = keras.Input((24, 2))
    model = keras.Model(signal, L.Dense(3)(L.GlobalMaxPooling1D()(L.Conv1D(4, 3)(signal))))
    assert attribution.drise(model, RNG.normal(size=(2, 24, 2)), 1, samples=20).shape == (2, 24)
    features = keras.Input((6,))
    model = keras.Model(features, L.Dense(1, use_bias=False)(features))
    model.layers[-1].set_weights([np.arange(6.0)[:, None]])
    maps = attribution.drise(model, np.ones((1, 6)), 0, samples=4000)[0]
    # A feature that is kept adds its part; the mean score holds half of it.
    np.testing.assert_allclose(maps, np.arange(6) / 2, atol=0.2)
    image, meta = keras.Input((8, 8, 3)), keras.Input((4,))
    joined = L.Concatenate()([L.GlobalAveragePooling2D()(L.Conv2D(3, 3)(image)), meta])
    model = keras.Model([image, meta], L.Dense(3)(joined))
    maps, none = attribution.drise(model, [IMAGES[:, :8, :8], np.ones((2, 4))], 1, samples=5)
    assert maps.shape == (2, 8, 8) and none is None


def test_a_bar_counts_masked_images(detector, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr("kerasal.attribution.graph_bar.progress_bar", _spy(seen))
    plain = attribution.drise(detector, IMAGES, target(), **OPTIONS)
    assert not seen
    np.testing.assert_array_equal(attribution.drise(detector, IMAGES, target(), progress=True, **OPTIONS), plain)
    assert seen[0] == ("drise", 18) and sum(seen[1:]) == 18


def test_what_is_refused(detector):
    for options, text in (
        ({"samples": 0}, "samples must be a positive integer, got 0"),
        ({"cells": 0}, "cells must be a positive integer, or None, got 0"),
        ({"cells": (2, 3, 4)}, r"one for each of the 2 sides, got \(2, 3, 4\)"),
        ({"cells": 11}, "cells must be at most the sides of the input, 10 × 13, got 11"),
        ({"probability": 1.0}, r"probability must be a number above 0 and below 1, got 1\.0"),
        ({"fill": "gray"}, '"mean" or "blur"'),
    ):
        with pytest.raises(ValueError, match=text):
            attribution.drise(detector, IMAGES, target(), **options)


def _spy(seen):
    class Bar:
        def __init__(self, description, steps):
            seen.append((description, steps))

        def __enter__(self):
            return seen.append

        def __exit__(self, *_):
            pass

    return Bar
