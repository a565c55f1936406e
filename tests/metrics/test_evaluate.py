"""evaluate and summarize: the single functions, one row an image, in a stream."""

import pydoc
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from kerasal import metrics
from kerasal.metrics.blur import MeanMap
from kerasal.metrics.definitions import METRICS, PRESETS

RANDOM = np.random.default_rng(2)
SHAPE = (24, 32)
MAPS = RANDOM.random((4, *SHAPE))
POINTS = [np.stack([RANDOM.integers(0, 32, 9), RANDOM.integers(0, 24, 9)], axis=1) for _ in MAPS]
DENSITIES = [metrics.blur_fixations(points, 2.0, SHAPE) for points in POINTS]
OTHERS = np.stack([RANDOM.integers(0, 32, 30), RANDOM.integers(0, 24, 30)], axis=1)


def test_values_are_those_of_the_functions():
    table = metrics.evaluate(
        MAPS,
        POINTS,
        DENSITIES,
        metrics={name: (name, {"downsize": 8} if name == "emd" else {}) for name in METRICS},
        other_fixations=OTHERS,
        baselines=("center",),
        names=list("abcd"),
    )
    assert table.index.tolist() == list("abcd")
    center = metrics.center_map(SHAPE)
    for image, (one_map, points, density) in enumerate(zip(MAPS, POINTS, DENSITIES, strict=True)):
        row = table.iloc[image]
        for prefix, saliency in (("", one_map), ("center_", center)):
            assert row[f"{prefix}auc"] == metrics.auc(saliency, points)
            assert row[f"{prefix}auc_judd"] == metrics.auc_judd(saliency, points)
            assert row[f"{prefix}auc_borji"] == metrics.auc_borji(saliency, points)
            assert row[f"{prefix}auc_shuffled"] == metrics.auc_shuffled(saliency, points, OTHERS)
            assert row[f"{prefix}auc_shuffled_exact"] == metrics.auc(saliency, points, negatives=OTHERS)
            assert row[f"{prefix}nss"] == metrics.nss(saliency, points)
            assert row[f"{prefix}information_gain"] == metrics.information_gain(saliency, points, center)
            assert row[f"{prefix}cc"] == metrics.cc(saliency, density)
            assert row[f"{prefix}similarity"] == metrics.similarity(saliency, density)
            assert row[f"{prefix}kld"] == metrics.kld(saliency, density)
            assert row[f"{prefix}emd"] == metrics.emd(saliency, density, downsize=8)


def test_every_column_has_its_definition():
    table = metrics.evaluate(MAPS, POINTS, sigma=2.0)
    assert set(table.attrs["definitions"]) == set(table.columns)
    assert "MIT" in table.attrs["definitions"]["auc_judd"]
    assert "blurred by 2 px" in table.attrs["definitions"]["center_cc"]
    assert not table.isna().any(axis=None)
    assert {f"{prefix}{name}" for prefix in ("", "center_", "mean_") for name in PRESETS["mit"]} == set(table.columns)


def test_options_and_presets():
    table = metrics.evaluate(
        MAPS, POINTS, metrics={"fine": ("auc_borji", {"step": 0.01}), "nss": ("nss", {"ddof": 0})}, baselines=()
    )
    assert table["fine"].tolist() == [metrics.auc_borji(s, f, step=0.01) for s, f in zip(MAPS, POINTS, strict=True)]
    assert table["nss"].tolist() == [metrics.nss(s, f, ddof=0) for s, f in zip(MAPS, POINTS, strict=True)]
    assert "step=0.01" in table.attrs["definitions"]["fine"]
    tuebingen = metrics.evaluate(MAPS, POINTS, DENSITIES, metrics="tuebingen", baselines=())
    wanted = [metrics.auc(s, f, negatives="all", duplicates=True) for s, f in zip(MAPS, POINTS, strict=True)]
    assert tuebingen["auc"].tolist() == wanted
    own = metrics.evaluate(
        MAPS, POINTS, metrics={"gain": ("information_gain", {"baseline": DENSITIES[0]})}, baselines=()
    )
    assert own["gain"].iloc[1] == metrics.information_gain(MAPS[1], POINTS[1], DENSITIES[0])


