"""Values that would count although they are hidden, and numbers that would wrap around, are refused by name."""

import numpy as np
import pytest

from kerasal import attribution, checks, images, localization, metrics, objectives, preprocessing


def masked(shape, dtype=np.float32):
    array = np.ma.zeros(shape, dtype)
    array[(0,) * array.ndim] = np.ma.masked
    return array


@pytest.mark.parametrize(
    "call",
    [
        lambda model: attribution.class_saliency(model, masked((2, 8, 8, 3))),
        lambda model: attribution.class_saliency(model, [masked((8, 8, 3)), np.ones((8, 8, 3))]),
        lambda model: attribution.class_saliency(model, np.ones((2, 8, 8, 3)), masked((2,), int)),
        lambda model: attribution.occlusion(model, np.ones((1, 8, 8, 3)), fill=masked((8, 8, 3))),
        lambda model: attribution.integrated_gradients(model, np.ones((1, 8, 8, 3)), baseline=masked((8, 8, 3))),
        lambda model: metrics.cc(masked((4, 4)), np.eye(4)),
        lambda model: metrics.nss(np.eye(4), masked((4, 4))),
        lambda model: localization.bounding_box(masked((4, 4), bool)),
        lambda model: localization.localize(model, masked((8, 8, 3), np.uint8)),
        lambda model: images.heatmap(masked((4, 4))),
        lambda model: images.resize(masked((4, 4, 3), np.uint8), (2, 2)),
        lambda model: preprocessing.get("caffe").apply(masked((8, 8, 3), np.uint8)),
        lambda model: objectives.direction("conv1", masked((4,))),
    ],
)
def test_masked_values_are_refused(call, shared_model):
    with pytest.raises(ValueError, match=r"must have no masked values, got 1 of \d+ masked\. Fill them first"):
        call(shared_model("functional"))


def test_a_mask_that_hides_nothing_is_no_mask(shared_model, batch):
    found = attribution.class_saliency(shared_model("functional"), np.ma.array(batch))
    assert np.array_equal(found, attribution.class_saliency(shared_model("functional"), batch))


@pytest.mark.parametrize("target", [2**31, 2**32, 2**32 + 1, 2**63, np.array([1, 2**32 + 1, 2])])
def test_class_numbers_do_not_wrap_around(target, shared_model, batch):
    with pytest.raises(ValueError, match=r"must be below 2\*\*31, got \d{10}"):
        attribution.class_saliency(shared_model("functional"), batch, target)
    with pytest.raises(ValueError, match=r"must be below 2\*\*31"):
        objectives.channel("conv1", target)


def test_positions_do_not_wrap_around_or_lose_their_fractions():
    for position in (np.array([2**32, 0]), (1.5, 0)):
        with pytest.raises(ValueError, match="integers of at least 0"):
            objectives.neuron("conv1", 0, position)


def test_a_compiled_method_does_not_take_another_class(shared_model, batch):
    import tensorflow as tf

    method = attribution.class_saliency.compiled(shared_model("functional"))
    with pytest.raises(tf.errors.InvalidArgumentError):
        method(batch, np.array([1, 2**32 + 1, 2]))


@pytest.mark.parametrize("value", [1, 7, np.int32(3), np.uint8(2)])
def test_integers_of_numpy_are_integers(value):
    assert checks.check_int("steps", value) == value
    assert type(checks.check_int("steps", value)) is int


@pytest.mark.parametrize("value", [0, -1, 1.0, True, np.True_, "2", None, np.float32(2), np.array([2])])
def test_what_is_no_positive_integer_is_refused(value):
    with pytest.raises(ValueError, match=r"^steps must be a positive integer, got .*\.$"):
        checks.check_int("steps", value)


@pytest.mark.parametrize(
    ("bounds", "value", "message"),
    [
        ((0,), -1, "n must be 0 or a positive integer, got -1."),
        ((2,), 1, "n must be an integer of at least 2, got 1."),
        ((1, 5), 6, "n must be an integer in 1..5, got 6."),
    ],
)
def test_bounds_of_integers_are_said(bounds, value, message):
    with pytest.raises(ValueError) as refused:
        checks.check_int("n", value, *bounds)
    assert str(refused.value) == message
    for inside in bounds:
        assert checks.check_int("n", inside, *bounds) == inside


def test_an_alternative_and_a_remedy_are_said():
    with pytest.raises(ValueError, match=r"^n must be a positive integer, or None, got 0\. Leave it out\.$"):
        checks.check_int("n", 0, none="None", remedy="Leave it out.")


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "wanted"),
    [
        ({"above": 0}, 1e-9, 0, "a finite number above 0"),
        ({"minimum": 0}, 0, -0.1, "a finite number of at least 0"),
        ({"minimum": 0, "below": 1}, 0, 1, "a finite number of at least 0 and below 1"),
        ({"above": 0, "maximum": 4}, np.float32(4), 4.1, "a finite number above 0 and at most 4"),
        ({"minimum": 0, "maximum": 0.5}, 0.5, 0.6, "a finite number in 0..0.5"),
        ({}, -3, np.inf, "a finite number"),
        ({}, np.int8(3), np.nan, "a finite number"),
        ({}, 1, True, "a finite number"),
        ({}, 1, "1", "a finite number"),
    ],
)
def test_numbers_are_finite_and_within_their_bounds(bounds, inside, outside, wanted):
    assert checks.check_number("rate", inside, **bounds) == inside
    with pytest.raises(ValueError) as refused:
        checks.check_number("rate", outside, **bounds)
    assert str(refused.value) == f"rate must be {wanted}, got {outside!r}."


@pytest.mark.parametrize("value", ["cut", None, 1, ["crop"]])
def test_what_is_no_choice_is_refused_and_the_choices_are_listed(value):
    assert checks.check_choice("fit", "crop", ("crop", "stretch")) == "crop"
    with pytest.raises(ValueError, match=r"^fit must be one of crop, stretch, got "):
        checks.check_choice("fit", value, ("crop", "stretch"))


@pytest.mark.parametrize("value", [(0, 9), (9.5, 9), 9, (1, 2, 3), (True, 4), None, "ab"])
def test_a_size_has_positive_integers_alone(value):
    assert checks.check_size("size", np.array([3, 4])) == (3, 4)
    with pytest.raises(ValueError, match=r"^size must be \(height, width\), two positive integers, got "):
        checks.check_size("size", value)
