"""The choices of the live page: methods, classes and layers."""

import numpy as np
import pytest

import kerasal
from kerasal import attribution
from kerasal.viewer import menus


def test_all_methods_are_listed_and_gradcam_is_first():
    names = menus.method_names()
    assert names[0] == "gradcam" and sorted(names) == attribution.list_methods()


def test_probable_classes_come_first_then_all_by_number(opened):
    names = menus.class_names(opened, np.array([0.05, 0.6, 0.1, 0.05, 0.15, 0.05]), top=3)
    assert list(names.items()) == [
        (None, "top class: bee, 60.0 %"),
        (1, "bee, 60.0 %"),
        (4, "eel, 15.0 %"),
        (2, "cat, 10.0 %"),
        (0, "ant (0)"),
        (3, "dog (3)"),
        (5, "fox (5)"),
    ]


def test_scores_that_are_no_probabilities_are_not_percentages(opened):
    assert menus.class_names(opened, np.array([3.0, -1, 2, 0, 0, 0]))[None] == "top class: ant, 3"


def test_layers_are_those_with_maps_the_last_first(opened, make_model):
    assert menus.layer_paths(opened) == ["drop", "conv2", "norm", "pool", "conv1"]
    nested = kerasal.open_model(make_model("nested"), preprocessing="unit")
    assert "encoder/innermost/conv1" in menus.layer_paths(nested)
    subclassed = kerasal.open_model(make_model("subclassed"), preprocessing="unit")
    assert "conv2" in menus.layer_paths(subclassed)


@pytest.mark.parametrize("method", menus.method_names())
def test_the_options_of_the_page_are_those_of_the_method(method):
    layer = "conv1" if menus.takes_layer(method) else None
    options = menus.method_options(method, layer)
    assert set(options) <= set(attribution.method_spec(method).options)
    assert options.get("layer") == layer
    assert menus.takes_layer(method) == (attribution.method_spec(method).family == "cam")