@pytest.mark.slow
def test_iterators_give_the_same_table_and_keep_no_map():
    lists = metrics.evaluate(MAPS, POINTS, DENSITIES)
    streams = metrics.evaluate(iter(MAPS), iter(POINTS), iter(DENSITIES))
    pd.testing.assert_frame_equal(lists, streams)

    def peak(images):
        stream = (np.random.default_rng(i).random((120, 160)) for i in range(images))
        fixations = (POINTS[i % 4] for i in range(images))
        tracemalloc.start()
        metrics.evaluate(stream, fixations, metrics=("nss", "auc_shuffled"), baselines=("mean",))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    few, many = peak(10), peak(200)
    assert many < few + 400_000  # 190 more maps are 29 million bytes


def test_shuffled_pool_is_ten_other_images_by_seed():
    images = 14
    maps = RANDOM.random((images, *SHAPE))
    points = [np.array([[i, i]]) for i in range(images)]
    given = {"metrics": "auc_shuffled", "baselines": ()}
    first = metrics.evaluate(maps, points, **given)
    pd.testing.assert_frame_equal(first, metrics.evaluate(maps, points, **given))
    assert not first.equals(metrics.evaluate(maps, points, seed=1, **given))
    own_excluded = metrics.evaluate(maps[:2], points[:2], **given)
    assert own_excluded["auc_shuffled"].iloc[0] == metrics.auc_shuffled(maps[0], points[0], points[1])


def test_mean_baseline_leaves_the_image_itself_out():
    corner, middle = np.array([[1, 1]]), np.array([[16, 12]])
    table = metrics.evaluate(MAPS[:3], [corner, middle, middle], metrics="nss", baselines=("mean",))
    assert table["mean_nss"].iloc[0] < 0 < table["mean_nss"].iloc[1]


def test_images_of_different_sizes_stream_too():
    maps = [RANDOM.random((24, 32)), RANDOM.random((48, 64)), RANDOM.random((30, 30))]
    fixations = [RANDOM.random(one.shape) > 0.95 for one in maps]
    table = metrics.evaluate(maps, fixations, sigma=3)
    assert np.isfinite(table.to_numpy()).all()


def test_a_single_image_has_no_others():
    table = metrics.evaluate(MAPS[:1], POINTS[:1])
    assert "mean_nss" not in table.columns
    assert "auc_shuffled" not in table.columns
    assert "center_nss" in table.columns
    with pytest.raises(ValueError, match="other_fixations"):
        metrics.evaluate(MAPS[:1], POINTS[:1], metrics="auc_shuffled")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": "nsss"}, r"Unknown metric 'nsss'. Did you mean nss"),
        ({"metrics": ["cc"]}, r"metrics: 'cc' must have densities, got none. Pass densities, or sigma"),
        ({"baselines": ("middle",)}, r"Unknown baseline 'middle'"),
        ({"sigma": "osi"}, r"sigma must be a positive number of pixels or one of coursework, osie"),
        ({"names": ["a"]}, r"names must have as many values as maps, got 1"),
        ({"densities": DENSITIES[:3]}, r"densities must have as many values as maps, got 3"),
        (
            {"fixations": POINTS[:2], "baselines": (), "metrics": "nss"},
            r"fixations must have as many values as maps, got 2",
        ),
        ({"maps": MAPS[:2]}, r"maps must have as many values as fixations, got 2"),
        ({"maps": MAPS[0]}, r"maps must have one map per image"),
        ({"maps": []}, r"maps must have at least one map"),
        ({"resize": "cubic"}, r"resize must be"),
        (
            {"metrics": {"gain": ("information_gain", {"baseline": "mean"})}},
            r"metrics: the baseline of 'gain' must be \"center\" or a map, got 'mean'",
        ),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        metrics.evaluate(**{"maps": MAPS, "fixations": POINTS, **change})


