"""The class models of Simonyan et al.: the recipe is followed, and the measures are what they are called."""

import pathlib
import sys

import numpy as np
import pytest

import kerasal
from kerasal import images

import keras

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import class_models


def _classifier(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            keras.layers.Conv2D(8, 5, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1000, activation="softmax"),
        ]
    )


@pytest.fixture
def files(tmp_path):
    """Two classifiers of 1,000 classes with random weights, and mnist.npz of the digits of the package."""
    for seed in (0, 1):
        _classifier(seed).save(tmp_path / f"{seed}.keras")
    pixels, truth = kerasal.datasets.digits()
    np.savez(tmp_path / "mnist.npz", x_train=pixels, y_train=truth)
    return [str(tmp_path / "0.keras"), str(tmp_path / "1.keras"), "--mnist", str(tmp_path / "mnist.npz")]


@pytest.mark.slow
def test_the_tables_and_pictures_are_made_and_stored(files, tmp_path, capsys):
    line = [*files, "--small", "-o", str(tmp_path / "out")]
    table = class_models.main(line)
    assert table.shape[0] == 6 and "Posterior minus score, paired" in capsys.readouterr().out
    assert images.read(tmp_path / "out" / "digits.jpg").shape[1] > 10 * 84
    class_models.main(line)
    assert "maximizing" not in capsys.readouterr().out, "stored images are not made again"


def test_the_mean_is_where_the_digits_start_and_is_added_to_their_pictures(files):
    subjects, means = class_models.open_subjects(*files[:2], files[3])
    digits = subjects[2]
    zero = np.zeros((1, 28, 28, 1), np.float32)
    mean = kerasal.datasets.digits()[0].mean(axis=0)
    np.testing.assert_allclose(class_models.pictures(digits, zero)[0, ..., 0], mean, atol=1)
    alone = kerasal.create_model("mnist_cnn", weights="kerasal")
    np.testing.assert_allclose(digits.model(zero), alone(mean[None, ..., None] / 255), rtol=1e-3, atol=1e-6)
    patterns = (means - means.mean(axis=0))[..., None]
    assert class_models.recognized_as_digits(patterns, means).all()
    assert not class_models.recognized_as_digits(patterns[::-1], means).any()


def test_score_and_others_add_up_to_the_log_odds(files):
    subjects, _ = class_models.open_subjects(*files[:2], files[3])
    subject = subjects[0]
    raw = np.random.default_rng(0).normal(size=(6, 24, 24, 3)).astype(np.float32)
    table = class_models.describe(subject, raw, np.ones(6))
    chosen = np.arange(6), list(subject.classes.values())
    after = subject.model(raw).numpy().astype(float)[chosen]
    before = subject.model(np.zeros_like(raw)).numpy().astype(float)[chosen]
    np.testing.assert_allclose(table["posterior"], after, rtol=1e-4)
    gain = np.log(after / (1 - after)) - np.log(before / (1 - before))
    np.testing.assert_allclose(table["score"] - table["others"], gain, atol=1e-4)
    np.testing.assert_allclose(table["RMS"], np.sqrt((raw**2).mean(axis=(1, 2, 3))) * 128, rtol=1e-3)


def test_the_share_of_coarse_waves():
    x = np.mgrid[:32, :32][1]
    for length, share in ((16, 1), (8, 1), (4, 0)):
        wave = np.cos(2 * np.pi * x / length)[..., None] + 5
        assert class_models.coarse_share(wave, 8) == pytest.approx(share, abs=1e-6)
