"""What is done to the image before each look: known angles and factors, exact adjoints, seeds."""

import numpy as np
import pytest

from kerasal.maximization import Jitter, Rotation, Scale, TotalVariation
from kerasal.maximization.image_priors import _sample_around

import tensorflow as tf

TRANSFORMS = [Jitter(2), Rotation(30.0), Scale(0.7, 1.4)]


@pytest.fixture
def pictures():
    return np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)


def test_nothing_to_do_does_nothing(pictures):
    for transform in (Jitter(0), Rotation(0.0), Scale(1.0, 1.0)):
        np.testing.assert_allclose(transform(tf.constant(pictures), tf.constant([1, 2])), pictures, atol=1e-5)


def test_a_quarter_turn_and_a_doubling(pictures):
    turned = _sample_around(tf.constant(pictures), 0.0, 1.0).numpy()
    np.testing.assert_allclose(turned, np.rot90(pictures, axes=(1, 2)), atol=1e-5)
    doubled = Scale(2.0, 2.0)(tf.constant(pictures), tf.constant([1, 2])).numpy()
    # Six pixels doubled: the middle three of twelve on each side, at quarters between pixels.
    row = np.float32([1.25, 1.75, 2.25, 2.75, 3.25, 3.75])
    low, share = row.astype(int), (row % 1)[:, None]
    columns = pictures[:, :, low] * (1 - share) + pictures[:, :, low + 1] * share
    share = share[..., None]
    np.testing.assert_allclose(doubled, columns[:, low] * (1 - share) + columns[:, low + 1] * share, atol=1e-5)


def test_small_images_are_jittered_less():
    ramp = tf.broadcast_to(tf.range(28.0)[:, None, None], (1, 28, 28, 1))
    firsts = {float(Jitter(16, share=1 / 14)(ramp, tf.constant([0, step]))[0, 0, 0, 0]) for step in range(40)}
    assert firsts == {26.0, 27.0, 0.0, 1.0, 2.0}


def test_outside_the_image_its_edge_repeats():
    ramp = np.broadcast_to(np.arange(6, dtype=np.float32)[:, None, None], (1, 6, 6, 1))
    smaller = Scale(0.5, 0.5)(tf.constant(ramp), tf.constant([0, 0])).numpy()[0, :, 0, 0]
    np.testing.assert_allclose(smaller, [0, 0, 1.5, 3.5, 5, 5], atol=1e-5)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_the_gradient_is_the_adjoint(transform, pictures):
    """For a linear T the gradient of y·T(x) is Tᵀy, so that x·Tᵀy = y·T(x)."""
    weights = np.random.default_rng(1).normal(size=pictures.shape).astype(np.float32)
    x, seed = tf.constant(pictures), tf.constant([5, 3])
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = tf.reduce_sum(weights * transform(x, seed))
    assert np.sum(tape.gradient(score, x) * pictures) == pytest.approx(float(score), rel=1e-4)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_draws_follow_the_seed_and_are_the_same_for_all_images(transform, pictures):
    first = transform(tf.constant(pictures), tf.constant([1, 1])).numpy()
    np.testing.assert_array_equal(transform(tf.constant(pictures), tf.constant([1, 1])), first)
    others = [transform(tf.constant(pictures), tf.constant([1, step])).numpy() for step in range(2, 6)]
    assert sum(np.abs(other - first).max() > 0.1 for other in others) >= 3
    np.testing.assert_allclose(transform(tf.constant(pictures[1:]), tf.constant([1, 1]))[0], first[1], atol=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Jitter(-1), "0 or a positive integer, got -1"),
        (lambda: Jitter(1.5), "0 or a positive integer, got 1.5"),
        (lambda: Jitter(3, share=2.0), r"share of Jitter must be a finite number in 0\.\.1, got 2\.0"),
        (lambda: Rotation(200), r"degrees of Rotation must be a finite number in 0\.\.180, got"),
        (lambda: Rotation(float("nan")), r"degrees of Rotation must be a finite number in 0\.\.180, got"),
        (lambda: Scale(0, 1), "0 < low"),
        (lambda: Scale(1.2, 1.1), "0 < low"),
    ],
)
def test_wrong_amounts(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_total_variation_is_the_sum_of_differences(pictures):
    wanted = sum(np.abs(np.diff(pictures, axis=axis)).sum(axis=(1, 2, 3)) for axis in (1, 2))
    np.testing.assert_allclose(TotalVariation(0.5)(tf.constant(pictures)), 0.5 * wanted, rtol=1e-5)


SHAPES = [(2, 9, 3), (2, 5, 6, 3), (2, 4, 9, 10, 2)]


@pytest.mark.parametrize("shape", SHAPES)
def test_total_variation_is_that_along_every_position_axis(shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    axes = range(1, len(shape) - 1)
    expected = sum(np.abs(np.diff(values, axis=axis)).reshape(2, -1).sum(axis=1) for axis in axes)
    np.testing.assert_allclose(TotalVariation(0.5)(tf.constant(values)), 0.5 * expected, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shift_is_along_every_position_axis(shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    sides = shape[1:-1]
    limits = [min(2, side // 4) for side in (sides if len(sides) > 2 else [min(sides)] * len(sides))]
    seen = set()
    for step in range(60):
        shifted = Jitter(2, share=0.25)(tf.constant(values), tf.constant([0, step])).numpy()
        (shift,) = (
            shift
            for shift in np.ndindex(*sides)
            if np.array_equal(np.roll(values, shift, axis=range(1, len(sides) + 1)), shifted)
        )
        seen.add(tuple(s - side if s > side // 2 else s for s, side in zip(shift, sides, strict=True)))
    for axis, limit in enumerate(limits):
        assert {shift[axis] for shift in seen} == set(range(-limit, limit + 1))


@pytest.mark.parametrize("shape", [(1, 9, 1), (1, 5, 7, 9, 1)])
def test_signals_and_volumes_are_scaled_about_their_center(shape):
    grids = np.meshgrid(*(np.arange(side) - (side - 1) / 2 for side in shape[1:-1]), indexing="ij")
    for axis, grid in enumerate(grids):
        ramp = tf.constant(grid.reshape(shape).astype(np.float32))
        enlarged = Scale(2.0, 2.0)(ramp, tf.constant([0, 0])).numpy().reshape(shape[1:-1])
        np.testing.assert_allclose(enlarged, grid / 2, atol=1e-5)
        reduced = Scale(0.5, 0.5)(ramp, tf.constant([0, 0])).numpy().reshape(shape[1:-1])
        edge = (shape[1 + axis] - 1) / 2
        np.testing.assert_allclose(reduced, np.clip(2 * grid, -edge, edge), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 9, 1), (1, 5, 7, 9, 1)])
def test_only_images_are_rotated(shape):
    with pytest.raises(ValueError, match=r"Rotation must get images \(N, H, W, C\)"):
        Rotation(5.0)(tf.zeros(shape), tf.constant([0, 0]))
