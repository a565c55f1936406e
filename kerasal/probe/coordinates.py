"""Features of any length in at most as many coordinates as there are images, with nothing lost.

A linear classifier with a quadratic penalty lies in the span of its training images (the representer theorem), so it
depends on the features X (N, d) only through their inner products. Where d exceeds N, X is replaced by the (N, N)
coordinates U S of X = U S V', which have the same inner products, and whose square U S² U' = X X' is summed from blocks
of images. So neither memory nor a classifier's time grows with the size of a layer.
"""

from collections.abc import Callable, Sequence

import numpy as np

_AT_ONCE = 2**27  # values of the blocks that stay in memory while all others pass by: 512 MiB
_SMALL = 2_000
_MOST = 20_000  # images: their inner products take 3.2 GB


def coordinates(read: Callable[[int], np.ndarray], rows: Sequence[int], length: int, what: str) -> np.ndarray:
    """Return centered coordinates (N, min(d, N)), float64, of features that are read in blocks of images.

    Args:
        read: number of a block -> its features, float32 (rows, d).
        rows: the number of images in each block.
        length: d.
        what: the layer, for the error.

    Raises:
        ValueError: NaN or infinite features, or too many of too many images.
    """
    count, used = sum(rows), [block for block, size in enumerate(rows) if size]
    total = np.zeros(length)
    for block in used:
        total += read(block).sum(axis=0, dtype=np.float64)
    if not np.isfinite(total).all():
        raise ValueError(
            f"The features of {what} are NaN or infinite: the model overflows there. Check its weights and the "
            "preprocessing."
        )
    # Far from zero the inner products would be all alike; no linear classifier sees where the origin is.
    mean = (total / count).astype(np.float32)
    if length <= count:
        return np.concatenate([read(block).astype(np.float64) for block in used]) - total / count
    if count > _MOST:
        raise ValueError(
            f"{count:,} images with {length:,} features each in {what} are more than fits (either may be up to "
            f"{_MOST:,}). Pool the maps to fewer cells (pool=1), or probe fewer images."
        )
    return _roots(_products(read, [rows[block] for block in used], used, length, mean))


def _products(read, rows: Sequence[int], blocks: Sequence[int], length: int, mean: np.ndarray) -> np.ndarray:
    """Return the inner products (N, N), the blocks read again for every 512 MiB of them."""
    ends = np.cumsum(rows)
    starts = ends - rows
    products = np.zeros((ends[-1], ends[-1]))
    together = max(1, _AT_ONCE // max(1, max(rows) * length))
    for first in range(0, len(blocks), together):
        group = range(first, min(first + together, len(blocks)))
        kept = np.concatenate([read(blocks[i]) for i in group]) - mean
        here = slice(starts[group[0]], ends[group[-1]])
        products[here, here] = kept @ kept.T
        for other in range(group[-1] + 1, len(blocks)):
            there = slice(starts[other], ends[other])
            products[here, there] = kept @ (read(blocks[other]) - mean).T
            products[there, here] = products[here, there].T
    return products


def _roots(products: np.ndarray) -> np.ndarray:
    """Return coordinates whose inner products these are, the directions that hold nothing left out."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if len(products) < _SMALL else None):  # several would only wait for one another
        values, vectors = np.linalg.eigh(products)
    kept = values > max(values[-1], 0.0) * 1e-7
    return vectors[:, kept] * np.sqrt(values[kept]) if kept.any() else np.zeros((len(products), 1))
