"""On real photographs the features of a trained net get better with depth, and those of random weights do not."""

import pytest

from kerasal import probe

import keras


@pytest.mark.slow
def test_depth_helps_a_trained_net_only(data_folder):
    file, classes = data_folder / "models" / "squeezenet_v1_1_imagenet_q8.keras", data_folder / "caltech20"
    if not (file.is_file() and classes.is_dir()):
        pytest.skip(f"no real data: {file} or {classes} is missing")
    model = keras.saving.load_model(file, compile=False)
    files, labels = probe.class_files(classes)
    some = [number for number in range(len(files)) if number % 4 == 0]  # ten of each of 20 classes
    ask = {"per_class": 7, "folds": 3, "preprocessing": "caffe"}
    data = [files[number] for number in some], [labels[number] for number in some]
    trained = probe.layer_probe(model, ["pool1", "pool5", "fire9_concat"], *data, **ask)["mean"]
    random = probe.layer_probe(probe.randomize_weights(model), ["pool1", "pool5", "fire9_concat"], *data, **ask)["mean"]
    assert trained.is_monotonic_increasing
    assert trained.iloc[-1] > 0.85
    assert random.iloc[-1] < random.iloc[0] + 0.05
