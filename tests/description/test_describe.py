"""The description of a model: the facts of every kind of model, and verdicts that are those of the methods."""

import json

import numpy as np
import pytest

import kerasal
from kerasal import attribution
from kerasal.hooks import run_errors

import keras
import tensorflow as tf
from keras import layers


def _photos():
    body = [layers.Conv2D(4, 3, activation="relu", name="conv1"), layers.MaxPooling2D(name="pool")]
    body += [layers.Conv2D(5, 3, activation="relu6", name="conv2"), layers.Flatten(), layers.Dense(3, "softmax")]
    return keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 255, name="scale"), *body], name="photos")


def _series():
    body = [layers.Conv1D(3, 3, activation="relu"), layers.GlobalAveragePooling1D(), layers.Dense(2)]
    return keras.Sequential([keras.Input((20, 4)), *body], name="series")


def _tokens():
    """A small vision transformer: attention mixes the positions, and there is no ReLU."""
    inputs = keras.Input((16, 16, 3))
    tokens = layers.Reshape((16, 6))(layers.Conv2D(6, 4, strides=4, name="patches")(inputs))
    tokens = tokens + layers.MultiHeadAttention(2, 3)(tokens, tokens)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(tokens)), name="tokens")


def _two_inputs():
    image, more = keras.Input((12, 12, 3)), keras.Input((4,))
    joined = layers.Concatenate()([layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(image)), more])
    return keras.Model([image, more], layers.Dense(2)(joined), name="two")


def _mixed():
    """An image, metadata and a category."""
    image, meta, category = keras.Input((12, 12, 3)), keras.Input((4,)), keras.Input((1,), dtype="int32")
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, activation="relu", name="conv")(image))
    embedded = layers.Flatten()(layers.Embedding(5, 2)(category))
    return keras.Model([image, meta, category], layers.Dense(2)(layers.Concatenate()([pooled, meta, embedded])))


def _text():
    tokens = keras.Input((9,), dtype="int32", name="words")
    hidden = layers.Conv1D(4, 3, activation="relu")(layers.Embedding(7, 5, name="embedding")(tokens))
    return keras.Model(tokens, layers.Dense(2)(layers.GlobalMaxPooling1D()(hidden)), name="text")


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="sub")
        self.scale, self.conv, self.dense = layers.Rescaling(1 / 255), layers.Conv2D(3, 3), layers.Dense(2)

    def call(self, inputs):
        return self.dense(keras.ops.mean(self.conv(self.scale(inputs)), axis=(1, 2)))


def _subclassed():
    model = Subclassed()
    model(np.zeros((1, 12, 12, 3), np.float32))
    return model


def _two_outputs():
    inputs = keras.Input((16, 16, 3))
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu", name="conv")(inputs))
    kind, flag = layers.Dense(3, "softmax", name="kind")(features), layers.Dense(1, "sigmoid", name="flag")(features)
    return keras.Model(inputs, {"kind": kind, "flag": flag}, name="both")


