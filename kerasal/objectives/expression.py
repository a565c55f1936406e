"""The expression tree of an objective: a hashable structure and the arrays that are its parameters."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kerasal.checks import refuse_mask

LARGEST_INDEX = np.iinfo(np.int32).max  # a larger index would overflow to that of another class
COMBINING = {"add": "+", "multiply": "*", "divide": "/"}
# Leaves that read the selected output. "output" and "box" name the outputs that they read; all others name a layer.
_ON_OUTPUT = ("class", "top", "negative", "region", "similarity", "callable")


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """A score of a model to explain or maximize; objectives and numbers combine with ``+``, ``-``, ``*`` and ``/``.

    Attributes:
        structure: the expression tree, as nested tuples of names; objectives with the same structure share a trace.
        parameters: arrays with the indices and factors of its leaves, with a single row or a row per image.
        description: the objective as text.
        functions: the functions that the objective calls, which the structure references weakly.
    """

    structure: tuple
    parameters: tuple[np.ndarray, ...]
    description: str
    functions: tuple = ()

    def __add__(self, other):
        return _combine("add", self, other, "+")

    __radd__ = __add__

    def __sub__(self, other):
        return self + -1.0 * _as_objective(other)

    def __rsub__(self, other):
        return _as_objective(other) - self

    def __mul__(self, other):
        return _combine("multiply", self, other, "*")

    __rmul__ = __mul__

    def __truediv__(self, other):
        return _combine("divide", self, other, "/")

    def __rtruediv__(self, other):
        return _combine("divide", other, self, "/")

    def __neg__(self):
        return -1.0 * self

    def __repr__(self):
        return self.description

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers whose outputs the objective reads."""
        return layers_of(self.structure)

    @property
    def needs_output(self) -> bool:
        """Whether the objective reads an output of the model, in addition to or in place of layers."""
        return bool(output_kinds(self.structure)) or names_outputs(self.structure)

    @property
    def batch(self) -> int | None:
        """The number of images that the parameters fit; None if they fit any number."""
        sizes = {len(parameter) for parameter in self.parameters} - {1}
        if len(sizes) > 1:
            raise ValueError(f"objectives that are combined must fit the same number of images, got {sorted(sizes)}.")
        return sizes.pop() if sizes else None

    @property
    def loops_over_batch(self) -> bool:
        """Whether scoring needs a static batch size: the scores of tf-keras-vis loop over images in Python."""
        return any(function.loops_over_batch for function in functions_of(self.structure))

    def rows(self, start: int, stop: int) -> list[np.ndarray]:
        """Return the parameters of the images ``start`` (inclusive) to ``stop`` (exclusive)."""
        return [parameter if len(parameter) == 1 else parameter[start:stop] for parameter in self.parameters]


def stack(objectives: Sequence[Objective]) -> Objective:
    """Return objectives of the same structure as a single objective with a row of parameters per image.

    Args:
        objectives: an objective per image; they may differ in channels, classes and factors only.

    Raises:
        ValueError: the objectives differ in their structure, or any of them has parameters for several images.
    """
    if len({objective.structure for objective in objectives}) != 1:
        if len({_without_functions(objective.structure) for objective in objectives}) == 1:
            raise ValueError(
                "objectives of a list must share their functions, got different functions in the same place. Define "
                "each function once, outside of the list, and pass it to all objectives."
            )
        raise ValueError(
            "objectives must differ only in their channels, classes or factors, got "
            + ", ".join(dict.fromkeys(str(objective.structure) for objective in objectives))
        )
    columns = list(zip(*(objective.parameters for objective in objectives), strict=True))
    for column in columns:
        sizes = dict.fromkeys(parameter.shape[1:] for parameter in column)
        if len(sizes) > 1:
            raise ValueError(
                "objectives of a list must have masks, vectors and positions of one size, got "
                f"{' and '.join(map(str, sizes))}. Resize them to the output of the model."
            )
    parameters = tuple(np.concatenate(column) for column in columns)
    if len(objectives) > 1 and any(len(column) != len(objectives) for column in parameters):
        raise ValueError("Each objective of a list must be for a single image, got an objective for several images.")
    description = shorten([objective.description for objective in objectives])
    functions = tuple(function for objective in objectives for function in objective.functions)
    return Objective(objectives[0].structure, parameters, description, functions)


