"""Everyone who loads a SavedModel loads this one: TensorFlow 1's loader, saved_model_cli, the C API, gRPC messages."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from kerasal import attribution

import tensorflow as tf

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def names(served):
    """signature -> (its inputs, its outputs), each name -> the tensor's name in the graph."""
    from tensorflow.core.protobuf import saved_model_pb2

    read = saved_model_pb2.SavedModel.FromString((served[1] / "saved_model.pb").read_bytes())
    return {
        name: tuple({key: info.name for key, info in side.items()} for side in (one.inputs, one.outputs))
        for name, one in read.meta_graphs[0].signature_def.items()
        if not name.startswith("__")
    }


@pytest.mark.slow
def test_the_loader_of_tensorflow_1(served, names, batch, malformed):
    """It restores variables by name, as the C++ loader of TensorFlow Serving does."""
    model, path = served
    maps = attribution.class_saliency(model, batch), attribution.guided_backprop(model, batch, [1, 2, 3])
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(path))

        def ask(name, inputs):
            takes, gives = names[name]
            return session.run(gives, {takes[key]: value for key, value in inputs.items()})

        np.testing.assert_array_equal(ask("nine", {"inputs": batch, "class_index": [1, 2, 3]})["map"], maps[1])
        for name, inputs, says in malformed.values():
            if says:  # of what has the wrong type or key the session itself makes what it can
                with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
                    ask(name, inputs)
        np.testing.assert_array_equal(ask("class_saliency", {"inputs": batch})["map"], maps[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["class_saliency", "guided_backprop", "smoothgrad", "occlusion"])
def test_saved_model_cli(name, served, batch, tmp_path, methods):
    np.save(tmp_path / "inputs.npy", batch)
    command = [pathlib.Path(sys.executable).parent / "saved_model_cli", "run", "--dir", served[1], "--tag_set", "serve"]
    command += ["--signature_def", name, "--inputs", f"inputs={tmp_path / 'inputs.npy'}", "--outdir", tmp_path / "out"]
    if not command[0].is_file():
        pytest.skip("saved_model_cli is not installed beside this Python")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    options = {"smoothgrad": {"samples": 3, "noise": 0.1}, "occlusion": {"window": 4, "stride": 2}}.get(name, {})
    expected = getattr(attribution, name)(served[0], batch, **options)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "map.npy"), expected)


@pytest.mark.slow
def test_the_c_api(served, names, batch, malformed, tmp_path):
    """In a process without TensorFlow in Python: the same bytes, an error for each bad request, and it lives on."""
    model, path = served
    folder = pathlib.Path(importlib.util.find_spec("tensorflow").submodule_search_locations[0])
    if not (folder / "libtensorflow_cc.so.2").is_file():
        pytest.skip(f"this TensorFlow has its C API elsewhere than in {folder}/libtensorflow_cc.so.2")
    photographs = np.random.default_rng(4).integers(0, 256, (2, 30, 20, 3), dtype=np.uint8)
    file = tf.io.encode_png(photographs[0]).numpy()
    good = [
        ("class_saliency", {"inputs": batch}),
        ("nine", {"inputs": batch, "class_index": np.int32([1, 2, 3])}),
        ("smoothgrad", {"inputs": batch}),
        ("predict_image", {"images": photographs}),
        ("predict_bytes", {"image_bytes": np.array([file], dtype=object)}),
        ("files", {"image_bytes": np.array([file], dtype=object), "class_index": np.int32([2])}),
    ]
    bad = [
        (name, inputs)
        for name, inputs, says in malformed.values()
        if says and not any(value.dtype.kind == "S" for value in inputs.values())
    ]
    asked = [*good, *bad, *good]
    (tmp_path / "requests.json").write_text(json.dumps([_as_feeds(names, *one) for one in asked]))
    command = [sys.executable, HERE / "c_consumer.py", folder, path, tmp_path / "requests.json", tmp_path / "out.npz"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-2000:]}"
    replies = np.load(tmp_path / "out.npz")
    here = tf.saved_model.load(path).signatures
    for number, (name, inputs) in enumerate(asked):
        if len(good) <= number < len(good) + len(bad):
            assert f"{number}/error" in replies, (name, inputs)
            continue
        tensors = {
            key: tf.constant(value.tolist() if value.dtype == object else value) for key, value in inputs.items()
        }
        for key, expected in here[name](**tensors).items():
            if expected.dtype != tf.string:
                np.testing.assert_array_equal(replies[f"{number}/{key}"], expected, err_msg=f"{name} {key}")
    np.testing.assert_array_equal(replies["0/map"], attribution.class_saliency(model, batch))


def _as_feeds(names, signature, inputs):
    takes, gives = names[signature]
    feeds = {}
    for key, value in inputs.items():
        contents = value[0] if value.dtype == object else value.tobytes()
        feeds[takes[key].partition(":")[0]] = [str(value.dtype), value.shape, contents.hex()]
    fetches = [(key, name.partition(":")[0], int(name.partition(":")[2])) for key, name in gives.items()]
    return {"feeds": feeds, "fetches": fetches}


@pytest.mark.slow
def test_the_messages_of_tensorflow_serving(served, batch, malformed):
    """Requests and answers as TensorFlow Serving's own gRPC messages, over a socket."""
    grpc = pytest.importorskip("grpc")
    predict = pytest.importorskip("tensorflow_serving.apis.predict_pb2", reason="no tensorflow-serving-api")
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    server = subprocess.Popen(
        [sys.executable, HERE / "grpc_server.py", served[1]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        channel = grpc.insecure_channel(f"127.0.0.1:{int(server.stdout.readline())}")
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def ask(name, inputs):
            request = predict.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = "functional", name
            for key, value in inputs.items():
                plain = value.tolist() if value.dtype == object else value
                request.inputs[key].CopyFrom(tf.make_tensor_proto(plain))
            return {key: tf.make_ndarray(one) for key, one in stub.Predict(request, timeout=60).outputs.items()}

        expected = attribution.class_saliency(served[0], batch)
        found = ask("class_saliency", {"inputs": batch})
        np.testing.assert_array_equal(found["map"], expected)
        assert found["label"].dtype == object
        for name, inputs, _ in malformed.values():
            with pytest.raises(grpc.RpcError) as caught:
                ask(name, inputs)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, caught.value
        np.testing.assert_array_equal(ask("class_saliency", {"inputs": batch})["map"], expected)
        channel.close()
    finally:
        server.stdin.close()
        server.stdout.close()
        server.terminate()
        server.wait()