MODELS = {
    build.__name__[1:]: build for build in (_photos, _series, _tokens, _two_inputs, _mixed, _two_outputs, _subclassed)
}
SHAPES = {
    "series": [(20, 4)],
    "two_inputs": [(12, 12, 3), (4,)],
    "mixed": [(12, 12, 3), (4,), (1,)],
    "subclassed": [(12, 12, 3)],
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")
@pytest.mark.slow
def test_each_verdict_is_that_of_the_method(kind):
    """A method runs where the description says that it works, and raises the described error where not."""
    model = MODELS[kind]()
    described = kerasal.describe(model).methods
    random = np.random.default_rng(0)
    inputs = [200 * random.random((1, *shape), np.float32) for shape in SHAPES.get(kind, [(16, 16, 3)])]
    inputs = [np.array([[3]]) if array.shape == (1, 1) else array for array in inputs]
    for name in attribution.list_methods():
        try:
            output = {"output": model.output_names[0]} if kind == "two_outputs" else {}
            output |= {"samples": 100} if "samples" in attribution.method_spec(name).options else {}
            attribution.method_function(name)(model, inputs if len(inputs) > 1 else inputs[0], 0, **output)
            reason = ""
        except ValueError as error:
            reason = str(error)
        assert bool(described[name]) == bool(reason), (name, described[name], reason)
        assert reason[:50] == described[name][:50], name  # later come names of operations, which are numbered


@pytest.mark.slow
def test_methods_on_a_model_of_tokens_work_at_its_embedding():
    keras.utils.set_random_seed(0)  # random weights may leave all ReLUs inactive, which is a warning
    model = _text()
    described = kerasal.describe(model)
    assert any("methods work with layer='embedding'" in note for note in described.notes)
    assert described.rectifiers == {"ReLU": 1}
    for name in attribution.list_methods():
        spec, reason = attribution.method_spec(name), described.methods[name]
        assert bool(reason) != spec.at_layer, name
        if spec.at_layer:
            few = {"samples": 20} if "samples" in spec.options else {}
            attribution.method_function(name)(model, np.ones((1, 9)), 0, layer="embedding", **few)
        else:
            with pytest.raises(ValueError, match="all are integers, which have no gradient"):
                attribution.method_function(name)(model, np.ones((1, 9)), 0)
    assert "which have no gradient" in described.methods["maximize"]


def test_the_facts_about_a_model_of_photos():
    described = kerasal.describe(_photos(), labels=["a", "b", "c"])
    assert described.inputs and next(iter(described.inputs.values())) == "(N, 16, 16, 3)"
    assert described.outputs == {"scores": "(N, 3), softmax"}
    assert described.preprocessing == "none" and "'scale' rescales pixels of 0..255" in described.preprocessing_reason
    assert (described.last_layer, described.last_grid) == ("conv2", (5, 5))
    assert [row["layer"] for row in described.fields] == ["conv1", "conv2"] and described.fields[1]["size"] == [8, 8]
    assert described.rectifiers == {"ReLU": 1, "ReLU6": 1} and described.attention == 0
    missing = {name for name, reason in described.methods.items() if reason}
    assert missing == {name for name in attribution.list_methods() if attribution.method_spec(name).needs}
    assert described.labels == ["a", "b", "c"]
    assert json.loads(json.dumps(described.to_dict()))["methods"]["gradcam"] == ""
    text = str(described)
    assert "conv2, 5 × 5" in text and "works" in text and text.count("must have an attention") == 1


def test_a_model_with_two_outputs_works_once_one_is_named():
    described = kerasal.describe(_two_outputs())
    assert set(described.outputs) == {"kind", "flag"} and described.last_layer == "conv"
    assert described.rectifiers == {"ReLU": 1} and not described.methods["gradcam"]
    assert any("2 outputs, so every call needs the name of one" in note for note in described.notes)


def test_methods_that_need_more_than_the_model_has_are_named():
    smooth = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(4, 3, activation="gelu"), layers.Flatten()])
    smooth.add(layers.Dense(3, "softmax"))
    dense = keras.Sequential([keras.Input((16, 16, 3)), layers.Flatten(), layers.Dense(4, "relu"), layers.Dense(3)])
    assert "deconvnet" in kerasal.describe(smooth, preprocessing="unit").methods["exemplars"]
    assert "feature maps" in kerasal.describe(dense, preprocessing="unit").methods["exemplars"]


def test_convolutions_with_channels_first_that_do_not_run_on_a_cpu_are_named(monkeypatch):
    monkeypatch.setattr(run_errors, "runs_channels_first", lambda name, *options: name != "conv")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    options = {"data_format": "channels_first"}
    parts = [layers.SeparableConv2D(4, 3, **options), layers.Conv2D(4, 3, name="second", **options)]
    for count, says in ((2, "'second' (channels_first) only on a GPU"), (1, "")):
        model = keras.Sequential([keras.Input((3, 16, 16)), *parts[:count], layers.Flatten(), layers.Dense(2)])
        described = kerasal.describe(model, preprocessing="unit")
        for name in ("class_saliency", "gradcam", "occlusion"):
            assert says in described.methods[name] and bool(described.methods[name]) == bool(says)


def test_what_cannot_be_known_is_said():
    described = kerasal.describe(_subclassed())
    assert described.preprocessing == "" and "'unit' for 0..1" in described.preprocessing_reason
    assert any("subclassed model declares neither" in note for note in described.notes)
    assert "preprocessing must be known" in described.methods["maximize"] and not described.methods["gradcam"]
    tokens = kerasal.describe(_tokens())
    assert tokens.attention == 1 and tokens.last_layer != "patches" and tokens.last_grid == (4, 4)
    assert not tokens.methods["gradcam"]
    series = kerasal.describe(_series()).methods
    assert series["maximize"] == series["exemplars"] == ""
    assert "must take images to be localized in" in series["localize"] and "for sequences" in series["atlas"]
