"""Objectives on outputs: regions, detections, embeddings, several heads; each against NumPy, and what is refused."""

import gc
import re

import numpy as np
import pytest

from kerasal import attribution
from kerasal.hooks import NoLogits
from kerasal.hooks.trace import cached_trace
from kerasal.hooks.view import Settings
from kerasal.objectives import box, class_score, negative_class, output, region, similarity, top_class
from kerasal.objectives.targets import resolve

import keras
import tensorflow as tf

L = keras.layers
RNG = np.random.default_rng(3)
IMAGES = RNG.normal(size=(3, 8, 12, 3)).astype(np.float32)


def scores(model, images, objective, *, output=None, logits=True):
    objective = resolve(objective, len(images))
    settings = Settings(output, logits)
    trace = cached_trace(lambda view: [view.score()], model, [images], objective, settings)
    trace.check(objective)
    return trace([images], list(objective.parameters))[0]


@pytest.fixture(scope="module")
def segmenter():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 12, 3))
    return keras.Model(inputs, L.Conv2D(4, 3, padding="same", activation="softmax", name="classes")(inputs))


@pytest.fixture(scope="module")
def detector():
    keras.utils.set_random_seed(0)  # other weights may give a map of zeros, and its warning
    inputs = keras.Input((8, 12, 3))
    hidden = L.Conv2D(6, 3, strides=2, padding="same", activation="relu")(inputs)
    boxes = L.Reshape((-1, 4), name="boxes")(L.Conv2D(4, 1, activation="sigmoid")(hidden))
    scores = L.Reshape((-1, 3), name="scores")(L.Conv2D(3, 1, activation="sigmoid")(hidden))
    raw = L.Reshape((-1, 3), name="raw")(L.Conv2D(3, 1)(hidden))
    sure = L.Reshape((-1, 1), name="sure")(L.Conv2D(1, 1, activation="sigmoid")(hidden))
    return keras.Model(inputs, {"boxes": boxes, "scores": scores, "raw": raw, "sure": sure})


@pytest.fixture(scope="module")
def embedder():
    keras.utils.set_random_seed(2)
    inputs = keras.Input((8, 12, 3))
    hidden = L.Conv2D(6, 3, activation="relu", name="conv")(inputs)
    return keras.Model(inputs, L.Dense(5, name="embedding")(L.GlobalAveragePooling2D()(hidden)))


def iou(boxes, other):
    """Return the overlap of each box (…, 4) with another, written out."""
    width = np.minimum(boxes[..., 2], other[2]) - np.maximum(boxes[..., 0], other[0])
    height = np.minimum(boxes[..., 3], other[3]) - np.maximum(boxes[..., 1], other[1])
    common = np.clip(width, 0, None) * np.clip(height, 0, None)
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return common / (area + (other[2] - other[0]) * (other[3] - other[1]) - common)


def corners(boxes):
    """Return boxes of shares of the image, (x, y, width, height), as corners in pixels of 12 × 8."""
    x, y, width, height = np.moveaxis(boxes * [12, 8, 12, 8], -1, 0)
    return np.stack([x, y, x + width, y + height], -1)


def test_a_region_is_the_mean_logit_over_its_positions(segmenter):
    mask = RNG.random((8, 12)) > 0.6
    logits = np.log(segmenter(IMAGES).numpy())
    logits -= logits[..., :1]  # the softmax fixes logits up to a constant per position
    expected = logits[..., 2][:, mask].mean(1)
    difference = scores(segmenter, IMAGES, region(mask, 2) - region(mask, 0))
    np.testing.assert_allclose(difference, expected, rtol=1e-4)
    probability = scores(segmenter, IMAGES, region(mask, [0, 1, 2]), logits=False)
    np.testing.assert_allclose(probability, segmenter(IMAGES).numpy()[[0, 1, 2], ..., [0, 1, 2]][:, mask].mean(1), 1e-5)