def test_bad_images_are_named():
    broken = MAPS.copy()
    broken[2, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"saliency_map of image 'c'"):
        metrics.evaluate(broken, POINTS, names=list("abcd"))
    with pytest.raises(ValueError, match=r"fixations of image '1' must have at least one fixation"):
        metrics.evaluate(MAPS, [POINTS[0], np.zeros((0, 2)), *POINTS[2:]])
    flat = MAPS.copy()
    flat[1] = 0.5
    with pytest.warns(UserWarning, match=r"cc of image 'b' is undefined"):
        table = metrics.evaluate(flat, POINTS, DENSITIES, names=list("abcd"), metrics=["cc", "nss"])
    summary = metrics.summarize(table)
    assert summary.loc["cc", "undefined"] == 1
    assert summary.loc["cc", "mean"] == pytest.approx(np.nanmean(table["cc"]))


def test_summary_is_mean_error_and_bootstrap_interval():
    values = np.random.default_rng(8).normal(3, 2, 400)
    table = pd.DataFrame({"a": values, "b": -values, "error": None})
    summary = metrics.summarize(table, resamples=4000)
    assert summary.loc["a", "mean"] == pytest.approx(values.mean())
    assert summary.loc["a", "standard_error"] == pytest.approx(values.std(ddof=1) / 20)
    half = 1.96 * values.std(ddof=1) / 20
    assert summary.loc["a", "low"] == pytest.approx(values.mean() - half, abs=0.02)
    assert summary.loc["a", "high"] == pytest.approx(values.mean() + half, abs=0.02)
    assert summary.loc["b", "low"] == pytest.approx(-summary.loc["a", "high"])  # shared draws
    pd.testing.assert_frame_equal(summary, metrics.summarize(table, resamples=4000))
    assert not summary.equals(metrics.summarize(table, resamples=4000, seed=1))
    single = metrics.summarize(table[:1])
    assert np.isnan(single.loc["a", "standard_error"])
    with pytest.raises(ValueError, match="table must have rows"):
        metrics.summarize(table[:0])


def test_mean_map_needs_another_image():
    from kerasal.metrics._fixations import as_fixations

    mean = MeanMap()
    fixated = as_fixations(POINTS[0], SHAPE)
    mean.add(fixated)
    with pytest.raises(ValueError, match="at least two images"):
        mean.mean_of_others(fixated)


def test_coordinates_belong_to_each_image_s_own_map():
    maps = [RANDOM.random((24, 32)), RANDOM.random((48, 64)), RANDOM.random((30, 30))]
    marked = [RANDOM.random(one.shape) > 0.95 for one in maps]
    points = [np.argwhere(one)[:, ::-1] for one in marked]
    table = metrics.evaluate(maps, points, sigma=3)
    pd.testing.assert_frame_equal(table, metrics.evaluate(maps, marked, sigma=3))
    streamed = metrics.evaluate(iter(maps), points, metrics="nss", baselines=("center",))
    assert np.array_equal(streamed["nss"], table["nss"])
    for known in (points, [one % 20 for one in points]):
        with pytest.raises(
            ValueError, match=r"image '1'.*the shape \(24, 32\) of the first.*baselines=\(\"center\",\)"
        ):
            metrics.evaluate(iter(maps), known)


def test_densities_of_another_size_with_coordinates():
    larger = [metrics.blur_fixations(points * 2, 4.0, (48, 64)) for points in POINTS]
    table = metrics.evaluate(MAPS, POINTS, larger, resize="matlab", metrics=["cc", "nss"])
    assert table["cc"].iloc[0] == metrics.cc(MAPS[0], larger[0], resize="matlab")
    assert np.isfinite(table.to_numpy()).all()
    with pytest.raises(
        ValueError, match=r"saliency_map of image '0' must have the shape \(48, 64\) of the ground truth"
    ):
        metrics.evaluate(MAPS, POINTS, larger, metrics=["cc", "nss"])


def test_help_shows_the_functions():
    public = {name for name, value in vars(metrics).items() if callable(value) and not name.startswith("_")}
    assert set(metrics.__all__) == public | {"BASELINES", "SIGMAS"}
    assert "\n    evaluate(" in pydoc.plain(pydoc.render_doc(metrics))
    assert "``evaluate``" in metrics.__doc__ and "``summarize``" in metrics.__doc__
