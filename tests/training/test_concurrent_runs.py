"""Two trainings in one folder: the second is refused before it touches anything."""

import os

import numpy as np
import pytest

from kerasal import training
from kerasal.digests import stamp
from kerasal.locks import FolderInUse, lock_folder

import keras


def classifier(activation="relu"):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Flatten(), keras.layers.Dense(3, activation), keras.layers.Dense(2, "softmax")]
    return keras.Sequential([keras.Input((2, 2, 1)), *layers], name="tiny")


def train(output, model=None, **changes):
    data = np.linspace(0, 1, 24, dtype=np.float32).reshape(6, 2, 2, 1), np.arange(6) % 2
    return training.train(model or classifier(), data, data, output, **{"epochs": 1, "progress": False, **changes})


def train_gaze(output):
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")])
    net.name = "gaze_net"
    data = np.zeros((2, 8, 8, 3), np.uint8), np.ones((2, 8, 8), np.float32)
    return training.train_gaze(net, data, data, output=output, epochs=1, batch_size=2, progress=False)


def stamps(folder):
    return {name: stamp(folder / name) for name in os.listdir(folder)}


class Second(keras.callbacks.Callback):
    """A second training that begins while the first one is under way."""

    def __init__(self, output):
        super().__init__()
        self.output, self.refused = output, None

    def on_epoch_end(self, epoch, logs=None):
        before = stamps(self.output)
        with pytest.raises(FolderInUse) as self.refused:
            train(self.output, resume=False)
        assert stamps(self.output) == before


@pytest.mark.slow
def test_a_second_training_is_refused_while_the_first_goes_on(tmp_path):
    second = Second(tmp_path / "run")
    result = train(tmp_path / "run", callbacks=[second])
    assert f"Another run is writing into {tmp_path / 'run'}: process {os.getpid()} on" in str(second.refused.value)
    alone = train(tmp_path / "alone")
    for weights in zip(result.model.get_weights(), alone.model.get_weights(), strict=True):
        np.testing.assert_array_equal(*weights)
    assert ".lock" not in os.listdir(tmp_path / "run")
    train(tmp_path / "run", epochs=2)


@pytest.mark.slow
def test_a_gaze_training_is_refused_too(tmp_path):
    with lock_folder(tmp_path / "run"), pytest.raises(FolderInUse, match="Another run is writing"):
        train_gaze(tmp_path / "run")
    train_gaze(tmp_path / "run")


def test_what_is_refused_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="on_train_begin"):

        class Refusing(keras.callbacks.Callback):
            def on_train_begin(self, logs=None):
                raise ValueError("on_train_begin")

        train(tmp_path / "run", callbacks=[Refusing()])
    assert not (tmp_path / "run").exists()


class _Chief:
    chief, size = True, 2

    def __init__(self):
        self.told = []

    def exchange_or_raise(self, error):
        self.told.append(error)
        if error:
            raise error


class _Worker(_Chief):
    chief = False


def test_of_a_team_the_chief_alone_locks(tmp_path):
    """Processes of one training share the folder, on one machine too; what the chief is refused they all hear."""
    from kerasal.training.run_folder import claim_folder

    chief, worker, other = _Chief(), _Worker(), _Chief()
    with claim_folder(chief, tmp_path), claim_folder(worker, tmp_path):
        assert chief.told == worker.told == [None]
        with pytest.raises(FolderInUse), claim_folder(other, tmp_path):
            raise AssertionError
        assert isinstance(other.told[0], FolderInUse)


@pytest.mark.slow
def test_a_run_does_not_go_on_with_another_architecture(tmp_path):
    """The same name and number of parameters, other activation; the same again, and its layers renamed, goes on."""
    first = train(tmp_path / "run")
    with pytest.raises(ValueError, match=r"other settings \(architecture: \w{32} there, \w{32} now\)"):
        train(tmp_path / "run", classifier("tanh"), epochs=2)
    frozen = classifier()
    frozen.layers[1].trainable = False
    with pytest.raises(ValueError, match=r"other settings \(architecture"):
        train(tmp_path / "run", frozen, epochs=2)
    assert train(tmp_path / "run", classifier(), epochs=2).history["loss"][0] == first.history["loss"][0]


def test_a_checkpoint_of_an_earlier_version_is_refused_by_name(tmp_path):
    train(tmp_path / "run")
    with np.load(tmp_path / "run" / "checkpoint.npz") as stored:
        arrays = dict(stored)
    settings = str(arrays["settings"])
    assert '"architecture"' in settings
    arrays["settings"] = settings.replace('"architecture"', '"something"')
    np.savez(tmp_path / "run" / "checkpoint.npz", **arrays)
    with pytest.raises(ValueError, match=r"architecture: not recorded there, .*resume=False"):
        train(tmp_path / "run", epochs=2)
