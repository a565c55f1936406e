"""Checks of what a user passes that many parts of the package share."""

from typing import Any

import numpy as np


def refuse_mask(value: Any, what: str) -> None:
    """Refuse a masked array in which something is masked: its mask would be lost, and the hidden values would count.

    A list or tuple of such arrays is looked into. ``what`` is the name of the argument.

    Raises:
        ValueError: some values are masked.
    """
    for one in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(one, np.ma.MaskedArray) and np.ma.is_masked(one):
            raise ValueError(
                f"{what} must have no masked values, got {np.ma.count_masked(one)} of {one.size} masked. Fill them "
                "first: array.filled(value)."
            )
