"""The expression tree of an objective: a hashable structure and the arrays that are its parameters."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """A score of a model to explain or maximize; objectives and numbers combine with ``+``, ``-`` and ``*``.

    Attributes:
        structure: the expression tree, as nested tuples of names; objectives with the same structure share a trace.
        parameters: arrays with the indices and factors of its leaves, with a single row or a row per image.
        description: the objective as text.
    """

    structure: tuple
    parameters: tuple[np.ndarray, ...]
    description: str

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
        """Whether the objective reads the model's output, in addition to or in place of layers."""
        return needs_output(self.structure)

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
        return any(node[0] == "callable" and node[1].loops_over_batch for node in walk(self.structure))

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
        raise ValueError(
            "objectives must differ only in their channels, classes or factors, got "
            + ", ".join(dict.fromkeys(str(objective.structure) for objective in objectives))
        )
    columns = zip(*(objective.parameters for objective in objectives), strict=True)
    parameters = tuple(np.concatenate(column) for column in columns)
    if len(objectives) > 1 and any(len(column) != len(objectives) for column in parameters):
        raise ValueError("Each objective of a list must be for a single image, got an objective for several images.")
    return Objective(objectives[0].structure, parameters, shorten([objective.description for objective in objectives]))


def _combine(kind: str, left, right, sign: str) -> Objective:
    left, right = _as_objective(left), _as_objective(right)
    description = f"({left.description} {sign} {right.description})"
    return Objective((kind, left.structure, right.structure), left.parameters + right.parameters, description)


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


def layers_of(structure: tuple) -> tuple[str, ...]:
    """Return the names of the layers whose outputs a structure reads."""
    return tuple(dict.fromkeys(node[1] for node in walk(structure) if len(node) > 1 and isinstance(node[1], str)))


def needs_output(structure: tuple) -> bool:
    """Return whether a structure reads the model's output."""
    return any(node[0] in ("class", "top", "callable") for node in walk(structure))


def walk(structure: tuple):
    """Yield the leaves of a structure: its formulas and constants."""
    if structure[0] in ("add", "multiply"):
        yield from walk(structure[1])
        yield from walk(structure[2])
    else:
        yield structure
