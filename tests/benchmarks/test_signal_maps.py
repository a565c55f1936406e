"""The benchmarks of 1-D maps: where the holster is, what a channel contributes, and small runs."""

import pathlib
import sys

import numpy as np
import pytest

import keras

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import channel_maps
import signal_maps


def _gesture(rise, fall, steps=150):
    """Return a signal that rises at one step and falls at another, with ramps of 10 steps."""
    times = np.arange(steps)
    return np.clip((times - rise) / 10, 0, 1) * np.clip((fall - times) / 10, 0, 1)


def _write(path, x, y, classes):
    half = len(x) // 2
    arrays = {"x_train": x[:half], "y_train": y[:half], "x_test": x[half:], "y_test": y[half:]}
    np.savez(path, **arrays, classes=np.array(classes))


def test_the_holster_interval_lies_before_the_rise_and_after_the_fall():
    before, after = signal_maps.holster_interval(_gesture(40, 110))
    assert np.flatnonzero(before).tolist() == list(range(16, 46))  # the last sample at half, 45, is not above it
    assert np.flatnonzero(after).tolist() == list(range(105, 135))
    before, after = signal_maps.holster_interval(5 - 3 * (1 - _gesture(10, 140)), reach=20)
    assert np.flatnonzero(before).tolist() == list(range(16)), "the interval ends where the signal begins"
    assert np.flatnonzero(after).tolist() == list(range(135, 150))


def test_the_nearest_neighbor_sees_its_part_alone():
    random, y = np.random.default_rng(0), np.arange(40) % 2
    x = np.stack([_gesture(random.integers(35, 50), random.integers(95, 110)) for _ in y])
    for signal, label in zip(x, y, strict=True):
        signal[signal_maps.holster_interval(signal)[1]] -= 0.3 * label
    parts = {"x_train": x[:20], "x_test": x[20:]}
    data = {name: part[..., None] for name, part in parts.items()} | {"y_train": y[:20], "y_test": y[20:]}
    right = signal_maps.nearest_neighbor(data)
    assert right["holster interval"].all() and right["rest"].mean() < 0.8


@pytest.mark.slow
def test_channel_shares_add_up_to_the_score_and_are_zero_for_an_unused_channel():
    keras.utils.set_random_seed(0)
    model = signal_maps.network(20, 3, 2)
    kernel, *others = model.layers[0].get_weights()
    kernel[:, 1] = 0
    model.layers[0].set_weights([kernel, *others])
    x = np.random.default_rng(1).normal(size=(4, 20, 3)).astype(np.float32)
    y = np.array([0, 1, 1, 0])
    shares = channel_maps.channel_shares(model, x, y)
    assert shares.shape == (4, 3) and (shares[:, 1] == 0).all() and np.abs(shares[:, [0, 2]]).min() > 0
    scores = model.predict(x, verbose=0) - model.predict(0 * x, verbose=0)
    np.testing.assert_allclose(shares.sum(axis=1), scores[np.arange(4), y], atol=0.02 * np.abs(scores).max())
    drops = channel_maps.channel_drops(model, x, y, 2, 0)
    assert np.abs(drops[:, 1]).max() < 1e-5 and np.abs(drops[:, 0]).min() > 0


@pytest.mark.slow
def test_both_scripts_run_and_continue(tmp_path, capsys):
    random = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = np.stack([_gesture(random.integers(35, 50), random.integers(95, 110)) for _ in y])
    x[:, :30] += 0.2 * y[:, None]
    _write(tmp_path / "gunpoint.npz", np.float32(x[..., None] + random.normal(0, 0.01, (80, 150, 1))), y, ["1", "2"])
    labels = np.arange(40) % 4
    loud = 1 + labels[:, None, None] * np.array([1, 0, 0, 1, 0, 0])
    motions = np.float32(random.normal(0, 1, (40, 50, 6)) * loud)
    _write(tmp_path / "basicmotions.npz", motions, labels, ["rest", "walk", "run", "jump"])
    for script in (signal_maps, channel_maps):
        words = [str(tmp_path), "-o", str(tmp_path / "runs"), "--small"]
        script.main(words)
        first = capsys.readouterr().out
        assert "integrated_gradients, shuffled weights" in first
        script.main(words)  # finished: nothing is computed again
        assert capsys.readouterr().out == first
