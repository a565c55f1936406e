"""Read the fixations on many images from a compact ``fixations.npz`` with one row per fixation.

Its arrays are ``names`` (file names of the images), ``img`` (index of the image in ``names``), ``x``, ``y``, optionally
``subject``, ``order`` and ``duration_ms``, and the (width, height) of the stimuli to which the coordinates refer.
``size_wh`` is the size of all stimuli with 1-based coordinates, as in OSIE and the crowd data; ``sizes_wh`` is the size
of each stimulus with 0-based coordinates, as in SALICON.
"""

import functools
import math
import pathlib
from collections.abc import Callable

import numpy as np

from kerasal.archive_check import check_expansion, npz_arrays
from kerasal.array_check import ALWAYS, check_arrays
from kerasal.datasets.gaze_types import Points
from kerasal.fixations.map_files import report_unreadable

_DETAILS = ("subject", "order", "duration_ms")
_BYTES_PER_FIXATION = 48
"""Bytes of memory per fixation, regardless of the dtype in the file."""


def read_npz(file: pathlib.Path) -> list[tuple[str, Callable[[], Points]]]:
    """Return the file name of each image with a function that returns its ``Points``, in the order of the file.

    1-based coordinates become 0-based by subtracting .5: pixel k (from 1) covers [k - .5, k + .5), which becomes
    [k - 1, k), the range of the 0-based pixel k - 1.
    """
    arrays = _load_arrays(file)
    _check_arrays(file, arrays)
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in arrays["names"]]
    index = arrays["img"].astype(np.int64)
    is_one_based = "size_wh" in arrays
    xy = np.stack([arrays["x"], arrays["y"]], axis=1).astype(np.float64) - 0.5 * is_one_based
    are_indices = not is_one_based and bool((xy == np.floor(xy)).all())
    order = np.argsort(index, kind="stable")
    bounds = np.searchsorted(index[order], np.arange(len(names) + 1))
    details = {name: arrays[name] for name in _DETAILS if name in arrays}
    frames = np.broadcast_to(arrays["size_wh" if is_one_based else "sizes_wh"], (len(names), 2))

    def read_points(number: int) -> Points:
        rows = order[bounds[number] : bounds[number + 1]]
        width, height = (int(side) for side in frames[number])
        known = {name: values[rows] for name, values in details.items()}
        return Points(xy[rows], (height, width), are_indices=are_indices, **known)

    return [(name, functools.partial(read_points, number)) for number, name in enumerate(names)]


def _check_arrays(file: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    """Raise a ValueError if the arrays have the wrong shape, dtype or range."""
    names, index = arrays["names"], arrays["img"]
    if names.ndim != 1 or names.dtype.kind not in "USiu":
        raise ValueError(f"{file}: names must be text of shape (N,), got {names.dtype} {names.shape}.")
    rows = {key: arrays[key].shape for key in ("img", "x", "y", *_DETAILS) if key in arrays}
    if len(set(rows.values())) != 1 or index.ndim != 1:
        raise ValueError(f"{file}: {', '.join(rows)} must have the same length, got {sorted(set(rows.values()))}.")
    if index.dtype.kind not in "iu" or any(arrays[key].dtype.kind not in "iuf" for key in ("x", "y")):
        kinds = ", ".join(str(arrays[key].dtype) for key in ("img", "x", "y"))
        raise ValueError(f"{file}: img must be integers, and x and y numbers, got {kinds}.")
    if index.size and not (index.min() >= 0 and index.max() < len(names)):
        raise ValueError(f"{file}: img must be in 0..{len(names) - 1}, got {index.min()}..{index.max()}.")
    key, shapes = ("size_wh", [(2,)]) if "size_wh" in arrays else ("sizes_wh", [(2,), (len(names), 2)])
    sizes = arrays[key]
    if sizes.shape not in shapes or sizes.dtype.kind not in "iuf" or not ((sizes >= 1) & (sizes < 2**31)).all():
        raise ValueError(
            f"{file}: {key} must be (width, height) in pixels of shape {' or '.join(map(str, shapes))}, got "
            f"{sizes.dtype} {sizes.shape}{f' of {sizes.min()}..{sizes.max()}' if sizes.size else ''}."
        )


def _load_arrays(file: pathlib.Path) -> dict[str, np.ndarray]:
    with report_unreadable(file, "an npz archive"):
        check_arrays(file)
        rows = max((math.prod(shape) for shape in npz_arrays(file).values()), default=0)
        check_expansion(
            file, _BYTES_PER_FIXATION * rows, file.stat().st_size, f" when {rows:,} fixations are read", ALWAYS
        )
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    missing = [key for key in ("names", "img", "x", "y") if key not in arrays]
    if "size_wh" not in arrays and "sizes_wh" not in arrays:
        missing.append("size_wh or sizes_wh")
    if missing:
        raise ValueError(f"{file} must have the arrays {', '.join(missing)}, got {', '.join(arrays) or 'none'}.")
    return arrays
