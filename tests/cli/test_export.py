"""``kerasal export`` on the command line."""

import numpy as np
import pytest

from kerasal import attribution

import tensorflow as tf


@pytest.fixture
def model_file(make_model, tmp_path):
    model = make_model("nested")
    model.save(tmp_path / "net.keras")
    return tmp_path / "net.keras"


def test_a_file_becomes_signatures(cli, model_file, make_model, batch, tmp_path):
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\nf\n")
    arguments = ["-s", "predict_bytes", "-s", "maps=class_saliency:target=2", "-p", "caffe", "--labels", "names.txt"]
    code, out, err = cli("export", model_file, "models", *arguments, "--name", "mine")
    assert code == 0, err
    assert "models/mine/1" in out
    assert "image_bytes string (N)" in out
    assert "map float32 (N, 8, 8)" in out
    found = tf.saved_model.load(tmp_path / "models" / "mine" / "1").signatures
    served = found["maps"](inputs=tf.constant(batch))
    np.testing.assert_array_equal(served["map"], attribution.class_saliency(make_model("nested"), batch, 2))
    assert [one.decode() for one in served["label"].numpy()] == ["c"] * 3
    code, out, err = cli("export", model_file, "models", "-s", "predict", "--name", "mine")
    assert (code, "models/mine/2" in out) == (0, True), err


def test_without_preprocessing_no_image_signatures(cli, model_file, tmp_path):
    code, _, err = cli("export", model_file, "models")
    assert code == 0, err
    assert "--preprocessing" in err
    found = tf.saved_model.load(tmp_path / "models" / "nested" / "1").signatures
    assert sorted(found) == ["class_saliency", "serving_default"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-s", "smothgrad"], "Did you mean smoothgrad"),
        (["-s", "predict_image"], "preprocessing"),
        (["--name", "a/b"], "model's name"),
        (["--labels", "digits"], "labels (--labels) must have one name per class"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(arguments, says, cli, model_file, tmp_path):
    code, _, err = cli("export", model_file, "models", *arguments)
    assert code == 2
    assert says in err.replace("\n", " ")
    assert not list((tmp_path / "models").glob("*"))


def test_a_mistyped_signature_is_told_before_the_model_is_opened(cli, tmp_path):
    code, _, err = cli("export", tmp_path / "none.keras", "models", "-s", "clas_saliency")
    assert code == 2 and "Did you mean class_saliency" in err
