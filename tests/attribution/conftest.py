"""What the tests of methods share: which methods are quick tests where one for all of them takes long."""

import pytest

# One of each kind: a backward rule, a map of a layer, many passes. The others are in the slow suite.
_OF_EACH_KIND = {"guided_backprop", "gradcam", "smoothgrad"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the other methods of a test that is marked ``one_of_a_kind`` as slow."""
    for item in items:
        if item.get_closest_marker("one_of_a_kind"):
            given = item.callspec.params
            if (given.get("method") or given["name"]) not in _OF_EACH_KIND:
                item.add_marker(pytest.mark.slow)
