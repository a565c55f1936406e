"""Read gaze from one compact ``fixations.npz``: flat arrays, one row a fixation, with the images beside it.

Keys: ``names`` (files of the images), ``img`` (index into them), ``x``, ``y``, optionally ``subject``, and the size of
the stimuli (width, height) on which the coordinates lie: ``size_wh`` for all, as OSIE and the crowd data have it, with
their authors' coordinates that count from 1; or ``sizes_wh`` for each image, as SALICON has it, counting from 0.
"""

import functools
import pathlib
from collections.abc import Callable

import numpy as np

from kerasal.datasets.gaze_types import Points


def read_npz(file: pathlib.Path) -> list[tuple[str, Callable[[], Points]]]:
    """Return (image file name, function that reads its ``Points``) for each name in the file's order.

    Authors of coordinates from 1 take round(x) as the pixel, so pixel k covers x in [k - .5, k + .5); with x - .5 it
    covers [k - 1, k), which is pixel k - 1 counted from 0.

    Raises:
        ValueError: keys are missing, or the arrays do not fit together.
    """
    arrays = _load(file)
    names = [str(name) for name in arrays["names"]]
    rows = {arrays[key].shape for key in ("img", "x", "y")}
    index = arrays["img"].astype(np.int64)
    if len(rows) != 1 or index.ndim != 1:
        raise ValueError(f"{file}: expected img, x and y of one length, received {sorted(rows)}.")
    if index.size and not (index.min() >= 0 and index.max() < len(names)):
        raise ValueError(f"{file}: expected img below {len(names)}, received {index.min()}..{index.max()}.")
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


def _load(file: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except Exception as error:  # zip, zlib, NumPy: each has its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{file} cannot be read as an npz archive: {reason}") from error
    missing = [key for key in ("names", "img", "x", "y") if key not in arrays]
    if "size_wh" not in arrays and "sizes_wh" not in arrays:
        missing.append("size_wh or sizes_wh")
    if missing:
        raise ValueError(f"{file}: expected the arrays {', '.join(missing)}, received {', '.join(arrays) or 'none'}.")
    return arrays
