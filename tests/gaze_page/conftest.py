"""The scripts of the page in Node, the runtime from a folder or from npm, and a small gaze model."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "kerasal" / "gaze_page" / "templates"
RUNTIME = "KERASAL_ONNXRUNTIME_WEB"
"""Environment variable: a folder with onnxruntime-web, for machines without npm."""


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """Evaluate an expression over functions of the page's scripts and ``data``; return its JSON value."""
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    folder = tmp_path_factory.mktemp("node")
    for script in SCRIPTS.glob("*.js"):
        shutil.copyfile(script, folder / script.name)
    (folder / "package.json").write_text('{"type": "module"}')

    def evaluate(script, expression, **data):
        (folder / "data.json").write_text(json.dumps(data))
        (folder / "run.js").write_text(
            f'import * as page from "./{script}.js"; import fs from "fs";'
            'const data = JSON.parse(fs.readFileSync("data.json"));'
            f"const value = await (async () => {expression})();"
            "console.log(JSON.stringify(value, (_, one) => (ArrayBuffer.isView(one) ? Array.from(one) : one)));"
        )
        done = subprocess.run(["node", "run.js"], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return evaluate


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    """Return a folder with the two files of the runtime, fetched once."""
    from kerasal.gaze_page import web_runtime

    if named := os.environ.get(RUNTIME):
        return pathlib.Path(named)
    folder = tmp_path_factory.mktemp("runtime")
    try:
        with web_runtime.open_runtime(None) as (fetched, _):
            for name in web_runtime.FILES:
                shutil.copyfile(fetched / name, folder / name)
    except web_runtime.NoRuntime as error:
        pytest.skip(f"no runtime: {error}")
    return folder


@pytest.fixture(scope="session")
def false_runtime(tmp_path_factory):
    """Return a folder with files of the runtime's names, for tests that open no browser."""
    from kerasal.gaze_page import web_runtime

    folder = tmp_path_factory.mktemp("false") / "node_modules" / "onnxruntime-web" / "dist"
    folder.mkdir(parents=True)
    (folder / web_runtime.FILES[0]).write_text("/*!\n * ONNX Runtime Web v9.8.7\n */\n")
    (folder / web_runtime.FILES[1]).write_bytes(b"\0asm")
    return folder.parents[2]


@pytest.fixture(scope="session")
def plain_model():
    """Return a small model of maps in 0..1 (not of densities) for photos of 48 × 64."""
    import keras

    keras.utils.set_random_seed(3)
    inputs = keras.Input((48, 64, 3))
    maps = keras.layers.Conv2D(4, 5, strides=2, padding="same", activation="relu")(inputs)
    maps = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")(maps)
    return keras.Model(inputs, maps, name="plain")


@pytest.fixture(scope="session")
def density_model():
    """Return a small model of log-densities for photos of any size, with the layers of the zoo's gaze model."""
    from kerasal.layers import CenterBias, GaussianBlur, LogDensity, ResizeLike

    import keras

    keras.utils.set_random_seed(4)
    layers = keras.layers
    inputs = keras.Input((None, None, 3))
    fine = layers.Conv2D(4, 9, strides=8, padding="same", activation="relu")(inputs)
    coarse = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(fine)
    both = layers.Concatenate()([fine, ResizeLike()([coarse, fine])])
    maps = keras.ops.squeeze(layers.Conv2D(1, 1)(both), axis=-1)
    maps = CenterBias(0.25, 1.0, mode="add")(GaussianBlur(1.0)(maps))
    return keras.Model(inputs, LogDensity()(maps), name="density")
