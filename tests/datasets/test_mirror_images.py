"""Stored mirror images: found when equal or rounded, and nothing else is taken for one."""

import numpy as np

from kerasal.datasets.mirror_images import LEVELS, find_mirror_images

RANDOM = np.random.default_rng(4)
IMAGES = RANDOM.integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
DENSITIES = RANDOM.random((6, 8, 8)).astype(np.float32)


def test_equal_mirror_images_are_paired_in_any_order():
    images = np.concatenate([IMAGES, IMAGES[[4, 2], :, ::-1]])
    assert find_mirror_images(images).tolist() == [-1, -1, 7, -1, 6, -1, 4, 2]


def test_mirror_images_that_differ_by_rounding_are_paired():
    """Resized before or after mirroring, an image differs by a level in some pixels."""
    rounded = np.clip(IMAGES[:, :, ::-1].astype(int) + RANDOM.integers(-1, 2, IMAGES.shape), 0, 255).astype(np.uint8)
    partner = find_mirror_images(np.concatenate([IMAGES, rounded]))
    assert partner.tolist() == [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]
    changed = np.clip(IMAGES[:, :, ::-1].astype(int) + 9, 0, 255).astype(np.uint8)
    assert (find_mirror_images(np.concatenate([IMAGES, changed])) == -1).all()


def test_small_objects_on_one_ground_are_not_taken_for_each_other():
    """The mean difference of two such images is small, whatever they show."""
    images = np.full((2, 48, 48, 3), 30, np.uint8)
    images[0, 8:14, 8:14] = images[1, 8:14, 20:26] = 230
    images[:, ::2] = 30  # half as many bright pixels
    assert np.abs(images[0] - images[1][:, ::-1].astype(float)).mean() < LEVELS
    assert (find_mirror_images(images) == -1).all()
    assert find_mirror_images(np.stack([images[0], images[0][:, ::-1]])).tolist() == [1, 0]


def test_copies_are_no_mirror_images():
    assert (find_mirror_images(np.concatenate([IMAGES, IMAGES])) == -1).all()


def test_an_image_has_one_partner():
    """Three mirror images of one image, as in a data set with copies."""
    images = np.concatenate([IMAGES[:1], IMAGES[:1, :, ::-1], IMAGES[:1, :, ::-1], IMAGES[:1]])
    assert find_mirror_images(images).tolist() == [1, 0, 3, 2]


def test_the_density_must_be_mirrored_too():
    images = np.concatenate([IMAGES, IMAGES[:, :, ::-1]])
    assert (find_mirror_images(images, np.concatenate([DENSITIES, DENSITIES])) == -1).all()
    assert (find_mirror_images(images, np.concatenate([DENSITIES, DENSITIES[:, :, ::-1]])) >= 0).all()


def test_other_arrays_must_be_equal():
    inputs = RANDOM.normal(size=(3, 8, 8, 3)).astype(np.float32)
    assert find_mirror_images(np.concatenate([inputs, inputs[:, :, ::-1]])).tolist() == [3, 4, 5, 0, 1, 2]
    assert (find_mirror_images(np.concatenate([inputs, inputs[:, :, ::-1] + 1e-6])) == -1).all()


def test_nothing_to_pair():
    assert find_mirror_images(np.zeros((0, 4, 4, 3), np.uint8)).tolist() == []
    assert find_mirror_images(IMAGES[:1]).tolist() == [-1]
