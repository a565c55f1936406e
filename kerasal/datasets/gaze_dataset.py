"""Where people looked in a set of images: read when asked for, one image at a time, whatever files it comes from."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from kerasal.checks import check_choice
from kerasal.datasets.gaze_batches import to_tf_data
from kerasal.datasets.gaze_summary import describe_gaze
from kerasal.datasets.gaze_types import Density, FixationMap, Points, Shape, Stimulus, density_of, stimuli_of
from kerasal.images.drawings import resize
from kerasal.metrics.blur import blur_fixations, sigma_of
from kerasal.names import abbreviate, unknown_name_message

SIGMA = 0.03
"""The default blur, as a share of the image's width: OSIE's authors took 24 of 800, the coursework 19 of 640 pixels."""


class GazeDataset:
    """Images with the fixations on them, densities, or both. ``open_gaze`` makes one from files.

    Coordinates are (x, y), 0-based, in pixels of ``image(i)``; their whole part is the pixel. A position may be given
    by number or by name. Nothing is read before it is asked for, and every error names the image.

    Args:
        images: files, or uint8 arrays (H, W, 3) or (H, W).
        fixations: for each image coordinates (n, 2) or a map of counts (H, W), or a function without arguments that
            returns one, or ``None``.
        densities: for each image a map (H, W) at least 0, or a function that returns one, or ``None``.
        names: of the images; by default the files' names without suffix, or numbers.
        outside: what is done with fixations more than a pixel outside their image: "error", or "drop".

    Raises:
        ValueError: no images, another number of fixations, densities or names, two images of one name, or an image
            without either fixations or a density.
    """

    def __init__(
        self,
        images: Sequence,
        fixations: Sequence | None = None,
        densities: Sequence | None = None,
        names: Sequence[str] | None = None,
        *,
        outside: str = "error",
    ):
        self._set(stimuli_of(images, fixations, densities, names), outside)

    @classmethod
    def of(cls, stimuli: Iterable[Stimulus], *, outside: str = "error") -> "GazeDataset":
        """Return the data set of ``stimuli``."""
        data = cls.__new__(cls)
        data._set(list(stimuli), outside)
        return data

    def _set(self, stimuli: list[Stimulus], outside: str) -> None:
        check_choice("outside", outside, ("error", "drop"))
        if not stimuli:
            raise ValueError("A gaze data set needs at least one image; received none.")
        self._stimuli, self.outside = stimuli, outside
        self._position = {stimulus.name: index for index, stimulus in enumerate(stimuli)}
        self._arrays: dict = {}
        if len(self._position) < len(stimuli):
            names = [stimulus.name for stimulus in stimuli]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"Two images are named {twice!r}; expected a name of its own for each.")
        bare = [stimulus.name for stimulus in stimuli if stimulus.fixations is None and stimulus.density is None]
        if bare:
            raise ValueError(f"{len(bare)} images have neither fixations nor a density: {abbreviate(bare)}.")

    def __len__(self) -> int:
        return len(self._stimuli)

    def __repr__(self) -> str:
        return f"<GazeDataset of {len(self)} images, {self.names[0]} to {self.names[-1]}>"

    @property
    def names(self) -> list[str]:
        """The images' names."""
        return [stimulus.name for stimulus in self._stimuli]

    @functools.cached_property
    def sizes(self) -> list[Shape]:
        """The images' (H, W), from the heads of their files."""
        return [self._read_named(stimulus, stimulus.shape) for stimulus in self._stimuli]

    def stimulus(self, which: int | str) -> Stimulus:
        """Return an image's entry by number or name.

        Raises:
            ValueError: there is no such image.
        """
        if isinstance(which, str):
            if which not in self._position:
                raise ValueError(unknown_name_message(which, self._position, "image"))
            return self._stimuli[self._position[which]]
        if not -len(self) <= which < len(self):
            raise ValueError(f"Expected the number of an image below {len(self)}, received {which}.")
        return self._stimuli[which]

    def image(self, which: int | str) -> np.ndarray:
        """Return an image, uint8 RGB (H, W, 3)."""
        return self._read_named(stimulus := self.stimulus(which), stimulus.pixels)

    def fixations(self, which: int | str) -> np.ndarray | None:
        """Return the fixations on an image, float32 (n, 2) (x, y) in its pixels; ``None`` where there are none known.

        Raises:
            ValueError: they cannot be read, or lie outside the image.
        """
        found = self._points(which)
        return None if found is None else found.xy

    def subjects(self, which: int | str) -> np.ndarray | None:
        """Return whose each fixation is, (n,) whole numbers; ``None`` where that is not known."""
        found = self._points(which)
        return None if found is None else found.subject

    def fixation_map(self, which: int | str, size: Shape | None = None, *, binary: bool = False) -> FixationMap:
        """Return how often each pixel was fixated, int32 counts of the image's or another ``size`` (H, W).

        Raises:
            ValueError: the image has no fixations.
        """
        stimulus, found = self.stimulus(which), self._points(which)
        if found is None or not len(found.xy):
            remedy = "leave it out with without_empty()." if found else "NSS and the AUCs need fixations."
            raise ValueError(f"Image {stimulus.name!r} has no fixations{'' if found else ', only a density'}; {remedy}")
        frame = found.frame or stimulus.shape()
        height, width = size or frame
        scale = np.array([width, height]) / np.array(frame[::-1])
        x, y = np.minimum((found.xy * scale).astype(int), np.array([width, height]) - 1).T
        counts = np.bincount(y * width + x, minlength=height * width).reshape(height, width).astype(np.int32)
        return (np.minimum(counts, 1) if binary else counts).view(FixationMap)

    def density(self, which: int | str, size: Shape | None = None, sigma: float | str | None = None) -> Density:
        """Return the density of fixations, float32 of the image's or another ``size`` (H, W).

        A density that the data set brings keeps its values (8-bit ones on 0..1); otherwise, or where a ``sigma`` is
        given, it is the blurred fixations (``metrics.blur_fixations``) divided by their maximum.

        Args:
            which: number or name.
            size: (H, W); areas are averaged when shrinking.
            sigma: standard deviation in the image's pixels, or a name in ``metrics.SIGMAS``; 3 % of its width unless
                given.

        Raises:
            ValueError: it is 0 everywhere or of another shape than the image, or there is nothing to blur.
        """
        stimulus = self.stimulus(which)
        stored = stimulus.density
        if stored is not None and sigma is None:
            values = self._read_named(stimulus, lambda: density_of(stored()))
            (rows, columns), (height, width) = values.shape, stimulus.shape()
            # the coursework's maps are squeezed into a square
            if stimulus.small is None and abs(rows * width - columns * height) > 0.02 * columns * height + width:
                raise ValueError(
                    f"Image {stimulus.name!r} is {height} x {width} but its density {rows} x {columns}, another shape "
                    "(height x width). Expected maps made for their images."
                )
        else:
            counts = self.fixation_map(which)
            width = SIGMA * counts.shape[1] if sigma is None else sigma_of(sigma)
            blurred = blur_fixations(np.asarray(counts), width, name=stimulus.name)
            values = (blurred / blurred.max()).astype(np.float32)
        return np.maximum(resize(values, size or stimulus.shape()), 0).view(Density)  # the cubic kernel dips below 0

    def subset(self, which: Iterable[int | str]) -> "GazeDataset":
        """Return the images of these numbers or names, in this order."""
        chosen = [self.stimulus(one if isinstance(one, str) else int(one)) for one in which]
        return GazeDataset.of(chosen, outside=self.outside)

    def joined(self, *others: "GazeDataset") -> "GazeDataset":
        """Return this set and then the others; images whose name is taken get their set's number before it: 2/1001."""
        taken, stimuli = set(), []
        for number, one in enumerate((self, *others), 1):
            for stimulus in one._stimuli:
                name = stimulus.name if stimulus.name not in taken else f"{number}/{stimulus.name}"
                stimuli.append(dataclasses.replace(stimulus, name=name))
            taken.update(stimulus.name for stimulus in stimuli)
        return GazeDataset.of(stimuli, outside=self.outside)

    def split(self, train: float = 0.9, seed: int = 0) -> tuple["GazeDataset", "GazeDataset"]:
        """Return two sets: a random share ``train`` of the images and the others, both in their present order.

        Raises:
            ValueError: one of the two would be empty.
        """
        first = round(len(self) * train)
        if not 0 < first < len(self):
            raise ValueError(f"train: {train} of {len(self)} images leaves one part empty. Expected 0 < train < 1.")
        order = np.random.default_rng(seed).permutation(len(self))
        return self.subset(np.sort(order[:first])), self.subset(np.sort(order[first:]))

    def empty(self) -> dict[str, str]:
        """Return name -> why for the images that have nothing to train on: no fixation, or an unusable density."""
        found = {}
        for stimulus in self._stimuli:
            try:
                if stimulus.density is not None:
                    density_of(stimulus.density())
                elif (points := self._points(stimulus.name)) is not None and not len(points.xy):
                    found[stimulus.name] = "there are no fixations"
            except (ValueError, OSError) as error:
                found[stimulus.name] = str(error).splitlines()[0]
        return found

    def without_empty(self) -> "GazeDataset":
        """Return the data set without the images of ``empty()``."""
        bad = self.empty()
        return self.subset([name for name in self.names if name not in bad])

    def describe(self) -> str:
        """Describe the set in a few lines: sizes, ranges, counts, center bias, and what is empty or damaged."""
        return describe_gaze(self)

    def to_tf_data(self, size: Shape, map_size: Shape, **options: Any) -> Any:
        """Return a ``tf.data.Dataset`` of batches (images, maps); see ``gaze_batches.to_tf_data`` for the options."""
        return to_tf_data(self, size, map_size, **options)

    def _points(self, which: int | str) -> Points | None:
        stimulus = self.stimulus(which)
        read = stimulus.fixations
        if read is None:
            return None
        return self._read_named(stimulus, lambda: read().within(stimulus.shape(), self.outside))

    @staticmethod
    def _read_named(stimulus: Stimulus, read: Callable):
        """Return ``read()``; its errors name the image."""
        try:
            return read()
        except ValueError as error:
            raise ValueError(f"Image {stimulus.name!r}: {str(error).rstrip('.')}.") from error
