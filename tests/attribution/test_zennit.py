"""Relevance equal to that of zennit on networks with the same weights.

``benchmarks/relevance_equality.py`` prints the differences; its docstring says how to make an environment with zennit.
"""

import importlib
import importlib.util
import pathlib

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "zennit")),
        reason="needs torch and zennit: make the environment in the docstring of benchmarks/relevance_equality.py",
    ),
]
BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("composite", ["epsilon_plus", "epsilon_gamma_box", "epsilon", "epsilon_alpha2_beta1"])
@pytest.mark.parametrize("network", ["vgg_like", "resnet_like"])
def test_relevance_is_equal_to_that_of_zennit(network, composite, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    equality = importlib.import_module("relevance_equality")
    difference, ours, theirs = equality.compare(network, composite)
    assert difference <= equality.TOLERANCE
    assert ours == pytest.approx(theirs, rel=1e-4)
