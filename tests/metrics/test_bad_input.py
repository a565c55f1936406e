"""Every case of bad input: what is raised, or exactly what comes back, with the argument and the image named."""

import functools

import numpy as np
import pytest

from kerasal import metrics

RANDOM = np.random.default_rng(0)
SHAPE = (12, 16)
MAP = RANDOM.random(SHAPE)
POINTS = np.array([[3, 2], [15, 11], [0, 0], [7, 7]])
OTHERS = np.array([[5, 5], [6, 8], [9, 3]])
FIXATION_MAP = np.zeros(SHAPE)
FIXATION_MAP[POINTS[:, 1], POINTS[:, 0]] = 1
DENSITY = metrics.blur_fixations(POINTS, 2.0, SHAPE)

AT_FIXATIONS = {
    "auc": metrics.auc,
    "auc_judd": metrics.auc_judd,
    "auc_judd_jitter": lambda s, f, **k: metrics.auc_judd(s, f, jitter=True, **k),
    "auc_borji": metrics.auc_borji,
    "auc_shuffled": lambda s, f, **k: metrics.auc_shuffled(s, f, OTHERS, **k),
    "nss": metrics.nss,
    "information_gain": lambda s, f, **k: metrics.information_gain(s, f, DENSITY, **k),
}
ON_DENSITIES = {
    "cc": metrics.cc,
    "similarity": metrics.similarity,
    "kld": metrics.kld,
    "emd": functools.partial(metrics.emd, downsize=4),
}
ALL = {**AT_FIXATIONS, **ON_DENSITIES}


def truth_of(name):
    return POINTS if name in AT_FIXATIONS else DENSITY


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(name, bad):
    broken = MAP.copy()
    broken[5, 5] = bad
    with pytest.raises(
        ValueError, match=r"saliency_map of image '1501' must have finite values, got 1 of 192 NaN or infinite"
    ):
        ALL[name](broken, truth_of(name), name="1501")


@pytest.mark.parametrize("name", ON_DENSITIES)
def test_density_that_is_not_finite(name):
    broken = DENSITY.copy()
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"density of image 'a' must have finite"):
        ON_DENSITIES[name](MAP, broken, name="a")


@pytest.mark.parametrize("name", AT_FIXATIONS)
@pytest.mark.parametrize("none", [np.zeros(SHAPE), np.zeros((0, 2)), []])
def test_no_fixations(name, none):
    with pytest.raises(ValueError, match=r"fixations of image 'x' must have at least one fixation"):
        AT_FIXATIONS[name](MAP, none, name="x")


def test_no_other_fixations():
    with pytest.raises(ValueError, match=r"other_fixations of image 'x' must have at least one fixation"):
        metrics.auc_shuffled(MAP, POINTS, np.zeros((0, 2)), name="x")


@pytest.mark.parametrize("name", AT_FIXATIONS)
@pytest.mark.parametrize("outside", [(16, 3), (3, 12), (-1, 3), (3, -0.5)])
def test_coordinates_outside_the_map(name, outside):
    with pytest.raises(ValueError, match=r"fixations of image 'x' must have 0 <= x < 16 and 0 <= y < 12"):
        AT_FIXATIONS[name](MAP, np.vstack([POINTS, outside]), name="x")


@pytest.mark.parametrize("name", AT_FIXATIONS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_coordinates_and_fixation_maps_that_are_not_finite(name, bad):
    with pytest.raises(ValueError, match=r"fixations of image 'x' must have finite coordinates"):
        AT_FIXATIONS[name](MAP, np.vstack([POINTS, (bad, 1)]), name="x")
    broken = FIXATION_MAP.copy()
    broken[0, 1] = bad
    with pytest.raises(ValueError, match=r"fixations of image 'x' must have finite values"):
        AT_FIXATIONS[name](MAP, broken, name="x")


@pytest.mark.parametrize("name", AT_FIXATIONS)
@pytest.mark.parametrize("density", [DENSITY, -FIXATION_MAP])
def test_density_instead_of_fixations(name, density):
    with pytest.raises(ValueError, match=r"fixations of image 'x' must have 0 or a whole number.*looks like a density"):
        AT_FIXATIONS[name](MAP, density, name="x")


@pytest.mark.parametrize("name", ["auc", "auc_judd", "auc_judd_jitter"])
def test_every_pixel_fixated(name):
    with pytest.raises(ValueError, match=r"fixations of image 'x' must leave at least one pixel unfixated"):
        AT_FIXATIONS[name](MAP, np.ones(SHAPE), name="x")


def test_every_pixel_fixated_has_a_value_against_all_pixels():
    assert metrics.auc(MAP, np.ones(SHAPE), negatives="all") == 0.5


@pytest.mark.parametrize("argument", ["saliency_map", "density"])
def test_kld_refuses_negative_values(argument):
    negative = MAP - 0.5
    pair = (negative, DENSITY) if argument == "saliency_map" else (MAP, negative)
    with pytest.raises(ValueError, match=rf"{argument} of image 'x' must be non-negative"):
        metrics.kld(*pair, name="x")
    with pytest.raises(ValueError, match=rf"{argument} of image 'x' must be non-negative"):
        metrics.similarity(*pair, normalization="sum", name="x")


def test_kld_refuses_values_that_resizing_made_negative():
    spike = np.zeros((6, 8))
    spike[3, 4] = 1
    with pytest.raises(ValueError, match=r"saliency_map of image 'x' must be non-negative \(also after resizing\)"):
        metrics.kld(spike, DENSITY, resize="matlab", name="x")


def test_log_density_information_gain_refuses_what_is_no_log_density():
    good = np.log(DENSITY + 1e-3) - np.log((DENSITY + 1e-3).sum())
    assert np.isfinite(metrics.information_gain(good, POINTS, good, log_density=True))
    for bad, argument in (
        (DENSITY, "saliency_map"),
        (good + 1, "saliency_map"),
        (np.full(SHAPE, 800.0), "saliency_map"),
    ):
        with pytest.raises(ValueError, match=rf"{argument} of image 'x' must be a natural log-density"):
            metrics.information_gain(bad, POINTS, good, log_density=True, name="x")
    with pytest.raises(ValueError, match=r"baseline of image 'x' must be a natural log-density"):
        metrics.information_gain(good, POINTS, MAP, log_density=True, name="x")
    with pytest.raises(ValueError, match=r"resized log-density must be normalized again"):
        metrics.information_gain(np.full((6, 8), -np.log(48)), FIXATION_MAP, good, log_density=True, resize="matlab")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [(6, 8), (24, 32), (12, 15)])
