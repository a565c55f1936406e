"""Maps equal those of pytorch-grad-cam, torch-cam, captum and PyTorch on the same weights, where these are installed.

``benchmarks/attribution_equality.py`` and ``cam_equality.py`` say what is compared and print the differences; the
docstring of the first says how to make an environment with these packages, in which ``pytest -m slow
tests/attribution/test_torch_peers.py`` runs.
"""

import importlib.util
import pathlib
import sys

import numpy as np
import pytest

PACKAGES = {"torch": "torch", "pytorch_grad_cam": "grad-cam", "torchcam": "torchcam", "captum": "captum"}
missing = [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]
if missing:
    pytest.skip(
        f"needs {', '.join(missing)}: make the environment in the docstring of benchmarks/attribution_equality.py",
        allow_module_level=True,
    )
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
equality, family, peers = map(importlib.import_module, ("attribution_equality", "cam_equality", "torch_peers"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # those of the packages
]
COMPARISONS = [*equality.comparisons(), *family.comparisons()]


@pytest.mark.parametrize("network", ["conv1d", "conv2d", "conv3d", "resnet", "vit", "vit, patches of 1 px"])
def test_the_networks_of_both_frameworks_compute_the_same(network):
    pair = peers.twin(network)
    theirs = pair.module(pair.tensor).detach().numpy()
    np.testing.assert_allclose(pair.model(pair.inputs).numpy(), theirs, atol=1e-5 * np.abs(theirs).max())
    assert np.ptp(theirs, axis=0).min() > 0.01  # they depend on the input


@pytest.mark.parametrize("comparison", [c for c in COMPARISONS if not c.differs], ids=lambda c: c.name)
def test_maps_are_equal(comparison):
    assert comparison.difference() < equality.TOLERANCE


@pytest.mark.parametrize("comparison", [c for c in COMPARISONS if c.differs], ids=lambda c: f"{c.name}: {c.note}")
def test_differences_that_are_documented_are_still_there(comparison):
    """Otherwise a package has changed, and the table in benchmarks/README.md is wrong."""
    assert comparison.difference() > 100 * equality.TOLERANCE


def test_a_map_of_another_target_is_not_equal():
    """The comparison can fail: maps of another class differ by more than the tolerance."""
    (comparison,) = (c for c in COMPARISONS if c.name == "torch-cam, gradcam, vit")
    pair = peers.twin("vit")
    pair.targets.reverse()
    try:
        theirs = comparison.theirs()
    finally:
        pair.targets.reverse()
    assert np.abs(comparison.ours() - theirs).max() > 0.1 * np.abs(theirs).max()


def test_every_package_is_compared():
    assert {c.package for c in COMPARISONS} == {"pytorch-grad-cam", "torch-cam", "captum", "PyTorch"}
