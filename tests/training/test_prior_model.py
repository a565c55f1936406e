"""What a trainer with priors writes: the model that is trained, and what a stopped training needs to go on."""

import json
import zipfile

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from kerasal import training  # noqa: E402
from kerasal.losses import AttributionPrior  # noqa: E402

L = keras.layers
RANDOM = np.random.default_rng(6)
X = RANDOM.random((12, 6, 6, 1)).astype("float32")
Y = np.arange(12) % 3
DATA = {"inputs": X, "forbidden": (RANDOM.random((12, 6, 6)) < 0.4).astype("float32")}


def make_trainer(model=None):
    keras.utils.set_random_seed(3)
    layers = [L.Conv2D(3, 3, activation="softplus"), L.Flatten(), L.Dense(3, activation="softmax")]
    model = model or keras.Sequential([keras.Input((6, 6, 1)), *layers])
    trainer = training.PriorModel(model, AttributionPrior("reasons"))
    trainer.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return trainer


def test_a_saved_model_is_the_trained_one_without_the_trainer(tmp_path):
    trainer = make_trainer()
    trainer.model.set_weights([RANDOM.normal(size=weight.shape) for weight in trainer.model.weights])
    trainer.save(tmp_path / "trained.keras")
    with zipfile.ZipFile(tmp_path / "trained.keras") as archive:
        config = json.loads(archive.read("config.json"))
        assert config["class_name"] == "Sequential" and "kerasal" not in str(config)
        assert not any("optimizer" in name for name in archive.namelist())
    loaded = keras.models.load_model(tmp_path / "trained.keras")
    np.testing.assert_array_equal(loaded(X), trainer.model(X))
    assert not loaded.compiled


@pytest.mark.slow
def test_training_goes_on_from_a_saved_model(tmp_path):
    trainer = make_trainer()
    trainer.fit(DATA, Y, verbose=0)
    trainer.save(tmp_path / "trained.keras")
    again = make_trainer(keras.models.load_model(tmp_path / "trained.keras"))
    trainer.compile("adam", "sparse_categorical_crossentropy")  # a new optimizer, whose state the file does not hold
    for each in (trainer, again):
        each.fit(DATA, Y, shuffle=False, verbose=0)
    for one, other in zip(trainer.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_stopped_training_continues_as_if_it_had_not_stopped(tmp_path):
    whole, stopped, resumed = make_trainer(), make_trainer(), make_trainer()
    options = {"epochs": 4, "batch_size": 4, "shuffle": False, "verbose": 0}
    whole.fit(DATA, Y, **options)
    backup = [keras.callbacks.BackupAndRestore(tmp_path)]
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(DATA, Y, callbacks=[*backup, Stop()], **options)
    history = resumed.fit(DATA, Y, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)], **options)
    assert len(history.history["loss"]) == 2 and resumed.optimizer.iterations == whole.optimizer.iterations
    for one, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_an_export_is_that_of_the_trained_model(tmp_path):
    trainer = make_trainer()
    trainer.export(tmp_path / "served", verbose=False)
    archive = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(archive.serve(X), trainer.model.predict(X, verbose=0), atol=1e-6)


def test_the_trainer_itself_is_not_saved(tmp_path):
    trainer = make_trainer()
    for write in (lambda: keras.saving.save_model(trainer, tmp_path / "trainer.keras"), trainer.to_json):
        with pytest.raises(NotImplementedError, match=r"PriorModel must be saved by its method save\(path\)"):
            write()


def test_what_is_no_model_to_train():
    prior, trainer = AttributionPrior("reasons"), make_trainer()
    with pytest.raises(TypeError, match=r"model must be a keras\.Model, got 'model\.keras'"):
        training.PriorModel("model.keras", prior)
    with pytest.raises(TypeError, match="model must be the model to train, got the PriorModel"):
        training.PriorModel(trainer, prior)
    with pytest.raises(ValueError, match="model must be built"):
        training.PriorModel(keras.Sequential([L.Dense(2)]), prior)