def test_other_sizes_are_refused_or_resized_on_request(name, size):
    other = np.random.default_rng(1).random(size) + 2
    truth = FIXATION_MAP if name in AT_FIXATIONS else DENSITY
    with pytest.raises(
        ValueError, match=r"saliency_map of image 'x' must have the shape \(12, 16\) of the ground truth, got"
    ):
        ALL[name](other, truth, name="x")
    assert np.isfinite(ALL[name](other, truth, resize="matlab"))
    with pytest.raises(ValueError, match='resize must be None or "matlab"'):
        ALL[name](MAP, truth, resize="bilinear")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float32])
def test_integers_are_cast_before_anything_else(name, kind):
    whole = np.floor(MAP * 200).astype(kind)
    assert ALL[name](whole, truth_of(name)) == ALL[name](whole.astype(np.float64), truth_of(name))


@pytest.mark.parametrize("name", ALL)
def test_boolean_maps_are_cast(name):
    assert ALL[name](MAP > 0.5, truth_of(name)) == ALL[name]((MAP > 0.5).astype(float), truth_of(name))


@pytest.mark.parametrize("constant", [0.0, 0.3, 1.0, -2.5, 1e300, 1e-310])
@pytest.mark.parametrize("name", AT_FIXATIONS)
def test_constant_maps_at_fixations(name, constant):
    flat = np.full(SHAPE, constant)
    if name.startswith("auc"):
        assert AT_FIXATIONS[name](flat, POINTS) == 0.5
    elif name == "nss":
        assert AT_FIXATIONS[name](flat, POINTS) == 0.0
    else:
        with pytest.warns(
            UserWarning, match=r"information_gain of image 'x' is undefined \(NaN\): saliency_map is constant"
        ):
            assert np.isnan(AT_FIXATIONS[name](flat, POINTS, name="x"))


@pytest.mark.parametrize("constant", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", ["cc", "similarity"])
def test_constant_maps_on_densities(name, constant):
    flat = np.full(SHAPE, constant)
    with pytest.warns(UserWarning, match=rf"{name} of image 'x' is undefined \(NaN\): saliency_map is constant"):
        assert np.isnan(ON_DENSITIES[name](flat, DENSITY, name="x"))
    with pytest.warns(UserWarning, match=rf"{name} of image 'x' is undefined \(NaN\): density is constant"):
        assert np.isnan(ON_DENSITIES[name](MAP, flat, name="x"))


def test_constant_baseline():
    with pytest.warns(UserWarning, match=r"information_gain of image 'x'.*baseline is constant"):
        assert np.isnan(metrics.information_gain(MAP, POINTS, np.ones(SHAPE), name="x"))


@pytest.mark.parametrize("name", ["kld", "emd"])
def test_zero_maps_have_no_distribution(name):
    with pytest.warns(UserWarning, match=rf"{name} of image 'x' is undefined"):
        assert np.isnan(ON_DENSITIES[name](np.zeros(SHAPE), DENSITY, name="x"))
    with pytest.warns(UserWarning, match=r"similarity of image 'x' is undefined.*zero everywhere"):
        assert np.isnan(metrics.similarity(np.zeros(SHAPE), DENSITY, normalization="sum", name="x"))


@pytest.mark.parametrize("name", AT_FIXATIONS)
def test_a_single_fixation_works(name):
    assert np.isfinite(AT_FIXATIONS[name](MAP, [(7, 7)]))
    assert AT_FIXATIONS[name](MAP, [(7, 7)]) == AT_FIXATIONS[name](MAP, [(7.9, 7.2)])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("scale", [1e-300, 1e300, 1e160])
def test_extreme_scales_change_nothing(name, scale):
    assert ALL[name](MAP * scale, truth_of(name)) == pytest.approx(ALL[name](MAP, truth_of(name)), rel=1e-9)


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 12, 16)), np.zeros((12, 16, 3)), np.zeros(5), np.zeros((0, 4)), np.full(SHAPE, "a")]
)
def test_what_is_no_map(bad):
    with pytest.raises(ValueError, match=r"saliency_map of image 'x' must"):
        metrics.nss(bad, POINTS, name="x")


