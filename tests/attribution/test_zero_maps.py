"""Maps of zeros come with a warning that names the images and the cause; each cause is made, and told by a tape."""

import contextlib
import re

import numpy as np
import pytest

from kerasal import attribution
from kerasal.attribution import ZeroMap

import keras
import tensorflow as tf

L = keras.layers


def network(*, policy="float32", scale=1.0, head=None):
    """A convolution of positive weights, its mean, and a dense layer: class 0 counts it, class 1 speaks against it."""
    inputs = keras.Input((8, 8, 3))
    maps = L.Conv2D(4, 3, activation="relu", kernel_initializer="ones", dtype=policy, name="conv")(inputs)
    dense = L.Dense(2, dtype=policy, name="dense")
    scores = dense(L.GlobalAveragePooling2D(dtype=policy)(maps))
    dense.set_weights([scale * np.float32([[1, -1]] * 4), np.float32([0, 0])])
    return keras.Model(inputs, scores if head is None else head(scores))


def images(*means):
    random = np.random.default_rng(0)
    return np.stack([random.uniform(0, 1, (8, 8, 3)) + mean for mean in means]).astype(np.float32)


def own_gradient(model, x, score):
    """The largest gradient of each image by a tape."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(score(model(x)))
    gradient = tape.gradient(value, x)
    return np.zeros(len(x)) if gradient is None else np.abs(gradient).max(axis=(1, 2, 3))


def warned(call):
    with pytest.warns(ZeroMap) as caught:
        maps = call()
    assert len(caught) == 1
    zero = np.flatnonzero(~maps.reshape(len(maps), -1).any(axis=1))
    assert caught[0].message.images == zero.tolist()
    assert caught[0].filename == __file__
    return caught[0].message


def test_sign():
    model, x = network(), images(0, 1)

    def score(output):
        return tf.sign(output[:, 0])

    assert not own_gradient(model, x, score).any()
    for method in (attribution.class_saliency, attribution.smoothgrad, attribution.gradcam):
        assert "passes through sign" in warned(lambda method=method: method(model, x, score)).cause


def test_clipped_scores_of_some_images():
    model, x = network(), images(5, 0, -9)  # scores of about 148, about 13, and 0 (behind the ReLU)

    def score(output):
        return tf.clip_by_value(output[:, 0], -1.0, 100.0)

    assert (own_gradient(model, x, score) > 0).tolist() == [False, True, False]
    message = warned(lambda: attribution.class_saliency(model, x, score))
    assert re.search(
        r"class_saliency is 0 everywhere for 2 of 3 images \(0, 2\)\. Likely cause at image 0", str(message)
    )
    assert "clipped" in message.cause
    message = warned(lambda: attribution.class_saliency(model, x, 0))
    assert message.images == [2] and "ReLUs that are inactive" in message.cause


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_saturated_probabilities(activation):
    model, x = network(scale=10, head=L.Activation(activation)), images(5, 6)
    assert not own_gradient(model, x, lambda output: output[:, 0]).any()
    message = warned(lambda: attribution.class_saliency(model, x, 0, logits=False))
    assert f"saturated at 1 by a {activation}" in message.cause and "logits=True" in message.cause
    assert attribution.class_saliency(model, x, 0).all(axis=(1, 2)).all()  # the way out that it names


def test_underflow_of_float16():
    model, x = network(policy="mixed_float16", scale=1e-7), images(0, 1)
    plain = network(scale=1e-7)
    assert not own_gradient(model, x, lambda output: output[:, 0]).any()
    assert own_gradient(plain, x, lambda output: output[:, 0]).all()
    message = warned(lambda: attribution.class_saliency(model, x, 0))
    assert "too small for float16" in message.cause and "float32" in message.cause


CAUSES = {
    "no weights above an open ReLU": (lambda x: 0.0 * x, "does not change with the input"),
    "a clip that is not active below no weights": (lambda x: 0.0 * tf.clip_by_value(x, -1e6, 1e6), "does not change"),
    "an inner sigmoid": (lambda x: 3 + tf.sigmoid(1e3 * x), "a saturated sigmoid"),
    "a ReLU that is off above a sigmoid that is not saturated": (lambda x: tf.nn.relu(tf.sigmoid(0 * x) - 9), "ReLUs"),
}


@pytest.mark.parametrize("case", CAUSES)
def test_the_cause_is_where_the_gradient_ends(case):
    """What stands elsewhere in the model, and lets the gradient through, is no cause."""
    head, cause = CAUSES[case]
    model, x = network(head=L.Lambda(head)), images(1, 2)
    assert not own_gradient(model, x, lambda output: output[:, 0]).any()
    assert cause in warned(lambda: attribution.class_saliency(model, x, 0, logits=False)).cause


@pytest.mark.parametrize("method", ["gradcam", "gradcam_plus_plus", "layercam"])
def test_a_class_activation_map_without_positive_evidence(method):
    """The gradient is not 0: it is the method's own ReLU."""
    model, x = network(), images(0, 1)
    assert own_gradient(model, x, lambda output: output[:, 1]).all()
    message = warned(lambda: getattr(attribution, method)(model, x, 1))
    assert "has no positive evidence" in message.cause
    assert getattr(attribution, method)(model, x, 0).any(axis=(1, 2)).all()


