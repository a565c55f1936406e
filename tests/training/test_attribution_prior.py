"""Losses of maps: their closed forms, their derivatives by the weights, and what ``fit`` makes of them."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

from kerasal import losses, training  # noqa: E402
from kerasal.losses import AttributionPrior  # noqa: E402

L = keras.layers
RANDOM = np.random.default_rng(5)
X = RANDOM.random((6, 5, 4, 2)).astype("float32")
Y = np.array([0, 2, 1, 1, 0, 2])
MASK = (RANDOM.random((6, 5, 4)) < 0.4).astype("float32")


def linear(activation="softmax", classes=3):
    """Return a model whose logits are linear in the image, and its kernel (H, W, C, classes)."""
    keras.utils.set_random_seed(0)
    dense = L.Dense(classes, activation=activation, bias_initializer="normal")
    model = keras.Sequential([keras.Input((5, 4, 2)), L.Flatten(), dense])
    return model, dense.kernel.numpy().reshape(5, 4, 2, classes)


def smooth_layers():
    keras.utils.set_random_seed(1)
    options = {"activation": "softplus", "kernel_initializer": keras.initializers.RandomNormal(stddev=0.4, seed=0)}
    return [
        L.Conv2D(4, 3, padding="same", name="conv", **options),
        L.Flatten(),
        L.Dense(3, activation="softmax", name="scores"),
    ]


def smooth():
    return keras.Sequential([keras.Input((5, 4, 2)), *smooth_layers()])


def value(model, prior, y=Y, x=X, **truths):
    return float(training.AttributionPenalty(model, prior)(x, y, **truths)[prior.name])


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


@pytest.mark.quick("softmax")
@pytest.mark.parametrize("activation", ["softmax", None])
def test_reasons_of_a_linear_model(activation):
    """Ross et al. 2017: d(sum of log p)/dx is the sum of the kernels minus K times their mean under p."""
    model, kernel = linear(activation)
    logits = X.reshape(6, -1) @ kernel.reshape(-1, 3) + model.layers[-1].bias.numpy()
    gradients = kernel.sum(axis=-1) - 3 * np.einsum("hwck,nk->nhwc", kernel, softmax(logits))
    wanted = (np.square(MASK[..., None] * gradients)).sum(axis=(1, 2, 3))
    assert value(model, AttributionPrior(weight=2.5), forbidden=MASK) == pytest.approx(2.5 * wanted.mean(), rel=1e-4)
    share = wanted / np.square(gradients).sum(axis=(1, 2, 3))
    assert value(model, AttributionPrior(normalize=True), forbidden=MASK) == pytest.approx(share.mean(), rel=1e-4)


@pytest.mark.slow
def test_reasons_of_a_sigmoid():
    """d(log p + log(1 - p))/dx is (1 - 2 p) times the kernel."""
    model, kernel = linear("sigmoid", 1)
    p = model.predict(X, verbose=0)[:, 0]
    wanted = np.square(1 - 2 * p) * np.square(MASK[..., None] * kernel[..., 0]).sum(axis=(1, 2, 3))
    assert value(model, AttributionPrior(), forbidden=MASK) == pytest.approx(wanted.mean(), rel=1e-4)


@pytest.mark.quick("False")
@pytest.mark.parametrize("one_hot", [False, True])
def test_label_and_smoothness_of_a_linear_model(one_hot):
    model, kernel = linear()
    maps = np.moveaxis(kernel, -1, 0)[Y]
    steps = [np.abs(np.diff(maps, axis=axis)).sum(axis=(1, 2, 3)) for axis in (1, 2)]
    y = np.eye(3, dtype="float32")[Y] if one_hot else Y
    assert value(model, AttributionPrior("smoothness"), y) == pytest.approx(np.mean(steps[0] + steps[1]), rel=1e-5)
    relative = (steps[0] + steps[1]) / np.abs(maps).sum(axis=(1, 2, 3))
    assert value(model, AttributionPrior("smoothness", normalize=True), y) == pytest.approx(relative.mean(), rel=1e-5)


def test_gaze_is_the_loss_of_the_summed_magnitudes():
    model, kernel = linear()
    maps = np.abs(np.moveaxis(kernel, -1, 0)[Y]).sum(axis=-1)
    density = RANDOM.random((6, 5, 4)).astype("float32")
    wanted = float(losses.CCLoss()(density, maps))
    assert value(model, AttributionPrior("gaze"), gaze=density) == pytest.approx(wanted, abs=1e-5)
    prior = AttributionPrior("gaze", loss=losses.NSSLoss())
    assert value(model, prior, gaze=MASK) == pytest.approx(float(losses.NSSLoss()(MASK, maps)), abs=1e-5)


def test_maps_have_the_size_of_the_gaze():
    """Area averages: five rows in two are the first two and half of the third, and so on; columns are unchanged."""
    maps, density = RANDOM.normal(size=(3, 5, 4, 1)), RANDOM.random((3, 2, 4))
    rows = np.array([[2, 2, 1, 0, 0], [0, 0, 1, 2, 2]]) / 5
    wanted = losses.CCLoss()(density, np.einsum("oi,niwc->now", rows, maps))
    assert float(AttributionPrior("gaze", layer="any")(density, maps)) == pytest.approx(float(wanted), abs=1e-6)
    mask = RANDOM.random((3, 5, 4))
    coarse = np.einsum("oi,niw->now", rows, mask)[..., None] * maps[:, :2]
    wanted = np.square(coarse).sum(axis=(1, 2, 3)).mean()
    assert float(AttributionPrior()(mask, maps[:, :2])) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.quick("reasons", "gaze of cam")
@pytest.mark.parametrize(
    "prior",
    [
        AttributionPrior("reasons", 3.0),
        AttributionPrior("reasons", normalize=True, layer="conv"),
        AttributionPrior("smoothness", normalize=True),
        AttributionPrior("gaze", layer="conv"),
        AttributionPrior("smoothness", target=lambda logits: logits[:, 0] * logits[:, 1], name="product"),
    ],
    ids=["reasons", "reasons of cam", "smoothness", "gaze of cam", "own target"],
)
def test_derivatives_by_the_weights_are_finite_differences(prior):
    model, truths = smooth(), {} if prior.truth is None else {prior.truth: MASK}
    penalty = training.AttributionPenalty(model, prior)
    step = tf.function(lambda: penalty(X, Y, **truths)[prior.name], autograph=False)
    with tf.GradientTape() as tape:
        total = step()
    weights = model.trainable_variables
    gradients = tape.gradient(total, weights)
    for weight, gradient in zip(weights, gradients, strict=True):
        if gradient is None:
            continue
        before, direction = weight.numpy(), np.sign(gradient) * 2e-3
        values = []
        for sign in (1, -1):
            weight.assign(before + sign * direction)
            values.append(float(step()))
        weight.assign(before)
        size = np.abs(np.asarray(gradient)).sum()
        np.testing.assert_allclose(values[0] - values[1], 4e-3 * size, rtol=0.02, atol=2e-6)


def test_one_step_of_fit_is_that_of_the_closed_form():
    """SGD on a linear model: the gradient of the cross-entropy, and twice the forbidden part of each label's kernel."""
    model, kernel = linear()
    trainer = training.PriorModel(model, AttributionPrior("reasons", 0.7, target="label"))
    trainer.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    errors = (model.predict(X, verbose=0) - np.eye(3)[Y]) / len(X)
    data = np.einsum("nhwc,nk->hwck", X, errors)
    masks = np.einsum("nhw,nk->hwk", MASK, np.eye(3)[Y]) / len(X)
    history = trainer.fit({"inputs": X, "forbidden": MASK}, Y, batch_size=6, verbose=0).history
    wanted = kernel - 0.1 * (data + 0.7 * 2 * masks[:, :, None] * kernel)
    np.testing.assert_allclose(model.layers[-1].kernel.numpy().reshape(wanted.shape), wanted, atol=1e-6)
    mass = 0.7 * np.einsum("hwk,hwck->", masks, np.square(kernel))
    assert history["reasons"][0] == pytest.approx(mass, rel=1e-5)


