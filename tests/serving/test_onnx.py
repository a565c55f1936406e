"""ONNX files, opened and run in onnxruntime; what is not possible there says so, and leaves nothing behind."""

import json

import numpy as np
import pytest

from kerasal import attribution, serving
from kerasal.cli.app import app
from kerasal.serving import onnx_graph

import keras

pytest.importorskip("tf2onnx", reason="tf2onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = pytest.mark.slow  # the converter takes seconds for each

LABELS = ["ant", "bee", "cat", "dög", "eel", "fox"]


@pytest.fixture(scope="module")
def files(shared_model, tmp_path_factory):
    """Scores and an occlusion of windows that do not fill the last loop."""
    signatures = ["serving_default", "hidden=occlusion:window=3,target=class"]
    options = {"signatures": signatures, "labels": LABELS, "preprocessing": "caffe", "name": "net"}
    return serving.export_onnx(shared_model("functional"), tmp_path_factory.mktemp("onnx"), **options)


def run(file, feeds):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, feeds), strict=True))


def test_scores_are_those_of_the_model(files, shared_model, batch):
    assert [file.name for file in files] == ["net.onnx", "net-hidden.onnx"]
    expected = shared_model("functional").predict(batch, verbose=0)
    for rows in (3, 1):
        found = run(files[0], {"inputs": batch[:rows]})
        np.testing.assert_allclose(found["scores"], expected[:rows], atol=1e-6)


def test_occlusion_is_that_of_the_process(files, shared_model, batch):
    classes = np.int32([4, 0, 2])
    found = run(files[1], {"inputs": batch, "class_index": classes})
    expected = attribution.occlusion(shared_model("functional"), batch, classes, window=3)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found["map"], expected, atol=1e-5)
    assert found["class"].tolist() == [4, 0, 2]


