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
    from kerasal.models.image_sources import mean_input

    mean, count, skipped = mean_input([text], opened.image_model, size)
    remark(f"Start: the mean of {count} photographs." + (f" Left out: {', '.join(skipped[:5])}." if skipped else ""))
    return mean
