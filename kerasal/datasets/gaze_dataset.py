"""Images with fixations or densities, loaded lazily from files or arrays."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kerasal.checks import check_choice
from kerasal.datasets.gaze_batches import to_tf_data
from kerasal.datasets.gaze_summary import describe_gaze
from kerasal.datasets.gaze_types import Density, FixationMap, Points, Shape, Stimulus, make_stimuli, scale_density
from kerasal.images.drawings import resize
from kerasal.metrics.blur import blur_fixations, sigma_in_pixels
from kerasal.names import RenamedAttribute, abbreviate, renamed_arguments, unknown_name_message

SIGMA = 0.03
"""Default blur width relative to the image width: OSIE's authors use 24 of 800 pixels, the coursework 19 of 640."""


class GazeDataset:
    """A data set of images with fixations, densities, or both. ``open_gaze`` opens it from files.

    Coordinates are 0-based (x, y) in pixels of ``image(i)``; rounded down they index the pixel. Images are selected by
    index or by name. They are read on access, and errors name the image.

    Args:
        images: paths, or uint8 arrays (H, W, 3) or (H, W).
        fixations: for each image, coordinates (x, y) of shape (n, 2), a map of counts (H, W), a function that returns
            either, or ``None``.
        densities: for each image, a non-negative map (H, W), a function that returns it, or ``None``.
        names: names of the images; by default the file names without suffix, or numbers.
        outside: "error" to refuse fixations more than a pixel outside their image, or "drop" to remove them.

    Raises:
        ValueError: there are no images, the arguments differ in length, a name is not unique, or an image has neither
            fixations nor a density.
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
        self._set(make_stimuli(images, fixations, densities, names), outside)

    @classmethod
    def from_stimuli(cls, stimuli: Iterable[Stimulus], *, outside: str = "error") -> "GazeDataset":
        """Return a data set of the ``Stimulus`` entries in ``stimuli``."""
        data = cls.__new__(cls)
        data._set(list(stimuli), outside)
        return data

    def _set(self, stimuli: list[Stimulus], outside: str) -> None:
        check_choice("outside", outside, ("error", "drop"))
        if not stimuli:
            raise ValueError("images must not be empty, got none.")
        self._stimuli, self.outside = stimuli, outside
        self._position = {stimulus.name: index for index, stimulus in enumerate(stimuli)}
        self._arrays: dict = {}
        if len(self._position) < len(stimuli):
            duplicate = next(name for name in self.names if self.names.count(name) > 1)
            raise ValueError(f"Image names must be unique, got {duplicate!r} more than once.")
        incomplete = [stimulus.name for stimulus in stimuli if stimulus.fixations is None and stimulus.density is None]
        if incomplete:
            raise ValueError(f"Every image must have fixations or a density, got neither for {abbreviate(incomplete)}.")

    def __len__(self) -> int:
        return len(self._stimuli)

    def __repr__(self) -> str:
        return f"<GazeDataset of {len(self)} images, {self.names[0]} to {self.names[-1]}>"

    @property
    def names(self) -> list[str]:
        """The names of the images."""
        return [stimulus.name for stimulus in self._stimuli]

    @functools.cached_property
    def sizes(self) -> list[Shape]:
        """The sizes (H, W) of the images, read from the file headers."""
        return [stimulus.read_with_name(stimulus.shape) for stimulus in self._stimuli]

    @renamed_arguments(which="index")
    def stimulus(self, index: int | str) -> Stimulus:
        """Return the ``Stimulus`` entry of an image by index or name; ValueError if there is none."""
        if isinstance(index, str):
            if index in self._position:
                return self._stimuli[self._position[index]]
            raise ValueError(unknown_name_message(index, self._position, "image"))
        if not -len(self) <= index < len(self):
            raise ValueError(f"index must be a name or an integer from {-len(self)} to {len(self) - 1}, got {index}.")
        return self._stimuli[index]

    @renamed_arguments(which="index")
    def image(self, index: int | str) -> np.ndarray:
        """Return an image as uint8 RGB (H, W, 3)."""
        return (stimulus := self.stimulus(index)).read_with_name(stimulus.pixels)

    def points(self, index: int | str) -> Points | None:
        """Return the fixations with observers, order and durations as ``Points``, or ``None`` if there are none.

        Raises:
            ValueError: the fixations cannot be read or are outside the image.
        """
        stimulus = self.stimulus(index)
        if (read := stimulus.fixations) is None:
            return None
        return stimulus.read_with_name(lambda: read().scale_to(stimulus.shape(), self.outside))

    @renamed_arguments(which="index")
    def fixations(self, index: int | str) -> np.ndarray | None:
        """Return the fixations as float32 (x, y) of shape (n, 2), or ``None`` for only a density; see ``points``."""
        return points.xy if (points := self.points(index)) else None

    @renamed_arguments(which="index")
    def subjects(self, index: int | str) -> np.ndarray | None:
        """Return the number of the observer of each fixation, int (n,), or ``None`` if unknown."""
        return points.subject if (points := self.points(index)) else None

    @renamed_arguments(which="index")
    def fixation_map(self, index: int | str, size: Shape | None = None, *, binary: bool = False) -> FixationMap:
        """Return the number of fixations on each pixel as int32 (H, W), by default at the size of the image.

        Args:
            index: index or name of the image.
            size: (H, W) of the map; the coordinates are scaled to it.
            binary: return 1 for each fixated pixel.

        Raises:
            ValueError: the image has no fixations.
        """
        stimulus, points = self.stimulus(index), self.points(index)
        if points is None or not len(points.xy):
            remedy = "Leave it out with without_empty()." if points else "NSS and the AUCs need fixations."
            raise ValueError(
                f"Image {stimulus.name!r} must have fixations, got {'none' if points else 'only a density'}. {remedy}"
            )
        frame = points.frame or stimulus.shape()
        height, width = size or frame
        scale = np.array([width, height]) / np.array(frame[::-1])
        x, y = np.minimum((points.xy * scale).astype(int), np.array([width, height]) - 1).T
        counts = np.bincount(y * width + x, minlength=height * width).reshape(height, width).astype(np.int32)
        return (np.minimum(counts, 1) if binary else counts).view(FixationMap)

    @renamed_arguments(which="index")
    def density(self, index: int | str, size: Shape | None = None, sigma: float | str | None = None) -> Density:
        """Return the density of fixations as float32 (H, W), by default at the size of the image.

        A density that is part of the data set keeps its values, scaled to 0..1 if it has 8 bits. Without such a
        density, or with ``sigma``, the result is the blurred fixations (``metrics.blur_fixations``) divided by their
        maximum.

        Args:
            index: index or name of the image.
            size: (H, W) of the density; shrinking averages areas.
            sigma: standard deviation in pixels of the image, or a key of ``metrics.SIGMAS``; by default 3 % of the
                image width.

        Raises:
            ValueError: the density is 0 everywhere or differs from the image in aspect ratio, or the image has no
                fixations to blur.
        """
        stimulus = self.stimulus(index)
        stored = stimulus.density
        if stored is not None and sigma is None:
            values = stimulus.read_with_name(lambda: scale_density(stored()))
            (rows, columns), (height, width) = values.shape, stimulus.shape()
            # maps of the coursework are stretched to a square
            if stimulus.small is None and abs(rows * width - columns * height) > 0.02 * columns * height + width:
                raise ValueError(
                    f"The density of image {stimulus.name!r} must have the aspect ratio of its size {height} x {width} "
                    f"(height x width), got {rows} x {columns}."
                )
        else:
            counts = self.fixation_map(index)
            width = SIGMA * counts.shape[1] if sigma is None else sigma_in_pixels(sigma)
            blurred = blur_fixations(np.asarray(counts), width, name=stimulus.name)
            values = (blurred / blurred.max()).astype(np.float32)
        # cubic resizing can overshoot below 0
        return np.maximum(resize(values, size or stimulus.shape()), 0).view(Density)

    @renamed_arguments(which="index")
    def subset(self, index: Iterable[int | str]) -> "GazeDataset":
        """Return a data set of the images with these indices or names, in this order."""
        chosen = [self.stimulus(name if isinstance(name, str) else int(name)) for name in index]
        return GazeDataset.from_stimuli(chosen, outside=self.outside)

    def concatenate(self, *others: "GazeDataset") -> "GazeDataset":
        """Return the concatenation of this set and others.

        A repeated name is prefixed with the number of its set: 1001 in the second set becomes 2/1001.
        """
        taken, stimuli = set(), []
        for number, data in enumerate((self, *others), 1):
            for stimulus in data._stimuli:
                name = stimulus.name if stimulus.name not in taken else f"{number}/{stimulus.name}"
                stimuli.append(dataclasses.replace(stimulus, name=name))
            taken.update(stimulus.name for stimulus in stimuli)
        return GazeDataset.from_stimuli(stimuli, outside=self.outside)

    def split(self, train: float = 0.9, seed: int = 0) -> tuple["GazeDataset", "GazeDataset"]:
        """Return a random share ``train`` of the images and the remaining images, both in the order of this set.

        Raises:
            ValueError: a part would be empty.
        """
        first = round(len(self) * train)
        if not 0 < first < len(self):
            raise ValueError(
                f"train must leave images in both parts, got {train} of {len(self)} images. Choose 0 < train < 1."
            )
        order = np.random.default_rng(seed).permutation(len(self))
        return self.subset(np.sort(order[:first])), self.subset(np.sort(order[first:]))

    def unusable_images(self) -> dict[str, str]:
        """Return the images without fixations or with an unusable density, as a dictionary from name to reason."""
        reasons = {}
        for stimulus in self._stimuli:
            try:
                if stimulus.density is not None:
                    scale_density(stimulus.density())
                elif (points := self.points(stimulus.name)) is not None and not len(points.xy):
                    reasons[stimulus.name] = "there are no fixations"
            except (ValueError, OSError) as error:
                reasons[stimulus.name] = str(error).splitlines()[0]
        return reasons

    def without_empty(self) -> "GazeDataset":
        """Return the data set without the images that ``unusable_images()`` returns."""
        unusable = self.unusable_images()
        return self.subset([name for name in self.names if name not in unusable])

    def describe(self) -> str:
        """Return a short description of the data set: sizes, ranges, counts, center bias, and unusable images."""
        return describe_gaze(self)

    def to_tf_data(self, size: Shape, map_size: Shape, **options: Any) -> Any:
        """Return a ``tf.data.Dataset`` of batches (images, maps); see ``gaze_batches.to_tf_data`` for the options."""
        return to_tf_data(self, size, map_size, **options)

    of = RenamedAttribute("from_stimuli")
    joined = RenamedAttribute("concatenate")
    empty = RenamedAttribute("unusable_images")