def test_masks_may_weigh_positions_and_differ_between_images(segmenter):
    masks = RNG.random((3, 8, 12)).astype(np.float32)
    outputs = segmenter(IMAGES).numpy()[..., 1]
    expected = (outputs * masks).sum((1, 2)) / masks.sum((1, 2))
    actual = scores(segmenter, IMAGES, [region(mask, 1) for mask in masks], logits=False)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_a_region_reads_an_output_of_a_single_class_without_an_axis_for_it():
    inputs = keras.Input((8, 12, 3))
    model = keras.Model(inputs, L.Reshape((8, 12))(L.Conv2D(1, 3, padding="same", activation="sigmoid")(inputs)))
    mask = np.eye(8, 12, dtype=bool)
    expected = model(IMAGES).numpy()[:, mask].mean(1)
    np.testing.assert_allclose(scores(model, IMAGES, region(mask, 0), logits=False), expected, rtol=1e-5)


def test_the_negative_class_is_the_other_side_of_a_sigmoid():
    inputs = keras.Input((8, 12, 3))
    model = keras.Model(inputs, L.Dense(1, activation="sigmoid")(L.GlobalAveragePooling2D()(inputs)))
    probability = model(IMAGES).numpy()[:, 0]
    np.testing.assert_allclose(scores(model, IMAGES, negative_class(), logits=False), 1 - probability, rtol=1e-5)
    logit = np.log(probability / (1 - probability))
    np.testing.assert_allclose(scores(model, IMAGES, negative_class()), -logit, rtol=1e-4, atol=1e-6)
    without = keras.Model(inputs, L.Dense(1)(L.GlobalAveragePooling2D()(inputs)))
    np.testing.assert_allclose(scores(without, IMAGES, negative_class()), -without(IMAGES).numpy()[:, 0], rtol=1e-5)


def test_similarity_is_the_cosine(embedder):
    vectors = RNG.normal(size=(3, 5)).astype(np.float32)
    found = embedder(IMAGES).numpy()
    cosines = [v @ f / np.linalg.norm(v) / np.linalg.norm(f) for v, f in zip(vectors, found, strict=True)]
    np.testing.assert_allclose(scores(embedder, IMAGES, similarity(vectors)), cosines, rtol=1e-4)
    hidden = keras.Model(embedder.input, embedder.get_layer("conv").output)(IMAGES).numpy().mean((1, 2))
    vector = np.arange(1.0, 7.0)
    cosines = hidden @ vector / np.linalg.norm(hidden, axis=1) / np.linalg.norm(vector)
    np.testing.assert_allclose(scores(embedder, IMAGES, similarity(vector, "conv")), cosines, rtol=1e-4)


@pytest.mark.parametrize("match", ["score", "cosine"])
def test_a_box_scores_its_best_detection(detector, match):
    asked = (2, 1, 9, 6)
    found = {name: value.numpy() for name, value in detector(IMAGES).items()}
    by_class = found["scores"][..., 2]
    if match == "cosine":
        by_class = by_class / np.linalg.norm(found["scores"], axis=-1)
    expected = (by_class * iou(corners(found["boxes"]), asked)).max(1)
    target = box(asked, 2, boxes="boxes", scores="scores", box_format="rel_xywh", match=match)
    np.testing.assert_allclose(scores(detector, IMAGES, target), expected, rtol=1e-5)
    target = box(asked, 2, boxes="boxes", scores="scores", objectness="sure", box_format="rel_xywh", match=match)
    expected = (by_class * iou(corners(found["boxes"]), asked) * found["sure"][..., 0]).max(1)
    np.testing.assert_allclose(scores(detector, IMAGES, target), expected, rtol=1e-5)


@pytest.mark.parametrize("box_format", ["xyxy", "yxyx", "xywh", "center_xywh"])
def test_box_formats(detector, box_format):
    asked = (2, 1, 9, 6)
    found = {name: value.numpy() for name, value in detector(IMAGES).items()}
    expected = (found["scores"][..., 0] * iou(corners(found["boxes"]), asked)).max(1)

    def boxes(outputs):
        x, y, width, height = tf.unstack(outputs["boxes"] * [12.0, 8.0, 12.0, 8.0], axis=-1)
        forms = {
            "xyxy": (x, y, x + width, y + height),
            "yxyx": (y, x, y + height, x + width),
            "xywh": (x, y, width, height),
            "center_xywh": (x + width / 2, y + height / 2, width, height),
        }
        return tf.stack(forms[box_format], axis=-1)

    target = box(asked, 0, boxes=boxes, scores="scores", box_format=box_format)
    np.testing.assert_allclose(scores(detector, IMAGES, target), expected, rtol=1e-4)


