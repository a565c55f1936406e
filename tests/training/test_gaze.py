import json
import math
import os
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
from kerasal.datasets import open_gaze, open_training_sets, write_coursework
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.layers import LogDensity
from kerasal.models.registry import load_model
from kerasal.training import gaze_run, gaze_step, memory, run_folder, samples
from kerasal.training.samples import Samples, epoch_order

import keras

KEPT = ["epoch", "step", "rate", "loss", "val_loss", "val_mse", "val_cc"]


def tiny(seed=0, name="tiny"):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(4, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),  # its statistics belong to the state too
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.1),
            layers.Dense(36),
            layers.Reshape((6, 6)),
        ],
        name=name,
    )


def arrays(n=10, seed=1):
    """Maps that follow from the images: where they are bright."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (n, 12, 12, 3)).astype(np.uint8)
    maps = images.mean(axis=3).reshape(n, 6, 2, 6, 2).mean(axis=(2, 4))
    maps = (maps - maps.min(axis=(1, 2), keepdims=True)) / np.ptp(maps, axis=(1, 2), keepdims=True)
    return images, maps.astype(np.float32)


SETTINGS = {"recipe": "coursework", "epochs": 3, "batch_size": 8, "validate_every": 2, "progress": False, "seed": 5}


def run(output, net=None, data=None, **changes):
    return training.train_gaze(net or tiny(), data or arrays(), arrays(7, 2), output=output, **SETTINGS | changes)


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One uninterrupted run, which others are compared with."""
    return run(tmp_path_factory.mktemp("whole"), tensorboard=True)


@pytest.fixture
def copied(whole, tmp_path):
    return shutil.copytree(whole.output, tmp_path / "copied")


def test_history_and_files(whole):
    history, steps = whole.history, whole.steps
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["step"].tolist() == [3, 6, 9]  # ten images and their mirror images in batches of eight
    assert history["val_loss"].isna().tolist() == [True, False, False]  # every second epoch, and the last one
    assert steps["step"].tolist() == list(range(1, 10)) and steps["epoch"].tolist() == [1] * 3 + [2] * 3 + [3] * 3
    for row in history.itertuples():  # a mean over images, not over batches of unequal size
        losses = steps.loc[steps["epoch"] == row.epoch, "loss"]
        assert row.loss == pytest.approx(np.average(losses, weights=[8, 8, 4]), rel=1e-6)
    pd.testing.assert_frame_equal(pd.read_csv(whole.output / "history.csv"), history)
    pd.testing.assert_frame_equal(pd.read_csv(whole.output / "steps.csv"), steps)
    names = {"history.csv", "steps.csv", "curves.png", "run.json", "checkpoint.npz", "tiny.weights.h5", "tiny.keras"}
    assert {path.name for path in whole.output.iterdir()} == names | {"tensorboard"}
    assert equal(keras.saving.load_model(whole.output / "tiny.keras"), whole.model)
    facts = json.loads((whole.output / "run.json").read_text())
    assert (facts["net"], facts["preprocessing"], facts["target_range"]) == ("tiny", "unit", "unit")
    with Image.open(whole.output / "curves.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_validation_is_the_exact_mean_over_images(whole):
    images, maps = arrays(7, 2)
    predicted = np.asarray(whole.model(images.astype(np.float32) / 255, training=False))
    last = whole.history.iloc[-1]
    assert last["val_mse"] == pytest.approx(((predicted - maps) ** 2).mean(), rel=1e-5)
    assert last["val_loss"] == pytest.approx(last["val_mse"], rel=1e-6)  # plain: without the weight decay
    each = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(predicted, maps, strict=True)]
    assert last["val_cc"] == pytest.approx(np.mean(each), rel=1e-4)


def test_tensorboard_events_hold_the_losses(whole):
    import tensorflow as tf

    file = next((whole.output / "tensorboard").iterdir())
    values = {}
    for record in tf.compat.v1.io.tf_record_iterator(str(file)):
        for value in tf.compat.v1.Event.FromString(record).summary.value:
            assert value.metadata.plugin_data.plugin_name in ("scalars", "")
            values.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    np.testing.assert_allclose(values["loss/batch"], whole.steps["loss"], rtol=1e-6)
    assert len(values["epoch/val_cc"]) == 2


