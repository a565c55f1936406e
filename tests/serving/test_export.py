"""What is served is what is computed in process, to the last bit, for whoever has TensorFlow alone."""

import io

import numpy as np
import pytest
from PIL import Image

from kerasal import attribution, images, preprocessing

import tensorflow as tf

pytestmark = pytest.mark.slow  # exports take seconds each


@pytest.fixture(scope="module")
def photographs():
    """Two photographs that have the size of the net already."""
    return np.random.default_rng(4).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)


def _png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def _prepared(photographs):
    return preprocessing.get("caffe").apply(photographs)


def _own_options(text):
    kinds = {"true": True, "false": False}
    pairs = dict(part.split("=") for part in text.split(",") if part)
    return {
        key: kinds.get(value, float(value) if "." in value else int(value) if value.isdecimal() else value)
        for key, value in pairs.items()
    }


CLASSES = np.int32([3, 1])


@pytest.fixture(scope="module")
def replies(served, served_attention, consume, methods, batch, photographs):
    """What the consumer was answered, by signature; asked once, since starting TensorFlow takes longest."""
    files = np.array([_png(one) for one in photographs], dtype=object)
    of_attention = {name: {"inputs": batch} for name in methods if _needs_attention(name)}
    requests = {name: {"inputs": batch} for name in methods if not _needs_attention(name)}
    requests |= {
        "serving_default": {"inputs": _prepared(photographs)},
        "predict_image": {"images": photographs},
        "predict_bytes": {"image_bytes": files},
        "crop": {"images": photographs},
        "nine": {"inputs": batch[:2], "class_index": CLASSES},
        "third": {"inputs": batch},
        "files": {"image_bytes": files, "class_index": CLASSES},
        "crops": {"images": photographs, "class_index": CLASSES},
    }
    answers = dict(zip(requests, consume(served[1], list(requests.items())), strict=True))
    answers |= dict(zip(of_attention, consume(served_attention[1], list(of_attention.items())), strict=True))
    assert not {name: reply["error"] for name, reply in answers.items() if "error" in reply}
    return answers


@pytest.fixture(scope="module")
def predicted(served):
    """The model itself, or another, compiled."""

    def predict(inputs, model=served[0]):
        return tf.function(lambda x: model(x, training=False), autograph=False)(inputs).numpy()

    return predict


def _needs_attention(name):
    return attribution.method_spec(name).needs == "attention"


def test_there_is_a_request_for_every_method(methods):
    assert sorted(methods) == attribution.list_methods(), "a new method needs a line in conftest.METHODS"


@pytest.mark.parametrize("name", attribution.list_methods())
def test_a_method_gives_the_bytes_of_the_process(
    name, served, served_attention, replies, predicted, methods, batch, labels
):
    reply, model = replies[name], (served_attention if _needs_attention(name) else served)[0]
    expected = getattr(attribution, name)(model, batch, **_own_options(methods[name]))
    maps = expected[0] if isinstance(expected, tuple) else expected
    assert reply["map"].dtype == maps.dtype
    np.testing.assert_array_equal(reply["map"], maps)
    if isinstance(expected, tuple):
        extra = attribution.method_spec(name).extra_name(_own_options(methods[name]))
        np.testing.assert_array_equal(reply[extra], expected[1])
    scores = predicted(batch, model)
    if name == "crop_averaged_saliency":  # all ten crops are the image itself here, or its mirror image
        scores = (scores + predicted(batch[:, :, ::-1])) / 2
    np.testing.assert_array_equal(reply["class"], scores.argmax(axis=1))
    np.testing.assert_allclose(reply["score"], scores.max(axis=1), rtol=1e-5)
    assert [one.decode() for one in reply["label"]] == [labels[i] for i in scores.argmax(axis=1)]


def test_predictions(replies, predicted, photographs, labels):
    scores = predicted(_prepared(photographs))
    np.testing.assert_array_equal(replies["serving_default"]["scores"], scores)
    np.testing.assert_array_equal(replies["predict_image"]["scores"], scores)
    order = np.argsort(-scores, axis=1)[:, :5]
    found = replies["predict_bytes"]
    np.testing.assert_array_equal(found["classes"], order)
    np.testing.assert_array_equal(found["scores"], np.take_along_axis(scores, order, axis=1))
    assert [[one.decode() for one in row] for row in found["labels"]] == [[labels[i] for i in row] for row in order]


def test_targets_and_intakes(served, replies, predicted, photographs, batch):
    model, inputs = served[0], _prepared(photographs)
    np.testing.assert_array_equal(replies["crop"]["map"], attribution.input_gradient(model, inputs))
    nine = replies["nine"]
    np.testing.assert_array_equal(nine["map"], attribution.guided_backprop(model, batch[:2], CLASSES))
    np.testing.assert_array_equal(nine["class"], CLASSES)
    expected = attribution.class_saliency(model, batch, 3, logits=False)
    np.testing.assert_array_equal(replies["third"]["map"], expected)
    found = replies["files"]
    np.testing.assert_array_equal(found["map"], attribution.class_saliency(model, inputs, CLASSES))
    np.testing.assert_allclose(found["score"], predicted(inputs)[[0, 1], CLASSES], rtol=1e-5)


def test_crops_are_cut_out_of_a_larger_image(served, replies, photographs):
    large = _prepared(np.stack([images.resize(one, (9, 9)) for one in photographs]))
    expected = attribution.crop_averaged_saliency(served[0], large, CLASSES)
    found = replies["crops"]["map"]
    assert found.shape == expected.shape == (2, 9, 9)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
