"""Maps without knowledge of the model, beside which maps are judged: random, the center, and the edges of the input."""

import numpy as np

CONTROLS = {
    "random": "a random map with the values and the smoothness of the judged map",
    "center": "a Gaussian at the center, whose standard deviation is a quarter of each side",
    "edges": "the size of the gradient of the input itself, summed over channels",
}

_ITERATIONS = 3  # of the surrogate; its spectrum hardly changes after them


def random_maps_like(maps: np.ndarray, seed: int = 0, *, is_ordered: bool = True) -> np.ndarray:
    """Return a random map for each map, with the same values in other places and the same smoothness.

    It is an amplitude-adjusted surrogate (Schreiber & Schmitz 1996, in as many axes as the map has): random phases, the
    amplitudes of the map's Fourier transform, and then the values of the map by rank, in turn. So a smooth map is
    compared with a smooth one, and a sparse map with a sparse one.

    Args:
        maps: float (N, *positions).
        seed: seed of the phases; a map of the same number gets the same ones.
        is_ordered: whether neighboring positions belong together; otherwise, as for features and tokens, the values are
            shuffled.

    Returns:
        float (N, *positions).
    """
    return np.stack([_surrogate(values, np.random.default_rng([seed, i]), is_ordered) for i, values in enumerate(maps)])


def center_maps(shape: tuple[int, ...]) -> np.ndarray:
    """Return Gaussians at the center, float64 (N, *positions), from this ``shape``."""
    sides = shape[1:]
    axes = np.meshgrid(*((np.arange(side) + 0.5) / side - 0.5 for side in sides), indexing="ij")
    return np.broadcast_to(np.exp(-sum(axis**2 for axis in axes) / (2 * 0.25**2)), shape)


def edge_maps(inputs: np.ndarray, channels: int | None) -> np.ndarray:
    """Return the size of the spatial gradient of inputs, float64 (N, *positions).

    ``channels`` is the axis of the channels, or None if there is none; differences are central, and one-sided at the
    border.
    """
    array = np.asarray(inputs, np.float64)
    array = array[..., None] if channels is None else np.moveaxis(array, channels, -1)
    axes = [axis for axis in range(1, array.ndim - 1) if array.shape[axis] > 1]
    if not axes:
        return np.zeros(array.shape[:-1])
    squares = sum(np.gradient(array, axis=axis) ** 2 for axis in axes)
    return np.sqrt(squares).sum(axis=-1)


def _surrogate(values: np.ndarray, random: np.random.Generator, is_ordered: bool) -> np.ndarray:
    shuffled = random.permutation(values.ravel()).reshape(values.shape)
    if not is_ordered or values.size < 3:
        return shuffled
    amplitudes = np.abs(np.fft.rfftn(values))
    sizes, axes = np.sort(values, axis=None), tuple(range(values.ndim))
    current = shuffled
    for _ in range(_ITERATIONS):
        spectrum = np.fft.rfftn(current)
        phases = spectrum / np.maximum(np.abs(spectrum), np.finfo(float).tiny)
        field = np.fft.irfftn(amplitudes * phases, s=values.shape, axes=axes)
        order = np.argsort(field, axis=None, kind="stable")
        current = np.empty_like(sizes)
        current[order] = sizes
        current = current.reshape(values.shape)
    return current
