import hashlib
import re

import numpy as np
import pytest

import kerasal
from kerasal import preprocessing
from kerasal.datasets import digits, mnist


def inputs(images):
    return preprocessing.get("unit").apply(images[..., None])


@pytest.fixture(scope="module")
def model():
    return kerasal.create_model("mnist_cnn", weights="kerasal")


@pytest.mark.parametrize(("stride", "parameters"), [(2, 53_002), (1, 421_642)])
def test_parameters(stride, parameters):
    assert kerasal.create_model("mnist_cnn", stride=stride).count_params() == parameters


def test_layer_sizes(model):
    sizes = [model.get_layer(name).output.shape[1:3] for name in ("conv1", "pool1", "conv2", "pool2")]
    assert sizes == [(14, 14), (7, 7), (4, 4), (2, 2)]
    assert model.get_layer("flatten").output.shape[1:] == (256,)
    assert model.get_layer("dropout").rate == 0.3


def test_shipped_weights_read_the_shipped_digits(model):
    images, labels = digits()
    probabilities = model.predict(inputs(images), verbose=0)
    assert probabilities.argmax(axis=1).tolist() == labels.tolist()
    assert probabilities.max(axis=1).min() > 0.5


def test_shipped_weights_are_small_and_verified():
    shipped = kerasal.model_spec("mnist_cnn").weights["kerasal"]
    assert shipped.file.stat().st_size < 250_000  # the weights alone: with Adam's moments it would be three times that
    assert hashlib.sha256(shipped.file.read_bytes()).hexdigest() == shipped.sha256


def test_the_card_and_the_source():
    spec = kerasal.model_spec("mnist_cnn")
    train, test = (
        float(figure) for figure in re.search(r"accuracy (\S+) on the 60,000.*and (\S+) on", spec.card).groups()
    )
    assert train >= 0.991 and test >= 0.982
    assert f"accuracy {train:.4f} train, {test:.4f} test".replace("0.", ".") in spec.weights["kerasal"].description
    assert f"and {spec.recipe['epochs']} epochs" in spec.card


def test_test_accuracy_is_the_cards(model, mnist_path):
    images, labels = mnist(mnist_path)[1]
    correct = model.predict(inputs(images), batch_size=1000, verbose=0).argmax(axis=1) == labels
    assert np.count_nonzero(correct) == 9889  # the card: .9889


@pytest.mark.parametrize("options", [{"stride": 3}, {"classes": 1}, {"classes": "ten"}])
def test_wrong_options(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be (1 or 2|an integer of at least 2), got"):
        kerasal.create_model("mnist_cnn", **options)