@pytest.mark.slow
def test_what_validation_prediction_and_checkpoints_take(tmp_path):
    model, _ = linear()
    trainer = training.PriorModel(model, AttributionPrior())
    trainer.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    data = {"inputs": X, "forbidden": MASK}
    options = {
        "class_weight": {0: 1.0, 1: 2.0, 2: 1.0},
        "callbacks": [keras.callbacks.ModelCheckpoint(tmp_path / "m.keras")],
    }
    history = trainer.fit(data, Y, validation_data=(X, Y), epochs=2, verbose=0, **options)
    assert set(history.history) == {"loss", "accuracy", "reasons", "val_loss", "val_accuracy"}
    assert set(trainer.evaluate(data, Y, verbose=0, return_dict=True)) == {"loss", "accuracy"}
    np.testing.assert_array_equal(trainer.predict(X, verbose=0), model.predict(X, verbose=0))
    saved = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(saved.predict(X, verbose=0), model.predict(X, verbose=0))
    assert [w.path for w in trainer.trainable_weights] == [w.path for w in model.trainable_weights]


def kind(name):
    layers = smooth_layers()
    if name == "sequential":
        return keras.Sequential([keras.Input((5, 4, 2)), *layers])
    if name == "nested":
        return keras.Sequential([keras.Input((5, 4, 2)), keras.Sequential(layers[:1]), *layers[1:]])

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = layers

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

    model = Own()
    model(X)
    return model