@pytest.mark.slow
def test_the_methods_own_reasons():
    model, x = network(), images(0, 1)
    zeros = np.zeros_like(x[:1])
    biased = network()
    biased.get_layer("conv").bias.assign(np.ones(4))
    assert own_gradient(biased, zeros, lambda output: output[:, 0]).all()
    assert "input is 0" in warned(lambda: attribution.gradient_x_input(biased, zeros, 0)).cause
    assert (
        "equals its baseline" in warned(lambda: attribution.integrated_gradients(model, x[:1], 0, baseline=x[0])).cause
    )
    assert "fill equals" in warned(lambda: attribution.occlusion(model, x[:1], 0, fill=x[0])).cause
    linear = keras.Sequential([keras.Input((8, 8, 3)), L.Flatten(), L.Dense(2, kernel_initializer="ones")])
    assert "same at all samples" in warned(lambda: attribution.smoothgrad(linear, x, 0, variance=True, samples=3)).cause


def test_an_input_that_does_not_count():
    first, second = keras.Input((4, 4, 1), name="first"), keras.Input((4, 4, 1), name="second")
    parts = [L.Dense(2, name=f"dense{i}")(L.Flatten()(one)) for i, one in enumerate((first, second))]
    model = keras.Model([first, second], L.Add()([parts[0], 0.0 * parts[1]]))
    x = [np.ones((3, 4, 4, 1), np.float32)] * 2
    with pytest.warns(ZeroMap, match=r"at input 1 of 2 for 3 of 3 images .*does not depend on this input"):
        maps = attribution.class_saliency(model, x, 0)
    assert maps[0].any() and not maps[1].any()


def test_images_are_counted_over_batches_and_classes_are_no_zeros():
    model, x = network(), images(0, 1, 2, -9, 3, -9)
    assert warned(lambda: attribution.class_saliency(model, x, 0, batch_size=2)).images == [3, 5]
    assert not attribution.occlusion(model, x, 0, measure="class").any()  # the class is 0 under each window


@pytest.mark.filterwarnings("default::kerasal.attribution.ZeroMap")
def test_commands_say_it_in_a_line(tmp_path, capsys):
    from kerasal import images as pictures
    from kerasal.cli.app import run

    network().save(tmp_path / "model.keras")
    pictures.write(tmp_path / "photo.png", np.full((8, 8, 3), 200, np.uint8))
    options = ["--class", "1", "-p", "unit", "-o", str(tmp_path / "map.png")]
    files = [str(tmp_path / "model.keras"), str(tmp_path / "photo.png")]
    with contextlib.suppress(SystemExit):
        run(["attribute", "gradcam", *files, *options])
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "everywhere" in line]
    assert line.startswith("Warning: gradcam is 0 everywhere for 1 of 1 images (0). Likely cause")
    assert (tmp_path / "map.png").is_file()
