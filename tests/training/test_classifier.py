import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerasal import training
from kerasal.training import classifier, training_pictures
from kerasal.training.training_progress import Progress

import keras

COLUMNS = ["epoch", "loss", "accuracy", "test_loss", "test_accuracy", "seconds"]


def tiny(seed=0):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),  # has weights that no gradient reaches: they are restored too
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ],
        name="tiny",
    )


def data(n=48, seed=1):
    """Three classes told apart by the brightness of a third of the image."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    images = random.random((n, 6, 6, 1), dtype=np.float32)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 2] += 1
    return images, labels


SETTINGS = {"epochs": 3, "batch_size": 16, "seed": 5, "progress": False}


def run(output, model=None, **changes):
    return training.train(model or tiny(), data(), data(20, 2), output, **SETTINGS | changes)


def values(model):
    return model.get_weights()


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.fixture
def copied(whole, tmp_path):
    """A folder with a finished run, to do harm to."""
    return shutil.copytree(whole.output, tmp_path / "copied")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One uninterrupted run, which others are compared with."""
    return run(tmp_path_factory.mktemp("whole"))


def test_history(whole):
    assert whole.history.columns.tolist() == COLUMNS
    assert whole.history["epoch"].tolist() == [1, 2, 3]
    stored = pd.read_csv(whole.output / "history.csv")
    pd.testing.assert_frame_equal(stored, whole.history)
    assert whole.history["loss"].is_monotonic_decreasing
    images, labels = data(20, 2)
    probabilities = np.asarray(whole.model(images, training=False))
    last = whole.history.iloc[-1]
    assert last["test_accuracy"] == (probabilities.argmax(axis=1) == labels).mean()
    assert last["test_loss"] == pytest.approx(-np.log(probabilities[np.arange(20), labels]).mean(), rel=1e-5)
    assert training.accuracy(whole.model, (images, labels)) == last["test_accuracy"]


def test_running_means_weigh_every_image_once(tmp_path):
    """Without dropout and with a vanishing step, the running means are those of the untouched model.

    Of 50 images in batches of 16 the last batch has two, so a mean over batches would differ.
    """
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    images, labels = data(50)
    probabilities = np.asarray(model(images))
    changes = {"epochs": 1, "learning_rate": 1e-12}
    row = training.train(model, (images, labels), data(20, 2), tmp_path, **SETTINGS | changes).history.iloc[0]
    assert row["accuracy"] == (probabilities.argmax(axis=1) == labels).mean()
    assert row["loss"] == pytest.approx(-np.log(probabilities[np.arange(50), labels]).mean(), rel=1e-5)


def test_every_epoch_takes_every_image_once_in_an_order_of_its_own(tmp_path, monkeypatch):
    seen = []

    def record(trainer, images, labels, **_):
        seen.extend(images[:, 0, 0, 0].tolist())
        return {"loss": 1.0, "accuracy": 0.0}

    monkeypatch.setattr(keras.Sequential, "train_on_batch", record)
    run(tmp_path)
    first, second, third = np.reshape(seen, (3, 48))
    assert sorted(first) == sorted(second) == sorted(third) == sorted(data()[0][:, 0, 0, 0])
    assert not np.array_equal(first, second) and not np.array_equal(second, third)


def test_it_learns(tmp_path):
    model = tiny()
    result = run(tmp_path, model, epochs=20, learning_rate=0.03)
    assert result.model is model and not model.compiled  # trained in place, with no optimizer left behind
    assert training.accuracy(result.model, data()) > 0.9


def test_files(whole):
    names = {"checkpoint.npz", "history.csv", "curves.png", "run.json", "tiny.weights.h5", "tiny.keras"}
    assert {path.name for path in whole.output.iterdir()} == names
    loaded = keras.saving.load_model(whole.output / "tiny.keras")
    assert not loaded.compiled
    assert equal(values(loaded), values(whole.model))
    fresh = tiny(seed=9)
    fresh.load_weights(whole.output / "tiny.weights.h5")
    assert equal(values(fresh), values(whole.model))


