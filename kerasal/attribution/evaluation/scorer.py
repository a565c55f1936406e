"""The scores of changed inputs; a changed input that was scored before is not run again."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal.attribution.perturbation.masked_scores import TIMES_MORE
from kerasal.attribution.perturbation.partition import Regions, make_regions
from kerasal.checks import check_int, check_number, refuse_mask
from kerasal.digests import digest
from kerasal.hooks.engine import fixed_target, target_scores
from kerasal.hooks.model_inputs import chunk_size, conform
from kerasal.hooks.positions import channel_axes
from kerasal.hooks.state import state_rows
from kerasal.objectives.expression import functions_of
from kerasal.objectives.targets import resolve

import keras


class Scorer:
    """A model, inputs (N, …) and the score that is measured, shared by metrics so that no pass runs twice.

    The score is by default the probability of the top class of the unchanged input.

    Args:
        model: any built Keras model with a single input.
        inputs: model inputs, as for the methods; also integer tokens (N, T).
        target: score to measure, as for the methods; by default each image's top class.
        output: name or position of the output to measure, for a model with several outputs.
        logits: measure the score before the last softmax or sigmoid. By default the probability is measured.
        batch_size: number of inputs run at once; by default the fastest number that needs little memory.
        advance: called with the number of scored inputs, for a progress bar.

    Raises:
        ValueError: the model has several inputs, or the inputs do not fit.
    """

    def __init__(
        self,
        model: keras.Model,
        inputs: Any,
        target: Any = None,
        *,
        output: str | int | None = None,
        logits: bool = False,
        batch_size: int | None = None,
        advance: Callable[[int], None] | None = None,
    ):
        arrays = conform(model, inputs, integers=True)
        if len(arrays) != 1:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ValueError(f"model must have a single input to change, got {len(arrays)}: {shapes}.")
        self.model, self.inputs = model, arrays[0]
        self.channels = channel_axes(model, [self.inputs.shape])[0]
        self._settings = {"output": output, "logits": logits}
        self.target = fixed_target(model, arrays, target, output=output, batch_size=batch_size)
        self._objective = resolve(self.target, len(self.inputs))
        self._repeatable = state_rows(model) is None and not functions_of(self._objective.structure)
        self._batch = batch_size or TIMES_MORE * chunk_size(arrays)
        self._advance = advance or (lambda count: None)
        self._known: dict[tuple[int, str], float] = {}
        self._drops: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.passes = 0  # forward passes of an input so far

    @property
    def positions(self) -> tuple[int, ...]:
        """The shape of a map: the axes of an input without its channels."""
        return tuple(size for axis, size in enumerate(self.inputs.shape) if axis not in (0, self.channels))

    @property
    def is_ordered(self) -> bool:
        """Whether neighboring positions belong together: not in features (N, F) and integer tokens."""
        return self.inputs.ndim > 2 and self.inputs.dtype.kind not in "iu"

    @property
    def clean(self) -> np.ndarray:
        """The scores of the unchanged inputs, float64 (N,)."""
        return self.scores(1, lambda number, image: self.inputs[image])[0]

    def scores(self, count: int, change: Callable[[int, int], np.ndarray]) -> np.ndarray:
        """Return the scores of ``count`` changes of each input, float64 (count, N).

        ``change(number, image)`` returns the changed input of an image. A target that is a function, or a stateful
        layer, sees the whole batch, with the same number of change for each image.
        """
        images = len(self.inputs)
        results = np.empty((count, images))
        pairs = [(number, image) for image in range(images) for number in range(count)]
        if not self._repeatable:
            pairs = [(number, image) for number in range(count) for image in range(images)]
        size = self._batch if self._repeatable else images
        for start in range(0, len(pairs), size):
            batch = pairs[start : start + size]
            rows = [np.ascontiguousarray(change(*pair), self.inputs.dtype) for pair in batch]
            keys = [(image, digest(row)) for (_, image), row in zip(batch, rows, strict=True)]
            new = [place for place, key in enumerate(keys) if key not in self._known]
            if new and not self._repeatable:
                new = list(range(len(batch)))
            if new:
                places = [batch[place][1] for place in new]
                scored = self._run(np.stack([rows[place] for place in new]), np.array(places))
                self._known.update(zip([keys[place] for place in new], scored.tolist(), strict=True))
                self.passes += len(new)
            self._advance(len(batch))
            for (number, image), key in zip(batch, keys, strict=True):
                results[number, image] = self._known[key]
        return results

    def subset_drops(self, regions: Regions, size: int, samples: int, fill: np.ndarray, seed: int):
        """Return random subsets of regions, bool (samples, regions), and the drops of the score without them.

        The drops are float64 (samples, N). The same subsets serve all images and maps, so they are scored once.
        """
        key = digest(regions.labels, size, samples, seed, fill)
        if key not in self._drops:
            random = np.random.default_rng([seed, size])
            removed = np.zeros((samples, regions.count), bool)
            for row in removed:
                row[random.choice(regions.count, size, replace=False)] = True
            changed = self.scores(
                samples,
                lambda number, image: np.where(
                    self.expand(removed[number][regions.labels]), fill[image], self.inputs[image]
                ),
            )
            self._drops[key] = removed, self.clean - changed
        return self._drops[key]

    def regions(self, cells: int | tuple[int, ...] | None) -> Regions:
        """Return the regions that subsets remove: a grid of cells, or the positions of features and tokens."""
        return make_regions(self.positions, cells, ordered=self.is_ordered)

    def expand(self, mask: np.ndarray) -> np.ndarray:
        """Return a mask (*positions) with an axis for the channels of an input, if it has channels."""
        return mask if self.channels is None else np.expand_dims(mask, self.channels - 1)

    def fill(self, fill: Any) -> np.ndarray:
        """Return the values that replace removed positions, as an array of the shape of the inputs.

        Raises:
            ValueError: ``fill`` does not broadcast to the inputs, or is not an integer where the inputs are.
        """
        refuse_mask(fill, "fill")
        shape = self.inputs.shape
        try:
            filling = np.broadcast_to(np.asarray(fill, np.float32), shape)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"fill must be a number or an array that broadcasts to {shape}, got shape {np.shape(fill)}."
            ) from error
        if self.inputs.dtype.kind not in "iu":
            return filling
        whole = filling.astype(self.inputs.dtype)
        if not np.array_equal(whole, filling):
            raise ValueError(f"fill must hold integers for a model of tokens, got {fill!r}. Pass the index of a token.")
        return whole

    def read_maps(self, maps: Any) -> np.ndarray:
        """Return maps as float64 (N, *positions).

        Raises:
            ValueError: the maps have another shape than the inputs without channels, or are not finite.
        """
        return read_maps(maps, (len(self.inputs), *self.positions))

    def _run(self, changed: np.ndarray, images: np.ndarray) -> np.ndarray:
        objective = self._objective
        if self._repeatable:
            rows = tuple(part if len(part) == 1 else part[images] for part in objective.parameters)
            objective = dataclasses.replace(objective, parameters=rows)
        return target_scores(self.model, [changed], objective, batch_size=len(changed), **self._settings)


def read_maps(maps: Any, expected: tuple[int, ...] | None = None) -> np.ndarray:
    """Return maps as float64; raise a ValueError if they are not finite or have another shape than ``expected``."""
    refuse_mask(maps, "maps")
    array = np.asarray(maps, dtype=np.float64)
    bad = np.count_nonzero(~np.isfinite(array))
    if bad or array.ndim < 2 or 0 in array.shape or (expected is not None and array.shape != expected):
        shape = expected if expected is not None else "(N, *positions)"
        raise ValueError(
            f"maps must be finite and have the shape {shape}, got {array.shape} with {bad} non-finite values."
        )
    return array


def subset_size(share: float, count: int, name: str = "share") -> int:
    """Return the number of regions of a share, at least one and fewer than all.

    Raises:
        ValueError: the share is not above 0 and below 1, or there is a single region.
    """
    check_number(name, share, above=0, below=1, remedy="It is the share of the regions that a subset removes.")
    if count < 2:
        raise ValueError(f"inputs must have at least 2 regions to remove some of them, got {count}. Use more cells.")
    return min(count - 1, max(1, round(share * count)))


def check_samples(samples: int, fewest: int = 3) -> int:
    """Return the number of samples; raise a ValueError if it is too small for a correlation."""
    if check_int("samples", samples) < fewest:
        raise ValueError(f"samples must be at least {fewest}, got {samples}.")
    return samples