@pytest.mark.parametrize("bad", [np.zeros((3, 3)), np.ones((12, 15)), np.ones(4)])
def test_what_is_neither_map_nor_coordinates(bad):
    with pytest.raises(ValueError, match=r"(fixations|saliency_map) of image 'x' must"):
        metrics.auc(MAP, bad, name="x")


def test_options_are_checked():
    with pytest.raises(ValueError, match="negatives must be"):
        metrics.auc(MAP, POINTS, negatives="some")
    with pytest.raises(ValueError, match="step must be a finite number above 0 and at most 1, got"):
        metrics.auc_borji(MAP, POINTS, step=0)
    with pytest.raises(ValueError, match="splits must be a positive integer, or None for the exact mean, got"):
        metrics.auc_borji(MAP, POINTS, splits=0)
    with pytest.raises(ValueError, match="ddof must be"):
        metrics.nss(MAP, POINTS, ddof=2)
    with pytest.raises(ValueError, match="normalization must be one of minmax, sum, got"):
        metrics.similarity(MAP, DENSITY, normalization="max")
    with pytest.raises(ValueError, match="downsize must be a positive integer, got"):
        metrics.emd(MAP, DENSITY, downsize=0)
    with pytest.raises(ValueError, match="epsilon must be a finite number above 0 and below 1, got"):
        metrics.kld(MAP, DENSITY, epsilon=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_area_against_a_pool_checks_the_whole_map_too(bad):
    broken = MAP.copy()
    broken[5, 5] = bad
    with pytest.raises(ValueError, match=r"saliency_map of image 'x' must have finite values"):
        metrics.auc(broken, POINTS, negatives=OTHERS, duplicates=True, name="x")
    for outside in ((16, 3), (-1, 3)):
        with pytest.raises(ValueError, match=r"negatives of image 'x' must have 0 <="):
            metrics.auc(MAP, POINTS, negatives=np.vstack([OTHERS, outside]), duplicates=True, name="x")
    huge = metrics.auc(MAP * 1e300, POINTS, negatives=OTHERS, duplicates=True)  # its squares overflow
    assert huge == metrics.auc(MAP, POINTS, negatives=OTHERS, duplicates=True)


@pytest.mark.parametrize("constant", [0.3, 0.7, 1.0, 3.3e-5])
@pytest.mark.parametrize("size", [(48, 64), (5, 9)])
def test_constant_maps_stay_constant_when_resized(constant, size):
    flat, options = np.full(size, constant), {"resize": "matlab"}
    for name in AT_FIXATIONS:
        if name.startswith("auc"):
            assert AT_FIXATIONS[name](flat, FIXATION_MAP, **options) == 0.5
    assert metrics.auc(flat, FIXATION_MAP, negatives=OTHERS, **options) == 0.5
    assert metrics.nss(flat, FIXATION_MAP, **options) == 0
    for name, truth in (("cc", DENSITY), ("similarity", DENSITY), ("information_gain", FIXATION_MAP)):
        with pytest.warns(UserWarning, match="saliency_map is constant"):
            assert np.isnan(ALL[name](flat, truth, **options))


@pytest.mark.parametrize("shape", [(2, 40), (40, 3), (1, 40)])
@pytest.mark.parametrize("name", AT_FIXATIONS)
def test_coordinates_of_a_wrong_shape_are_no_tiny_fixation_map(name, shape):
    large = np.random.default_rng(2).random((48, 64))
    with pytest.raises(ValueError, match=r"fixations of image 'x'.*array of shape \(n, 2\)"):
        AT_FIXATIONS[name](large, np.arange(shape[0] * shape[1]).reshape(shape), resize="matlab", name="x")


def test_a_density_in_8_bits_is_no_map_of_fixations():
    picture = np.ceil(DENSITY / DENSITY.max() * 255)
    for kind in (np.uint8, np.float64):
        with pytest.raises(ValueError, match=r"fixations of image 'x' .*looks like a density"):
            metrics.nss(MAP, picture.astype(kind), name="x")
    crowded = np.random.default_rng(3).integers(0, 9, SHAPE)  # many fixations on a small map are not refused
    assert np.isfinite(metrics.nss(MAP, crowded))


def test_emd_needs_more_than_one_bin():
    with pytest.raises(ValueError, match=r"saliency_map of image 'x'.*single bin.*downsize smaller than 32"):
        metrics.emd(MAP, DENSITY, name="x")
    assert metrics.emd(MAP, DENSITY, downsize=12) > 0
