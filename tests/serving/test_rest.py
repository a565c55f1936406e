"""The REST bodies of TensorFlow Serving, through a server of somebody else's (KServe), in an environment of its own.

python -m venv kserve-env && kserve-env/bin/python -m pip install kserve==0.21.0 tensorflow==2.21.0
KERASAL_KSERVE_PYTHON=kserve-env/bin/python python -m pytest -m slow tests/serving/test_rest.py
"""

import base64
import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from kerasal import attribution

import tensorflow as tf

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ask(served, tmp_path_factory):
    """Post a body to the server and return its answer."""
    python = os.environ.get("KERASAL_KSERVE_PYTHON")
    if not python:
        pytest.skip("KERASAL_KSERVE_PYTHON names no Python with kserve and tensorflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = tmp_path_factory.mktemp("kserve") / "log"
    script = pathlib.Path(__file__).with_name("kserve_server.py")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with said.open("w") as log:
        server = subprocess.Popen(
            [python, script, served[1], str(port)], stdout=log, stderr=subprocess.STDOUT, env=environment
        )
    address = f"http://127.0.0.1:{port}/v1/models/net"

    def post(body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{address}:predict", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    try:
        deadline = time.monotonic() + 600
        while True:
            assert time.monotonic() < deadline, said.read_text()[-2000:]
            assert server.poll() is None, said.read_text()[-2000:]
            try:
                with urllib.request.urlopen(address, timeout=10):
                    break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.5)
        yield post
    finally:
        server.terminate()
        server.wait()


def _b64(contents):
    return {"b64": base64.b64encode(contents).decode()}


def test_rows(ask, served, batch):
    rows = ask({"signature_name": "class_saliency", "instances": batch.tolist()})["predictions"]
    expected = attribution.class_saliency(served[0], batch)
    np.testing.assert_array_equal(np.float32([row["map"] for row in rows]), expected)
    assert sorted(rows[0]) == ["class", "label", "map", "score"]
    named = [{"inputs": one.tolist(), "class_index": 4} for one in batch]
    rows = ask({"signature_name": "nine", "instances": named})["predictions"]
    expected = attribution.guided_backprop(served[0], batch, 4)
    np.testing.assert_array_equal(np.float32([row["map"] for row in rows]), expected)


def test_columns(ask, served, batch):
    found = ask({"signature_name": "gradcam", "inputs": {"inputs": batch.tolist()}})["outputs"]
    np.testing.assert_array_equal(np.float32(found["map"]), attribution.gradcam(served[0], batch))
    found = ask({"inputs": batch.tolist()})["outputs"]
    here = tf.saved_model.load(served[1]).signatures["serving_default"](inputs=tf.constant(batch))["scores"]
    np.testing.assert_array_equal(np.float32(found), here)


def test_files(ask, served):
    photographs = np.random.default_rng(4).integers(0, 256, (2, 30, 20, 3), dtype=np.uint8)
    files = [tf.io.encode_png(one).numpy() for one in photographs]
    here = tf.saved_model.load(served[1]).signatures["predict_bytes"](image_bytes=tf.constant(files))
    rows = ask({"signature_name": "predict_bytes", "instances": list(map(_b64, files))})["predictions"]
    np.testing.assert_array_equal(np.float32([row["scores"] for row in rows]), here["scores"])
    assert [row["labels"] for row in rows] == [[one.decode() for one in row] for row in here["labels"].numpy()]
    named = [{"image_bytes": _b64(one), "class_index": 2} for one in files]
    rows = ask({"signature_name": "files", "instances": named})["predictions"]
    assert [row["label"] for row in rows] == ["cat", "cat"]


def test_bad_bodies_get_an_error_and_the_server_lives_on(ask, batch, malformed):
    bodies = [b"", b"no JSON", b"{}", b'{"instances": []}', b'{"instances": "text"}', b'{"inputs": {"inputs": [1, 2]}}']
    bodies += [{"signature_name": "none", "instances": batch.tolist()}]
    bodies += [{"signature_name": "predict_bytes", "instances": [{"b64": "no base64!"}]}]
    for name, inputs, says in malformed.values():
        if says and all(value.dtype.kind in "fiu" and np.isfinite(value).all() for value in inputs.values()):
            columns = {key: value.tolist() for key, value in inputs.items()}
            bodies.append({"signature_name": name, "inputs": columns})
        elif says and all(value.dtype == object or value.dtype.kind == "i" for value in inputs.values()):
            columns = {k: [_b64(v[0])] if v.dtype == object else v.tolist() for k, v in inputs.items()}
            bodies.append({"signature_name": name, "inputs": columns})
    assert len(bodies) > 20
    for body in bodies:
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask(body)
        assert 400 <= caught.value.code < 600, body
        caught.value.close()
    assert len(ask({"signature_name": "class_saliency", "instances": batch.tolist()})["predictions"]) == 3
