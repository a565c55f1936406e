"""A copy of a model whose weights are random: what its architecture alone is worth."""

import numpy as np

import keras


def randomized(model: keras.Model, *, seed: int = 0) -> keras.Model:
    """Return a copy of a model with random weights; the model stays as it is.

    Kernels are drawn from N(0, 2 / fan-in), under which a ReLU net passes signals on at the same strength (He et al.
    2015, equation 10); biases are 0, and normalisations do nothing (scale and variance 1, shift and mean 0).

    Args:
        model: a built functional or Sequential model.
        seed: of the weights.

    Raises:
        ValueError: a subclassed model, which cannot be copied by its layers.
    """
    try:
        copy = keras.models.clone_model(model)
    except (ValueError, NotImplementedError) as error:
        raise ValueError(
            f"{model.name!r} cannot be copied layer by layer ({error}). Build it again from Python: its fresh weights "
            "are random."
        ) from error
    random = np.random.default_rng(seed)
    for weight in copy.weights:
        if weight.dtype.startswith(("float", "bfloat")):
            weight.assign(_drawn(weight, random))
    return copy


def _drawn(weight, random: np.random.Generator) -> np.ndarray:
    name = weight.path.rpartition("/")[2]
    if len(weight.shape) < 2:
        return np.full(weight.shape, float("gamma" in name or "variance" in name or "scale" in name), np.float32)
    # A depthwise kernel (h, w, channels, multiplier) sees one channel; every other sees all axes but the last.
    seen = weight.shape[:2] if "depthwise" in weight.path and len(weight.shape) == 4 else weight.shape[:-1]
    return random.normal(0.0, np.sqrt(2 / np.prod(seen)), weight.shape).astype(np.float32)
