"""The mean of photographs, as a model takes them: a start for ``kerasal maximize --init``."""

import pathlib
from typing import Any

from kerasal.cli.session import remark

NAMED = ("normal", "zero", "mean")


def start_of(text: str | None, opened, size: tuple[int, int] | None = None) -> Any:
    """Return what ``maximize`` takes as ``init``: one of its names, or model inputs (H, W, C) made of photographs.

    Raises:
        FileNotFoundError: neither a name nor a file or folder.
        ValueError: no photograph that can be read, or a model whose pixel convention is not known.
    """
    if text is None or text in NAMED:
        return text
    if not pathlib.Path(text).exists():
        raise FileNotFoundError(f"--init is {', '.join(NAMED)}, or a photograph or a folder of them. Received: {text}.")
    import numpy as np

    from kerasal import images

    if opened.preprocessing is None:
        raise ValueError("A start from photographs needs --preprocessing.")
    size, channels = size or opened.size(), opened.shape()[2] or 3
    total, count, skipped = np.zeros((*size, 3)), 0, []
    for file, result in images.read_ahead(images.read, images.find_files([text])):
        try:
            total += images.crop_square(result.result(), size)
            count += 1
        except (ValueError, OSError) as error:
            skipped.append(f"{file.name} ({error})")
    if not count:
        raise ValueError(f"None of the photographs in {text} can be read. The first: {skipped[0]}")
    remark(f"Start: the mean of {count} photographs." + (f" Left out: {', '.join(skipped[:5])}." if skipped else ""))
    mean = np.round(total / count).astype(np.uint8)
    return opened.preprocessing.apply(images.to_channels(mean, channels))
