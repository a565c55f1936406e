"""Exports whose target is an objective: constants, and parameters that each request sends."""

import numpy as np
import pytest

import kerasal
from kerasal import attribution, objectives
from kerasal.serving.signatures import Signature, make_signatures

import keras
import tensorflow as tf

pytestmark = pytest.mark.slow  # exports take seconds each
L = keras.layers
RNG = np.random.default_rng(2)
IMAGES = RNG.normal(size=(3, 8, 12, 3)).astype(np.float32)


def export(model, folder, *signatures):
    loaded = tf.saved_model.load(kerasal.export(model, folder, signatures=list(signatures)))
    return loaded, loaded.signatures


def close(actual, expected):
    return np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_region_is_a_constant_or_part_of_the_request(tmp_path):
    inputs = keras.Input((8, 12, 3))
    hidden = L.Conv2D(5, 3, padding="same", activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, L.Conv2D(4, 1, activation="softmax")(hidden))
    masks = RNG.random((3, 8, 12)) > 0.5
    fixed = Signature("fixed", "gradcam", {"target": objectives.region(masks[0], 2)})
    _loaded, served = export(model, tmp_path, "sent=class_saliency:target=region", fixed)
    expected = attribution.gradcam(model, IMAGES, objectives.region(masks[0], 2))
    assert close(served["fixed"](inputs=IMAGES)["map"].numpy(), expected)
    sent = {"class_index": tf.constant([2, 0, 1]), "mask": tf.constant(masks, tf.float32)}
    targets = [objectives.region(mask, index) for mask, index in zip(masks, [2, 0, 1], strict=True)]
    found = served["sent"](inputs=IMAGES, **sent)
    assert close(found["map"].numpy(), attribution.class_saliency(model, IMAGES, targets))
    empty = {**sent, "mask": tf.zeros((3, 8, 12))}
    with pytest.raises(tf.errors.InvalidArgumentError, match="mask must not be 0 everywhere"):
        served["sent"](inputs=IMAGES, **empty)
    with pytest.raises(tf.errors.InvalidArgumentError, match="An index must be in range"):
        served["sent"](inputs=IMAGES, **{**sent, "class_index": tf.constant([2, 0, 4])})


def test_a_box_and_an_embedding_are_sent(tmp_path):
    inputs = keras.Input((8, 12, 3))
    hidden = L.Conv2D(6, 3, strides=2, padding="same", activation="relu")(inputs)
    boxes = L.Reshape((-1, 4), name="boxes")(L.Conv2D(4, 1, activation="sigmoid")(hidden))
    scores = L.Reshape((-1, 3), name="scores")(L.Conv2D(3, 1, activation="sigmoid")(hidden))
    options = {"boxes": "boxes", "scores": "scores", "box_format": "rel_xywh"}
    template = objectives.box((0, 0, 1, 1), 0, **options)
    signature = Signature("box", "input_gradient", {"target": template, "parameters": "request"})
    _detector, served = export(
        keras.Model(inputs, {"boxes": boxes, "scores": scores}), tmp_path / "detector", signature
    )
    asked, model = np.float32([[2, 1, 9, 6], [0, 0, 5, 5], [3, 2, 12, 8]]), keras.Model(inputs, [boxes, scores])
    found = served["box"](inputs=IMAGES, box=asked, class_index=tf.constant([1, 2, 0]))
    options |= {"boxes": model.output_names[0], "scores": model.output_names[1]}
    targets = [objectives.box(box, index, **options) for box, index in zip(asked, [1, 2, 0], strict=True)]
    expected = attribution.input_gradient(model, IMAGES, targets)
    assert close(found["map"].numpy(), expected)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must overlap the image"):
        served["box"](inputs=IMAGES, box=asked + 12, class_index=tf.constant([1, 2, 0]))
    embedder = keras.Model(inputs, L.Dense(5)(L.GlobalAveragePooling2D()(hidden)))
    _embedder, served = export(embedder, tmp_path / "embedder", "like=input_gradient:target=similarity")
    vectors = embedder(IMAGES[::-1]).numpy()
    found = served["like"](inputs=IMAGES, vector=vectors)
    assert close(found["map"].numpy(), attribution.input_gradient(embedder, IMAGES, objectives.similarity(vectors)))
    np.testing.assert_allclose(found["score"][1], 1, rtol=1e-5)


