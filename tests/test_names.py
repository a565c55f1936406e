"""Names in sentences are few, and what was skipped is counted."""

import pytest

from kerasal.names import abbreviate, describe_skipped, unknown_name_message


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
    known = ["encoder/conv1", "encoder/conv2", "head"]
    assert unknown_name_message("convl", known, "layer").startswith("Unknown layer 'convl'. Did you mean encoder/conv1")
    assert unknown_name_message("x", ["head"], "layer", " of it") == "Unknown layer 'x' of it. There is head."
