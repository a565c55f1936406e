"""The benchmark's own numbers on 40 OSIE images, from the Matlab code run in Octave."""

import numpy as np
import pandas as pd
import pytest

from kerasal import metrics

TOLERANCE = {"AUC_Judd_jitter0": 1e-12, "EMD_down8": 1e-6}  # 1e-10 for all the others
EXPECTED_ONLY = ("AUC_Borji", "AUC_shuffled", "AUC_Judd_jitter1")  # their Matlab values are random draws


class Golden:
    def __init__(self, folder):
        self.table = pd.read_csv(folder / "golden_dev.csv")
        self.arrays = dict(np.load(folder / "golden_dev.npz"))

    def points(self, kind, image):
        offsets = self.arrays[f"{kind}_off"]
        return self.arrays[f"{kind}_xy"][offsets[image] : offsets[image + 1]]

    def fixation_map(self, kind, image):
        counts = np.zeros(self.arrays["HW"])
        x, y = self.points(kind, image).T
        np.add.at(counts, (y, x), 1)
        return counts

    def map(self, kind, image):
        found = self.arrays[f"map_{kind}"]
        return found if found.ndim == 2 else found[image]

    def value(self, row, **options):
        saliency = self.map(row.map, row.image)
        fixations = self.fixation_map("fix" if row.gt == "all" else "s0", row.image)
        density = self.arrays["gt_density"][row.image]
        options = {"resize": "matlab", **options}
        match row.metric:
            case "AUC_Judd_jitter0":
                return metrics.auc_judd(saliency, fixations, **options)
            case "AUC_Judd_jitter1":
                return metrics.auc_judd(saliency, fixations, jitter=True, **options)
            case "AUC_Borji":
                return metrics.auc_borji(saliency, fixations, **options)
            case "AUC_shuffled":
                return metrics.auc_shuffled(saliency, fixations, self.points("other", row.image), **options)
            case "NSS":
                return metrics.nss(saliency, fixations, **options)
            case "InfoGain_center":
                return metrics.information_gain(saliency, fixations, self.arrays["map_center"], **options)
            case "EMD_down8":
                return metrics.emd(saliency, density, downsize=8, **options)
        function = {"CC": metrics.cc, "SIM": metrics.similarity, "KLdiv": metrics.kld}[row.metric]
        return function(saliency, density, **options)


@pytest.fixture(scope="module")
def golden(data_folder):
    folder = data_folder / "metrics_golden"
    if not folder.is_dir():
        pytest.skip(f"needs the golden tables in {folder}")
    return Golden(folder)


@pytest.mark.parametrize(
    "metric",
    [
        "AUC_Judd_jitter0",
        "AUC_Judd_jitter1",
        "AUC_Borji",
        "AUC_shuffled",
        "NSS",
        "CC",
        "SIM",
        "KLdiv",
        "InfoGain_center",
        "EMD_down8",
    ],
)
@pytest.mark.quick("NSS", "CC", "KLdiv", "InfoGain_center")
def test_golden_table(golden, metric):
    rows = golden.table[golden.table.metric == metric]
    assert len(rows) > 200
    values = np.array([golden.value(row) for row in rows.itertuples()])
    np.testing.assert_allclose(values, rows.expected, rtol=0, atol=TOLERANCE.get(metric, 1e-10))
    if metric == "EMD_down8":
        np.testing.assert_allclose(values, rows.value, rtol=0, atol=5e-4)  # FastEMD rounds to integers
    elif metric not in EXPECTED_ONLY:
        np.testing.assert_allclose(values, rows.value, rtol=0, atol=TOLERANCE.get(metric, 1e-10))


@pytest.mark.parametrize("metric", ["AUC_Borji", "AUC_shuffled"])
@pytest.mark.slow
def test_matlab_draws_scatter_around_the_exact_value(golden, metric):
    rows = golden.table[(golden.table.metric == metric) & (golden.table.n > 1)]
    exact = np.array([golden.value(row) for row in rows.itertuples()])
    z = (rows.value - exact) / (rows.std_theory / np.sqrt(rows.n))
    assert np.abs(z).max() < 5  # of hundreds of comparisons


@pytest.mark.parametrize("metric", ["AUC_Borji", "AUC_shuffled"])
@pytest.mark.parametrize("map_name", ["sr", "fg", "sparse", "loso"])
def test_monte_carlo_converges_to_the_exact_value(golden, metric, map_name):
    splits = 2000
    rows = golden.table[(golden.table.metric == metric) & (golden.table.map == map_name) & (golden.table.gt == "all")]
    for row in rows.iloc[:3].itertuples():
        drawn = golden.value(row, splits=splits, seed=11)
        standard_error = row.std_theory * np.sqrt(100 / splits)
        assert abs(drawn - row.expected) < 4 * standard_error