def test_a_box_turns_logits_into_probabilities_only_if_asked(detector):
    found = {name: value.numpy() for name, value in detector(IMAGES).items()}
    overlap = iou(corners(found["boxes"]), (2, 1, 9, 6))
    options = {"boxes": "boxes", "scores": "raw", "box_format": "rel_xywh"}
    with pytest.raises(ValueError, match="activation must be set, because output 'raw' is not"):
        scores(detector, IMAGES, box((2, 1, 9, 6), 1, **options))
    expected = (overlap / (1 + np.exp(-found["raw"][..., 1]))).max(1)
    target = box((2, 1, 9, 6), 1, activation="sigmoid", **options)
    np.testing.assert_allclose(scores(detector, IMAGES, target), expected, rtol=1e-5)


def test_a_box_has_the_gradient_of_a_tape_around_the_formula(detector):
    asked = (2, 1, 9, 6)
    target = box(asked, 1, boxes="boxes", scores="scores", box_format="rel_xywh")
    actual = attribution.input_gradient(detector, IMAGES, target)
    x = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = detector(x)
        left, top, width, height = tf.unstack(found["boxes"] * [12.0, 8.0, 12.0, 8.0], axis=-1)
        common = tf.nn.relu(tf.minimum(left + width, 9.0) - tf.maximum(left, 2.0))
        common *= tf.nn.relu(tf.minimum(top + height, 6.0) - tf.maximum(top, 1.0))
        best = tf.reduce_max(found["scores"][..., 1] * common / (width * height + 35.0 - common), axis=1)
    expected = tape.gradient(best, x).numpy()
    assert np.abs(actual - expected).max() < 1e-5 * np.abs(expected).max()


def test_a_box_needs_no_logits_of_the_outputs():
    """Boxes that are shares plus the place of their cell look like a sigmoid whose logits are lost: no warning."""
    inputs = keras.Input((8, 12, 3))
    cells = L.Reshape((-1, 4))(L.Conv2D(4, 4, strides=4, activation="sigmoid")(inputs))
    boxes = cells + np.float32([[0, 0, 4, 4]] * 6)
    classes = L.Reshape((-1, 3))(L.Conv2D(3, 4, strides=4, activation="sigmoid")(inputs))
    model = keras.Model(inputs, {"boxes": boxes, "classes": classes})
    assert scores(model, IMAGES, box((0, 0, 4, 4), 1, boxes="boxes", scores="classes")).min() > 0
    with pytest.warns(NoLogits, match="has no logits"):
        scores(model, IMAGES, output("boxes", 2))
    with pytest.warns(NoLogits, match="has no logits"):
        scores(model, IMAGES, output(0, 3))


def test_outputs_by_name_combine(detector):
    found = {name: value.numpy() for name, value in detector(IMAGES).items()}
    first = output("raw", lambda raw: raw[:, 0, 1])
    second = output("scores", class_score(2))
    gc.collect()  # the objective keeps its function
    logits = np.log(found["scores"] / (1 - found["scores"]))
    expected = found["raw"][:, 0, 1] - 2 * logits[..., 2].mean(1)
    np.testing.assert_allclose(scores(detector, IMAGES, first - 2 * second), expected, rtol=1e-4)
    np.testing.assert_allclose(scores(detector, IMAGES, first / 4), found["raw"][:, 0, 1] / 4, rtol=1e-5)
    np.testing.assert_allclose(
        scores(detector, IMAGES, 1 / output("scores", 2), logits=False), 1 / found["scores"][..., 2].mean(1), rtol=1e-5
    )


def test_a_single_value_is_its_own_score():
    inputs = keras.Input((8, 12, 3))
    pooled = L.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, {"age": L.Dense(1)(pooled), "species": L.Dense(4)(pooled)})
    expected = model(IMAGES)["age"].numpy()[:, 0]
    np.testing.assert_allclose(scores(model, IMAGES, output("age")), expected, rtol=1e-5)
    np.testing.assert_allclose(scores(model, IMAGES, output(0)), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="target must be set for output 'species'"):
        scores(model, IMAGES, output("species"))


