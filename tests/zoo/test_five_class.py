"""The shipped weights of the five-class model: their classes, their size, and the accuracy that the card states."""

import hashlib
import re

import numpy as np
import pytest

import kerasal
from kerasal import datasets, training
from kerasal.models.weight_files import save_npz

NAMES = ["goldfish", "lemon", "king penguin", "golden retriever", "boa constrictor"]


def test_shipped_weights_are_small_and_verified():
    shipped = kerasal.model_spec("five_class_cnn").weights["kerasal"]
    assert shipped.file.stat().st_size < 600_000  # half precision
    assert hashlib.sha256(shipped.file.read_bytes()).hexdigest() == shipped.sha256


def test_the_classes_are_those_of_the_weights(tmp_path):
    opened = kerasal.open_model("five_class_cnn")
    assert opened.labels == NAMES and not opened.untrained
    assert kerasal.open_model("five_class_cnn", weights="kerasal").labels == NAMES
    assert kerasal.open_model("five_class_cnn", labels=list("abcde")).labels == list("abcde")
    own = save_npz(opened.keras_model, tmp_path / "own.npz")
    assert kerasal.open_model("five_class_cnn", weights=own).labels == [], "the classes of a file are not known"
    other = kerasal.open_model("five_class_cnn", options={"classes": 3})
    assert other.labels == [] and other.untrained


def test_the_card_has_the_accuracies_of_the_weights():
    spec = kerasal.model_spec("five_class_cnn")
    train, test = re.search(
        r"accuracy (\.\d+) on the 2,500 training images .*? and (\.\d+) on", spec.card, re.S
    ).groups()
    assert f"accuracy {train} train, {test} test" in spec.weights["kerasal"].description
    assert f"as in the source, {spec.recipe['epochs']} epochs" in spec.card


@pytest.mark.slow
def test_test_accuracy_is_the_cards(data_folder):
    folders = [name.replace(" ", "_") for name in NAMES]
    photos = datasets.class_images(data_folder / "tiny_imagenet10", (224, 224, 3), classes=folders)[1]
    model = kerasal.create_model("five_class_cnn", weights="kerasal")
    stated = float(re.search(r"accuracy \S+ train, (\S+) test", _description())[1])
    assert len(photos) == 250
    np.testing.assert_allclose(training.accuracy(model, photos, "unit"), stated, atol=1e-9)


def _description():
    return kerasal.model_spec("five_class_cnn").weights["kerasal"].description
