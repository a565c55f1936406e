"""Gradient and path methods equal those of captum and PAIR's saliency, where these are installed.

``benchmarks/path_equality.py`` says what is compared and prints the differences; its docstring says how to make an
environment with these packages, in which ``pytest -m slow tests/attribution/test_path_peers.py`` runs.
"""

import importlib.util
import pathlib
import sys

import pytest

PACKAGES = {"torch": "torch", "captum": "captum", "saliency": "saliency", "skimage": "scikit-image"}
missing = [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]
if missing:
    pytest.skip(
        f"needs {', '.join(missing)}: make the environment in the docstring of benchmarks/path_equality.py",
        allow_module_level=True,
    )
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
equality = importlib.import_module("path_equality")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # those of the packages
]
COMPARISONS = list(equality.comparisons())


def _name(comparison):
    return f"{comparison.name}: {comparison.note}"


@pytest.mark.parametrize("comparison", [c for c in COMPARISONS if not c.differs], ids=_name)
def test_maps_are_equal(comparison):
    assert comparison.difference() < equality.TOLERANCE


@pytest.mark.parametrize("comparison", [c for c in COMPARISONS if c.differs], ids=_name)
def test_differences_that_are_documented_are_still_there(comparison):
    """Otherwise a package has changed, and the table in benchmarks/README.md is wrong."""
    assert comparison.difference() > 100 * equality.TOLERANCE
