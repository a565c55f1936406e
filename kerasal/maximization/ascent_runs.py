"""All objectives through the compiled loop: in batches, each in segments between which the progress is told."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasal.hooks.trace import traced
from kerasal.hooks.view import Settings
from kerasal.maximization.ascent import ascend
from kerasal.maximization.diversity import Diversity
from kerasal.maximization.parameterization import Fourier, Pixels
from kerasal.maximization.recipe import Recipe
from kerasal.objectives.expression import Objective, stack
from kerasal.progress import progress_bar

# The loop is compiled; between its segments the progress bar moves and Ctrl-C is heard.
_SEGMENTS = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What all batches of one call share."""

    model: Any
    recipe: Recipe
    parameterization: Pixels | Fourier
    grey_level: np.ndarray
    diversity: Diversity
    output: str | int | None
    logits: bool
    seed: int
    batch_size: int
    progress: bool

    def __call__(self, objectives: Sequence[Objective], start: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ascend each objective from its parameters ``start``; return images, scores (N, steps + 1) and liveness."""
        found: list = [None] * len(objectives)
        groups = _groups(objectives, self.diversity.copies, self.batch_size)
        with progress_bar("Maximising", len(groups) * self.recipe.steps, self.progress) as advance:
            for group in groups:
                rows = self._ascended([objectives[i] for i in group], start[group], advance)
                for i, *row in zip(group, *rows, strict=True):
                    found[i] = row
        images, scores, alive = map(np.stack, zip(*found, strict=True))
        return images, scores, alive

    def _ascended(self, objectives: list[Objective], parameters: np.ndarray, advance: Callable[[int], None]):
        objective, steps = stack(objectives), self.recipe.steps
        velocity, scores, alive = np.zeros_like(parameters), [], np.zeros(len(parameters), bool)
        done = 0
        while done < steps:
            count = min(max(1, steps // _SEGMENTS), steps - done)
            parameters, velocity, images, segment, lives = self._call(objective, parameters, velocity, count, done)
            scores.append(segment)
            _check_finite(objectives, images, segment, done)
            alive |= lives > 0
            done += count
            advance(count)
        final = self._call(objective, parameters, velocity, 1, done)[3]  # only for the score after the last step
        return images, np.concatenate([*scores, final], axis=1), alive

    def _call(self, objective, parameters, velocity, steps, done):
        row = np.float32([steps, self.recipe.step_size, self.recipe.momentum, done, self.seed % 2**24])
        chunk = [parameters, velocity, np.tile(row, (len(parameters), 1))]
        settings = Settings(self.output, self.logits, any_size=not objective.needs_output)
        trace = traced(ascend, self.model, chunk, objective, settings, self._options(), declared=False)
        trace.check(objective)
        return trace(chunk, list(objective.parameters))

    def _options(self) -> dict[str, Any]:
        return {
            "parameterization": self.parameterization,
            "grey_level": self.grey_level,
            "regularizers": self.recipe.regularizers,
            "transforms": self.recipe.transforms,
            "normalize": self.recipe.normalize,
            "diversity": self.diversity,
        }


def _check_finite(objectives: Sequence[Objective], images: np.ndarray, scores: np.ndarray, done: int) -> None:
    bad = ~(np.isfinite(images).reshape(len(images), -1).all(axis=1) & np.isfinite(scores).all(axis=1))
    if bad.any():
        rows = np.flatnonzero(bad)
        raise ValueError(
            f"{objectives[rows[0]]!r}"
            + (f" and {len(rows) - 1} more" if len(rows) > 1 else "")
            + f": the score or the image became NaN or infinite between steps {done} and {done + scores.shape[1]}. "
            "Take a smaller step_size, or float32 instead of float16; if so from step 0, look at the model's weights."
        )


def _groups(objectives: Sequence[Objective], copies: int, batch_size: int) -> list[list[int]]:
    """Put together what one trace can run: objectives of one structure, all copies of each, as many as fit."""
    by_structure: dict[tuple, list[int]] = {}
    for i, objective in enumerate(objectives):
        by_structure.setdefault(objective.structure, []).append(i)
    size = max(1, batch_size // copies) * copies
    return [same[i : i + size] for same in by_structure.values() for i in range(0, len(same), size)]