def _without_functions(structure: Any) -> Any:
    if isinstance(structure, tuple):
        return tuple(map(_without_functions, structure))
    return "function" if callable(structure) else structure


def _combine(kind: str, left, right, sign: str) -> Objective:
    left, right = _as_objective(left), _as_objective(right)
    description = f"({left.description} {sign} {right.description})"
    structure, parameters = (kind, left.structure, right.structure), left.parameters + right.parameters
    return Objective(structure, parameters, description, left.functions + right.functions)


def _as_objective(value) -> Objective:
    if isinstance(value, Objective):
        return value
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return Objective(("constant",), (np.array([value], np.float32),), f"{value:g}")
    raise TypeError(f"An objective must be combined with objectives or numbers, got {value!r}.")


def shorten(values) -> str:
    if not isinstance(values, (list, tuple, np.ndarray)):
        return str(values)
    shown = ", ".join(str(value) for value in values[:3])
    return shown if len(values) <= 3 else f"{shown}, … ({len(values)})"


def check_indices(index) -> np.ndarray:
    """Return the index of a class or channel, or one per image, as int32 (1,) or (N,).

    Raises:
        TypeError: it is not an integer or a sequence of integers.
        ValueError: an index is negative or at least 2**31.
    """
    refuse_mask(index, "A class or channel index")
    array = np.atleast_1d(np.asarray(index))
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        raise TypeError(f"A class or channel index must be an integer, or one integer per image, got {index!r}.")
    if array.min() < 0:
        raise ValueError(f"A class or channel index must be at least 0, got {index!r}.")
    if array.max() > LARGEST_INDEX:
        raise ValueError(f"A class or channel index must be below 2**31, got {array.max()}.")
    return array.astype(np.int32)


def layers_of(structure: tuple) -> tuple[str, ...]:
    """Return the names of the layers whose outputs a structure reads."""
    names = (node[1] for node in walk(structure) if node[0] != "box" and len(node) > 1)
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def output_kinds(structure: tuple) -> set[str]:
    """Return the kinds of the leaves of a structure that read the selected output of the model."""
    if structure[0] in COMBINING:
        return output_kinds(structure[1]) | output_kinds(structure[2])
    kind, *names = structure
    return {kind} if kind in _ON_OUTPUT and not (kind == "similarity" and names) else set()


def names_outputs(structure: tuple) -> bool:
    """Return whether a structure reads outputs of the model by their names."""
    if structure[0] in COMBINING:
        return names_outputs(structure[1]) or names_outputs(structure[2])
    return structure[0] in ("output", "box")


def scored_outputs(structure: tuple) -> set[str | int]:
    """Return the names or positions of the outputs that a structure reads as scores, unlike the outputs of a box."""
    if structure[0] in COMBINING:
        return scored_outputs(structure[1]) | scored_outputs(structure[2])
    return {structure[1]} if structure[0] == "output" else set()


def functions_of(structure: tuple) -> list:
    """Return the references to functions in a structure."""
    nodes = [part for node in walk(structure) for part in node[1:]]
    return [part for part in nodes if callable(part)]


def walk(structure: tuple) -> Iterator[tuple[Any, ...]]:
    """Yield the leaves of a structure: its formulas and constants, also those on outputs with a name."""
    if structure[0] in COMBINING:
        yield from walk(structure[1])
        yield from walk(structure[2])
    elif structure[0] == "output":
        yield from walk(structure[2])
    else:
        yield structure
