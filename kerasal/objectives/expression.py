"""The expression tree that an objective is: a hashable structure and the arrays that fill it."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """An expression tree (``structure``, hashable) and its ``parameters``: arrays of one row, or one an image."""

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
        """The names of the layers whose outputs the objective needs."""
        return layers_of(self.structure)

    @property
    def needs_output(self) -> bool:
        """Whether the objective looks at the model's output, and not at its layers alone."""
        return needs_output(self.structure)

    @property
    def batch(self) -> int | None:
        """How many images the parameters are for, or None if they fit any number."""
        sizes = {len(parameter) for parameter in self.parameters} - {1}
        if len(sizes) > 1:
            raise ValueError(
                f"An objective's parts are for different numbers of images: {sorted(sizes)}. Expected one number."
            )
        return sizes.pop() if sizes else None

    @property
    def loops_over_batch(self) -> bool:
        """Whether scoring needs to know the number of images: tf-keras-vis' scores loop over them in Python."""
        return any(node[0] == "callable" and node[1].loops_over_batch for node in walk(self.structure))

    def rows(self, start: int, stop: int) -> list[np.ndarray]:
        """Return the parameters of the images from ``start`` to ``stop``."""
        return [parameter if len(parameter) == 1 else parameter[start:stop] for parameter in self.parameters]


def stack(objectives: Sequence[Objective]) -> Objective:
    """Join objectives of one structure into one objective with a row an image.

    Raises:
        ValueError: the objectives differ in more than their parameters.
    """
    if len({objective.structure for objective in objectives}) != 1:
        raise ValueError(
            "Objectives in one batch must differ only in their channels, classes or factors. Received: "
            + ", ".join(dict.fromkeys(str(objective.structure) for objective in objectives))
        )
    columns = zip(*(objective.parameters for objective in objectives), strict=True)
    parameters = tuple(np.concatenate(column) for column in columns)
    if len(objectives) > 1 and any(len(column) != len(objectives) for column in parameters):
        raise ValueError("Each objective in a list is for one image; received one that is itself for several.")
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
    raise TypeError(f"An objective combines with objectives and numbers. Received: {value!r}.")


def shorten(values) -> str:
    if not isinstance(values, (list, tuple, np.ndarray)):
        return str(values)
    shown = ", ".join(str(value) for value in values[:3])
    return shown if len(values) <= 3 else f"{shown}, … ({len(values)})"


def layers_of(structure: tuple) -> tuple[str, ...]:
    """Return the names of the layers whose outputs a structure needs."""
    return tuple(dict.fromkeys(node[1] for node in walk(structure) if len(node) > 1 and isinstance(node[1], str)))


def needs_output(structure: tuple) -> bool:
    """Tell whether a structure looks at the model's output, and not at its layers alone."""
    return any(node[0] in ("class", "top", "callable") for node in walk(structure))


def walk(structure: tuple):
    """Yield the leaves of a structure: its formulas and constants."""
    if structure[0] in ("add", "multiply"):
        yield from walk(structure[1])
        yield from walk(structure[2])
    else:
        yield structure
