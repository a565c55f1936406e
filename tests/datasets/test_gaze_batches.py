"""Batches for training: what is in them, mirrored together, in an order that seed and pass decide alone."""

import numpy as np
import pytest
from PIL import Image

from kerasal.datasets import GazeDataset
from kerasal.datasets.gaze_batches import load_arrays

SIZE, MAP = (12, 16), (6, 8)


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (24, 32, 3)).astype(np.uint8) for _ in range(10)]
    return GazeDataset(images, [random.uniform(0, (32, 24), (7, 2)) for _ in range(10)])


def collect(batches):
    return [tuple(part.numpy() for part in batch) for batch in batches]


def test_shapes_ranges_and_values(data):
    batches = data.to_tf_data(SIZE, MAP, batch=4, sigma=2.0)
    assert int(batches.cardinality()) == 3
    assert [part.shape.as_list() for part in batches.element_spec] == [[None, *SIZE, 3], [None, *MAP]]
    found = collect(batches)
    assert [len(images) for images, _ in found] == [4, 4, 2]
    assert found[0][0].dtype == found[0][1].dtype == np.float32
    np.testing.assert_allclose(found[0][0][0], data.image(0).reshape(12, 2, 16, 2, 3).mean((1, 3)), atol=0.51)
    np.testing.assert_allclose(found[1][1][1], data.density(5, MAP, 2.0), atol=1e-6)


def test_targets_and_preprocessing(data):
    (images, counts), *_ = collect(data.to_tf_data(SIZE, MAP, batch=10, target="fixations"))
    assert (counts.sum((1, 2)) == 7).all() and (counts == np.rint(counts)).all()
    (caffe, maps), *_ = collect(data.to_tf_data(SIZE, MAP, batch=10, preprocessing="caffe", target_range="pm1"))
    np.testing.assert_allclose(caffe, images[..., ::-1] - np.float32([103.939, 116.779, 123.68]), atol=1e-4)
    (unit, plain), *_ = collect(data.to_tf_data(SIZE, MAP, batch=10, preprocessing="unit"))
    np.testing.assert_allclose(unit, images / 255, atol=1e-6)
    np.testing.assert_allclose(maps, 2 * plain - 1, atol=1e-6)


def test_an_image_and_its_map_are_mirrored_together(data):
    plain = collect(data.to_tf_data(SIZE, MAP, batch=10))[0]
    batches = data.to_tf_data(SIZE, MAP, batch=10, augment=True, seed=3)
    images, maps = collect(batches)[0]
    turned = np.array([(images[i] == plain[0][i][:, ::-1]).all() for i in range(10)])
    assert 0 < turned.sum() < 10
    for index in range(10):
        step = -1 if turned[index] else 1
        np.testing.assert_array_equal(images[index], plain[0][index][:, ::step])
        np.testing.assert_array_equal(maps[index], plain[1][index][:, ::step])
    assert any((again != images).any() for again, _ in collect(batches))  # the next pass mirrors others


def test_order_depends_on_seed_and_pass_alone(data):
    def run(**options):
        return data.to_tf_data(SIZE, MAP, batch=4, shuffle=True, augment=True, index=True, **options)

    whole = run(seed=1)
    first, second, third = collect(whole), collect(whole), collect(whole)
    assert sorted(np.concatenate([numbers for _, _, numbers in first])) == list(range(10))
    assert any((a[2] != b[2]).any() for a, b in zip(first, second, strict=True))
    resumed = run(seed=1, epoch=1)
    for expected in (second, third):
        for a, b in zip(expected, collect(resumed), strict=True):
            for left, right in zip(a, b, strict=True):
                np.testing.assert_array_equal(left, right)
    assert any((a[2] != b[2]).any() for a, b in zip(first, collect(run(seed=2)), strict=True))


def test_incomplete_batches_can_be_left_out(data):
    batches = data.to_tf_data(SIZE, MAP, batch=4, shuffle=True, drop_remainder=True)
    assert [len(images) for images, _ in batches] == [4, 4] and int(batches.cardinality()) == 2
    with pytest.raises(ValueError, match="got 11 for 10 images"):
        data.to_tf_data(SIZE, MAP, batch=11, drop_remainder=True)


def test_the_centered_part_of_image_and_map():
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, 10:30] = 200
    data = GazeDataset([image], [np.array([[10.5, 3], [29.5, 19], [5, 5]])])
    _, pixels, counts = load_arrays(data, (10, 10), (10, 10), fit="crop", target="fixations")
    assert (pixels == 200).all()
    assert counts[0].sum() == 2 and counts[0][1, 0] == counts[0][9, 9] == 1
    _, _, density = load_arrays(data, (10, 10), (20, 20), fit="crop", sigma=2.0)
    np.testing.assert_allclose(density[0], data.density(0, sigma=2.0)[:, 10:30], atol=1e-6)


def test_images_of_mixed_sizes():
    images = [np.zeros((size, 2 * size, 3), np.uint8) for size in (10, 31)]
    data = GazeDataset(images, [np.array([[1, 1]])] * 2)
    assert load_arrays(data, SIZE, MAP)[1].shape == (2, *SIZE, 3)
    assert "10 x 20 (1), 31 x 62 (1)" in data.describe()


def test_what_cannot_be_trained_on_is_named_or_left_out():
    images = [np.full((8, 8, 3), shade, np.uint8) for shade in (10, 20, 30)]
    data = GazeDataset(images, [np.array([[1, 1]]), np.zeros((0, 2)), np.array([[2, 2]])], names=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"got 1 of 3 that are not \(b\)\. Image 'b' must have fixations"):
        data.to_tf_data(SIZE, MAP)
    pixels, _, numbers = collect(data.to_tf_data(SIZE, MAP, empty="skip", index=True))[0]
    assert numbers.tolist() == [0, 2] and pixels[1].max() == 30
    with pytest.raises(ValueError, match="1 of 1"):
        data.subset(["b"]).to_tf_data(SIZE, MAP, empty="skip")


def test_a_cache_is_used_again_until_something_changes(tmp_path):
    Image.fromarray(np.full((8, 8, 3), 50, np.uint8)).save(tmp_path / "a.png")

    def opened():
        return GazeDataset([tmp_path / "a.png"], [np.array([[1, 1]])])

    first = load_arrays(opened(), SIZE, MAP, cache=tmp_path / "cache")
    assert isinstance(first[1], np.memmap)
    changed = np.load(tmp_path / "cache/images.npy") + 1
    np.save(tmp_path / "cache/images.npy", changed)
    assert load_arrays(opened(), SIZE, MAP, cache=tmp_path / "cache")[1].max() == 51  # read from there
    assert load_arrays(opened(), SIZE, MAP, cache=tmp_path / "cache", sigma=1.0)[1].max() == 50
    Image.fromarray(np.full((8, 8, 3), 70, np.uint8)).save(tmp_path / "a.png")
    assert load_arrays(opened(), SIZE, MAP, cache=tmp_path / "cache", sigma=1.0)[1].max() == 70


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "densities"}, "target must be one of density, fixations"),
        ({"target_range": "255"}, "target_range must be one of"),
        ({"fit": "pad"}, "fit must be one of stretch, crop"),
        ({"empty": "keep"}, "empty must be one of error, skip"),
        ({"batch": 0}, "batch must be a positive integer, got 0"),
        ({"preprocessing": "cafe"}, "Did you mean caffe"),
    ],
)
def test_unknown_options(data, options, message):
    with pytest.raises(ValueError, match=message):
        data.to_tf_data(SIZE, MAP, **options)
