"""A classifier trained on class folders: the same training, augmented, resumed, and told by its class names."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerasal import training
from kerasal.datasets import class_images
from kerasal.training import Augmentation, results, training_pictures
from kerasal.training.training_inputs import Inputs

import keras

SHAPE = (12, 12, 3)
SETTINGS = {"epochs": 3, "batch_size": 8, "seed": 3, "progress": False, "preprocessing": "unit"}
CHANGES = Augmentation(shift=0.1, scale=0.1, flip=True)


@pytest.fixture(scope="module")
def folder(colored_squares, tmp_path_factory):
    folder, colors = tmp_path_factory.mktemp("colors"), ("red", "green", "dark blue")
    return colored_squares(folder, colors, 20, (14, 18), np.s_[3:11, 4:14])


def tiny():
    keras.utils.set_random_seed(1)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(6, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax"),
        ],
        name="tiny",
    )


def run(folder, output, model=None, memory=1 << 20, **changes):
    parts = class_images(folder, SHAPE, memory=memory)
    return training.train(model or tiny(), *parts, output, **SETTINGS | {"augmentation": CHANGES} | changes)


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    return run(folder, tmp_path_factory.mktemp("whole"), learning_rate=0.03, epochs=6)


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def test_it_learns_and_writes_what_it_learned(folder, whole):
    assert whole.history["test_accuracy"].iloc[-1] > 0.8
    counts = whole.confusion
    assert counts.to_numpy().sum() == 12 and counts.sum(axis=1).tolist() == [4, 4, 4]
    assert np.trace(counts.to_numpy()) / 12 == whole.history["test_accuracy"].iloc[-1]
    stored = pd.read_csv(whole.output / "confusion.csv", index_col=0)
    pd.testing.assert_frame_equal(stored, counts)
    assert (whole.output / "labels.txt").read_text() == "dark blue\ngreen\nred\n"
    facts = json.loads((whole.output / "run.json").read_text())
    assert facts["preprocessing"] == "unit" and facts["labels"] == ["dark blue", "green", "red"]
    with Image.open(whole.output / "confusion.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10
    parts = class_images(folder, SHAPE)
    assert training.accuracy(whole.model, parts[1], "unit") == whole.history["test_accuracy"].iloc[-1]


@pytest.mark.slow
def test_interrupted_and_resumed_is_bit_equal(folder, whole, tmp_path, monkeypatch):
    """With augmentation, stopped in the third epoch, and read from files instead of from memory."""
    calls, original = [], keras.Sequential.train_on_batch

    def stopping(trainer, *arguments, **options):
        calls.append(1)
        if len(calls) == 15:  # of 6 an epoch
            raise KeyboardInterrupt
        return original(trainer, *arguments, **options)

    changes = {"learning_rate": 0.03, "epochs": 6, "memory": 100}
    with monkeypatch.context() as patched:
        patched.setattr(keras.Sequential, "train_on_batch", stopping)
        with pytest.raises(KeyboardInterrupt, match="after 2 of 6 epochs"):
            run(folder, tmp_path, **changes)
    assert same(run(folder, tmp_path, **changes).model, whole.model)


def test_other_augmentation_or_images_are_another_run(folder, whole):
    with pytest.raises(ValueError, match=r"augmentation: .*'flip': True.* there, None now"):
        run(folder, whole.output, learning_rate=0.03, epochs=6, augmentation=None)
    with pytest.raises(ValueError, match=r"train_data: .* there"):
        run(folder, whole.output, learning_rate=0.03, epochs=6, preprocessing="tf")


def test_unfit_models_and_names(folder, tmp_path):
    parts = class_images(folder, SHAPE)
    two = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    with pytest.raises(ValueError, match=r"training images must have 2 classes, .*got 3\. Create a zoo model"):
        training.train(two, *parts, tmp_path, **SETTINGS)
    with pytest.raises(ValueError, match=r"training images must be \(12, 12, 3\), .*got \(10, 12, 3\)"):
        training.train(tiny(), *class_images(folder, (10, 12, 3)), tmp_path, **SETTINGS)
    with pytest.raises(ValueError, match="preprocessing must be specified to train tiny on images"):
        training.train(tiny(), *parts, tmp_path, **SETTINGS | {"preprocessing": None})
    with pytest.raises(ValueError, match="a name for each of the 3 outputs of tiny, got 2 names"):
        training.train(tiny(), *parts, tmp_path, **SETTINGS, class_names=["a", "b"])
    others = class_images(folder, SHAPE, classes=["red", "green"])[1]
    with pytest.raises(ValueError, match="the same classes"):
        training.train(tiny(), parts[0], others, tmp_path, **SETTINGS)
    assert not list(tmp_path.iterdir())


def test_augmentation_moves_scales_and_mirrors_about_the_middle():
    picture = np.zeros((1, 9, 9, 1), np.float32)
    picture[0, 4, 6] = 1

    def peak(down, right, size, side):
        moved = CHANGES.apply(picture, np.array([[down, right, size, side]]))
        return np.unravel_index(moved.argmax(), moved.shape)[1:3]

    assert peak(0, 0, 1, 1) == (4, 6)
    assert peak(1 / 9, 0, 1, 1) == (5, 6)
    assert peak(0, -2 / 9, 1, 1) == (4, 4)
    assert peak(0, 0, 2, 1) == (4, 8)
    assert peak(0, 0, 1, -1) == (4, 2)
    assert peak(1 / 9, 1 / 9, 1, -1) == (5, 3)


def test_augmentation_fills_by_reflection_and_needs_no_change():
    pictures = np.random.default_rng(0).normal(size=(4, 6, 7, 3)).astype(np.float32)
    still = np.tile([0.0, 0.0, 1.0, 1.0], (4, 1))
    np.testing.assert_allclose(CHANGES.apply(pictures, still), pictures, atol=1e-6)
    np.testing.assert_allclose(CHANGES.apply(pictures, still * [1, 1, 1, -1]), pictures[:, :, ::-1], atol=1e-5)
    moved = CHANGES.apply(pictures, np.add(still, [1 / 6, 0, 0, 0]))
    np.testing.assert_allclose(moved[:, 1:], pictures[:, :-1], atol=1e-5)
    np.testing.assert_allclose(moved[:, 0], pictures[:, 0], atol=1e-5)


def test_augmentation_stays_within_what_was_asked_for():
    drawn = Augmentation(shift=0.1, scale=0.25, flip=True).draw(2000, np.random.default_rng(0))
    assert 0.099 < np.abs(drawn[:, :2]).max() <= 0.1
    assert 0.8 <= drawn[:, 2].min() < 0.81 and 1.24 < drawn[:, 2].max() <= 1.25
    assert 0.45 < (drawn[:, 3] < 0).mean() < 0.55
    assert (Augmentation(shift=0.1).draw(9, np.random.default_rng(0))[:, 2:] == 1).all()
    assert not Augmentation() and Augmentation(flip=True)
    for wrong in ({"shift": 0.6}, {"scale": -0.1}):
        with pytest.raises(ValueError, match="must be a finite number in 0"):
            Augmentation(**wrong)


def test_batches_have_each_image_with_its_label_and_its_change():
    pictures = np.random.default_rng(0).normal(size=(7, 5, 5, 1)).astype(np.float32)
    labels = np.arange(7, dtype=np.int32) % 3
    inputs, order = Inputs((pictures, labels), None), np.array([3, 0, 6, 1, 5, 2, 4])
    drawn = CHANGES.draw(7, np.random.default_rng(1))
    whole = CHANGES.apply(pictures[order], drawn)
    found = list(inputs.batches(order, 3, (CHANGES, drawn)))
    assert [len(images) for images, _ in found] == [3, 3, 1]
    np.testing.assert_allclose(np.concatenate([images for images, _ in found]), whole, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([own for _, own in found]), labels[order])
    plain = np.concatenate([images for images, _ in inputs.batches(order, 3)])
    np.testing.assert_array_equal(plain, pictures[order])


def test_confusion_counts_and_picture():
    counts = training_pictures.count_confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), ["a", "b", "c"])
    assert counts.to_numpy().tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    axes = training_pictures.draw_confusion(counts, "a title").axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "c"]
    assert {(*map(int, text.get_position()), text.get_text()) for text in axes.texts} >= {(0, 2, "1"), (2, 0, "0")}
    np.testing.assert_allclose(axes.images[0].get_array()[0], [0.5, 0.5, 0])
    many = training_pictures.count_confusion(np.arange(100), np.arange(100), [str(i) for i in range(100)])
    assert not training_pictures.draw_confusion(many, "many").axes[0].texts


def test_a_class_in_letters_that_the_font_has_not_is_drawn_without_a_warning(tmp_path):
    counts = training_pictures.count_confusion(np.array([0, 1]), np.array([0, 1]), ["\u72ac", "\u732b"])
    results._save_figure(training_pictures.draw_confusion(counts, "\u52d5\u7269"), tmp_path / "counts.png")
    assert (tmp_path / "counts.png").stat().st_size > 1000
