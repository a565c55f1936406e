"""Feature evolution: a file for each listed epoch reached, kept over a stop, and never at the cost of the training."""

import errno

import numpy as np
import pytest

from kerasal import images, receptive_field, training
from kerasal.receptive_field import FeatureEvolution
from kerasal.receptive_field.exemplars.evolution_files import EpochStore

import keras


def tiny(seed=0):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(3, activation="softmax"),
        ],
        name="tiny",
    )


def data(n=32, seed=1):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    pictures = random.random((n, 8, 8, 1), dtype=np.float32)
    for picture, label in zip(pictures, labels, strict=True):
        picture[2 * label : 2 * label + 2] += 1
    return pictures, labels


FEATURES = {"conv": [0, 2]}


def watcher(folder, **changes):
    return FeatureEvolution(folder, data(12, 7)[0], **{"features": FEATURES, "epochs": (0, 1, 3, 5)} | changes)


def copied(folder, to):
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def fit(model, callback, epochs=3, initial_epoch=0):
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(*data(), epochs=epochs, initial_epoch=initial_epoch, batch_size=16, verbose=0, callbacks=[callback])


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A training of three epochs, watched, and what excited the features at its end."""
    folder = tmp_path_factory.mktemp("evolution") / "made"
    model = tiny()
    fit(model, watcher(folder, features=FEATURES | {"pool": 1}))
    exemplars = [
        receptive_field.top_exemplars(model, layer, channel, data(12, 7)[0], 1)
        for layer, channel in (("conv", 0), ("conv", 2), ("pool", 1))
    ]
    return model, folder, exemplars


@pytest.mark.slow
def test_a_file_for_each_listed_epoch_reached(run):
    _, folder, _ = run
    assert files(folder) == ["epoch-0000.npz", "epoch-0001.npz", "epoch-0003.npz", "evolution.png"]
    found = receptive_field.read_evolution(folder)
    assert found.epochs == [0, 1, 3]
    assert found.features == [("conv", 0), ("conv", 2), ("pool", 1)]
    assert images.read(folder / "evolution.png").std() > 20


def test_what_is_stored_is_the_top_exemplar_of_that_epoch(run):
    _, folder, exemplars = run
    found = receptive_field.read_evolution(folder)
    for stored, now in zip(found.exemplars[3], exemplars, strict=True):
        assert (stored.layer, stored.channel) == (now.layer, now.channel)
        np.testing.assert_allclose(stored.activations, now.activations, rtol=1e-5)
        np.testing.assert_allclose(stored.reconstructions, now.reconstructions, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(stored.crops, now.crops)
        assert stored.names == now.names and stored.boxes.tolist() == now.boxes.tolist()
    assert not np.allclose(found.exemplars[0][0].activations, found.exemplars[3][0].activations)


def test_training_that_goes_on_adds_to_the_folder(run, tmp_path):
    model, folder, _ = run
    copied(folder, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    fit(model, watcher(tmp_path, features=FEATURES | {"pool": 1}), epochs=5, initial_epoch=3)
    assert files(tmp_path) == sorted([*before, "epoch-0005.npz"])
    assert {name for name in before if (tmp_path / name).read_bytes() != before[name]} == {"evolution.png"}
    strip, longer = images.read(folder / "evolution.png"), images.read(tmp_path / "evolution.png")
    assert longer.shape[1] > strip.shape[1] and longer.std() > 20


def test_another_run_or_evolution_in_the_folder_is_refused_before_the_first_step(run):
    model, folder, _ = run
    before, kept = model.get_weights(), {name: (folder / name).read_bytes() for name in files(folder)}
    with pytest.raises(ValueError, match=r"earlier run, up to epoch 3.*overwrite=True"):
        fit(model, watcher(folder))
    with pytest.raises(ValueError, match=r"holds an evolution with other settings \(features: "):
        fit(model, watcher(folder), epochs=4, initial_epoch=3)
    with pytest.raises(ValueError, match=r"holds an evolution with other settings \(images: "):
        other = FeatureEvolution(folder, data(12, 8)[0], FEATURES | {"pool": 1})
        fit(model, other, epochs=4, initial_epoch=3)
    changed = tiny()
    changed.get_layer("conv").activation = keras.activations.relu6
    with pytest.raises(ValueError, match=r"holds an evolution with other settings \(architecture: "):
        fit(changed, watcher(folder, features=FEATURES | {"pool": 1}), epochs=4, initial_epoch=3)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert kept == {name: (folder / name).read_bytes() for name in files(folder)}


def test_overwriting_replaces_the_earlier_run(run, tmp_path):
    model, folder, _ = run
    copied(folder, tmp_path)
    (tmp_path / ".epoch-0003-half_123.npz").touch()
    fit(model, watcher(tmp_path, epochs=[2], overwrite=True), epochs=2)
    assert files(tmp_path) == ["epoch-0002.npz", "evolution.png"]


def test_a_full_disk_costs_the_picture_and_not_the_training(run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(EpochStore, "write", full)
    model, _, _ = run
    before = model.get_weights()
    with pytest.warns(UserWarning, match=r"after epoch 1 could not be stored .*No space left.* training continues"):
        fit(model, watcher(tmp_path, epochs=[1]), epochs=2)
    assert not np.array_equal(before[0], model.get_weights()[0])
    assert files(tmp_path) == []


def test_what_could_only_fail_later_is_refused_at_the_start(run, tmp_path):
    model, _, _ = run
    with pytest.raises(ValueError, match="Layer 'conv' has 4 channels"):
        fit(model, watcher(tmp_path, features={"conv": [4]}))
    with pytest.raises(ValueError, match="Unknown layer 'konv'"):
        fit(model, watcher(tmp_path, features={"konv": [0]}))
    with pytest.raises(ValueError, match="no spatial map"):
        fit(model, watcher(tmp_path, features={"flat": [0]}))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot write"):
        fit(model, watcher(tmp_path / "file" / "folder"))
    for wrong in ({"epochs": [-1]}, {"epochs": []}, {"epochs": [1.5]}, {"rule": "none"}):
        with pytest.raises(ValueError, match=r"epochs|rule"):
            watcher(tmp_path, **wrong)
    with pytest.raises(TypeError, match="features must be a dictionary from layer to channels"):
        watcher(tmp_path, features=["conv"])


def test_a_damaged_epoch_is_left_out(run, tmp_path):
    _, folder, _ = run
    copied(folder, tmp_path)
    (tmp_path / "epoch-0001.npz").write_bytes((folder / "epoch-0001.npz").read_bytes()[:500])
    with pytest.warns(UserWarning, match=r"epoch-0001.npz is damaged .* skipped"):
        assert receptive_field.read_evolution(tmp_path).epochs == [0, 3]
    with pytest.raises(FileNotFoundError, match="must be a folder with stored epochs"):
        receptive_field.draw_evolution(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="features must be among the stored features conv:0, conv:2, pool:1"):
        receptive_field.draw_evolution(folder, [("conv", 1)])


class Listener(keras.callbacks.Callback):
    def __init__(self, stop=None):
        super().__init__()
        self.told, self.stop = [], stop

    def on_train_begin(self, logs=None):
        self.told.append("begin")

    def on_train_end(self, logs=None):
        self.told.append("end")

    def on_epoch_begin(self, epoch, logs=None):
        self.told.append(epoch)

    def on_epoch_end(self, epoch, logs=None):
        self.told.append((epoch, sorted(logs)[:2]))
        self.model.stop_training = epoch == self.stop


def test_the_trainer_tells_callbacks_stops_when_told_and_goes_on(tmp_path):
    model, settings = tiny(), {"batch_size": 16, "progress": False}
    trained, logs = (model, data(), data(8, 2), tmp_path / "run"), ["accuracy", "epoch"]
    first, second = Listener(stop=0), Listener()
    watched = {"epochs": [1, 2, 3]}
    callbacks = [first, watcher(tmp_path / "features", **watched)]
    result = training.train(*trained, epochs=3, callbacks=callbacks, **settings)
    assert first.told == ["begin", 0, (0, logs), "end"] and len(result.history) == 1
    callbacks = [second, watcher(tmp_path / "features", **watched)]
    training.train(*trained, epochs=2, callbacks=callbacks, **settings)
    assert second.told == ["begin", 1, (1, logs), "end"]
    assert receptive_field.read_evolution(tmp_path / "features").epochs == [1, 2]
    kept = (tmp_path / "run" / "checkpoint.npz").read_bytes()
    with pytest.raises(ValueError, match="has 4 channels"):
        wrong = watcher(tmp_path / "other", features={"conv": 9})
        training.train(*trained, epochs=3, callbacks=[wrong], resume=False, **settings)
    assert (tmp_path / "run" / "checkpoint.npz").read_bytes() == kept
