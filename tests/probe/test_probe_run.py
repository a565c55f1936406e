"""The probe: known accuracies, one pass for all layers, the exactness of its coordinates, and bad input."""

import numpy as np
import pandas as pd
import pytest

from kerasal import images as pictures
from kerasal import probe
from kerasal.probe import layer_features
from kerasal.probe.layer_features import Features

import keras

CLASSES, EACH = 3, 6


@pytest.fixture(scope="module")
def net():
    """A first layer that keeps colors apart, and a second one that sees nothing at all."""
    inputs = keras.Input((8, 8, 3))
    seeing = keras.layers.Conv2D(3, 1, name="seeing")(inputs)
    blind = keras.layers.Conv2D(4, 3, name="blind")(seeing)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="mean")(blind), name="net")
    model.get_layer("seeing").set_weights([np.eye(3, dtype=np.float32)[None, None], np.zeros(3, np.float32)])
    model.get_layer("blind").set_weights([np.zeros((3, 3, 3, 4), np.float32), np.ones(4, np.float32)])
    return model


@pytest.fixture(scope="module")
def data():
    """Images whose class is their brightest channel, and labels in no order."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.repeat(np.arange(CLASSES), EACH))
    images = random.normal(0, 0.3, (len(labels), 8, 8, 3)).astype(np.float32)
    images[np.arange(len(labels)), :, :, labels] += 1
    return images, labels


def test_separable_features_are_read_perfectly_and_a_blind_layer_by_chance(net, data):
    table = probe.layer_probe(net, ["seeing", "blind"], *data, per_class=[2, 4], classifier=["svm", "softmax"], folds=3)
    assert list(table.columns) == [
        "layer",
        "features",
        "classifier",
        "per_class",
        "folds",
        "mean",
        "std",
        "test_images",
    ]
    seeing, blind = (table[table["layer"] == layer] for layer in ("seeing", "blind"))
    assert (seeing["mean"] == 1).all()
    np.testing.assert_allclose(blind["mean"], 1 / CLASSES)
    assert table.attrs["chance"] == 1 / CLASSES
    assert seeing["per_class"].tolist() == [2, 4, 2, 4]
    assert seeing["test_images"].tolist() == [12, 6, 12, 6]
    assert seeing["features"].tolist() == [6 * 6 * 3] * 4


def test_scores_are_those_of_scikit_learn_on_the_whole_features(net, data, monkeypatch):
    from sklearn.svm import LinearSVC

    images, _ = data
    labels = np.arange(len(images)) % 2  # nothing to find, so that the scores are neither 0 nor 1
    table = probe.layer_probe(net, ["seeing"], images, labels, per_class=6, folds=2, pool=None, seed=5)
    scores = []
    for fold in range(2):
        random = np.random.default_rng([5, fold])
        order = [random.permutation(np.flatnonzero(labels == code)) for code in (0, 1)]
        train, test = (np.concatenate([one[cut] for one in order]) for cut in (slice(6), slice(6, None)))
        features = images.reshape(len(images), -1).astype(np.float64)
        features -= features[train].mean(axis=0)
        features /= np.sqrt(np.square(features[train]).sum(axis=1).mean())
        found = (
            LinearSVC(random_state=0, max_iter=5000, C=10.0).fit(features[train], labels[train]).predict(features[test])
        )
        scores.append(np.mean([(found == labels[test])[labels[test] == code].mean() for code in (0, 1)]))
    assert 0 < scores[0] < 1
    assert table["mean"].item() == pytest.approx(np.mean(scores))
    assert table["std"].item() == pytest.approx(np.std(scores, ddof=1))


def test_all_layers_share_one_pass_and_equal_single_probes(net, data, monkeypatch):
    shown, run = [], Features._run

    def counted(self, paths, inputs):
        shown.append(len(inputs))
        return run(self, paths, inputs)

    monkeypatch.setattr(Features, "_run", counted)
    both = probe.layer_probe(net, ["seeing", "mean"], *data, per_class=2, folds=2)
    assert sum(shown) == len(data[0]) + 1  # one image tells how long the features are
    single = [probe.layer_probe(net, [layer], *data, per_class=2, folds=2) for layer in ("seeing", "mean")]
    pd.testing.assert_frame_equal(both, pd.concat(single, ignore_index=True))


@pytest.mark.parametrize("length", [1, 5, 6, 13])
def test_pooling_averages_to_equal_cells(length):
    import tensorflow as tf

    values = np.random.default_rng(0).normal(size=(2, length, 4, 3)).astype(np.float32)
    found = layer_features._pool_and_flatten(tf.constant(values), 6).numpy().reshape(2, min(length, 6), 4, 3)
    cells, fine = min(length, 6), np.repeat(values, 6, axis=1)  # where 6 and the length share no divisor, so do cells
    expected = fine.reshape(2, cells, 6 * length // cells, 4, 3).mean(axis=2) if cells == 6 else values
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_nested_layers_uint8_and_the_seed(shared_model):
    model = shared_model("nested")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (20, 11, 9, 3), np.uint8)  # of another size than the model's
    labels = ["left", "right"] * 10
    ask = {"per_class": 5, "folds": 4, "preprocessing": "unit"}
    first, again, other = (
        probe.layer_probe(model, ["innermost/conv1", "conv2"], images, labels, seed=seed, **ask) for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert (first["mean"] != other["mean"]).any()
    assert first.attrs["classes"] == ["left", "right"]


def test_features_that_do_not_fit_are_probed_from_the_disk(net, data, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    ask = {"per_class": 2, "folds": 2, "pool": None}
    held = probe.layer_probe(net, ["seeing"], *data, **ask)
    monkeypatch.setattr(layer_features, "MEMORY", 1000)
    with pytest.warns(UserWarning, match=r"'seeing': 192 per image.*on disk.*pool=1"):
        streamed = probe.layer_probe(net, ["seeing"], *data, **ask)
    pd.testing.assert_frame_equal(held, streamed)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read_is_left_out_with_its_label(net, data, tmp_path):
    images, labels = data
    files = [
        pictures.write(tmp_path / f"{i:02d}.png", np.clip(90 * one + 90, 0, 255).astype(np.uint8))
        for i, one in enumerate(images)
    ]
    files[4].write_bytes(b"not an image")
    with pytest.warns(UserWarning, match=r"1 file could not be read: .*04\.png \("):
        table = probe.layer_probe(net, ["seeing"], files, labels, per_class=2, folds=2, preprocessing="unit")
    assert table["mean"].item() == 1
    assert table["test_images"].item() == len(files) - 1 - 2 * CLASSES
    assert table.attrs["skipped"] == [str(files[4])]
    for file in files:
        file.write_bytes(b"")
    with pytest.raises(ValueError, match="must contain a readable image"):
        probe.layer_probe(net, ["seeing"], files, labels, per_class=2, preprocessing="unit")


def test_bad_input_is_told_before_the_pass(net, data, monkeypatch):
    monkeypatch.setattr(Features, "extract", lambda *_: pytest.fail("the images passed"))
    images, labels = data

    def ask(layers=("seeing",), **changed):
        return probe.layer_probe(net, layers, images, **{"labels": labels} | changed)

    with pytest.raises(ValueError, match=r"must have 7 images for 6 training images .*0 has 6.*at most 5"):
        ask(per_class=6)
    alone = np.where(np.arange(len(labels)) == 0, 9, labels)
    with pytest.raises(ValueError, match=r"9 has 1\. Add images"):
        ask(labels=alone, per_class=1)
    with pytest.raises(ValueError, match="two classes"):
        ask(labels=np.zeros(len(labels), int), per_class=1)
    with pytest.raises(ValueError, match="Did you mean seeing"):
        ask(layers=["seein"])
    with pytest.raises(ValueError, match="list of layer names"):
        ask(layers="seeing")
    with pytest.raises(ValueError, match="18 integers or names"):
        ask(labels=labels[1:])
    with pytest.raises(ValueError, match="18 integers or names"):
        ask(labels=np.eye(3)[labels])
    with pytest.raises(ValueError, match="Unknown classifier 'SVM'"):
        ask(classifier="SVM")
    for wrong in ({"per_class": 0}, {"per_class": []}, {"folds": 1.5}, {"pool": 0}, {"c": -1}, {"seed": True}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ask(**wrong)
    with pytest.raises(ValueError, match="got a stream"):
        probe.layer_probe(net, ["seeing"], iter([images]), labels)


def test_random_weights(net):
    first, again, other = (probe.randomize_weights(net, seed=seed) for seed in (3, 3, 4))
    kernels = [model.get_layer("blind").kernel.numpy() for model in (first, again, other)]
    assert (kernels[0] == kernels[1]).all()
    assert (kernels[0] != kernels[2]).any()
    assert not net.get_layer("blind").kernel.numpy().any()  # the model itself is as it was
    layers = [keras.layers.DepthwiseConv2D(5), keras.layers.BatchNormalization()]
    wide = keras.Sequential([keras.Input((8, 8, 16)), *layers])
    wide.layers[1].set_weights([np.full(16, float(i)) for i in range(4)])
    random = probe.randomize_weights(wide)
    assert random.layers[0].kernel.numpy().std() == pytest.approx(np.sqrt(2 / 25), rel=0.1)
    assert [weight[0] for weight in random.layers[1].get_weights()] == [1, 0, 0, 1]


def test_the_picture_has_a_curve_for_each_probe(net, data):
    table = probe.layer_probe(net, ["seeing", "blind"], *data, per_class=[1, 2], folds=2)
    figure = probe.draw_probe({"trained": table, "random": table})
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert names == [
        f"{name}, svm, {count} training images per class" for name in ("trained", "random") for count in (1, 2)
    ]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["seeing", "blind"]
