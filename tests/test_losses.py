"""Losses: the numbers of kerasal.metrics, finite gradients on every map, and a way through save and load."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

from kerasal import losses, metrics  # noqa: E402
from kerasal.metrics.blur import center_map  # noqa: E402

RANDOM = np.random.default_rng(3)
SHAPE = (12, 16)
CENTER = [losses.CenterDistanceLoss, losses.CenterCorrelationLoss]
LOSSES = [losses.NSSLoss, losses.CCLoss, losses.KLDLoss, losses.SimilarityLoss, losses.LogLikelihoodLoss, *CENTER]


def _fixations(images=3):
    return (RANDOM.random((images, *SHAPE)) > 0.9).astype("float32")


def _densities(fixations):
    return np.stack([metrics.blur_fixations(one, 2.0) for one in fixations]).astype("float32")


FIXATIONS = _fixations()
DENSITIES = _densities(FIXATIONS)
MAPS = RANDOM.random((3, *SHAPE)).astype("float32")


def _truth(loss):
    return FIXATIONS if loss in (losses.NSSLoss, losses.LogLikelihoodLoss) else DENSITIES


@pytest.mark.parametrize(
    ("loss", "metric", "sign"),
    [
        (losses.NSSLoss, metrics.nss, -1),
        (losses.CCLoss, metrics.cc, -1),
        (losses.SimilarityLoss, metrics.similarity, -1),
        (losses.LogLikelihoodLoss, lambda s, f: np.average(np.log2(s / s.mean()), weights=f), -1),
        (losses.KLDLoss, lambda s, g: metrics.kld(s, g, epsilon=2.0**-23), 1),
    ],
)
@pytest.mark.parametrize("channel", [False, True])
def test_loss_is_the_metric(loss, metric, sign, channel):
    truth = _truth(loss)
    wanted = np.mean([sign * metric(s, g) for s, g in zip(MAPS, truth, strict=True)])
    given = (truth[..., None], MAPS[..., None]) if channel else (truth, MAPS)
    assert float(loss()(*given)) == pytest.approx(wanted, abs=2e-5)


def test_center_losses():
    """The distance from the center baseline, and the correlation with it, whatever the truth is."""
    center = center_map(SHAPE)
    distance, correlation = (loss() for loss in CENTER)
    assert float(distance(DENSITIES, MAPS)) == pytest.approx(((MAPS - center) ** 2).mean(), abs=1e-6)
    wanted = np.mean([max(0.0, metrics.cc(one, center)) for one in MAPS])
    assert float(correlation(FIXATIONS, MAPS)) == pytest.approx(wanted, abs=2e-5)
    itself = center[None].astype("float32")
    assert float(distance(itself, itself)) == pytest.approx(0, abs=1e-7)
    assert float(correlation(itself, itself)) == pytest.approx(1, abs=1e-5)
    assert float(correlation(itself, 1 - itself)) == 0  # avoiding the center is not rewarded


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_the_finite_difference(loss):
    prediction = tf.Variable(MAPS.astype("float64"))
    criterion = loss(dtype="float64")
    truth = _truth(loss).astype("float64")
    with tf.GradientTape() as tape:
        value = criterion(truth, prediction)
    gradient = tape.gradient(value, prediction).numpy()
    direction = np.random.default_rng(1).normal(size=prediction.shape)
    step = 1e-6
    up = float(criterion(truth, prediction + step * direction))
    down = float(criterion(truth, prediction - step * direction))
    assert np.sum(gradient * direction) == pytest.approx((up - down) / (2 * step), rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("constant", [0.0, 0.3, 1e-30])
@pytest.mark.parametrize("blank_truth", [False, True])
def test_constant_maps_have_finite_values_and_gradients(loss, constant, blank_truth):
    varied = (MAPS[1] + center_map(SHAPE)).astype("float32")
    prediction = tf.Variable(np.stack([np.full(SHAPE, constant, "float32"), varied, MAPS[2] * 1e-25]))
    truth = np.zeros_like(FIXATIONS) if blank_truth else _truth(loss)
    with tf.GradientTape() as tape:
        value = loss()(truth, prediction)
    gradient = tape.gradient(value, prediction)
    assert np.isfinite(float(value))
    assert np.isfinite(gradient.numpy()).all()
    if not blank_truth:
        assert np.abs(gradient.numpy()[1]).max() > 0


def test_constant_map_scores_zero():
    flat = np.full((1, *SHAPE), 0.3, "float32")
    assert float(losses.NSSLoss()(FIXATIONS[:1], flat)) == 0
    assert float(losses.CCLoss()(DENSITIES[:1], flat)) == 0


def test_nss_refuses_a_density():
    with pytest.raises(tf.errors.InvalidArgumentError, match="y_true must be a map of fixation counts"):
        losses.NSSLoss()(DENSITIES, MAPS)
    compiled = tf.function(losses.NSSLoss())
    with pytest.raises(tf.errors.InvalidArgumentError, match="map of fixation counts"):
        compiled(tf.constant(DENSITIES), tf.constant(MAPS))


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="the same height and width"):
        losses.CCLoss()(DENSITIES, MAPS[:, :6])
    with pytest.raises(ValueError, match=r"height and width, got \(3, 12, 16\) and \(3, 16, 12\)"):
        losses.CCLoss()(DENSITIES, MAPS.transpose(0, 2, 1))
    with pytest.raises(ValueError, match="must have the shape"):
        losses.CCLoss()(DENSITIES[0], MAPS[0])


@pytest.mark.parametrize(
    "loss", [*LOSSES, lambda: losses.WeightedSum([losses.KLDLoss(1e-5), "mse"], [1, 0.5], name="both")]
)
def test_losses_survive_saving(loss):
    before = loss()
    after = keras.losses.deserialize(keras.losses.serialize(before))
    assert type(after) is type(before)
    assert after.get_config() == before.get_config()


def test_weighted_sum_adds_up_and_picks_channels():
    both = losses.WeightedSum([losses.NSSLoss(), losses.KLDLoss()], [0.5, 2.0], channels=[0, 1])
    stacked = np.stack([FIXATIONS, DENSITIES], axis=-1)
    wanted = 0.5 * losses.NSSLoss()(FIXATIONS, MAPS) + 2 * losses.KLDLoss()(DENSITIES, MAPS)
    assert float(both(stacked, MAPS[..., None])) == pytest.approx(float(wanted), rel=1e-6)
    with pytest.raises(ValueError, match=r"weights must have one entry per loss, 2, got 1"):
        losses.WeightedSum([losses.KLDLoss(), losses.CCLoss()], [1.0])


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # Keras's own
def test_model_trains_from_a_blank_start_and_reports_the_metrics(tmp_path):
    inputs = keras.Input((*SHAPE, 1))
    outputs = keras.layers.Conv2D(1, 3, padding="same", activation="relu", kernel_initializer="zeros")(inputs)
    model = keras.Model(inputs, outputs)
    loss = losses.WeightedSum([losses.KLDLoss(), losses.CCLoss()], [1.0, 0.5])
    model.compile("sgd", loss, metrics=[losses.CC(), losses.KLD(), losses.Similarity()])
    history = model.fit(MAPS[..., None], DENSITIES[..., None], epochs=1, verbose=0).history
    assert all(np.isfinite(value).all() for value in history.values())
    assert {"cc", "kld", "similarity"} <= set(history)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.loss, losses.WeightedSum)


def test_metric_is_the_mean_over_images():
    metric = losses.NSS()
    metric.update_state(FIXATIONS[:1], MAPS[:1])
    metric.update_state(FIXATIONS[1:], MAPS[1:])
    wanted = np.mean([metrics.nss(s, f) for s, f in zip(MAPS, FIXATIONS, strict=True)])
    assert float(metric.result()) == pytest.approx(wanted, abs=1e-5)
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert isinstance(again, losses.NSS)
