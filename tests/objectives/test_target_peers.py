"""Targets and D-RISE equal those of captum, pytorch-grad-cam, xplique and xaitk-saliency, where these are installed.

``benchmarks/target_equality.py`` says what is compared and prints the differences; its docstring says how to make the
environments, in which ``pytest -m slow tests/objectives/test_target_peers.py`` runs.
"""

import importlib
import pathlib
import sys

import numpy as np
import pytest

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
equality = importlib.import_module("target_equality")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # those of the packages
COMPARISONS = list(equality.comparisons())


def find(package, what=""):
    comparison = next(one for one in COMPARISONS if one.package == package and what in one.what)
    if not comparison.is_installed:
        pytest.skip(f"needs {package}: make the environment in the docstring of benchmarks/target_equality.py")
    return comparison


@pytest.mark.parametrize(("package", "what"), [(one.package, one.what) for one in COMPARISONS])
def test_it_is_equal(package, what):
    assert find(package, what).difference() < equality.TOLERANCE


def test_a_map_of_another_box_is_not_equal():
    """The comparison can fail: maps of the other image's box differ by more than the tolerance."""
    comparison = find("xaitk")
    theirs, boxes = comparison.theirs(), equality.BOXES
    try:
        equality.BOXES = boxes[::-1]
        assert np.abs(comparison.ours() - theirs).max() > 0.05
    finally:
        equality.BOXES = boxes


def test_every_package_is_compared():
    assert {one.package for one in COMPARISONS} == set(equality.PACKAGES)
