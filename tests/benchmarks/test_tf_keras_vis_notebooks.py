"""Each call of tf-keras-vis' notebooks runs there, in the drop-in, with the same result, and in kerasal itself."""

import importlib.util
import pathlib

import numpy as np
import pytest

import keras

PATH = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "tf_keras_vis_notebooks.py"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:[\\s\\S]*The structure of `inputs`:UserWarning")
@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")
def test_every_call_runs_with_the_same_result():
    spec = importlib.util.spec_from_file_location("tf_keras_vis_notebooks", PATH)
    notebooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebooks)
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(8, 5, strides=2, activation="relu"), keras.layers.MaxPooling2D()]
    layers += [keras.layers.Conv2D(8, 3, activation="relu", name="last"), keras.layers.GlobalAveragePooling2D()]
    x = inputs = keras.Input((32, 32, 3))
    for layer in layers:
        x = layer(x)
    model = keras.Model(inputs, keras.layers.Dense(420, activation="softmax")(x))
    options = {"layer": "last", "filters": [1, 3, 5], "channels": 4, "steps": 3, "rounds": 1}
    rows = list(notebooks.run_calls(model, notebooks.read_inputs(32), **options))
    assert len(rows) == 10 and all(len(row) == 5 for row in rows)
    np.testing.assert_array_less([row[1] for row in rows], 1e-5)