class _Stop:
    """Ctrl-C at the n-th batch."""

    def __init__(self, monkeypatch, at):
        self.at, original = at, gaze_step.Steps.train

        def stopping(steps, *batch):
            self.at -= 1
            if not self.at:
                raise KeyboardInterrupt
            return original(steps, *batch)

        monkeypatch.setattr(gaze_step.Steps, "train", stopping)


def test_interrupted_and_resumed_is_bit_equal(tmp_path, monkeypatch, whole, capsys):
    monkeypatch.setattr(gaze_run, "_CHECKPOINT_SHARE", np.inf)  # on a busy machine a checkpoint may be left out
    with monkeypatch.context() as patched:
        _Stop(patched, 8)
        with pytest.raises(
            KeyboardInterrupt, match=r"after \d of 3 epochs, which are saved in .*Run the same training again"
        ):
            run(tmp_path)
    result = run(tmp_path, tiny(seed=7), progress=True)  # whatever the weights at hand: the checkpoint's count
    assert "Resuming after epoch 2 from" in capsys.readouterr().err
    assert equal(result.model, whole.model)
    pd.testing.assert_frame_equal(result.history[KEPT], whole.history[KEPT], check_exact=True)
    pd.testing.assert_frame_equal(result.steps, whole.steps, check_exact=True)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "steps.csv"), pd.read_csv(whole.output / "steps.csv"))