@pytest.mark.quick("subclassed")
@pytest.mark.parametrize("name", ["nested", "subclassed"])
def test_every_kind_of_model_has_the_same_penalty(name):
    prior = AttributionPrior("reasons")
    wanted = value(kind("sequential"), prior, forbidden=MASK)
    assert value(kind(name), prior, forbidden=MASK) == pytest.approx(wanted, rel=1e-5)


def test_maps_are_those_of_inference():
    """Dropout is off, batches do not matter, and the averages of batch normalization stay as they are."""
    keras.utils.set_random_seed(2)
    parts = [L.Conv2D(3, 3), L.BatchNormalization(), L.Activation("softplus"), L.Dropout(0.9), L.Flatten(), L.Dense(3)]
    model = keras.Sequential([keras.Input((5, 4, 2)), *parts])
    model(X, training=True)
    before = [weight.numpy() for weight in model.weights]
    penalty, prior = training.AttributionPenalty(model, AttributionPrior("smoothness")), "smoothness"
    whole = float(penalty(X, Y)[prior])
    alone = np.mean([float(penalty(X[i : i + 1], Y[i : i + 1])[prior]) for i in range(len(X))])
    assert whole == pytest.approx(alone, rel=1e-5)
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 2}])
def test_ways_to_compile(options):
    weights = []
    for each in ({}, options):
        model = smooth()
        trainer = training.PriorModel(model, [AttributionPrior(), AttributionPrior("gaze", layer="conv")])
        trainer.compile("sgd", "sparse_categorical_crossentropy", **each)
        data = {"inputs": X, "forbidden": MASK, "gaze": MASK}
        trainer.fit(data, Y, batch_size=2, shuffle=False, epochs=2, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    results = []
    for dtype in ("float32", policy):
        keras.config.set_dtype_policy(dtype)
        try:
            model = smooth()
        finally:
            keras.config.set_dtype_policy("float32")
        penalty = training.AttributionPenalty(model, AttributionPrior("reasons"))
        with tf.GradientTape() as tape:
            total = penalty(X, Y, forbidden=MASK)["reasons"]
        results.append([total, *(g for g in tape.gradient(total, model.trainable_variables) if g is not None)])
        trainer = training.PriorModel(model, AttributionPrior())
        trainer.compile("adam", "sparse_categorical_crossentropy")  # scales the loss for float16
        history = trainer.fit({"inputs": X, "forbidden": MASK}, Y, epochs=3, verbose=0).history
        assert np.isfinite(history["loss"]).all()
    for one, other in zip(*results, strict=True):
        assert np.abs(one - other).max() < 0.05 * np.abs(one).max()


@pytest.mark.slow
def test_channels_first_masks_have_positions():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((2, 5, 4)), L.Permute((2, 3, 1)), L.Conv2D(3, 3, name="conv"), L.Flatten(), L.Dense(3)]
    )
    images = np.moveaxis(X, -1, 1)
    kernel = value(model, AttributionPrior(target="label"), x=images, forbidden=MASK)
    turned = keras.Sequential([keras.Input((5, 4, 2)), *model.layers[1:]])
    assert kernel == pytest.approx(value(turned, AttributionPrior(target="label"), forbidden=MASK), rel=1e-5)


