"""What the tests of methods share: which methods are quick tests where one for all of them takes long."""

import functools
import importlib.util
import pathlib

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


@pytest.fixture
def shared_model(request, shared_model):
    """The net of the tests, with an attention for methods that need one."""
    return functools.partial(shared_model, attention=True) if _needs_attention(request) else shared_model


@pytest.fixture
def make_model(request, make_model):
    """The same, built anew at every call."""
    return functools.partial(make_model, attention=True) if _needs_attention(request) else make_model


def _needs_attention(request) -> bool:
    from kerasal import attribution

    given = getattr(request.node, "callspec", None)
    name = given and (given.params.get("method") or given.params.get("name"))
    return name in attribution.list_methods() and attribution.method_spec(name).needs == "attention"


@pytest.fixture(scope="session")
def transformers():
    """The module of small transformers."""
    path = pathlib.Path(__file__).with_name("attention_models.py")
    spec = importlib.util.spec_from_file_location("attention_models", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
