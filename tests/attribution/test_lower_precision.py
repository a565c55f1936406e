"""bfloat16: near float32 where the processor has it, only in the call that asks for it, and refused in exports."""

import threading

import numpy as np
import pytest

from kerasal import attribution
from kerasal.attribution.perturbation.lower_precision import has_bfloat16, precision_context

import keras
import tensorflow as tf


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(16, 3, activation="relu") for _ in range(3)]
    return keras.Sequential([keras.Input((20, 20, 3)), *layers, keras.layers.Flatten(), keras.layers.Dense(4)])


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).normal(size=(2, 20, 20, 3)).astype(np.float32)


@pytest.mark.parametrize("name", ["drise", "rise", "kernel_shap", "lime", "sobol", "hsic"])
@pytest.mark.quick("rise")
def test_a_map_in_bfloat16_is_near_that_in_float32(name, network, pictures):
    method = getattr(attribution, name)
    options = {"cells": 3} if name in ("kernel_shap", "sobol") else {"cells": 3, "samples": 300}
    expected = method(network, pictures, 1, **options)
    maps = method(network, pictures, 1, precision="bfloat16", **options)
    assert (maps != expected).any() == has_bfloat16()
    for one, other in zip(maps, expected, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99
    np.testing.assert_array_equal(method(network, pictures, 1, **options), expected)  # and float32 stays exact


def test_only_calls_of_the_thread_inside_the_block_are_in_bfloat16():
    if not has_bfloat16():
        pytest.skip("This processor has no bfloat16.")
    multiply, x = tf.function(tf.matmul), tf.random.stateless_uniform([64, 64], (0, 0))
    exact, elsewhere = multiply(x, x).numpy(), []
    with precision_context("bfloat16"):
        lower = multiply(x, x).numpy()
        thread = threading.Thread(target=lambda: elsewhere.append(multiply(x, x).numpy()))
        thread.start()
        thread.join()
    assert (lower != exact).any()
    np.testing.assert_array_equal(elsewhere[0], exact)
    np.testing.assert_array_equal(multiply(x, x), exact)
    with pytest.raises(RuntimeError), precision_context("bfloat16"):
        raise RuntimeError
    np.testing.assert_array_equal(multiply(x, x), exact)


def test_compiled_methods_refuse_it(network, pictures):
    compiled = attribution.rise.compiled(network, samples=20, precision="bfloat16")
    with pytest.raises(ValueError, match='precision must be "float32" in compiled and exported methods'):
        compiled(tf.constant(pictures), tf.constant([1, 1]))
    with pytest.raises(ValueError, match="precision must be one of 'float32', 'bfloat16', got 'float16'"):
        attribution.rise(network, pictures, 1, precision="float16")