@pytest.mark.slow
def test_killed_and_resumed_is_bit_equal(tmp_path, whole):
    """A real kill -9, in the middle of writing a checkpoint; history and steps are beyond the last whole one then."""
    script = f"""
        import os, signal, sys
        sys.path[:0] = {[os.getcwd(), os.path.dirname(__file__)]!r}
        import numpy as np
        import test_gaze
        original, calls = np.savez, []
        def dying(file, **arrays):
            calls.append(1)
            if len(calls) == 3:
                file.write(b"half a checkpoint")
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            original(file, **arrays)
        np.savez = dying
        test_gaze.run({str(tmp_path)!r})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    result = run(tmp_path)
    assert equal(result.model, whole.model)
    pd.testing.assert_frame_equal(result.steps, whole.steps, check_exact=True)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_young_checkpoint_is_not_replaced(tmp_path, monkeypatch):
    """Writing takes no more than a twentieth of the time, and the last epoch is always kept."""
    monkeypatch.setattr(gaze_run, "_CHECKPOINT_SHARE", 1e-9)
    written = []
    original = run_folder.write_checkpoint
    monkeypatch.setattr(
        run_folder, "write_checkpoint", lambda *given: written.append(len(given[2])) or original(*given)
    )
    run(tmp_path, epochs=4)
    assert written == [0, 1, 4]


@pytest.mark.slow
def test_a_finished_run_may_be_given_more_epochs(copied, tmp_path, whole):
    longer = run(copied, tiny(seed=3), epochs=4)
    assert equal(longer.model, run(tmp_path / "at once", epochs=4).model)
    assert not equal(longer.model, whole.model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 6}, "seed: 5 there, 6 now"),
        ({"loss": "cc"}, r"loss: \{'mse': 1.0\} there, \{'cc': 1.0\} now"),
        ({"data": arrays(10, 3)}, "train_data: "),
        ({"preprocessing": "tf"}, r"preprocessing mean: \[0\.0\] there, \[127\.5\] now; preprocessing std: "),
    ],
)
def test_other_settings_are_refused_and_harm_nothing(whole, changes, message):
    before = {path.name: path.read_bytes() for path in whole.output.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=message):
        run(whole.output, **changes)
    assert {path.name: path.read_bytes() for path in whole.output.iterdir() if path.is_file()} == before


@pytest.mark.slow
def test_the_best_weights_are_kept_where_the_recipe_says_so(tmp_path):
    result = run(tmp_path, recipe="default", epochs=4, rate=0.5, validate_every=1, keep="best", mirror="none")
    best = result.history["val_loss"].min()
    assert best < result.history["val_loss"].iloc[-1]  # a rate so large does not end at its best
    images, maps = arrays(7, 2)
    steps = gaze_step.Steps(result.model, None, gaze_step.make_objective({"mse": 1.0, "cc": 0.3}), _unit(), (6, 6))
    assert gaze_run.validate(steps, Samples(images, maps, None, list("abcdefg")), 3)["loss"] == pytest.approx(best)


def _unit():
    from kerasal import preprocessing

    return preprocessing.get("unit")


@pytest.mark.parametrize("mirror", ["none", "half", "both"])
def test_an_epoch_shows_what_it_should(mirror):
    order, flipped = epoch_order(50, mirror, 0, 1)
    shown = {(i, f) for i, f in zip(order.tolist(), flipped.tolist(), strict=True)}
    if mirror == "both":
        assert shown == {(i, f) for i in range(50) for f in (True, False)}
    else:
        assert sorted(order) == list(range(50))
        assert (10 < flipped.sum() < 40) if mirror == "half" else not flipped.any()
    again, other = epoch_order(50, mirror, 0, 1), epoch_order(50, mirror, 0, 2)
    assert np.array_equal(order, again[0]) and np.array_equal(flipped, again[1])
    assert not np.array_equal(order, other[0])


@pytest.fixture(scope="module")
def mirrored_pickle(tmp_path_factory):
    """A train.pkl with 20 images and their mirror images."""
    images, _ = arrays(20)
    points = np.random.default_rng(3).uniform(0, 12, (20, 30, 2))
    path = tmp_path_factory.mktemp("mirrored") / "train.pkl"
    return write_coursework(GazeDataset(list(images), list(points)), path, size=(12, 12), map_size=(6, 6), mirror=True)


@pytest.mark.slow
def test_stored_mirror_images_are_not_mirrored_again(mirrored_pickle, tmp_path, capfd):
    """An epoch of the recipe "coursework" has each stored image once, as it is; other images are mirrored."""
    data = open_gaze(mirrored_pickle)
    result = run(tmp_path / "run", data=data, epochs=1, progress=True)
    assert (len(result.steps), result.stored_mirrors) == (5, 40)  # 40 images in batches of 8, not 80
    assert "contain mirror images of 40 of 40 images; no image is mirrored again" in capfd.readouterr().err
    facts = json.loads((tmp_path / "run/run.json").read_text())
    assert (facts["stored_mirrors"], facts["training"]["steps_per_epoch"]) == (40, 5)
    half = run(tmp_path / "half", data=data.subset([*range(10), *range(10, 20, 2)]), epochs=1)
    assert (len(half.steps), half.stored_mirrors) == (3, 10)  # 15 images, of which 5 have no mirror image
    none = run(tmp_path / "none", data=data.subset(range(0, 40, 2)), epochs=1)
    assert (len(none.steps), none.stored_mirrors) == (5, 0)


def test_the_order_of_stored_mirror_images():
    mirrored = np.array([True, False, True, False])
    order, flipped = epoch_order(4, "both", 0, 1, mirrored)
    assert sorted(zip(order.tolist(), flipped.tolist(), strict=True)) == sorted(
        [(0, False), (1, False), (1, True), (2, False), (3, False), (3, True)]
    )
    for old, new in zip(epoch_order(50, "both", 0, 1), epoch_order(50, "both", 0, 1, np.zeros(50, bool)), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_validation_image_is_not_trained_on_as_its_mirror_image(mirrored_pickle):
    train, held_out, notes = open_training_sets([mirrored_pickle], seed=1)
    assert (len(train), len(held_out)) == (36, 4)
    assert {name.removesuffix("_mirrored") for name in train.names}.isdisjoint(
        name.removesuffix("_mirrored") for name in held_out.names
    )
    assert "each with its stored mirror image" in notes[-1]


def test_image_density_and_fixations_are_mirrored_together():
    """The gradient of a mirrored batch is that of images and maps which were mirrored before."""
    images, maps = arrays(4)
    fixations = (maps > 0.9).astype(np.float32)
    flipped = np.array([True, False, True, False])
    losses = []
    for mirror in (True, False):
        given = [images, maps, fixations]
        if not mirror:
            given = [np.where(flipped.reshape(-1, *[1] * (a.ndim - 1)), a[:, :, ::-1], a) for a in given]
        net = tiny()
        optimizer = training.TorchSGD(0.1)
        optimizer.build(net.trainable_variables)
        steps = gaze_step.Steps(net, optimizer, gaze_step.make_objective({"mse": 1.0, "nss": 0.5}), _unit(), (6, 6))
        for layer in net.layers:
            layer.rate = 0.0 if isinstance(layer, keras.layers.Dropout) else None
        losses.append([steps.train(*given, flipped & mirror), *net.get_weights()])
    for one, other in zip(*losses, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_model_file_of_any_size_keeps_the_size_of_its_training(tmp_path):
    inputs = keras.Input((None, None, 3))
    outputs = LogDensity()(keras.layers.Conv2D(1, 2, 2)(inputs)[..., 0])
    run(tmp_path, keras.Model(inputs, outputs, name="log"), size=(12, 12), epochs=1, loss="kld=1")
    assert load_model(tmp_path / "log.keras").layers[-1].image_size == (12, 12)


def test_overfits_eight_images(tmp_path):
    layers = keras.layers
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [keras.Input((12, 12, 3)), layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(36)], name="small"
    )  # the pixels of a square map in a row
    data = arrays(8)
    result = training.train_gaze(
        net,
        data,
        data,
        "default",
        tmp_path,
        epochs=60,
        batch_size=2,
        rate=training.Cosine(1e-3),  # annealed, so that it settles
        loss="mse",
        mirror="none",
        validate_every=60,
        preprocessing="tf",
        progress=False,
    )
    assert result.history["val_mse"].iloc[-1] < 1e-3


@pytest.mark.slow
def test_pm1_trains_on_minus_one_to_one_and_reports_mse_of_0_to_1(tmp_path):
    result = run(tmp_path, recipe="paper", epochs=1, rate=1e-9, validate_every=1)
    images, maps = arrays(7, 2)
    raw = np.asarray(result.model(images.astype(np.float32) / 255, training=False))
    row = result.history.iloc[0]
    assert row["val_loss"] == pytest.approx(((raw - (2 * maps - 1)) ** 2).mean(), rel=1e-4)
    assert row["val_mse"] == pytest.approx((((raw + 1) / 2 - maps) ** 2).mean(), rel=1e-4)


def test_not_finite_names_the_image(tmp_path):
    images, maps = arrays()
    images = images.astype(np.float32) / 255
    images[6, 3, 3] = np.nan
    net = keras.Sequential([keras.Input((12, 12, 3)), keras.layers.Flatten(), keras.layers.Dense(36)])
    with pytest.raises(ValueError, match=r"not in epoch 1, step \d, for [12] of \d images: 6"):
        run(tmp_path, net, (images, maps))
    with pytest.raises(ValueError, match=r"for all \d images of the batch .*diverged.*smaller rate"):
        run(tmp_path / "b", rate=1e30, epochs=9)
    kept = pd.read_csv(tmp_path / "b" / "history.csv")
    assert np.isfinite(kept["loss"].astype(float)).all()


def gaze_data(n=6):
    random = np.random.default_rng(3)
    images = [random.integers(0, 256, (24, 32, 3)).astype(np.uint8) for _ in range(n)]
    fixations = [np.stack([random.integers(0, 32, 9), random.integers(0, 24, 9)], axis=1) for _ in range(n)]
    return images, fixations


@pytest.mark.slow
def test_a_data_set_with_an_empty_image(tmp_path):
    images, fixations = gaze_data()
    fixations[2] = np.zeros((0, 2))
    data = GazeDataset(images, fixations, names=list("abcdef"))
    result = training.train_gaze(
        tiny(), data, data, "default", tmp_path, epochs=1, loss="nss=1,mse=1", batch_size=4, progress=False
    )
    assert list(result.skipped) == ["c"]
    assert json.loads((tmp_path / "run.json").read_text())["skipped"]["training"] == result.skipped
    assert math.isfinite(result.history["val_loss"].iloc[-1])


def test_images_that_cannot_be_read_are_named_before_anything_is_written(tmp_path):
    images, fixations = gaze_data()
    Image.fromarray(images[5]).save(tmp_path / "cut.jpg")
    content = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) * 4 // 5])  # its size can still be read
    data = GazeDataset([*images[:5], tmp_path / "cut.jpg"], fixations, names=list("abcdef"))
    with pytest.raises(ValueError, match=r"got 1 of 6 that are not \(f\)"):
        training.train_gaze(tiny(), data, data, "default", tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_arrays_that_do_not_fit(tmp_path):
    images, maps = arrays()
    with pytest.raises(ValueError, match=r"images \(N, 12, 12, 3\) and densities \(N, 6, 6\)"):
        run(tmp_path, data=(images, maps[:, :5]))
    with pytest.raises(
        ValueError, match=r"densities of the training images must be in 0\.\.1, got others for 1 images: 3"
    ):
        run(tmp_path, data=(images, np.where(np.arange(10)[:, None, None] == 3, -1, maps)))
    with pytest.raises(ValueError, match="must be a GazeDataset for losses that need fixations"):
        run(tmp_path, loss="nss")
    with pytest.raises(ValueError, match=r"must be a GazeDataset .* or a pair.*got str"):
        run(tmp_path, data="images")


def test_nets_that_make_no_map(tmp_path):
    layers = keras.layers
    for net, message in (
        (
            keras.Sequential([keras.Input((12, 12, 3)), layers.Conv2D(2, 3)]),
            r"must return one map per image.*\(1, 10, 10, 2\)",
        ),
        (keras.Sequential([keras.Input((12, 12, 1)), layers.Conv2D(1, 3)]), "must take RGB images"),
        (
            keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(1, 3)]),
            "which takes images of any size",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            run(tmp_path, net)


def test_too_little_memory_says_what_would_fit(tmp_path, monkeypatch):
    fixed, each = memory.step_memory(tiny(), slots=1)
    monkeypatch.setattr(memory, "free_memory", lambda: fixed + 5 * each)
    with pytest.raises(ValueError, match=r"got 8, which takes about .*Use batch_size=[567]\."):
        run(tmp_path)
    assert not (tmp_path / "checkpoint.npz").exists()
    monkeypatch.setattr(memory, "free_memory", lambda: 0)
    with pytest.raises(ValueError, match="Even batch_size=1 does not fit"):
        run(tmp_path)


def test_free_memory_is_told():
    assert memory.free_memory() > 1 << 20


def test_step_memory_grows_with_weights_and_outputs():
    net = keras.Sequential([keras.Input((10,)), keras.layers.Dense(7)])
    assert memory.step_memory(net, slots=1) == (4 * 77 * 4, 4 * 2 * 7)


def test_large_data_goes_to_a_file_that_is_removed_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "IN_MEMORY", 0)
    images, fixations = gaze_data()
    data = GazeDataset(images, fixations)
    kinds = []
    original = samples._from_dataset
    monkeypatch.setattr(samples, "_from_dataset", lambda *a: kinds.append(found := original(*a)) or found)
    training.train_gaze(tiny(), data, data, "default", tmp_path, epochs=1, progress=False)
    assert all(isinstance(found.pixels, np.memmap) for found in kinds)
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_progress_tells_speed_and_validation(copied, capsys):
    run(copied, epochs=4, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "4/4  loss" in err and "images/s" in err and "validation: loss" in err


@pytest.mark.slow
def test_a_run_may_be_told_to_have_one_start(tmp_path):
    starts = {seed: run_folder.digest_start(tiny(seed).weights) for seed in (0, 1)}
    assert starts[0] == run_folder.digest_start(tiny(0).weights) != starts[1]
    run(tmp_path, tiny(0), epochs=1)  # as from Python, where the start is noted and not compared
    run(tmp_path, tiny(1), epochs=2)
    with pytest.raises(ValueError, match=f"starting weights: {starts[0]} there, {starts[1]} now"):
        run(tmp_path, tiny(1), epochs=3, start=starts[1])
    assert len(run(tmp_path, tiny(0), epochs=3, start=starts[0]).history) == 3