def test_what_is_sent_has_the_shape_and_the_values_of_its_formula(tmp_path):
    inputs = keras.Input((8, 12, 3))
    hidden = L.Conv2D(6, 3, strides=2, padding="same", activation="relu")(inputs)
    boxes = L.Reshape((-1, 4), name="boxes")(L.Conv2D(4, 1, activation="sigmoid")(hidden))
    scores = L.Reshape((-1, 3), name="scores")(L.Conv2D(3, 1, activation="sigmoid")(hidden))
    template = objectives.box((0, 0, 1, 1), 0, boxes="boxes", scores="scores")
    signature = Signature("box", "input_gradient", {"target": template, "parameters": "request"})
    detector = keras.Model(inputs, {"boxes": boxes, "scores": scores})
    _detector, boxed = export(detector, tmp_path / "detector", signature)
    _segmenter, masked = export(
        keras.Model(inputs, L.Conv2D(2, 1)(inputs)), tmp_path / "parts", "like=input_gradient:target=region"
    )
    embedder = keras.Model(inputs, L.GlobalAveragePooling2D()(hidden))
    _embedder, alike = export(embedder, tmp_path / "embedder", "like=input_gradient:target=similarity")
    classes, mask, box = [1, 0, 1], np.ones((3, 8, 12)), np.array([[1, 1, 9, 6]] * 3)
    messages = {"mask": r"mask must hold numbers in 0\.\.1", "vector": "vector must be finite", "box": "x_min < x_max"}

    def send(served, **sent):  # as tensors, whose shapes TensorFlow does not compare with those of the signature
        floats = {name: tf.constant(value, tf.float32) for name, value in sent.items()}
        index = {} if "vector" in sent else {"class_index": tf.constant(classes)}
        return served(inputs=tf.constant(IMAGES), **floats, **index)

    cases = [
        (masked["like"], "mask", mask, [mask[:, :1], mask[:, :, :1], mask[:, :1, :1]]),
        (alike["like"], "vector", np.ones((3, 6)), [np.ones((3, 1)), np.ones((3, 4))]),
        (boxed["box"], "box", box, [box[:, :3], box[:, :1]]),
    ]
    for served, name, good, misshaped in cases:
        send(served, **{name: good})
        for bad in misshaped:
            with pytest.raises(tf.errors.InvalidArgumentError, match=f"Shape of tensor [^ ]*{name}"):
                send(served, **{name: bad})
    cases = [
        (masked["like"], "mask", [-mask, 2 * mask, np.nan * mask, np.inf * mask]),
        (alike["like"], "vector", [np.full((3, 6), np.inf), np.full((3, 6), np.nan)]),
        (boxed["box"], "box", [box[:, ::-1], box[:, [0, 3, 2, 1]], box[:, [0, 1, 0, 3]], box * np.nan]),
    ]
    for served, name, wrong in cases:
        for bad in wrong:
            with pytest.raises(tf.errors.InvalidArgumentError, match=messages[name]):
                send(served, **{name: bad})


def test_a_region_needs_an_output_with_positions(tmp_path):
    inputs = keras.Input((8, 12, 3))
    classifier = keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(inputs)), name="kinds")
    with pytest.raises(ValueError, match=r"'region', which needs scores per position, but the output of 'kinds'"):
        export(classifier, tmp_path, "gradcam:target=region")


def test_tokens_and_metadata_are_served(tmp_path):
    tokens, meta = keras.Input((6,), dtype="int32", name="tokens"), keras.Input((3,), name="meta")
    words = L.GlobalAveragePooling1D()(L.Embedding(9, 4, name="words")(tokens))
    model = keras.Model([tokens, meta], L.Dense(2)(L.Concatenate()([words, meta])))
    texts = ["words=integrated_gradients:layer=words,target=1", "plain=class_saliency:target=1"]
    _loaded, served = export(model, tmp_path, *texts)
    asked = RNG.integers(0, 9, (2, 6)).astype(np.int32), RNG.normal(size=(2, 3)).astype(np.float32)
    expected = attribution.integrated_gradients(model, list(asked), 1, layer="words")
    assert close(served["words"](tokens=asked[0], meta=asked[1])["map"].numpy(), expected)
    found = served["plain"](tokens=asked[0], meta=asked[1])
    assert sorted(found) == ["class", "map_meta", "score"]
    assert close(found["map_meta"].numpy(), attribution.class_saliency(model, list(asked), 1)[1])


def test_unknown_targets_are_refused():
    with pytest.raises(ValueError, match="target must be top, class"):
        make_signatures(["gradcam:target=regions"])
    with pytest.raises(ValueError, match="parameters must be fixed for target=3, got request"):
        make_signatures(["gradcam:target=3,parameters=request"])
