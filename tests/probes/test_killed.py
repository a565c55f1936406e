"""kill -9 at a random moment, then the same command once more: the same results as from a run left alone."""

import io
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

import tensorflow as tf

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked"),
]
JOBS = ["localize-score", "exemplars", "probe", "score", "export", "batch", "atlas", "train", "gaze train"]
OTHER = {"checkpoint.npz", "fingerprint.pb", "saved_model.pb", "variables.index", "variables.data-00000-of-00001"}
"""Files with times, or in an order that differs from run to run."""

TEMPORARY = re.compile(r"\..+-[a-z0-9_]{8}(\.[^.]+)*")


@pytest.fixture(scope="module")
def answers(given, workplace, tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    commands = {name: [*map(str, workplace.commands(given, 1, "out")[name])] for name in JOBS}
    (folder / "questions.json").write_text(
        json.dumps({"folder": str(folder), "seed": os.environ.get("KERASAL_SEED", 0), "commands": commands})
    )
    script = pathlib.Path(__file__).with_name("kill.py")
    checkout = str(pathlib.Path(__file__).resolve().parents[2])
    path = os.pathsep.join([checkout, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    done = subprocess.run(
        [sys.executable, script, folder / "questions.json", folder / "answers.json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=550,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, json.loads((folder / "answers.json").read_text())


def _results(folder):
    """Read what a command wrote, without the times, nor what a kill may leave: hidden files that no one looks at."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        hidden = TEMPORARY.fullmatch(path.name) or ".writing-" in name
        if not path.is_file() or hidden or path.name in OTHER:
            continue
        if path.suffix == ".csv":
            table = pd.read_csv(io.StringIO(path.read_text()))
            found[name] = table.drop(columns=[one for one in table if "second" in one]).to_csv()
        elif path.name == "run.json":
            run = json.loads(path.read_text())
            found[name] = {key: run[key] for key in sorted(run.keys() - {"started", "ended", "sessions", "command"})}
        elif path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                config = re.sub(rb'"shared_object_id": \d+', b"", archive.read("config.json"))
                found[name] = archive.read("model.weights.h5"), config
        else:
            found[name] = path.read_bytes()
    return found


@pytest.mark.parametrize("name", JOBS)
def test_killed_and_started_again(name, answers):
    folder, answer = answers[0] / name.replace(" ", "-"), answers[1][name]
    assert answer["whole"]["code"] == 0, answer["whole"]["said"]
    assert answer["killed"]["code"] == -signal.SIGKILL, answer["killed"]["said"]
    assert answer["again"]["code"] == 0, answer["again"]["said"]
    whole, again = (_results(folder / run / "out") for run in ("whole", "killed"))
    assert whole
    assert again.keys() == whole.keys()
    assert [path for path in whole if whole[path] != again[path]] == []
    if name == "export":
        inputs = tf.ones((1, 8, 8, 3))
        exports = [tf.saved_model.load(str(folder / run / "out/models/net/1")) for run in ("whole", "killed")]
        first, second = (one.signatures["serving_default"](inputs=inputs)["scores"] for one in exports)
        np.testing.assert_array_equal(first, second)
