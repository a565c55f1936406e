"""The center-surround score of ideal shapes: high for centers in surrounds, low for everything else."""

import numpy as np
import pytest

from kerasal import receptive_field

SIDE = 41
Y, X = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
RADIUS = np.hypot(X, Y)


def gaussian(sigma):
    return np.exp(-(RADIUS**2) / (2 * sigma**2))


def ring(radius, sigma=3.0):
    return np.exp(-((RADIUS - radius) ** 2) / (2 * sigma**2))


def color(*channels):
    return np.stack([np.broadcast_to(channel, X.shape) for channel in channels], axis=-1)


DOG = gaussian(3) - gaussian(6) / 4  # the volumes of center and surround cancel


@pytest.mark.parametrize("sign", [1, -1])
def test_a_difference_of_gaussians_is_center_and_surround(sign):
    for pattern in (sign * DOG, sign * DOG[..., None] * np.array([0.5, -1, 0.5])):
        found = receptive_field.center_surround(pattern)
        assert found.score > 0.95
        assert found.widths == pytest.approx((3, 6), rel=0.05)
        assert found.fit > 0.99
        assert found.polarity == (sign if pattern.ndim == 2 else -sign)  # the largest entry of the color is positive
        assert found.score == pytest.approx(found.symmetry * found.balance * found.contrast)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("a bright center in a dark ring on gray", 0.5 + 0.5 * DOG),
        ("a dark center in a bright ring on gray", 0.5 - 0.5 * DOG),
        ("a red center in a blue ring on black", color(gaussian(3), 0, ring(10))),
        ("a yellow center in a blue ring on black", color(gaussian(3), gaussian(3), ring(10))),
        ("a bright ring around a black center on black", ring(10)),
        ("a dot, a dark ring, a bright ring", gaussian(2.5) + ring(12, 2)),
    ],
)
def test_patterns_without_negative_values_have_surrounds_too(name, pattern):
    assert pattern.min() >= 0
    assert receptive_field.center_surround(pattern).score > 0.85, name


def test_the_axis_of_colors_is_found():
    found = receptive_field.center_surround(color(gaussian(3), 0, ring(10)))
    np.testing.assert_allclose(found.color, np.array([1, 0, -1]) / np.sqrt(2))
    assert found.polarity == 1
    swapped = receptive_field.center_surround(color(ring(10), 0, gaussian(3)))
    assert swapped.polarity == -1
    five = np.zeros((SIDE, SIDE, 5))
    five[..., 1], five[..., 4] = gaussian(3), ring(10)
    found = receptive_field.center_surround(five)
    assert found.score > 0.85
    np.testing.assert_allclose(found.color, np.array([0, 1, 0, 0, -1]) / np.sqrt(2))


def test_the_score_depends_neither_on_the_strength_nor_on_a_gray_ground():
    plain = receptive_field.center_surround(DOG)
    for pattern in (1e-6 * DOG, 1e6 * DOG):
        assert receptive_field.center_surround(pattern).score == pytest.approx(plain.score, abs=1e-6)
    for ground in (1, 10):
        assert receptive_field.center_surround(DOG + ground).score == pytest.approx(plain.score, abs=0.05)


def test_a_faint_ring_counts_little():
    scores = [receptive_field.center_surround(gaussian(3) - share * gaussian(6) / 4).score for share in (0.1, 0.5, 1)]
    assert scores[0] < 0.1 < scores[1] < 0.9 < scores[2]
    dimple = receptive_field.center_surround(gaussian(8) - 0.05 * gaussian(2))
    assert dimple.score < 0.05


@pytest.mark.parametrize(
    ("name", "pattern", "most"),
    [
        ("blob", gaussian(4), 1e-6),
        ("red blob", color(gaussian(4), 0, 0), 1e-6),
        ("orange blob", color(gaussian(4), gaussian(4) / 2, gaussian(4) / 10), 1e-6),
        ("a blob that ends sooner than a Gaussian", np.exp(-((RADIUS / 10) ** 4)), 0.01),
        ("cone", np.maximum(0, 1 - RADIUS / 14), 0.01),
        ("disc", (RADIUS < 10).astype(float), 0.01),
        ("a bright spot on gray", 0.5 + 0.5 * gaussian(3), 1e-6),
        ("a dark spot on gray", 0.5 - 0.5 * gaussian(3), 1e-6),
        ("a difference of Gaussians without its negative part", np.maximum(DOG, 0), 1e-6),
        ("edge", X * gaussian(6), 0.01),
        ("edge on gray", 0.5 + X * gaussian(6) / 8, 0.01),
        ("bar", np.exp(-(X**2) / 18) * gaussian(9), 0.01),
        ("grating", gaussian(6) * np.cos(0.7 * X), 0.3),
        ("noise", np.random.default_rng(0).normal(size=(SIDE, SIDE, 3)), 0.05),
        ("a difference of Gaussians beside the middle", np.roll(DOG, 8, axis=1), 0.05),
        ("one value", np.ones((SIDE, SIDE)), 1e-6),
    ],
)
def test_blobs_edges_bars_and_noise_are_not(name, pattern, most):
    assert receptive_field.center_surround(pattern).score <= most, name


def test_the_parts_of_the_score():
    assert receptive_field.center_surround(X * gaussian(6)).symmetry < 0.01
    blob = receptive_field.center_surround(gaussian(4))
    assert blob.symmetry > 0.95
    assert (blob.balance, blob.contrast) == (0, 0)
    half = receptive_field.center_surround(gaussian(3) - gaussian(6) / 8)
    assert half.balance == pytest.approx(volumes(gaussian(3) - gaussian(6) / 8), rel=0.05)
    empty = receptive_field.center_surround(np.zeros((9, 9, 3)))
    assert (empty.score, empty.polarity) == (0, 0)


def volumes(values):
    inside = values[RADIUS <= SIDE / 2]
    return -inside[inside < 0].sum() / inside[inside > 0].sum()


def test_unusable_patterns():
    for bad in (np.zeros((2, 9)), np.zeros(9)):
        with pytest.raises(ValueError, match=r"sides of at least 3 pixels, got shape \((2, )?9,?\)"):
            receptive_field.center_surround(bad)
    with pytest.raises(ValueError, match="pattern must have finite values, got NaN"):
        receptive_field.center_surround(np.full((9, 9), np.nan))