@pytest.mark.slow
def test_signals_and_features():
    keras.utils.set_random_seed(0)
    for shape, layer in (((7, 2), L.Conv1D(3, 7)), ((7,), L.Dense(3))):
        model = keras.Sequential([keras.Input(shape), layer, L.Flatten()])
        x, mask = RANDOM.random((6, *shape)).astype("float32"), (RANDOM.random((6, 7)) < 0.5).astype("float32")
        kernel = np.moveaxis(layer.kernel.numpy(), -1, 0)[Y]
        wanted = np.square(kernel * (mask[..., None] if len(shape) == 2 else mask)).reshape(6, -1).sum(axis=1).mean()
        found = value(model, AttributionPrior(target="label"), x=x, forbidden=mask)
        assert found == pytest.approx(wanted, rel=1e-5)


def test_a_map_that_training_cannot_change_is_an_error():
    frozen = smooth()
    frozen.trainable = False
    with pytest.raises(ValueError, match="must depend on a trainable weight"):
        value(frozen, AttributionPrior(), forbidden=MASK)
    biases = keras.Sequential([keras.Input((5, 4, 2)), L.Flatten(), L.Dense(8, activation="relu"), L.Dense(3)])
    for layer in biases.layers[1:]:
        layer.kernel.trainable = False
    prior = AttributionPrior(target="label")
    with pytest.raises(tf.errors.InvalidArgumentError, match="ReLUs have no second derivative"):
        value(biases, prior, forbidden=MASK)
    assert value(biases, AttributionPrior(target="label", weight=0), forbidden=MASK) == 0
    assert value(biases, prior, forbidden=0 * MASK) == 0  # says nothing yet


@pytest.mark.parametrize(
    ("prior", "truths", "words"),
    [
        (AttributionPrior(), {}, "must get forbidden, got none"),
        (AttributionPrior("smoothness"), {"forbidden": MASK}, "must get no truths, got forbidden"),
        (AttributionPrior(), {"forbidden": MASK[:, :3]}, "must have the positions of the maps"),
        (AttributionPrior("smoothness"), {"y": None}, "y must be the labels"),
        (AttributionPrior("smoothness"), {"y": np.zeros((6, 2))}, "labels .N,. or one-hot .N, 3."),
        (AttributionPrior("gaze"), {"gaze": MASK[:, 0]}, "gaze must have the shape"),
        (AttributionPrior("gaze", layer="dense_last"), {"gaze": MASK}, "Unknown layer 'dense_last'"),
    ],
)
def test_errors(prior, truths, words):
    model, _ = linear()
    with pytest.raises(ValueError, match=words):
        value(model, prior, **{"y": Y, **truths})


def test_masks_of_bytes_are_an_error():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Divide uint8 masks by 255"):
        value(linear()[0], AttributionPrior(), forbidden=255 * MASK)


