"""The order in which layers converge: its measures on made-up trainings, and the script on little data."""

import pathlib
import sys

import numpy as np
import pytest

import keras

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import convergence
import feature_evolution
import small_zfnet

EPOCHS = [0, 1, 3, 7]


def test_a_layer_converges_where_its_similarity_stays_above_nine_tenths():
    assert convergence.convergence_epoch(EPOCHS, [0.2, 0.95, 0.99, 1], "level") == pytest.approx(
        2 ** ((0.9 - 0.2) / 0.75) - 1
    )
    assert convergence.convergence_epoch(EPOCHS, [0, 0.8, 1, 1], "level") == pytest.approx(2**1.5 - 1)
    assert convergence.convergence_epoch(EPOCHS, [0.95, 0.96, 0.99, 1], "level") == 0
    assert convergence.convergence_epoch(EPOCHS, [0.95, 0.8, 1, 1], "level") == pytest.approx(2**1.5 - 1)


def test_by_its_way_a_layer_that_starts_close_converges_no_earlier():
    slow, close = [0, 0.5, 0.9, 1], [0.8, 0.9, 0.98, 1]
    assert convergence.convergence_epoch(EPOCHS, slow, "way") == pytest.approx(3)
    assert convergence.convergence_epoch(EPOCHS, close, "way") == pytest.approx(3)
    assert convergence.convergence_epoch(EPOCHS, close, "level") == pytest.approx(1)


@pytest.mark.parametrize("criterion", ["level", "way"])
def test_a_dead_layer_has_no_epoch_of_convergence(criterion):
    assert np.isnan(convergence.convergence_epoch(EPOCHS, [0, 0, 0, 0], criterion))


def make_state(kernel, maps):
    centered = maps - maps.mean(axis=0)
    return {
        "layer": {
            "products": centered @ centered.T,
            "strongest": maps.argmax(axis=0),
            "dead": maps.max(axis=0) <= 0,
            "kernel": np.array(kernel, float),
        }
    }


def test_similarities_to_the_last_epoch():
    maps = np.array([[3.0, 0, 1], [0, 2, 0], [1, 1, 0], [0, 0, 4]])
    turned = maps[[1, 0, 2, 3]]
    states = {0: make_state([0, 0], turned), 1: make_state([1, 1], maps * 5), 2: make_state([2, 0], maps)}
    found = convergence.similarities(states, "layer")
    assert found["responses"][1:] == pytest.approx([1, 1]) and found["responses"][0] < 0.99
    assert found["exemplars"] == pytest.approx([1 / 3, 1, 1])  # the third channel has the same image throughout
    assert found["weights"] == pytest.approx([0, np.sqrt(0.5), 1])


def test_the_verdict_follows_from_the_interval():
    factor, low, high = convergence.interval(np.array([2.0, 4.0, 8.0]))
    assert factor == pytest.approx(4)
    assert np.log2(high) - 2 == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)  # Student's t with 2 degrees of freedom
    assert convergence.verdict(low, high) == "no order"
    assert convergence.verdict(*convergence.interval(np.array([3.9, 4.0, 4.1]))[1:]) == "lower layers first"
    assert convergence.verdict(0.3, 0.9) == "upper layers first"
    assert convergence.verdict(*convergence.interval(np.array([8.0]))[1:]) == "no order"


def test_crops_are_of_their_image_and_depend_on_the_seed_and_the_epoch():
    pixels = np.arange(10, dtype=np.float32)[:, None, None, None] + np.zeros((10, 64, 64, 3), np.float32)
    pixels[..., 0] = np.arange(64)  # the column
    crops, labels = small_zfnet.draw_epoch(pixels, np.arange(10), 0, 0)
    assert crops.shape == (10, 56, 56, 3) and sorted(labels) == list(range(10))
    assert (crops[:, 0, 0, 1] == labels).all()
    steps = np.diff(crops[..., 0], axis=2)
    assert {float(step) for step in np.unique(steps)} == {-1.0, 1.0}  # some are mirrored
    assert (small_zfnet.draw_epoch(pixels, np.arange(10), 0, 0)[0] == crops).all()
    for seed, epoch in ((1, 0), (0, 1)):
        assert (small_zfnet.draw_epoch(pixels, np.arange(10), seed, epoch)[1] != labels).any()


@pytest.mark.slow
def test_a_stopped_training_ends_as_if_it_had_not_been_stopped(tmp_path):
    data = np.random.default_rng(0).normal(size=(12, 64, 64, 3)).astype(np.float32), np.arange(12) % 3

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 11:
                raise KeyboardInterrupt

    def run(name, callbacks=()):
        keras.utils.set_random_seed(0)
        model = small_zfnet.build_model("batch_norm", [2] * 5, 3)
        recorder = feature_evolution.Recorder(small_zfnet.center_crops(data[0]), [1, 13])
        options = {"checkpoint": tmp_path / name, "settings": {"a": 1}, "notes": recorder.notes}
        model, _ = small_zfnet.train(model, data, 0, 13, 4, 9, [recorder, *callbacks], **options)
        return model.get_weights(), recorder.states()

    weights, states = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("stopped", [Stop()])
    assert {path.name for path in tmp_path.iterdir()} == {"stopped.json", "stopped.10.keras", "stopped.10.npz"}
    again, states_again = run("stopped")
    assert not list(tmp_path.iterdir())
    for first, second in zip(weights, again, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(states[1]["conv2"]["products"], states_again[1]["conv2"]["products"])


@pytest.mark.slow
def test_the_tables_on_little_data(data_folder, tmp_path, capsys):
    line = [str(data_folder / "tiny_imagenet10"), "-o", str(tmp_path), "--small"]
    feature_evolution.main([*line, "--picture", str(tmp_path / "evolution.png")])
    first = capsys.readouterr().out
    assert "Epoch of convergence" in first and "batch_norm, seed 1: accuracy" in first
    assert (tmp_path / "evolution.png").is_file()
    feature_evolution.main(line)
    second = capsys.readouterr().out
    assert "accuracy 0" not in second  # nothing is trained again
    assert second.splitlines()[-20:] == first.splitlines()[-20:]
