"""The folders of TensorFlow Serving: the next version, all of it or nothing, labels and card beside it."""

import json
import os
import stat

import numpy as np
import pytest

import kerasal
from kerasal.serving import exporter
from kerasal.serving.server import list_versions, write_version

import tensorflow as tf


def test_a_version_appears_whole_and_the_next_one_beside_it(tmp_path):
    for expected in (1, 2):
        with write_version(tmp_path, "net", None) as (temporary, written):
            (temporary / "saved_model.pb").write_text("whole")
            assert list_versions(tmp_path / "net") == list(range(1, expected))  # a server sees nothing yet
        assert written() == tmp_path / "net" / str(expected)
    with write_version(tmp_path, "net", 7) as (_, written):
        pass
    assert list_versions(tmp_path / "net") == [1, 2, 7]
    assert stat.S_IMODE(written().stat().st_mode) == 0o777 & ~_umask()
    assert sorted(one.name for one in (tmp_path / "net").iterdir()) == ["1", "2", "7"]


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_another_export_may_take_the_number_meanwhile(tmp_path):
    with write_version(tmp_path, "net", None) as (temporary, written):
        (temporary / "file").write_text("mine")
        (tmp_path / "net" / "1").mkdir()
        (tmp_path / "net" / "1" / "file").write_text("another's")
    assert written().name == "2"
    assert (tmp_path / "net" / "1" / "file").read_text() == "another's"


def test_a_failure_leaves_nothing(tmp_path, make_model, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporter, "write_assets", full)
    with pytest.raises(OSError, match="No space left"):
        kerasal.export(make_model("sequential"), tmp_path / "models", signatures=["predict"])
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"version": 0}, "version must be a positive integer, got"),
        ({"version": True}, "version must be a positive integer, got"),
        ({"name": "../net"}, "model's name"),
        ({"name": ".hidden"}, "model's name"),
        ({"labels": ["a", "b"]}, r"one name per class of 'sequential' \(6\), got 2"),
        ({"preprocessing": "cafe"}, "Did you mean caffe"),
        ({"signatures": ["predict_image"]}, "'predict_image' cannot be exported: preprocessing must be known"),
        ({"signatures": ["class_saliency:target=6"]}, r"target must be a class index in 0..5, got 6"),
        (
            {"signatures": ["predict_bytes:top=9"], "preprocessing": "unit"},
            "top must be at most 6, the number of classes, got 9",
        ),
        ({"signatures": ["gradcam:layer=conv9"]}, "'gradcam' cannot be exported: Unknown layer 'conv9'"),
        (
            {"signatures": ["class_saliency:size=9x9"]},
            r"size must be \(8, 8\), the image size of 'sequential', got \(9, 9\)",
        ),
        ({"signatures": ["class_saliency:output=other"]}, "output"),
        ({"signatures": ["gaze"], "preprocessing": "unit"}, "must return one map per image"),
    ],
)
def test_what_cannot_be_exported_says_why_and_leaves_nothing(arguments, says, tmp_path, shared_model):
    with pytest.raises(ValueError, match=says):
        kerasal.export(shared_model("sequential"), tmp_path, **{"signatures": ["predict"], **arguments})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_version_that_exists_is_left_alone(served):
    with pytest.raises(ValueError, match=r"functional/1 exists. Omit version to write version \d+"):
        kerasal.export(served[0], served[1].parent.parent, version=1, signatures=["predict"])


@pytest.mark.slow
def test_labels_and_description_travel_along(served, labels):
    assets = served[1] / "assets"
    assert (assets / "labels.txt").read_text(encoding="utf-8").splitlines() == labels
    said = json.loads((assets / "kerasal.json").read_text(encoding="utf-8"))
    assert said["preprocessing"]["bgr"] is True
    loaded = tf.saved_model.load(served[1]).signatures
    assert set(said["signatures"]) == set(loaded)
    for name, signature in said["signatures"].items():
        given = loaded[name].structured_input_signature[1]
        assert {key: one["dtype"] for key, one in signature["inputs"].items()} == {
            key: spec.dtype.name for key, spec in given.items()
        }
        assert set(signature["outputs"]) == set(loaded[name].structured_outputs)
    assert said["signatures"]["smoothgrad"]["options"]["samples"] == 3
    assert "Smilkov" in said["signatures"]["smoothgrad"]["reference"]


def test_the_model_is_left_as_it_was(make_model, batch, tmp_path):
    model = make_model("nested")
    weights, outputs = [one.copy() for one in model.get_weights()], np.asarray(model(batch, training=False))
    kerasal.export(model, tmp_path, signatures=["guided_backprop", "gradcam"])
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(model(batch, training=False), outputs)
    assert not [layer for layer in model._flatten_layers() if "call" in vars(layer)]


@pytest.mark.slow
def test_warm_up_requests_are_answered(served):
    """Read with the genuine messages where they are installed, and each is a request that the signature answers."""
    log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2", reason="no tensorflow-serving-api")
    signatures, asked = tf.saved_model.load(served[1]).signatures, []
    for record in tf.data.TFRecordDataset(str(served[1] / "assets.extra" / "tf_serving_warmup_requests")):
        found = log.PredictionLog.FromString(record.numpy())
        assert found.WhichOneof("log_type") == "predict_log"
        request = found.predict_log.request
        assert request.model_spec.name == "functional"
        asked.append(request.model_spec.signature_name)
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        assert signatures[asked[-1]](**inputs)
    assert sorted(asked) == sorted(signatures)
