"""Exact reduction of features of any length d to at most N coordinates, where N is the number of images.

The weights of a linear classifier with a quadratic penalty lie in the span of its training images (the representer
theorem), so the classifier depends on the features X (N, d) only through their inner products. If d exceeds N, X is
replaced by the coordinates U S (N, N) of its singular value decomposition X = U S V', which have the same inner
products. They are computed from X X' = U S² U', which is summed from blocks of images. Neither memory nor training time
depends on the length of the features.
"""

from collections.abc import Callable, Sequence

import numpy as np

_GROUP_VALUES = 2**27  # float32 values of a group of blocks in memory (512 MiB), while all others are read
_THREADED_IMAGES = 2_000  # for at least this many images, several threads speed up the decomposition
_MAX_IMAGES = 20_000  # their inner products take 3.2 GB


def coordinates(
    read_block: Callable[[int], np.ndarray], rows: Sequence[int], length: int, layer_name: str
) -> np.ndarray:
    """Return centered coordinates (N, min(d, N)), float64, of features that are read in blocks of images.

    Args:
        read_block: function from the number of a block to its features, float32 (rows, d).
        rows: number of images in each block.
        length: length d of the features.
        layer_name: name of the layer, for error messages.

    Raises:
        ValueError: if features are NaN or infinite, or both d and N are too large.
    """
    count, blocks = sum(rows), [block for block, size in enumerate(rows) if size]
    total = np.zeros(length)
    for block in blocks:
        total += read_block(block).sum(axis=0, dtype=np.float64)
    if not np.isfinite(total).all():
        raise ValueError(
            f"The features of {layer_name} must be finite, but some are NaN or infinite. Check the weights of the "
            "model and the preprocessing."
        )
    # Far from zero all inner products are nearly equal; a linear classifier does not depend on the origin.
    mean = (total / count).astype(np.float32)
    if length <= count:
        return np.concatenate([read_block(block).astype(np.float64) for block in blocks]) - total / count
    if count > _MAX_IMAGES:
        raise ValueError(
            f"The number of images or the number of features per image must be at most {_MAX_IMAGES:,}, got {count:,} "
            f"images with {length:,} features each in {layer_name}. Pool the maps to fewer cells (pool=1), or use "
            "fewer images."
        )
    return _factorize(_inner_products(read_block, [rows[block] for block in blocks], blocks, length, mean))


def _inner_products(
    read_block, rows: Sequence[int], blocks: Sequence[int], length: int, mean: np.ndarray
) -> np.ndarray:
    """Return the inner products (N, N); all blocks are read again for each group of 512 MiB."""
    ends = np.cumsum(rows)
    starts = ends - rows
    products = np.zeros((ends[-1], ends[-1]))
    group_size = max(1, _GROUP_VALUES // max(1, max(rows) * length))
    for first in range(0, len(blocks), group_size):
        group = range(first, min(first + group_size, len(blocks)))
        centered = np.concatenate([read_block(blocks[i]) for i in group]) - mean
        group_rows = slice(starts[group[0]], ends[group[-1]])
        products[group_rows, group_rows] = centered @ centered.T
        for other in range(group[-1] + 1, len(blocks)):
            other_rows = slice(starts[other], ends[other])
            products[group_rows, other_rows] = centered @ (read_block(blocks[other]) - mean).T
            products[other_rows, group_rows] = products[group_rows, other_rows].T
    return products


def _factorize(products: np.ndarray) -> np.ndarray:
    """Return coordinates (N, r) with the inner products (N, N), without directions of zero variance."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if len(products) < _THREADED_IMAGES else None):  # threads do not help on small matrices
        values, vectors = np.linalg.eigh(products)
    nonzero = values > max(values[-1], 0.0) * 1e-7
    return vectors[:, nonzero] * np.sqrt(values[nonzero]) if nonzero.any() else np.zeros((len(products), 1))
