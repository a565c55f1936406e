"""Energy by frequency of filters and of their responses. Frequencies are in cycles a pixel: .5 is black, white, black.

By Parseval's theorem the energies of all frequencies add up to the sum of squares.
"""

import numpy as np

_SIDE = 64  # zeros around a kernel, so that bands between its own few frequencies can be told apart


def power(kernels: np.ndarray, dilation: tuple[int, int] = (1, 1)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the energies (frequencies, frequencies, filters) of kernels (h, w, in, filters), and both frequencies.

    The energies of the input channels are added.
    """
    height, width, channels, count = kernels.shape
    spread = np.zeros(((height - 1) * dilation[0] + 1, (width - 1) * dilation[1] + 1, channels, count), np.float64)
    spread[:: dilation[0], :: dilation[1]] = kernels
    sides = [max(_SIDE, 2 * side) for side in spread.shape[:2]]
    energies = np.square(np.abs(np.fft.fft2(spread, sides, axes=(0, 1)))).sum(axis=2)
    rows, columns = (np.abs(np.fft.fftfreq(side)) for side in sides)
    return energies, rows[:, None], columns[None]


def bands(energies: np.ndarray, rows: np.ndarray, columns: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the shares (3, filters) of energy below ``low``, between, and from ``high`` cycles a pixel on."""
    radius = np.hypot(rows, columns)
    inside = np.stack([radius < low, (radius >= low) & (radius < high), radius >= high])
    return shares(np.einsum("bij,ijk->bk", inside, energies), energies.sum(axis=(0, 1)))


def lost(energies: np.ndarray, rows: np.ndarray, columns: np.ndarray, stride: tuple[int, int]) -> np.ndarray:
    """Return the share (filters,) of energy at frequencies that steps of ``stride`` pixels cannot represent.

    Steps of s pixels represent frequencies up to 1 / (2 s) (the sampling theorem); higher ones come out as lower ones.
    """
    beyond = (rows > 0.5 / stride[0]) | (columns > 0.5 / stride[1])
    return shares(np.einsum("ij,ijk->k", beyond, energies), energies.sum(axis=(0, 1)))


def shares(parts: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; where there is nothing at all, the share is NaN."""
    return np.divide(parts, whole, out=np.full(np.shape(parts), np.nan), where=whole > 0)