@pytest.mark.parametrize(("name", "options"), [("ablation", {"cells": 2}), ("hsic", {"cells": 2, "samples": 20})])
def test_methods_that_only_run_forward_are_those_of_the_process(name, options, shared_model, batch, tmp_path):
    text = f"{name}:target=class," + ",".join(f"{key}={value}" for key, value in options.items())
    (file,) = serving.export_onnx(shared_model("functional"), tmp_path, signatures=[text])
    found = run(file, {"inputs": batch, "class_index": np.int32([4, 0, 2])})["map"]
    expected = getattr(attribution, name)(shared_model("functional"), batch, [4, 0, 2], **options)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_the_file_says_what_it_is(files):
    session = onnxruntime.InferenceSession(files[1], providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    assert told["labels"].splitlines() == LABELS
    described = json.loads(told["kerasal"])
    assert described["preprocessing"]["bgr"] and described["signatures"]["hidden"]["kind"] == "occlusion"
    assert session.get_inputs()[0].shape == ["N", 8, 8, 3] and session.get_outputs()[1].shape[0] == "N"


@pytest.mark.parametrize(
    "signature, message",
    [
        ("class_saliency", r"must not use gradients, but 'class_saliency' does \(.*Grad.*\). Use the scores"),
        ("gradcam", "must not use gradients"),
        ("rise:samples=4,cells=2", "uses operations that do not exist in ONNX: StatelessRandom"),
        ("predict_image", "on=inputs, and preprocess the pixels"),
        ("no_such", "no_such"),
    ],
)
def test_what_is_not_possible(shared_model, tmp_path, signature, message):
    with pytest.raises(ValueError, match=message):
        serving.export_onnx(shared_model("functional"), tmp_path, signatures=[signature], preprocessing="caffe")
    assert not list(tmp_path.iterdir())


def _tiny_transformer():
    """Patches, two heads, two normalizations: the parts of a vision transformer."""
    inputs = keras.Input((8, 8, 3))
    tokens = keras.layers.Reshape((16, 6))(keras.layers.Conv2D(6, 2, strides=2)(inputs))
    normal = keras.layers.LayerNormalization()(tokens)
    tokens = tokens + keras.layers.MultiHeadAttention(2, 3)(normal, normal)
    hidden = keras.layers.Dense(8, activation="gelu")(keras.layers.LayerNormalization()(tokens))
    return keras.Model(inputs, keras.layers.Dense(4)(hidden[:, 0]), name="net")


def _normalized(layer):
    inputs = keras.Input((8, 8, 3))
    maps = layer(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    return keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(keras.layers.Flatten()(maps)), name="net")


@pytest.mark.parametrize(
    "build",
    [
        lambda: _normalized(keras.layers.LayerNormalization()),
        lambda: _normalized(keras.layers.LayerNormalization(axis=(1, 2, 3))),
        lambda: _normalized(keras.layers.GroupNormalization(2)),
        lambda: _normalized(keras.layers.UnitNormalization()),
        lambda: _normalized(keras.layers.RMSNormalization()),
        _tiny_transformer,
    ],
    ids=["layer", "layer, all axes", "group", "unit", "rms", "transformer"],
)
def test_a_normalization_takes_no_gradients(build, tmp_path):
    keras.utils.set_random_seed(0)
    model = build()
    random = np.random.default_rng(0)
    model.set_weights([random.normal(1, 0.5, one.shape).astype(np.float32) for one in model.get_weights()])
    inputs = random.normal(2, 3, (3, 8, 8, 3)).astype(np.float32)
    (file,) = serving.export_onnx(model, tmp_path)
    found, expected = run(file, {"inputs": inputs})["scores"], np.asarray(model(inputs, training=False))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_all_files_or_none(shared_model, tmp_path):
    with pytest.raises(ValueError, match="must not use gradients"):
        serving.export_onnx(shared_model("functional"), tmp_path, signatures=["serving_default", "class_saliency"])
    assert not list(tmp_path.iterdir())


def test_an_occlusion_that_is_not_converted_right_runs_the_whole_net(shared_model, tmp_path, monkeypatch, batch):
    tried = []

    def compared(endpoint, file):
        tried.append(endpoint.signature.options["incremental"])
        if len(tried) == 1:
            raise ValueError("onnxruntime cannot run it")

    monkeypatch.setattr("kerasal.serving.onnx.compare", compared)
    (file,) = serving.export_onnx(shared_model("functional"), tmp_path, signatures=["occlusion:window=4"])
    assert tried == ["auto", False]
    expected = attribution.occlusion(shared_model("functional"), batch, window=4)
    np.testing.assert_allclose(run(file, {"inputs": batch})["map"], expected, atol=1e-5)


def test_operations_that_onnx_has_not(tmp_path):
    inputs = keras.Input((4, 4, 1))
    spectra = keras.layers.Lambda(lambda x: keras.ops.fft2((x[..., 0], x[..., 0] * 0))[0])(inputs)
    model = keras.Model(inputs, keras.layers.Flatten()(spectra))
    with pytest.raises(ValueError, match=r"operations that do not exist in ONNX|cannot be converted"):
        serving.export_onnx(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_other_results_are_not_written(shared_model, tmp_path, monkeypatch):
    convert = onnx_graph.convert

    def spoiled(endpoint):
        model = convert(endpoint)
        weights = max(model.graph.initializer, key=lambda one: len(one.raw_data))
        weights.raw_data = bytes(np.frombuffer(weights.raw_data, np.float32) * np.float32(1.5))
        return model

    monkeypatch.setattr("kerasal.serving.onnx.convert", spoiled)
    with pytest.raises(ValueError, match=r"The output scores .* got a difference of .* Nothing was written"):
        serving.export_onnx(shared_model("functional"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_kept(shared_model, tmp_path):
    (tmp_path / "functional.onnx").write_text("mine")
    with pytest.raises(FileExistsError, match="another name"):
        serving.export_onnx(shared_model("functional"), tmp_path)
    assert (tmp_path / "functional.onnx").read_text() == "mine"


def test_the_command(tmp_path):
    from typer.testing import CliRunner

    result = CliRunner().invoke(app, ["export", "mnist_cnn", str(tmp_path), "--format", "onnx"])
    assert result.exit_code == 0, result.output
    assert "mnist_cnn.onnx" in result.stdout
    found = run(tmp_path / "mnist_cnn.onnx", {"inputs": np.zeros((1, 28, 28, 1), np.float32)})
    assert found["scores"].shape == (1, 10)
    wrong = CliRunner().invoke(app, ["export", "mnist_cnn", str(tmp_path), "--format", "onnx", "--model-version", "2"])
    assert wrong.exit_code == 2 and "--model-version" in wrong.output
