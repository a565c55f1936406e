"""Public names that have changed still work for a release, and say what they are called now."""

import importlib

import numpy as np
import pytest

from kerasal import localization, receptive_field


@pytest.mark.parametrize("folder", ["images", "localization", "receptive_field"])
def test_old_names_warn_and_are_the_new(folder):
    module = importlib.import_module(f"kerasal.{folder}")
    renamed = module._RENAMED
    for old, new in renamed.items():
        with pytest.warns(DeprecationWarning, match=rf"^{folder}\.{old} is called {folder}\.{new} now\.$"):
            assert getattr(module, old) is getattr(module, new)
        assert new in module.__all__
        assert old not in module.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_old_options_and_attributes_warn():
    image = np.full((12, 12, 3), 100, np.uint8)
    image[3:9, 3:9] = (200, 30, 30)
    saliency = np.zeros((12, 12))
    saliency[4:8, 4:8] = 1 + np.arange(16).reshape(4, 4)
    new = localization.graphcut(image, saliency, prior=20.0, color=2.0)
    with pytest.warns(DeprecationWarning, match="option colour of graphcut is called color"):
        np.testing.assert_array_equal(localization.graphcut(image, saliency, prior=20.0, colour=2.0), new)
    with pytest.raises(TypeError, match=r"Unknown option of graphcut .colr.\. Did you mean color"):
        localization.graphcut(image, saliency, colr=2.0)
    found = receptive_field.center_surround(np.random.default_rng(0).normal(size=(9, 9, 3)))
    with pytest.warns(DeprecationWarning, match="colour is called color"):
        assert found.colour is found.color
