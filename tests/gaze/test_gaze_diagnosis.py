import numpy as np
import pytest

from kerasal import gaze, layers
from kerasal.metrics import center_map
from kerasal.metrics.coursework_metrics import coursework_map

import keras


def blind_net(values):
    """A net that gives the same map whatever it sees."""
    inputs = keras.Input((24, 24, 3))
    dense = keras.layers.Dense(values.size, name="dense")
    net = keras.Model(inputs, keras.layers.Reshape(values.shape)(dense(keras.layers.Flatten()(inputs))), name="blind")
    dense.set_weights([np.zeros((24 * 24 * 3, values.size), np.float32), values.ravel().astype(np.float32)])
    return net


def test_a_net_that_sees_is_told_from_the_mean_map(seeing, spots):
    found = gaze.diagnose(gaze.Predictor(seeing), spots)
    mean = found.table.mean()
    assert mean["own"] > mean["others"] + 0.3
    assert "from the image" in found.findings[0]
    assert not any("mean map:" in finding for finding in found.findings)


def test_the_mean_map_is_found_out(spots):
    mean_map = np.mean([np.asarray(spots.density(i, size=(12, 12))) for i in range(len(spots))], axis=0)
    found = gaze.diagnose(gaze.Predictor(blind_net(mean_map)), spots)
    assert found.table["mean_prediction"].to_numpy() == pytest.approx(1.0)
    assert any("only the mean map" in finding or "mostly the mean map" in finding for finding in found.findings)


def test_the_center_is_found_out(spots):
    found = gaze.diagnose(gaze.Predictor(blind_net(center_map((12, 12)))), spots)
    assert found.table["center"].mean() > 0.99
    assert any("the center too often" in finding for finding in found.findings)


def test_a_constant_prediction_is_found_out(spots):
    found = gaze.diagnose(gaze.Predictor(blind_net(np.full((12, 12), 0.3))), spots)
    assert (found.table[["own", "others", "center"]] == 0).all(axis=None)
    assert any("constant" in finding for finding in found.findings)


def test_columns_are_plain_correlations(seeing, spots):
    table = gaze.diagnose(gaze.Predictor(seeing), spots).table
    from kerasal.images import resize

    def cells(values):
        return resize(np.asarray(values, np.float32), (60, 80)).ravel()

    raws = [cells(raw) for raw in gaze.Predictor(seeing).raw(spots.image(i) for i in range(8))]
    truths = [cells(spots.density(i)) for i in range(8)]
    assert table["own"].iloc[2] == pytest.approx(np.corrcoef(raws[2], truths[2])[0, 1], rel=1e-4)
    others = [np.corrcoef(raws[2], truths[j])[0, 1] for j in range(8) if j != 2]
    assert table["others"].iloc[2] == pytest.approx(np.mean(others), rel=1e-4)


def test_the_wrap_is_counted_and_reproduced(make_seeing, spots):
    net = make_seeing(gain=1.3, offset=-0.12)
    found = gaze.diagnose(gaze.Predictor(net), spots)
    raw = next(gaze.Predictor(net).raw([spots.image(0)]))
    assert found.table["below"].iloc[0] == pytest.approx((raw < 0).mean()) and (raw < 0).mean() > 0.3
    assert "wrap around" in found.findings[-1]
    dark = np.asarray(raw < -0.02)
    clipped, wrapped = (coursework_map(raw, raw.shape, legacy=legacy) for legacy in (False, True))
    assert clipped[dark].mean() < 0.2 and wrapped[dark].mean() > 0.7  # bright where there is nothing
    sheet = gaze.wrap_panel(spots.image(0), raw)
    third = sheet.shape[1] // 3
    assert sheet[40:300, 2 * third :].mean() > sheet[40:300, third : 2 * third].mean() + 30


def test_too_few_images(seeing, spots):
    with pytest.raises(ValueError, match="at least 3 images"):
        gaze.diagnose(gaze.Predictor(seeing), spots.subset([0, 1]))


@pytest.mark.parametrize("mode", ["multiply", "add"])
def test_center_bias_formula_and_switch(mode):
    maps = np.random.default_rng(0).random((2, 5, 8)).astype(np.float32)
    net = keras.Sequential([keras.Input((5, 8)), layers.CenterBias((0.2, 0.3), amount=0.7, mode=mode)])
    y, x = (np.arange(5) + 0.5) / 5 - 0.5, (np.arange(8) + 0.5) / 8 - 0.5
    bias = np.exp(-0.5 * (y / 0.2) ** 2)[:, None] * np.exp(-0.5 * (x / 0.3) ** 2)
    np.testing.assert_allclose(net(maps), maps * bias if mode == "multiply" else maps + 0.7 * bias, rtol=1e-5)
    with pytest.raises(RuntimeError), layers.center_bias_switched_off(net) as found:
        assert len(found) == 1
        np.testing.assert_array_equal(net(maps), maps)
        raise RuntimeError
    assert not np.allclose(net(maps), maps)  # and on again, after an error too


def test_center_bias_is_learned_or_fixed_and_saved(tmp_path):
    for learned in (True, False):
        net = keras.Sequential([keras.Input((5, 8, 1)), layers.CenterBias(0.2, learned=learned)])
        assert len(net.trainable_variables) == learned
        net.save(tmp_path / "net.keras")
        again = keras.saving.load_model(tmp_path / "net.keras")
        maps = np.ones((1, 5, 8, 1), np.float32)
        np.testing.assert_array_equal(again(maps), net(maps))
    with pytest.raises(ValueError, match="mode"):
        layers.CenterBias(mode="times")
    with pytest.raises(ValueError, match="sigma"):
        layers.CenterBias(0.0)


def test_center_bias_learns_the_width_of_the_gaze():
    import tensorflow as tf

    layer = layers.CenterBias(0.4)
    flat = np.ones((1, 20, 20, 1), np.float32)
    y = (np.arange(20) + 0.5) / 20 - 0.5
    wanted = (np.exp(-0.5 * (y / 0.15) ** 2)[:, None] * np.exp(-0.5 * (y / 0.25) ** 2))[None, ..., None]
    layer(flat)
    optimizer = keras.optimizers.Adam(0.05)
    step = tf.function(lambda: _step(layer, flat, wanted, optimizer))
    optimizer.build(layer.trainable_variables)
    for _ in range(150):
        step()
    np.testing.assert_allclose(np.exp(layer.log_sigma.numpy()), [0.15, 0.25], rtol=0.05)


def _step(layer, maps, wanted, optimizer):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((layer(maps) - wanted) ** 2)
    optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