def test_a_regression_has_no_log_probabilities():
    model, kernel = linear(None, 1)
    with pytest.raises(ValueError, match="Pass target='output'"):
        value(model, AttributionPrior(), forbidden=MASK)
    wanted = np.square(MASK[..., None] * kernel[..., 0]).sum(axis=(1, 2, 3)).mean()
    assert value(model, AttributionPrior(target="output"), forbidden=MASK) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"term": "sense"}, "term must be one of"),
        ({"weight": -1}, "weight must be a finite number"),
        ({"target": "top"}, "target must be one of"),
        ({"loss": losses.CCLoss()}, "loss must be None"),
        ({"term": "gaze", "normalize": True}, "normalize must be False"),
    ],
)
def test_options_that_do_not_exist(options, words):
    with pytest.raises(ValueError, match=words):
        AttributionPrior(**options)


def test_priors_with_one_name():
    with pytest.raises(ValueError, match="different names"):
        training.AttributionPenalty(linear()[0], [AttributionPrior(), AttributionPrior(normalize=True)])


def test_a_prior_is_saved_as_it_is():
    prior = AttributionPrior("gaze", 0.5, layer="conv", loss=losses.KLDLoss(epsilon=0.1), name="eyes")
    copy = keras.losses.deserialize(keras.losses.serialize(prior))
    assert copy.get_config() == prior.get_config()
    maps = RANDOM.random((3, 5, 4, 1))
    np.testing.assert_allclose(copy(MASK[:3], maps), prior(MASK[:3], maps))
    with pytest.raises(ValueError, match="to be saved, got a function"):
        AttributionPrior(target=lambda logits: logits[:, 0]).get_config()


@pytest.mark.parametrize(
    ("labels", "gaze", "says"),
    [
        ([0, -1], 1.0, "labels from 0 to 2"),
        ([0, 3], 1.0, "labels from 0 to 2"),
        ([0.0, 0.7], 1.0, "labels from 0 to 2"),
        ([0, 1], np.nan, "gaze must be finite and at least 0"),
        ([0, 1], -1.0, "gaze must be finite and at least 0"),
    ],
)
def test_labels_and_gaze_out_of_range(labels, gaze, says):
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    penalty = training.AttributionPenalty(model, losses.AttributionPrior("gaze"))
    inputs = np.random.default_rng(0).random((2, 4, 4, 1)).astype(np.float32)
    maps = np.random.default_rng(1).random((2, 4, 4)) + 0.1
    maps[1, 2, 2] = gaze
    with pytest.raises(tf.errors.InvalidArgumentError, match=says):
        penalty(inputs, np.array(labels), gaze=maps)


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["list", "dictionary"])
@pytest.mark.parametrize(("term", "output"), [("reasons", "kind"), ("gaze", "kind"), ("gaze", 0)])
def test_losses_and_labels_of_several_outputs_by_place_or_name(structure, term, output):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 1))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="gelu")(inputs))
    outputs = [keras.layers.Dense(3, "softmax", name="kind")(features), keras.layers.Dense(1, name="size")(features)]
    model = keras.Model(inputs, outputs)
    random = np.random.default_rng(0)
    x, maps = random.random((8, 6, 6, 1)).astype(np.float32), random.random((8, 6, 6)).astype(np.float32)
    kinds, sizes = random.integers(0, 3, 8), random.random(8).astype(np.float32)
    given = {"inputs": x, "forbidden" if term == "reasons" else "gaze": maps}
    trainer = training.PriorModel(model, AttributionPrior(term), output=output)
    losses_of, labels = ["sparse_categorical_crossentropy", "mse"], [kinds, sizes]
    if structure == "dictionary":
        losses_of, labels = (dict(zip(["kind", "size"], part, strict=True)) for part in (losses_of, labels))
    trainer.compile("sgd", losses_of)
    history = trainer.fit(given, labels, verbose=0).history
    assert {"kind_loss", "size_loss", term} <= set(history)
    assert np.isfinite(history[term]).all()
