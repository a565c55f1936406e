"""Checks of arguments that the whole package shares. NumPy numbers are accepted; booleans do not count as numbers.

Each function returns the value, or raises a ValueError of the form "``name`` must be …, or ``none``, got ….
``remedy``".
"""

import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np


def is_int(value: Any) -> bool:
    """Return whether a value is a Python or NumPy integer and not a boolean."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_int(
    name: str, value: Any, minimum: int = 1, maximum: int | None = None, *, none: str = "", remedy: str = ""
) -> int:
    """Return an integer of at least ``minimum`` and, if given, at most ``maximum``."""
    if is_int(value) and minimum <= value and (maximum is None or value <= maximum):
        return int(value)
    if maximum is not None:
        wanted = f"an integer in {minimum}..{maximum}"
    else:
        wanted = {0: "0 or a positive integer", 1: "a positive integer"}.get(
            minimum, f"an integer of at least {minimum}"
        )
    raise _make_error(name, wanted, value, none, remedy)


def check_number(
    name: str,
    value: Any,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    none: str = "",
    remedy: str = "",
) -> float:
    """Return a finite number; ``minimum`` and ``maximum`` are inclusive, ``above`` and ``below`` exclusive bounds."""
    bounds = {"of at least": minimum, "above": above, "at most": maximum, "below": below}
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value):
        number = cast(float, value)  # NumPy numbers and fractions compare like floats
        in_range = (minimum is None or number >= minimum) and (above is None or number > above)
        if in_range and (maximum is None or number <= maximum) and (below is None or number < below):
            return float(number)
    limits = " and ".join(f"{word} {limit:g}" for word, limit in bounds.items() if limit is not None)
    if minimum is not None and maximum is not None:
        limits = f"in {minimum:g}..{maximum:g}"
    raise _make_error(name, f"a finite number {limits}".rstrip(), value, none, remedy)


def check_choice(name: str, value: Any, choices: Iterable[str], *, remedy: str = "") -> str:
    """Return ``value`` if it is among ``choices``; the error lists them."""
    words = list(choices)
    if isinstance(value, str) and value in words:
        return value
    raise _make_error(name, f"one of {', '.join(words)}", value, "", remedy)


def check_size(name: str, value: Any, sides: Sequence[str] = ("height", "width"), *, none: str = "") -> tuple[int, ...]:
    """Return a size as a tuple of positive integers, by default (height, width)."""
    if np.ndim(value) == 1 and len(value) == len(sides) and all(is_int(side) and side > 0 for side in value):
        return tuple(map(int, value))
    count = {2: "two", 3: "three"}[len(sides)]
    raise _make_error(name, f"({', '.join(sides)}), {count} positive integers", value, none, "")


def check_range(name: str, value: Any) -> tuple[float, float]:
    """Return a range as (lowest, highest), two finite numbers of which the second is larger."""
    if np.ndim(value) == 1 and len(value) == 2:
        low, high = value
        if all(isinstance(bound, numbers.Real) and math.isfinite(bound) for bound in value) and low < high:
            return float(low), float(high)
    raise _make_error(name, "(lowest, highest), two finite numbers, the second larger", value, "", "")


def refuse_mask(value: Any, what: str) -> None:
    """Raise ValueError for a NumPy masked array with masked values, or a list of such arrays.

    Later computations would ignore the mask and use the masked values. ``what`` is the name of the argument.
    """
    for array in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
            raise ValueError(
                f"{what} must have no masked values, got {np.ma.count_masked(array)} of {array.size} masked. Fill them "
                "first: array.filled(value)."
            )


def _make_error(name: str, wanted: str, value: Any, none: str, remedy: str) -> ValueError:
    alternative = f", or {none}" if none else ""
    return ValueError(f"{name} must be {wanted}{alternative}, got {value!r}. {remedy}".rstrip())