@pytest.mark.slow
def test_same_seed_same_weights_other_seed_others(tmp_path, whole):
    keras.utils.set_random_seed(99)  # only the starting weights and the seed decide, not what was drawn before
    again = tiny()
    keras.utils.set_random_seed(98)
    assert equal(values(run(tmp_path / "a", again).model), values(whole.model))
    assert not equal(values(run(tmp_path / "b", seed=6, epochs=1).model), values(whole.model))


class _Stop:
    """Stand in for ``train_on_batch``: Ctrl-C at the n-th batch."""

    def __init__(self, monkeypatch, at):
        self.at, original = at, keras.Sequential.train_on_batch

        def stopping(trainer, *args, **kwargs):
            self.at -= 1
            if not self.at:
                raise KeyboardInterrupt
            return original(trainer, *args, **kwargs)

        monkeypatch.setattr(keras.Sequential, "train_on_batch", stopping)


@pytest.mark.parametrize(("at", "kept", "rebuilt"), [(2, 0, False), (8, 2, True)])
@pytest.mark.quick("8-2-True")
def test_interrupted_and_resumed_is_bit_equal(tmp_path, monkeypatch, whole, at, kept, rebuilt):
    model = tiny()
    with monkeypatch.context() as patched:
        _Stop(patched, at)
        with pytest.raises(
            KeyboardInterrupt, match=f"after {kept} of 3 epochs, which are saved in .*Run the same training again"
        ):
            run(tmp_path, model)
    assert len(pd.read_csv(tmp_path / "history.csv")) == kept
    result = run(tmp_path, tiny(seed=7) if rebuilt else model)  # whatever the weights at hand: the checkpoint's count
    assert equal(values(result.model), values(whole.model))
    columns = COLUMNS[:-1]
    pd.testing.assert_frame_equal(result.history[columns], whole.history[columns], check_exact=True)


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed_is_bit_equal(tmp_path, whole):
    """A real kill -9, in the middle of writing the second epoch's checkpoint."""
    script = f"""
        import os, signal, sys
        sys.path[:0] = {[os.getcwd(), os.path.dirname(__file__)]!r}
        import numpy as np
        import test_classifier
        original, calls = np.savez, []
        def dying(file, **arrays):
            calls.append(1)
            if len(calls) == 3:
                file.write(b"half a checkpoint")
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            original(file, **arrays)
        np.savez = dying
        test_classifier.run({str(tmp_path)!r})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(pd.read_csv(tmp_path / "history.csv")) == 1
    assert equal(values(run(tmp_path).model), values(whole.model))
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_stopped_between_checkpoint_and_history(copied, whole):
    """The checkpoint alone counts; the other files are written again from it."""
    for name in ("history.csv", "curves.png", "tiny.weights.h5"):
        (copied / name).unlink()
    assert equal(values(run(copied, tiny(seed=3)).model), values(whole.model))
    assert len(pd.read_csv(copied / "history.csv")) == 3
    assert (copied / "curves.png").is_file() and (copied / "tiny.weights.h5").is_file()


@pytest.mark.slow
def test_epochs_may_grow_and_not_shrink(tmp_path, whole):
    run(tmp_path, epochs=1)
    assert equal(values(run(tmp_path).model), values(whole.model))
    with pytest.raises(ValueError, match=r"epochs must be at least 3, the length of the run .*got 2.*resume=False\."):
        run(tmp_path, epochs=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 6}, r"seed: 5 there, 6 now"),
        ({"batch_size": 8, "seed": 6}, r"seed: 5 there, 6 now; batch_size: 16 there, 8 now"),
        ({"learning_rate": 0.1}, r"learning_rate: 0\.001 there, 0\.1 now"),
    ],
)
def test_other_settings_are_refused_and_harm_nothing(whole, changes, message):
    before = {path.name: path.read_bytes() for path in whole.output.iterdir()}
    with pytest.raises(ValueError, match=rf"other settings \({message}\).*resume=False\."):
        run(whole.output, **changes)
    assert {path.name: path.read_bytes() for path in whole.output.iterdir()} == before


def test_another_model_or_other_data_are_refused(whole):
    other = keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")], name="other"
    )
    with pytest.raises(ValueError, match=r"model: tiny with .* parameters there, other with 111 parameters now"):
        run(whole.output, other)
    with pytest.raises(ValueError, match=r"settings \(test_data: \w{32} there, \w{32} now\)"):
        training.train(tiny(), data(), data(20, 3), whole.output, **SETTINGS)


def test_fresh_replaces_the_run(copied, whole):
    result = run(copied, resume=False, seed=6, epochs=1)
    assert not equal(values(result.model), values(whole.model))
    assert len(pd.read_csv(copied / "history.csv")) == 1


def test_fresh_leaves_no_weights_of_the_old_run_beside_the_new(copied, monkeypatch):
    _Stop(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        run(copied, resume=False)
    assert {path.name for path in copied.iterdir()} == {"checkpoint.npz", "history.csv", "run.json"}


def test_a_refused_fresh_run_keeps_the_old_one(copied):
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    with pytest.raises(ValueError, match="empty"):
        training.train(tiny(), (data()[0][:0], data()[1][:0]), data(), copied, epochs=1, resume=False)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


def test_a_strangers_history_is_not_overwritten(tmp_path):
    (tmp_path / "history.csv").write_text("mine")
    with pytest.raises(ValueError, match=r"must contain checkpoint\.npz to resume its run, got only history\.csv"):
        run(tmp_path)
    assert (tmp_path / "history.csv").read_text() == "mine"


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "array", "lacking"])
def test_damaged_checkpoint(copied, damage):
    path = copied / "checkpoint.npz"
    content = path.read_bytes()
    if damage == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif damage == "lacking":
        with np.load(path) as stored:
            np.savez(path, **{name: stored[name] for name in stored if name != "optimizer_3"})
    else:
        middle = content.find(b"model_0.npy") + 250  # in the numbers, where only the archive's checksum can tell
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "flipped": flipped}[damage])
    model = tiny()
    before = values(model)
    with pytest.raises(ValueError, match=r"checkpoint\.npz is damaged \(.*start over with resume=False\."):
        run(copied, model)
    assert equal(values(model), before)


def test_checkpoint_of_another_shape(copied):
    """The same name and the same number of parameters, but other layers."""
    path = copied / "checkpoint.npz"
    with np.load(path) as stored:
        np.savez(path, **dict(stored) | {"model_0": stored["model_0"].ravel()})
    with pytest.raises(ValueError, match=r"must hold an array of shape \(3, 3, 1, 4\) for kernel, got \(36,\)"):
        run(copied)


def test_checkpoint_is_plain_data(whole):
    with np.load(whole.output / "checkpoint.npz", allow_pickle=False) as stored:
        assert json.loads(str(stored["settings"]))["seed"] == 5
        assert len(json.loads(str(stored["history"]))) == 3


IMAGES, LABELS = data(50)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:0], LABELS[:0], r"training data must not be empty"),
        (
            IMAGES[:, :5],
            LABELS,
            r"training images must have the model's shape \(N, 6, 6, 1\), got \(50, 5, 6, 1\)",
        ),
        (IMAGES[..., 0], LABELS, r"\(N, 6, 6, 1\), got \(50, 6, 6\)"),
        ((IMAGES * 100).astype(np.uint8), LABELS, r"must be preprocessed model inputs, float32, got uint8"),
        (
            np.where(np.arange(50)[:, None, None, None] == 7, np.nan, IMAGES),
            LABELS,
            r"NaN or infinity in image 7 ",
        ),
        (np.where(np.arange(50)[:, None, None, None] == 9, -np.inf, IMAGES), LABELS, r"NaN or infinity in image 9 "),
        (IMAGES, LABELS.astype(float), r"labels must be 50 integers.*got float64"),
        (IMAGES, np.eye(3, dtype=int)[LABELS], r"labels must be 50 integers.*of shape \(50, 3\)"),
        (IMAGES, LABELS[:-1], r"labels must be 50 integers.*of shape \(49,\)"),
        (IMAGES, LABELS + 1, r"labels must be in 0\.\.2, for the model's 3 outputs, got 1\.\.3"),
        (IMAGES, LABELS - 1, r"got -1\.\.1"),
    ],
)
def test_unusable_data(tmp_path, images, labels, message):
    with pytest.raises(ValueError, match=message):
        training.train(tiny(), (images, labels), data(), tmp_path / "run", epochs=1, progress=False)
    with pytest.raises(ValueError, match=message.replace("training", "test")):
        training.train(tiny(), data(), (images, labels), tmp_path / "run", epochs=1, progress=False)
    assert not (tmp_path / "run").exists()


def test_data_that_is_no_pair(tmp_path):
    with pytest.raises(ValueError, match=r"must be a pair \(images, labels\), got ndarray"):
        training.train(tiny(), IMAGES, data(), tmp_path, epochs=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", 0),
        ("seed", -1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", "fast"),
    ],
)
def test_unusable_settings(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"{name} must be .*(integer|number).*, got {value!r}"):
        run(tmp_path / "run", **{name: value})
    assert not (tmp_path / "run").exists()


def test_unusable_models(tmp_path):
    layers = keras.layers
    logits = keras.Sequential([keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(3)])
    with pytest.raises(ValueError, match="must have a softmax output"):
        run(tmp_path / "run", logits)
    maps = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(3, 1)])
    with pytest.raises(ValueError, match=r"a single output \(N, classes\).*\(None, 6, 6, 3\)"):
        run(tmp_path / "run", maps)
    with pytest.raises(ValueError, match="must be a built functional or Sequential model"):
        run(tmp_path / "run", keras.Sequential([layers.Flatten(), layers.Dense(3, "softmax")]))
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(
        ValueError, match=r"loss must be finite, got (nan|inf) in epoch \d+\. Start over with a smaller learning_rate"
    ):
        run(tmp_path, learning_rate=1e38, epochs=20)
    kept = pd.read_csv(tmp_path / "history.csv")
    assert np.isfinite(kept["loss"].astype(float)).all()


@pytest.mark.parametrize("visible", [False, True])
def test_progress_is_shown_only_when_asked_for(copied, capsys, visible):
    run(copied, epochs=4, progress=visible)
    out, err = capsys.readouterr()
    assert out == ""
    assert bool(err) == visible
    if visible:
        assert re.search(r"4/4  loss \d\.\d{4}  accuracy .* test accuracy", err)


def test_progress_counts_the_epochs_of_an_earlier_call():
    bar = Progress(False, epochs=3, steps=4)
    bar.step(3, 0.5, 0.5)
    assert bar._bar.tasks[0].completed == 9


def test_curves(whole):
    axes = training_pictures.draw_curves(whole.history, "a title").axes
    assert [one.get_ylabel() for one in axes] == ["accuracy", "cross-entropy loss"]
    for one, names in zip(axes, (("accuracy", "test_accuracy"), ("loss", "test_loss")), strict=True):
        for line, name in zip(one.lines, names, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
            np.testing.assert_array_equal(line.get_ydata(), whole.history[name])
        assert one.get_xlabel() == "epoch"
        assert len(one.get_legend().get_texts()) == 2
    with Image.open(whole.output / classifier.CURVES) as picture:
        assert picture.size == (1200, 480)
        assert np.asarray(picture.convert("L")).std() > 10


def test_drawing_leaves_pyplot_alone(whole):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    training_pictures.draw_curves(whole.history, "a title")
    assert pyplot.get_fignums() == before
