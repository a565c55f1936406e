"""Training on two devices of one process, and what a process of several is told when something is amiss."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from kerasal import training
from kerasal.training import run_folder
from kerasal.training.workers import parse_cluster

import keras
import tensorflow as tf

pytestmark = pytest.mark.slow  # a process of its own with two devices


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What a process with two logical CPUs found, see two_devices.py; one process, because its start costs most."""
    here = pathlib.Path(__file__).parent
    path = os.pathsep.join([os.getcwd(), str(here), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, here / "two_devices.py", tmp_path_factory.mktemp("two")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_a_classifier_on_two_devices_is_that_of_one(found):
    """Uneven parts, a batch with one image, a regularizer: the gradient is that of the whole batch."""
    assert found["classifier"]["weights"] < 2e-6 < 0.01 < found["classifier"]["moved"]
    assert found["classifier"]["history"] < 1e-6 and found["classifier"]["confusion"]


def test_a_gaze_net_on_two_devices_is_that_of_one(found):
    assert all(difference < 2e-6 for difference in found["gaze"].values()), found["gaze"]


def test_moving_averages_are_of_all_devices(found):
    assert found["batch_statistics"]["net"] < 1e-6 and found["batch_statistics"]["checkpoint"] < 1e-6
    assert found["batch_statistics"]["of the first device alone"] > 0.01


def test_devices_drop_different_units(found):
    first, second, alone = found["dropout"]
    assert set(first) == {0.0, 2.0} and first == alone
    assert 10 < sum(a != b for a, b in zip(first, second, strict=True)) < 40


def test_going_on_is_bit_equal_and_another_number_of_devices_is_told(found):
    assert found["going_on"]["weights"] == 0
    assert "Resuming after epoch 2" in found["going_on"]["said"] and found["going_on"]["epochs"] == 3
    assert "on 1 device, previously 2" in found["going_on"]["said"]


def test_fewer_images_than_devices_are_refused(found):
    assert "batch_size must be at least 2, the number of devices, got 1" in found["refused"]["said"]
    assert not found["refused"]["made"]


def config(**changes):
    return json.dumps({"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}} | changes)


def test_the_chief_is_the_first():
    both = {"worker": ["b:2", "c:3"], "chief": ["a:1"]}
    assert parse_cluster(config()).addresses == ("a:1", "b:2")
    assert (parse_cluster(config()).index, parse_cluster(config()).chief) == (1, False)
    found = [parse_cluster(config(cluster=both, task={"type": job, "index": 0})) for job in ("chief", "worker")]
    assert [(one.addresses, one.index, one.chief) for one in found] == [
        (("a:1", "b:2", "c:3"), 0, True),
        (("a:1", "b:2", "c:3"), 1, False),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"TF_CONFIG must be set in the environment of every process .*Example: "),
        ("", r"TF_CONFIG must be set"),
        ("{worker", r"must be JSON \(.*got \{worker\. Example: "),
        ("[]", r'must contain the objects "cluster" and "task"'),
        (config(task=None), r'must contain the objects "cluster" and "task"'),
        (config(cluster={"worker": ["a:1"], "ps": ["b:2"]}), r"a cluster of only chief and worker, not 'ps'"),
        (config(cluster={"worker": "a:1"}), r"a list of addresses HOST:PORT as worker, not 'a:1'"),
        (config(cluster={"worker": ["a", "b:2"]}), r"HOST:PORT as worker, not \['a', 'b:2'\]"),
        (config(cluster={"worker": ["a:1", "b:99999"]}), r"HOST:PORT"),
        (config(cluster={"worker": ["a:1", "a:1"]}), r"different addresses for all processes"),
        (config(cluster={"chief": ["a:1", "b:1"]}, task={"type": "chief", "index": 0}), r"a single chief"),
        (config(cluster={"worker": []}), r"a cluster that is not empty"),
        (config(task={"type": "chief", "index": 0}), r"is one of worker, not 'chief'"),
        (config(task={"type": "worker", "index": 2}), r"a worker index that is an integer in 0\.\.1, not 2"),
        (config(task={"type": "worker", "index": "1"}), r"not '1'"),
        (config(task={"type": "worker"}), r"not None"),
    ],
)
def test_a_malformed_tf_config(text, message):
    with pytest.raises(ValueError, match=message):
        parse_cluster(text)


def net():
    return keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])


def train(output, **changes):
    data = np.zeros((4, 2, 2, 1), np.float32), np.zeros(4, int)
    return training.train(net(), data, data, output, epochs=1, progress=False, **changes)


def test_strategies_that_cannot_be(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="strategy must be one of mirrored, multi-worker, got 'fast'"):
        train(tmp_path / "run", strategy="fast")
    with pytest.raises(ValueError, match="TF_CONFIG must be set"):
        train(tmp_path / "run", strategy="multi-worker")
    tf.constant(1) + 1
    monkeypatch.setenv("TF_CONFIG", config(cluster={"worker": ["localhost:1", "localhost:2"]}))
    with pytest.raises(RuntimeError, match=r"Call kerasal\.training.join_workers\(\) at the beginning"):
        train(tmp_path / "run", strategy="multi-worker")
    assert not (tmp_path / "run").exists()


class _Worker:
    """A worker that is not the chief, and hears what a chief would say."""

    chief, size = False, 2

    def __init__(self, digest, epochs=2):
        self.messages = [{"checkpoint": digest, "epochs": epochs}, {}]

    def exchange_or_raise(self, error, **_):
        if error:
            raise error
        return self.messages


@pytest.fixture
def shared(tmp_path):
    """A chief's folder, and its checkpoint's digest."""
    state = {"model": [tf.Variable([1.0, 2.0])]}
    run_folder.write_checkpoint(tmp_path / "checkpoint.npz", {"seed": 0}, [{"epoch": 1}], state)
    return tmp_path, run_folder.digest_if_exists(tmp_path / "checkpoint.npz")


def test_a_worker_reads_the_chiefs_checkpoint_and_writes_nothing(shared):
    path, digest = shared
    mine = {"model": [tf.Variable([0.0, 0.0])]}
    before = sorted(path.iterdir())
    begin = {"resume": False, "epochs": 2}  # whatever it was told: the chief decides
    assert run_folder.begin_run(_Worker(digest), path, ("history.csv",), {"seed": 0}, mine, **begin) == [{"epoch": 1}]
    assert mine["model"][0].numpy().tolist() == [1, 2] and sorted(path.iterdir()) == before


def test_a_worker_that_does_not_fit_its_chief_is_told(shared, tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "_PATIENCE", 0.2)
    path, digest = shared
    mine = {"model": [tf.Variable([0.0, 0.0])]}

    def begin(where, settings, worker):
        return run_folder.begin_run(worker, where, (), settings, mine, resume=True, epochs=2)

    with pytest.raises(
        ValueError, match=r"output folder must be shared by all machines .* does not exist on this machine"
    ):
        begin(tmp_path / "elsewhere", {"seed": 0}, _Worker(digest))
    copied = shutil.copytree(path, tmp_path / "copied")
    run_folder.write_checkpoint(copied / "checkpoint.npz", {"seed": 0}, [], mine)
    with pytest.raises(ValueError, match=r"checkpoint\.npz differs from the file on this machine"):
        begin(copied, {"seed": 0}, _Worker(digest))
    with pytest.raises(ValueError, match=r"other settings \(seed: 0 there, 1 now\)"):
        begin(path, {"seed": 1}, _Worker(digest))
    with pytest.raises(ValueError, match="epochs must be the chief's 3 in every process, got 2"):
        begin(path, {"seed": 0}, _Worker(digest, epochs=3))
