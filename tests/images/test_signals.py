"""Signals with a map: the color is where the map is strong, evidence keeps its sign, nothing strong is lost."""

import numpy as np
import pytest

from kerasal import images

STEPS = np.linspace(0, 6, 120)
WAVE = np.sin(STEPS)
SPOT = np.exp(-((np.arange(120) - 90) ** 2) / 20)


def colorfulness(picture):
    """Return how far each column is from gray."""
    return np.ptp(picture.astype(int), axis=2).max(axis=0)


def reds(picture):
    """Return the number of clearly red and of clearly blue pixels."""
    more = picture[..., 0].astype(int) - picture[..., 2]
    return int((more > 60).sum()), int((more < -60).sum())


def test_the_line_is_colored_where_the_map_is_strong():
    picture = images.signal(WAVE, SPOT, width=600)
    columns = np.flatnonzero(colorfulness(picture) > 60)
    place = (columns.mean() - columns.min()) / 2 + columns.min()
    left = 600 - 12 - (600 - 12) * 29 / 120  # sample 90 of 120, counted from the right end
    assert columns.size and abs(place - left) < 20
    assert not (colorfulness(images.signal(WAVE, width=600)) > 10).any()  # without a map


def test_evidence_against_is_never_drawn_as_evidence_for():
    positive, negative = (reds(images.signal(WAVE, sign * SPOT, signed=True)) for sign in (1, -1))
    assert positive[0] > 100 and positive[1] == 0
    assert negative[1] > 100 and negative[0] == 0
    assert reds(images.signal(WAVE, -SPOT)) == negative  # a map with negative values has a sign
    assert sum(reds(images.signal(WAVE, -SPOT, signed=False))) == 0  # and is 0 where it must have none


def test_each_channel_has_its_lane_and_its_map():
    series = np.stack([WAVE, 1000 * WAVE, -WAVE], axis=1)
    values = np.zeros((120, 3))
    values[:, 1] = SPOT
    picture = images.signal(series, values, names=["x", "y", "z"])
    colored = np.flatnonzero(np.ptp(picture.astype(int), axis=2).max(axis=1) > 60)
    height = (len(picture) - 60) / 3
    assert height * 0.9 < colored.min() and colored.max() < 2.1 * height
    shared = np.flatnonzero(np.ptp(images.signal(series, SPOT).astype(int), axis=2).max(axis=1) > 20)
    assert shared.min() < height < 2 * height < shared.max()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_a_map_looks_the_same_at_any_scale(scale):
    np.testing.assert_array_equal(images.signal(WAVE, SPOT * scale), images.signal(WAVE, SPOT))


def test_a_single_strong_sample_of_many_is_visible():
    series, values = np.random.default_rng(0).normal(size=50_000), np.zeros(50_000)
    values[20_000] = -1
    values[20_001] = 0.5
    picture = images.signal(series, values)
    assert reds(picture)[1] > 50
    lane = (picture[:200] < 200).all(axis=2).sum()
    assert lane > 30_000  # the range of the values, not one sample of each column


def test_seconds_samples_and_names_are_written():
    plain = images.signal(WAVE)
    assert (images.signal(WAVE, rate=10) != plain).any()
    assert images.signal(WAVE, names=["a long name of a channel"]).shape == plain.shape
    assert (images.signal(WAVE, names=["a"])[:, :60] != plain[:, :60]).any()


@pytest.mark.parametrize("series", [np.zeros(5), np.ones((1, 1)), np.full((7, 40), 3e7), np.zeros((4, 2), np.uint8)])
def test_flat_short_and_wide_signals_are_drawn(series):
    assert images.signal(series, np.ones(len(series))).shape[1] == 900


def test_of_many_channels_those_with_the_strongest_map_are_drawn():
    series, values = np.zeros((20, 64)), np.zeros((20, 64))
    values[5, 63] = 1
    assert colorfulness(images.signal(series, values)).max() > 30


@pytest.mark.parametrize(
    ("series", "values", "options", "message"),
    [
        (np.zeros((2, 3, 4)), None, {}, r"A signal must be numbers \(T,\) or \(T, C\).*Pass one signal at a time"),
        (np.zeros((0, 4)), None, {}, "at least one sample"),
        (np.array([1.0, np.nan]), None, {}, "A signal must be finite, got 1 NaN"),
        (WAVE, SPOT[1:], {}, r"The map must be \(120,\) or \(120, 1\), as the signal, got \(119,\)"),
        (WAVE, np.zeros((120, 2)), {}, r"got \(120, 2\)"),
        (WAVE, np.zeros((1, 120, 2)), {}, r"The map must be \(T,\) or \(T, C\)"),
        (WAVE, np.where(SPOT > 0.5, np.inf, 0), {}, "The map must be finite"),
        (WAVE, SPOT, {"names": ["a", "b"]}, "names must hold 1 texts"),
        (WAVE, SPOT, {"rate": 0}, "rate must be a finite number above 0, or None"),
        (WAVE, SPOT, {"strength": 2}, "strength"),
        (WAVE, -SPOT, {"colormap": "viridis"}, "colormap must be diverging"),
        (WAVE, SPOT, {"width": 20}, "width must be an integer of at least 200"),
    ],
)
def test_what_cannot_be_drawn_is_refused(series, values, options, message):
    with pytest.raises(ValueError, match=message):
        images.signal(series, values, **options)
