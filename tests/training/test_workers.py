"""Two processes on loopback train one net; one of them is killed, all start again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

pytestmark = pytest.mark.slow  # every process loads TensorFlow

_LONG = 600  # seconds, on a busy machine


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A toy MNIST: a bright row, whose height is the digit."""
    random, arrays = np.random.default_rng(0), []
    for n in (205, 50):
        labels = np.arange(n) % 10
        images = random.integers(0, 60, (n, 28, 28))
        images[np.arange(n), 2 * labels + 4] = 255
        arrays += [images.astype(np.uint8), labels.astype(np.uint8)]
    path = tmp_path_factory.mktemp("digits") / "mnist.npz"
    np.savez(path, **dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True)))
    return ["train", "mnist_cnn", "--data", path, "--epochs", 15, "--batch-size", 34]  # the last batch has one image


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Eight photographs with a bright spot, and where people looked."""
    path = tmp_path_factory.mktemp("student")
    (path / "images").mkdir()
    random, rows = np.random.default_rng(0), []
    for i in range(8):
        y, x = random.integers(10, 50), random.integers(10, 70)
        image = random.integers(0, 40, (60, 80, 3)).astype(np.uint8)
        image[y - 6 : y + 7, x - 6 : x + 7] = 230
        Image.fromarray(image).save(path / "images" / f"photo{i}.png")
        spots = np.clip(random.normal((x, y), 2, (10, 2)), 0, (79, 59)).round().astype(int)
        rows += [(f"photo{i}", *spot) for spot in spots]
    pd.DataFrame(rows, columns=["image", "x", "y"]).to_csv(path / "fixations.csv", index=False)
    net = ["shallow_saliency", "--model-option", "filters=(2,3,4)", "--model-option", "hidden=8"]
    return ["gaze", "train", *net, "--data", path, "--epochs", 60, "--batch-size", 4, "--seed", 3]


def start(arguments, output, workers=2):
    """Start the same command ``workers`` times, each with its own TF_CONFIG; the first is the chief."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(workers)]
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    started = []
    for index in range(workers):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "kerasal", *map(str, arguments), "-o", output, "--strategy", "multi-worker"],
                env=os.environ | {"TF_CONFIG": json.dumps(config), "COLUMNS": "1000"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return started


def ends(processes):
    """Return (exit code, output, error text) of each, once all have ended."""
    try:
        said = [process.communicate(timeout=_LONG) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]


def kept(output):
    """Return the arrays of the checkpoint, and the history without its times."""
    with np.load(output / "checkpoint.npz") as stored:
        arrays = {name: stored[name] for name in stored.files if name.startswith(("model", "optimizer"))}
    return arrays, pd.read_csv(output / "history.csv").drop(columns="seconds")


def wait_for_epochs(output, count, processes):
    deadline = time.monotonic() + _LONG
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        path = output / "history.csv"
        if path.exists() and len(path.read_text().splitlines()) > count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{count} epochs were not reached: {ends(processes)}")


@pytest.mark.parametrize(("command", "killed", "name"), [("digits", 1, "mnist_cnn"), ("photographs", 0, "saliency")])
def test_one_is_killed_and_all_started_again(request, tmp_path, command, killed, name):
    """A worker, or the chief; the weights at the end are bit-equal to those of a run that nobody disturbed."""
    arguments = request.getfixturevalue(command)
    whole = ends(start(arguments, tmp_path / "whole"))
    assert [code for code, _, _ in whole] == [0, 0], whole
    assert "epochs" in whole[0][1] and whole[1][1:] == ("", "")  # the chief speaks, the other says nothing

    processes = start(arguments, tmp_path / "killed")
    wait_for_epochs(tmp_path / "killed", 3, processes)
    processes[killed].send_signal(signal.SIGKILL)
    before = time.monotonic()
    stopped = ends(processes)
    assert time.monotonic() - before < 60  # nobody waits for ever
    assert stopped[killed][0] == -signal.SIGKILL and stopped[1 - killed][0] == 1
    said = stopped[1 - killed][2].strip().splitlines()[-1]
    assert "A worker was lost" in said and "run the same training on all 2 workers again" in said
    assert not list((tmp_path / "killed").glob("*.keras"))

    resumed = ends(start(arguments, tmp_path / "killed"))
    assert [code for code, _, _ in resumed] == [0, 0], resumed
    assert "Resuming after epoch" in resumed[0][2]
    (first, history), (second, again) = kept(tmp_path / "whole"), kept(tmp_path / "killed")
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[key], second[key]) for key in first)
    pd.testing.assert_frame_equal(history, again, check_exact=True)
    names = [sorted(path.name for path in (tmp_path / run).iterdir()) for run in ("whole", "killed")]
    assert names[0] == names[1] and any(name in one for one in names[0])


def test_two_machines_give_what_one_gives(photographs, tmp_path):
    """A net without batch statistics and dropout: only the order of sums differs."""
    few = [*photographs, "--epochs", 4]
    assert [code for code, _, _ in ends(start(few, tmp_path / "two"))] == [0, 0]
    alone = [sys.executable, "-m", "kerasal", *map(str, few), "-o", tmp_path / "one"]
    assert subprocess.run(alone, capture_output=True, check=False).returncode == 0
    (first, history), (second, again) = kept(tmp_path / "one"), kept(tmp_path / "two")
    for key in first:
        np.testing.assert_allclose(first[key], second[key], atol=1e-5, rtol=1e-4)
    pd.testing.assert_frame_equal(history, again, rtol=1e-4)


def test_a_folder_that_is_not_shared_stops_all(digits, tmp_path, monkeypatch):
    """Each process sees another folder under the same name."""
    processes = []
    original = subprocess.Popen

    def elsewhere(*given, **options):
        place = tmp_path / str(len(processes))
        place.mkdir()
        processes.append(original(*given, **options, cwd=place))
        return processes[-1]

    monkeypatch.setattr(subprocess, "Popen", elsewhere)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")]))
    found = ends(start(digits, "run"))
    assert [code for code, _, _ in found] == [2, 2]
    for _, _, said in found:
        assert "The output folder must be shared by all machines" in said
    assert not (tmp_path / "1" / "run").exists()
