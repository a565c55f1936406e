"""Metrics equal those of Quantus and xplique, where these are installed.

``benchmarks/evaluation_equality.py`` says what is compared and prints the differences; its docstring says how to make
an environment with both, in which ``pytest -m slow tests/attribution/evaluation/test_evaluation_peers.py`` runs.
"""

import importlib
import importlib.util
import pathlib
import sys

import numpy as np
import pytest

from kerasal.attribution import evaluation

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # those of the packages
BENCHMARKS = pathlib.Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def equality():
    sys.path.insert(0, str(BENCHMARKS))
    return importlib.import_module("evaluation_equality")


def need(package):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs {package}: make the environment in the docstring of benchmarks/evaluation_equality.py")


@pytest.mark.parametrize("package", ["quantus", "xplique"])
def test_values_are_equal(package, equality):
    need(package)
    compared = [one for one in equality.comparisons() if one.package == package]
    differences = {f"{one.metric}, {one.function}, {one.note}": one.difference() for one in compared}
    assert {name: value for name, value in differences.items() if not value <= equality.TOLERANCE} == {}


def test_every_metric_is_compared(equality):
    assert {one.metric for one in equality.comparisons()} == set(evaluation.list_metrics())


def test_values_with_other_subsets_are_not_equal(equality):
    """The comparison can fail."""
    need("quantus")
    options = {"share": 0.25, **equality.peers.SUBSETS, "seed": equality.SEED + 1}
    theirs = equality.peers.quantus_correlation("pearson")
    assert np.abs(equality.scores("mu_fidelity", **options) - theirs).max() > 0.001


def test_documented_faults_of_quantus_are_still_there(equality):
    """Otherwise Quantus has changed, and the section in benchmarks/README.md is wrong."""
    need("quantus")
    with pytest.raises(IndexError):
        equality.peers.quantus_accuracy_of_road()
    means = equality.peers.quantus_randomization(own_mean=True)
    layers = 3
    assert means == pytest.approx((1 + layers * equality.peers.quantus_randomization()) / (1 + layers))
