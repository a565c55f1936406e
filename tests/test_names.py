"""Names in sentences; and public names that have changed, which still work for a release."""

import importlib

import numpy as np
import pytest

from kerasal import images, localization, receptive_field
from kerasal.names import abbreviate, describe_skipped, unknown_name_message


@pytest.mark.parametrize("folder", ["localization", "receptive_field"])
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


def test_the_old_way_to_fit_an_image_takes_its_old_argument():
    image = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    with pytest.warns(DeprecationWarning, match="images.crop_square is called images.fit_image now"):
        fitted = images.crop_square(image, (5, 5), fit="stretch")
    np.testing.assert_array_equal(fitted, images.fit_image(image, (5, 5), "stretch"))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        images.nothing  # noqa: B018


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


def test_few_names_are_listed_and_many_counted():
    assert abbreviate("abc") == "a, b, c"
    assert abbreviate(range(10)) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert abbreviate("abc", 2) == "a, b and 1 more"
    assert abbreviate([]) == ""


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, ""),
        (1, "1 file could not be read: 0.png (damaged)."),
        (2, "2 files could not be read: 0.png (damaged); 1.png (damaged)."),
    ],
)
def test_skipped_files_are_counted_and_named(count, expected):
    assert describe_skipped([(f"{number}.png", "damaged") for number in range(count)]) == expected


def test_of_many_skipped_files_the_first_are_named():
    said = describe_skipped([(f"{number}.png", "") for number in range(7)])
    assert said == "7 files could not be read: 0.png; 1.png; 2.png; 3.png; 4.png; and 2 more."


def test_the_closest_names_are_offered():
    known = ["encoder/conv1", "head"]
    assert unknown_name_message("convl", known, "layer").startswith("Unknown layer 'convl'. Did you mean encoder/conv1")
    assert unknown_name_message("x", ["head"], "layer", " of it") == "Unknown layer 'x' of it. There is head."
