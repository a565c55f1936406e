"""Read gaze from one compact ``fixations.npz``: flat arrays, one row a fixation, with the images beside it.

Keys: ``names`` (files of the images), ``img`` (index into them), ``x``, ``y``, optionally ``subject``, and the size of
the stimuli (width, height) on which the coordinates lie: ``size_wh`` for all, as OSIE and the crowd data have it, with
their authors' coordinates that count from 1; or ``sizes_wh`` for each image, as SALICON has it, counting from 0.
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

_ROW = 48
"""Bytes of memory that a fixation takes, whatever the type of its numbers in the file."""


def read_npz(file: pathlib.Path) -> list[tuple[str, Callable[[], Points]]]:
    """Return (image file name, function that reads its ``Points``) for each name in the file's order.

    Authors of coordinates from 1 take round(x) as the pixel, so pixel k covers x in [k - .5, k + .5); with x - .5 it
    covers [k - 1, k), which is pixel k - 1 counted from 0.
    """
    arrays = _load(file)
    _check(file, arrays)
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in arrays["names"]]
    index = arrays["img"].astype(np.int64)
    from_one = "size_wh" in arrays
    xy = np.stack([arrays["x"], arrays["y"]], axis=1).astype(np.float64) - 0.5 * from_one
    whole = not from_one and bool((xy == np.floor(xy)).all())
    order = np.argsort(index, kind="stable")
    bounds = np.searchsorted(index[order], np.arange(len(names) + 1))
    subject = arrays.get("subject")
    frames = np.broadcast_to(arrays["size_wh" if from_one else "sizes_wh"], (len(names), 2))

    def points(number: int) -> Points:
        mine = order[bounds[number] : bounds[number + 1]]
        width, height = (int(side) for side in frames[number])
        return Points(xy[mine], (height, width), None if subject is None else subject[mine], whole)

    return [(name, functools.partial(points, number)) for number, name in enumerate(names)]


def _check(file: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    """Refuse arrays that do not fit together, or hold something else than they are for."""
    names, index = arrays["names"], arrays["img"]
    if names.ndim != 1 or names.dtype.kind not in "USiu":
        raise ValueError(f"{file}: expected names as (N,) texts, received {names.dtype} {names.shape}.")
    rows = {key: arrays[key].shape for key in ("img", "x", "y", "subject") if key in arrays}
    if len(set(rows.values())) != 1 or index.ndim != 1:
        raise ValueError(f"{file}: expected {', '.join(rows)} of one length, received {sorted(set(rows.values()))}.")
    if index.dtype.kind not in "iu" or any(arrays[key].dtype.kind not in "iuf" for key in ("x", "y")):
        kinds = ", ".join(str(arrays[key].dtype) for key in ("img", "x", "y"))
        raise ValueError(f"{file}: expected whole numbers in img and numbers in x and y, received {kinds}.")
    if index.size and not (index.min() >= 0 and index.max() < len(names)):
        raise ValueError(f"{file}: expected img below {len(names)}, received {index.min()}..{index.max()}.")
    key, shapes = ("size_wh", [(2,)]) if "size_wh" in arrays else ("sizes_wh", [(2,), (len(names), 2)])
    sizes = arrays[key]
    if sizes.shape not in shapes or sizes.dtype.kind not in "iuf" or not ((sizes >= 1) & (sizes < 2**31)).all():
        raise ValueError(
            f"{file}: expected {key} as (width, height) in pixels, of shape {' or '.join(map(str, shapes))}, received "
            f"{sizes.dtype} {sizes.shape}{f' of {sizes.min()}..{sizes.max()}' if sizes.size else ''}."
        )


def _load(file: pathlib.Path) -> dict[str, np.ndarray]:
    with report_unreadable(file, "an npz archive"):
        check_arrays(file)
        rows = max((math.prod(shape) for shape in npz_arrays(file).values()), default=0)
        check_expansion(file, _ROW * rows, file.stat().st_size, f" when {rows:,} fixations are read", ALWAYS)
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    missing = [key for key in ("names", "img", "x", "y") if key not in arrays]
    if "size_wh" not in arrays and "sizes_wh" not in arrays:
        missing.append("size_wh or sizes_wh")
    if missing:
        raise ValueError(f"{file}: expected the arrays {', '.join(missing)}, received {', '.join(arrays) or 'none'}.")
    return arrays
