"""Forks: TensorFlow that had run hangs in the child, so every routine refuses there; what had not run keeps working."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

_SCRIPT = """
import os, signal, sys, tempfile
import kerasal
{before}

def in_a_child(name, call):
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, lambda *_: (print(name, "hangs", flush=True), os._exit(1)))
        signal.alarm({seconds})
        try:
            call()
            print(name, "works", flush=True)
        except BaseException as error:
            print(name, type(error).__name__, str(error).splitlines()[0], flush=True)
        os._exit(0)
    signal.alarm(0)
    for _ in range(10 * {seconds} + 50):
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        __import__("time").sleep(0.1)
    print(name, "hangs", flush=True)
    os.kill(pid, signal.SIGKILL)  # a thread lock of TensorFlow lets no signal handler of Python run

{after}
"""

_RUN = """
import keras, numpy as np
from kerasal import attribution, gaze, localization, receptive_field, serving, training
model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, name="conv"), keras.layers.Flatten(),
    keras.layers.Dense(3, activation="softmax")])
x = np.ones((1, 8, 8, 3), np.float32)
saliency = attribution.class_saliency.compiled(model)
attribution.class_saliency(model, x), saliency(x)
folder = tempfile.mkdtemp()
model.save(folder + "/model.keras")
"""

_CALLS = """
in_a_child("attribution", lambda: attribution.gradcam(model, x))
in_a_child("traced", lambda: attribution.class_saliency(model, x))
in_a_child("compiled", lambda: saliency(x))
in_a_child("feature_maps", lambda: kerasal.feature_maps(model, x, "conv"))
in_a_child("maximize", lambda: kerasal.maximize(model, kerasal.objectives.channel("conv", 0), steps=1))
in_a_child("field", lambda: receptive_field.field(model, "conv"))
in_a_child("localize", lambda: localization.localize(model, np.zeros((8, 8, 3), np.uint8)))
in_a_child("load", lambda: kerasal.load_model(folder + "/model.keras"))
in_a_child("create", lambda: kerasal.create_model("mnist_cnn"))
in_a_child("gaze", lambda: gaze.Predictor(model))
in_a_child("export", lambda: kerasal.export(model, folder + "/exported"))
in_a_child("train", lambda: training.train(model, None, None, output=folder, epochs=1))
in_a_child("metrics", lambda: kerasal.metrics.cc(np.eye(4), np.eye(4)))
"""

_FRESH = """
def explain():
    import keras, numpy as np
    from kerasal import attribution
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    attribution.class_saliency(model, np.ones((1, 8, 8, 3), np.float32))

in_a_child("fresh", explain)
"""


def children(before, after, seconds=30) -> dict[str, str]:
    script = _SCRIPT.format(before=before, after=after, seconds=seconds)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.slow
def test_every_routine_refuses_in_a_child_of_a_process_that_ran_tensorflow():
    found = children(_RUN, _CALLS)
    assert found.pop("metrics") == "works"
    assert len(found) == 12
    wrong = {name: text for name, text in found.items() if not text.startswith("ForkedProcess ") or "spawn" not in text}
    assert not wrong


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 warns of such forks itself
def test_a_forked_child_is_told(shared_model, batch):
    from kerasal import attribution
    from kerasal.process import ForkedProcess

    attribution.class_saliency(shared_model("functional"), batch)
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            try:
                attribution.class_saliency(shared_model("functional"), batch)
            except ForkedProcess as error:
                status = 0 if "spawn" in str(error) else 2
        os._exit(status)
    for _ in range(100):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        pytest.fail("The call hangs in the child.")
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.slow
def test_tensorflow_need_not_have_run_through_kerasal():
    before = "import tensorflow as tf; tf.constant(1.0)"
    found = children(before, _FRESH.replace("fresh", "forked"), seconds=5)
    assert found["forked"].startswith("ForkedProcess TensorFlow had run") and "spawn" in found["forked"]


@pytest.mark.parametrize("before", ["", "import keras, tensorflow, kerasal.attribution"], ids=["light", "imported"])
@pytest.mark.slow
def test_what_had_not_run_keeps_working(before):
    assert children(before, _FRESH, seconds=60) == {"fresh": "works"}
