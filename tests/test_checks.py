"""Values that would count although they are hidden, and numbers that would wrap around, are refused by name."""

import numpy as np
import pytest

from kerasal import attribution, images, localization, metrics, objectives, preprocessing


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
        with pytest.raises(ValueError, match="both integers from 0 on"):
            objectives.neuron("conv1", 0, position)


def test_a_compiled_method_does_not_take_another_class(shared_model, batch):
    import tensorflow as tf

    method = attribution.class_saliency.compiled(shared_model("functional"))
    with pytest.raises(tf.errors.InvalidArgumentError):
        method(batch, np.array([1, 2**32 + 1, 2]))
