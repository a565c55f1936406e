"""What must hold for any map: invariances, fixed points, agreement with slow definitions, and untouched inputs."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kerasal import metrics
from kerasal.metrics._maps import as_map
from kerasal.metrics._sums import count_above
from kerasal.metrics.step_areas import thresholds

SHAPE = (9, 11)
hypothesis.settings.register_profile("quick", max_examples=60, deadline=None, derandomize=True)
hypothesis.settings.load_profile("quick")

smooth = arrays(np.float64, SHAPE, elements=st.floats(0, 1, width=32), fill=st.nothing())
tied = arrays(np.int64, SHAPE, elements=st.integers(0, 6), fill=st.nothing())
maps = st.one_of(smooth, tied).filter(lambda a: a.min() != a.max())
fixations = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 8)), min_size=1, max_size=20).map(np.array)


def pixels_of(points):
    return sorted({(y, x) for x, y in points.tolist()})


def slow_auc(saliency, points, negatives, duplicates):
    fixated = pixels_of(points)
    positive = [saliency[y, x] for x, y in points] if duplicates else [saliency[p] for p in fixated]
    q = (
        saliency.ravel()
        if negatives == "all"
        else np.array([v for p, v in np.ndenumerate(saliency) if p not in fixated])
    )
    return np.mean([np.mean(s > q) + np.mean(s == q) / 2 for s in positive])


def slow_judd(saliency, points):
    positive = sorted((saliency[p] for p in pixels_of(points)), reverse=True)
    n, size = len(positive), saliency.size
    tp, fp = [0.0], [0.0]
    for i, threshold in enumerate(positive, 1):
        tp.append(i / n)
        fp.append((np.sum(saliency >= threshold) - i) / (size - n))
    return np.trapezoid([*tp, 1.0], [*fp, 1.0])


@hypothesis.given(maps, fixations, st.sampled_from(["unfixated", "all"]), st.booleans())
def test_auc_is_its_slow_definition(saliency, points, negatives, duplicates):
    fast = metrics.auc(saliency, points, negatives=negatives, duplicates=duplicates)
    assert fast == pytest.approx(slow_auc(saliency, points, negatives, duplicates), abs=1e-12)


@hypothesis.given(maps, fixations)
def test_judd_is_its_slow_definition(saliency, points):
    assert metrics.auc_judd(saliency, points) == pytest.approx(slow_judd(saliency, points), abs=1e-12)


@hypothesis.given(st.permutations(range(99)).map(lambda order: np.reshape(order, SHAPE)), fixations)
def test_jitter_changes_nothing_without_ties(saliency, points):
    assert metrics.auc_judd(saliency, points, jitter=True) == pytest.approx(
        metrics.auc_judd(saliency, points), abs=1e-12
    )


@pytest.mark.parametrize("duplicates", [False, True])
def test_jitter_is_the_mean_over_random_orders(duplicates):
    random = np.random.default_rng(4)
    saliency = random.integers(0, 4, SHAPE)
    points = np.stack([random.integers(0, 11, 12), random.integers(0, 9, 12)], axis=1)
    points = np.vstack([points, points[:5]])
    drawn = [metrics.auc_judd(saliency + random.random(SHAPE) / 2, points, duplicates=duplicates) for _ in range(4000)]
    error = np.std(drawn) / np.sqrt(len(drawn))
    assert abs(metrics.auc_judd(saliency, points, jitter=True, duplicates=duplicates) - np.mean(drawn)) < 4 * error


@hypothesis.given(
    maps, fixations, st.sampled_from([np.exp, np.cbrt, lambda a: 3 * a - 7, lambda a: a.astype(float) ** 3])
)
def test_auc_is_invariant_under_monotone_maps(saliency, points, change):
    changed = change(saliency.astype(float))
    hypothesis.assume(np.unique(changed).size == np.unique(saliency).size)  # rounding may merge values
    for function in (metrics.auc, metrics.auc_judd, lambda s, f: metrics.auc_judd(s, f, jitter=True)):
        assert function(changed, points) == function(saliency, points)


@hypothesis.given(maps, fixations, st.floats(0.01, 100), st.floats(-10, 10))
def test_nss_and_cc_are_invariant_under_affine_maps(saliency, points, slope, offset):
    hypothesis.assume(np.std(saliency) > 1e-3)
    density = metrics.blur_fixations(points, 1.5, SHAPE)
    changed = slope * saliency + offset
    assert metrics.nss(changed, points) == pytest.approx(metrics.nss(saliency, points), abs=1e-6)
    assert metrics.cc(changed, density) == pytest.approx(metrics.cc(saliency, density), abs=1e-6)


@hypothesis.given(maps, fixations)
def test_fixed_points(saliency, points):
    assert metrics.similarity(saliency, saliency) == pytest.approx(1, abs=1e-12)
    assert metrics.similarity(saliency, saliency, normalization="sum") == pytest.approx(1, abs=1e-12)
    assert metrics.kld(saliency, saliency) == pytest.approx(0, abs=1e-10)
    assert metrics.cc(saliency, saliency) == pytest.approx(1, abs=1e-12)
    assert metrics.emd(saliency, saliency, downsize=1) == 0
    assert metrics.information_gain(saliency, points, saliency) == 0


@hypothesis.given(maps, fixations, st.booleans())
def test_duplicates_are_weights(saliency, points, as_map):
    counts = np.zeros(SHAPE)
    np.add.at(counts, (points[:, 1], points[:, 0]), 1)
    given_points = counts if as_map else points
    standard = (saliency - np.mean(saliency)) / np.std(saliency, ddof=1)
    once = np.mean([standard[p] for p in pixels_of(points)])
    every = np.mean([standard[y, x] for x, y in points])
    assert metrics.nss(saliency, given_points) == pytest.approx(once, abs=1e-9)
    assert metrics.nss(saliency, given_points, duplicates=True) == pytest.approx(every, abs=1e-9)


@hypothesis.given(maps, fixations)
def test_coordinates_and_maps_are_the_same(saliency, points):
    fixation_map = np.zeros(SHAPE, np.uint8)
    np.add.at(fixation_map, (points[:, 1], points[:, 0]), 1)
    for duplicates in (False, True):
        for function in (metrics.auc, metrics.auc_judd, metrics.auc_borji, metrics.nss):
            one, other = (function(saliency, f, duplicates=duplicates) for f in (points, fixation_map))
            assert one == other


@hypothesis.given(maps, fixations, fixations)
def test_inputs_are_never_changed(saliency, points, others):
    density = metrics.blur_fixations(points, 1.5, SHAPE)
    given_ones = (saliency, points, others, density)
    before = [array.copy() for array in given_ones]
    for array in given_ones:
        array.setflags(write=False)
    metrics.auc(saliency, points)
    metrics.auc_judd(saliency, points, jitter=True)
    metrics.auc_borji(saliency, points, splits=3)
    metrics.auc_shuffled(saliency, points, others)
    metrics.nss(saliency, points)
    metrics.information_gain(saliency, points, density + saliency)
    metrics.cc(saliency, density + saliency)
    metrics.similarity(saliency, density + saliency)
    metrics.kld(saliency, density + saliency)
    metrics.emd(saliency, density, downsize=3)
    for array, copy in zip(given_ones, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@hypothesis.given(st.one_of(maps, smooth.map(lambda a: a**8).filter(lambda a: a.min() != a.max())), st.integers(1, 40))
def test_counting_is_exact(saliency, count):
    checked = as_map(saliency, "saliency_map")
    wanted = np.unique(checked.values[:count])
    above, equal = count_above(checked.values, wanted, checked.low, checked.high)
    assert above.tolist() == [int(np.sum(checked.values > t)) for t in wanted]
    assert equal.tolist() == [int(np.sum(checked.values == t)) for t in wanted]


@hypothesis.given(maps, st.sampled_from([0.1, 0.01, 0.3, 1.0]))
def test_thresholds_pass_what_the_scaled_map_passes(saliency, step):
    checked = as_map(saliency, "saliency_map")
    scaled = (checked.values - checked.low) / (checked.high - checked.low)
    cuts = thresholds(checked, step)
    wanted = [t for t in np.arange(0, 101) * step if t <= 1]
    passed = {int(np.sum(scaled >= t)) for t in wanted}
    assert passed == {int(np.sum(checked.values >= cut)) for cut in cuts}


def test_shuffled_auc_of_a_center_prior_is_chance():
    random = np.random.default_rng(5)
    shape, images = (240, 320), 60
    points = [np.clip(random.normal((160, 120), (64, 48), (80, 2)), 0, (319.9, 239.9)) for _ in range(images)]
    prior = metrics.center_map(shape)
    scores = [
        metrics.auc_shuffled(prior, points[i], np.vstack((points + points)[i + 1 : i + 11])) for i in range(images)
    ]
    assert abs(np.mean(scores) - 0.5) < 0.01
    assert np.mean([metrics.auc_borji(prior, one) for one in points]) > 0.6


def test_emd_of_shifted_points_is_their_distance():
    one, other = np.zeros((2, 8, 8))
    one[2, 1] = other[2, 6] = 1
    assert metrics.emd(one, other, downsize=1) == pytest.approx(5, abs=1e-12)
    other[2, 6], other[5, 5] = 0, 1
    assert metrics.emd(one, other, downsize=1) == pytest.approx(5, abs=1e-12)  # 3, 4, 5


def test_borji_and_shuffled_agree_when_the_pool_is_the_image():
    random = np.random.default_rng(6)
    saliency = random.random(SHAPE)
    points = np.array([(2, 3), (8, 8)])
    assert metrics.auc_shuffled(saliency, points, np.ones(SHAPE)) == pytest.approx(
        metrics.auc_borji(saliency, points), abs=1e-12
    )
    assert metrics.auc(saliency, points, negatives=np.ones(SHAPE)) == pytest.approx(
        metrics.auc(saliency, points, negatives="all"), abs=1e-12
    )


def test_seeds_repeat_the_draws():
    random = np.random.default_rng(7)
    saliency = random.random(SHAPE)
    points, others = np.array([(2, 3), (8, 8), (4, 4)]), np.stack([random.integers(0, 9, 20)] * 2, axis=1)
    for function in (metrics.auc_borji, lambda s, f, **k: metrics.auc_shuffled(s, f, others, **k)):
        assert function(saliency, points, splits=20, seed=1) == function(saliency, points, splits=20, seed=1)
        assert function(saliency, points, splits=20, seed=1) != function(saliency, points, splits=20, seed=2)