def test_a_function_receives_all_outputs_unless_one_is_selected(detector):
    seen = []

    def target(outputs):
        seen.append(outputs)
        return outputs["scores"][:, 0, 0] if isinstance(outputs, dict) else outputs[:, 0, 0]

    found = detector(IMAGES)["scores"].numpy()[:, 0, 0]
    np.testing.assert_allclose(scores(detector, IMAGES, target, logits=False), found, rtol=1e-5)
    assert sorted(seen[-1]) == ["boxes", "raw", "scores", "sure"]
    np.testing.assert_allclose(scores(detector, IMAGES, target, output="scores", logits=False), found, rtol=1e-5)
    np.testing.assert_allclose(scores(detector, IMAGES, target), np.log(found / (1 - found)), rtol=1e-4)


def test_occlusion_measures_a_function_of_all_outputs_and_a_box(detector):
    images = IMAGES[:2]
    options = {"window": 4, "stride": 4}
    target = box((2, 1, 9, 6), 1, boxes="boxes", scores="scores", box_format="rel_xywh")

    def first_score(outputs):
        return outputs["scores"][:, 0, 1] * outputs["boxes"][:, 0, 2]

    for objective in (target, first_score):
        drops = attribution.occlusion(detector, images, objective, logits=False, **options)
        clean = scores(detector, images, objective, logits=False)
        for row, column in ((0, 0), (1, 2)):
            covered = images.copy()
            covered[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 0
            expected = clean - scores(detector, covered, objective, logits=False)
            np.testing.assert_allclose(drops[:, row, column], expected, rtol=1e-4, atol=1e-6)


def test_what_is_refused(segmenter, detector, embedder):
    mask = np.ones((8, 12), bool)
    options = {"boxes": "boxes", "scores": "scores"}
    for make, text in (
        (lambda: region(mask & False, 1), "at least one position, got an empty region"),
        (lambda: region(255 * mask.astype(np.uint8), 1), r"numbers in 0\.\.1, got values of 255\.\.255"),
        (lambda: region(mask, -1), "must be at least 0"),
        (lambda: similarity(np.zeros(4)), "must not be 0"),
        (lambda: similarity([[[1.0]]]), r"shape \(C,\)"),
        (lambda: box((3, 1, 3, 5), 0, **options), "x_min < x_max"),
        (lambda: box((-9, 1, -3, 5), 0, **options), "a part inside the image"),
        (lambda: box((1, 1, 3, 5), 0, box_format="corners", **options), "box_format must be one of xyxy"),
        (lambda: output("scores", top_class()), "must be a score of that output"),
        (lambda: output("scores", output("boxes", 1)), "must be a score of that output"),
        (lambda: scores(segmenter, IMAGES, region(mask[:4], 1)), "output, 8 × 12, got 4 × 12"),
        (lambda: scores(segmenter, IMAGES, region(mask, 4)), "There are 4 classes"),
        (lambda: scores(segmenter, IMAGES, negative_class(1)), "from a softmax"),
        (
            lambda: scores(embedder, IMAGES, similarity(np.ones(4))),
            "vector must have 5 numbers, as the embedding, got 4",
        ),
        (lambda: scores(detector, IMAGES, box((12, 1, 14, 5), 0, **options)), r"overlap the image, 12 × 8 pixels"),
        (lambda: scores(detector, IMAGES, box((1, 1, 14, 5), 3, **options)), "There are 3 classes"),
        (lambda: scores(detector, IMAGES, box((1, 1, 3, 5), 0, boxes="box", scores="scores")), "Did you mean boxes"),
        (lambda: scores(detector, IMAGES, box((1, 1, 3, 5), 0, boxes="scores", scores="scores")), r"\(N, K, 4\)"),
        (lambda: scores(detector, IMAGES, class_score(1)), "output must be one of boxes, scores, raw, sure"),
        (lambda: scores(detector, IMAGES, output("scores", 5)), "There are 3 classes"),
    ):
        with pytest.raises(ValueError, match=text):
            make()
    with pytest.raises(TypeError, match="must be an integer"):
        region(mask, 1.5)


def test_errors_name_what_to_do(segmenter, embedder, detector):
    mask = np.ones((8, 12), bool)
    inputs = keras.Input((8, 12, 3))
    flat = keras.Model(inputs, keras.ops.squeeze(L.Dense(1)(L.GlobalAveragePooling2D()(inputs)), -1))
    two_boxes = [box((0, 0, 4, 4), 1, boxes=lambda named: named["boxes"], scores="scores") for _ in range(2)]
    for model, target, message in (
        (embedder, region(mask, 1), "must have positions for a region, got (None, 5). Pass a class index"),
        (segmenter, region(mask[None], 1), "8 × 12, got 1 × 8 × 12. For a mask per image, pass a list of objectives"),
        (segmenter, [region(mask, 1), region(mask[:4], 1), region(mask, 1)], "of one size, got (8, 12) and (4, 12)."),
        (flat, 0, "got (None,). Pass objectives.output(0) for a single value per input."),
        (flat, None, "got (None,). Pass objectives.output(0) for a single value per input."),
        (detector, 0, "has 4 outputs: select one, or pass a target that names it, as objectives.output('boxes', 0)."),
        (detector, [*two_boxes, two_boxes[0]], "objectives of a list must share their functions"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            attribution.input_gradient(model, IMAGES, target)
    assert attribution.input_gradient(flat, IMAGES, output(0)).any()


def test_a_selected_output_must_be_read(detector):
    target = output("sure", lambda sure: tf.reduce_max(sure[..., 0], 1))
    for compute in (
        lambda: attribution.input_gradient(detector, IMAGES, target, output="raw"),
        lambda: scores(detector, IMAGES, 2 * target, output="raw"),
    ):
        with pytest.raises(ValueError, match=r"output must be None for a target that names .*, got 'raw'"):
            compute()
    both = scores(detector, IMAGES, target + class_score(1), output="raw")
    alone = scores(detector, IMAGES, target) + scores(detector, IMAGES, 1, output="raw")
    np.testing.assert_allclose(both, alone, rtol=1e-5)


def test_a_target_of_integers_alone_names_their_embedding():
    image, kind = keras.Input((8, 12, 3), name="image"), keras.Input((1,), dtype="int32", name="kind")
    embedded = L.Flatten()(L.Embedding(4, 3, name="kinds")(kind))
    seen = L.Dense(1)(L.GlobalAveragePooling2D()(image))
    model = keras.Model([image, kind], {"seen": seen, "known": L.Dense(1)(embedded)}, name="both")
    data = [IMAGES, np.ones((3, 1), np.int32)]
    message = "it depends on none of those of 'both'. Attribute to the layer that embeds the integers: layer='kinds'."
    with pytest.raises(ValueError, match=re.escape(message)):
        attribution.input_gradient(model, data, output("known"))
    with pytest.raises(ValueError, match="must be a differentiable function"):
        attribution.input_gradient(model, data, output("seen", lambda seen: tf.stop_gradient(seen[:, 0])))
    assert attribution.input_gradient(model, data, output("known"), layer="kinds").any()


@pytest.mark.parametrize("activation", ["log_softmax", lambda x: keras.ops.log(keras.ops.sigmoid(x))])
def test_logarithms_of_probabilities_are_no_scores_of_a_box(activation):
    inputs = keras.Input((8, 12, 3))
    hidden = L.Conv2D(6, 3, strides=2, padding="same")(inputs)
    boxes = L.Reshape((-1, 4))(L.Conv2D(4, 1, activation="sigmoid")(hidden))
    logarithms = L.Activation(activation)(L.Reshape((-1, 3))(L.Conv2D(3, 1)(hidden)))
    model = keras.Model(inputs, {"boxes": boxes, "scores": logarithms})
    with pytest.raises(ValueError, match="activation must be set, because output 'scores' is not a softmax or sigmoid"):
        scores(model, IMAGES, box((2, 1, 9, 6), 1, boxes="boxes", scores="scores", box_format="rel_xywh"))
