"""Features on the disk: used again, gone on with after a stop, and never those of anything else."""

import numpy as np
import pandas as pd
import pytest

from kerasal import images as pictures
from kerasal import probe
from kerasal.probe import feature_store
from kerasal.probe.layer_features import Features

import keras

LABELS = ["a", "b"] * 8


@pytest.fixture
def net():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(4, 3, activation="relu", name="one"), keras.layers.Conv2D(5, 3, name="two")]
    return keras.Sequential([keras.Input((9, 9, 3)), *layers], name="net")


@pytest.fixture
def files(tmp_path):
    random = np.random.default_rng(0)
    return [
        pictures.write(tmp_path / "photos" / f"{i:02d}.png", random.integers(0, 256, (9, 9, 3), np.uint8))
        for i in range(len(LABELS))
    ]


@pytest.fixture
def shown(monkeypatch):
    """How many images each run showed to the model, and for which layers."""
    seen, run = [], Features._run

    def counted(self, paths, inputs):
        seen.append((len(inputs), tuple(paths)))
        return run(self, paths, inputs)

    monkeypatch.setattr(Features, "_run", counted)
    return seen


@pytest.fixture
def ask(net, files, tmp_path):
    def call(layers=("one",), images=files, model=net, **options):
        options = {"per_class": 3, "folds": 3, "preprocessing": "unit", "cache": tmp_path / "cache"} | options
        return probe.layer_probe(model, list(layers), images, LABELS, **options)

    return call


def test_a_second_probe_runs_the_model_on_one_image_only(ask, shown):
    first = ask()
    assert sum(count for count, _ in shown) == 17
    shown.clear()
    pd.testing.assert_frame_equal(ask(per_class=[3], seed=0), first)
    assert shown == [(1, ("one",))]


def test_a_layer_added_later_is_computed_alone(ask, shown, tmp_path):
    alone = ask(["two"], cache=tmp_path / "other")
    ask(["one"])
    shown.clear()
    both = ask(["one", "two"])
    assert {paths for count, paths in shown if count > 1} == {("two",)}
    pd.testing.assert_frame_equal(both[both["layer"] == "two"].reset_index(drop=True), alone)


def test_a_stopped_pass_goes_on(ask, shown, monkeypatch, tmp_path):
    uninterrupted = ask(["one", "two"], cache=tmp_path / "other")
    monkeypatch.setattr(feature_store, "_BLOCK", 4 * 6 * 6 * 4)  # four images a block of the first layer
    write, kept = feature_store.FeatureStore.write, []

    def stop(self, *arguments):
        if len(kept) == 3:
            raise KeyboardInterrupt
        write(self, *arguments)
        kept.append(arguments)

    monkeypatch.setattr(feature_store.FeatureStore, "write", stop)
    with pytest.raises(KeyboardInterrupt, match=r"Run the same call again to resume from .*cache"):
        ask(["one", "two"], batch_size=3)
    monkeypatch.setattr(feature_store.FeatureStore, "write", write)
    shown.clear()
    pd.testing.assert_frame_equal(ask(["one", "two"], batch_size=3), uninterrupted)
    assert 1 < sum(count for count, _ in shown) < 17


def test_nothing_stale_is_used(ask, net, files, shown):
    ask()

    def passes(**changed):
        shown.clear()
        ask(**changed)
        return sum(count for count, _ in shown) == 17

    assert not passes()
    assert passes(pool=2)
    assert passes(preprocessing="tf")
    assert passes(size=None, fit="stretch")
    net.layers[0].activation = keras.activations.elu
    assert passes()
    net.layers[0].bias.assign(np.ones(4))
    assert passes()
    pictures.write(files[3], np.zeros((9, 9, 3), np.uint8))
    assert passes()
    assert not passes()


def test_the_definition_is_part_of_the_name(net):
    pixels, names = np.zeros((2, 9, 9, 3), np.uint8), []
    for activation in ("relu", "elu", "relu"):
        net.layers[0].activation = keras.activations.get(activation)
        names.append(feature_store.digest_features(net, pixels, {}))
    assert names[0] == names[2] != names[1]


def test_pixels_in_memory_are_known_by_their_values(ask, shown):
    pixels = np.random.default_rng(1).integers(0, 256, (16, 9, 9, 3), np.uint8)
    ask(images=pixels)
    shown.clear()
    ask(images=pixels.copy())
    assert sum(count for count, _ in shown) == 1
    pixels[5, 2, 2, 0] ^= 1
    ask(images=pixels)
    assert sum(count for count, _ in shown) == 1 + 17


def test_a_definition_that_only_its_class_knows_is_checked_by_an_image(ask, shown, monkeypatch):
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.one = keras.layers.Conv2D(4, 3, name="one")
            self.factor = 1.0

        def call(self, inputs, training=False):
            return self.one(inputs * self.factor)

    keras.utils.set_random_seed(1)
    model = Own()
    model(np.zeros((1, 9, 9, 3), np.float32))
    before = ask(model=model, size=(9, 9))
    weights = model.get_weights()
    other = Own()
    other.factor = -1.0
    other(np.zeros((1, 9, 9, 3), np.float32))
    other.set_weights(weights)
    shown.clear()
    ask(model=other, size=(9, 9))
    assert sum(count for count, _ in shown) == 17
    shown.clear()
    pd.testing.assert_frame_equal(ask(model=model, size=(9, 9)), before)


def test_a_damaged_block_is_computed_again(ask, shown, tmp_path):
    first = ask()
    (block,) = tmp_path.glob("cache/*/*.npz")
    block.write_bytes(block.read_bytes()[:200])
    shown.clear()
    pd.testing.assert_frame_equal(ask(), first)
    assert sum(count for count, _ in shown) == 17


def test_files_that_could_not_be_read_are_told_again(ask, files):
    files[5].write_bytes(b"torn")
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"1 file could not be read: .*05\.png"):
            table = ask()
    assert table.attrs["images"] == 15
