"""From a traced graph to the steps that run it again: each on the part of a map that a window changes, or on it all.

What is not understood here is run on whole maps, which is always right.

With kernel k, dilation d, stride t and padding p before the first value, output o looks at the inputs
o·t - p, o·t - p + d, …, o·t - p + (k-1)·d. So a change of inputs [first, last] reaches the outputs
[ceil((first + p - (k-1)·d) / t), floor((last + p) / t)], cut to the map.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from kerasal.attribution.window_replay.windows import Windows
from kerasal.hooks.dependencies import operations_below
from kerasal.hooks.operations import (
    BROADCASTING,
    PADDING,
    SLIDING,
    UNARY,
    SlidingWindow,
    is_map,
    is_opaque,
    map_sizes,
    sliding_window,
)

import tensorflow as tf

# Beyond this share of a map, gathering the surroundings costs more than it saves.
_WORTH = 0.75


@dataclasses.dataclass(frozen=True, eq=False)
class Span:
    """What each window changes along one axis of ``length`` values: ``first`` to ``last``, both inclusive, (windows,).

    ``start`` and ``size`` are the part that is computed: of one size for all windows, inside the map, never less.
    """

    first: np.ndarray
    last: np.ndarray
    length: int

    @property
    def size(self) -> int:
        """The longest change of any window."""
        return int(max(1, (self.last - self.first).max() + 1))

    @property
    def start(self) -> np.ndarray:
        """Where the computed part begins for each window."""
        return np.clip(self.first, 0, self.length - self.size)

    def through(self, slide: SlidingWindow) -> "Span":
        """Follow the change through an operation."""
        before, length = slide.padding_before(self.length), slide.length(self.length)
        first = -(-(self.first + before - slide.extent + 1) // slide.stride)
        return Span(np.maximum(first, 0), np.minimum((self.last + before) // slide.stride, length - 1), length)

    def joined(self, other: "Span") -> "Span":
        """Return the shortest span that holds both."""
        return Span(np.minimum(self.first, other.first), np.maximum(self.last, other.last), self.length)


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """A rectangle of a map (height, width) for each row and column of windows."""

    y: Span
    x: Span

    @property
    def area(self) -> int:
        """Values in the computed part, of one channel."""
        return self.y.size * self.x.size

    @property
    def share(self) -> float:
        """The computed part as a share of the whole map."""
        return self.area / (self.y.length * self.x.length)

    def joined(self, other: "Part") -> "Part":
        """Return the smallest part that holds both."""
        return Part(self.y.joined(other.y), self.x.joined(other.x))


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """One operation: on ``part`` of its map, looking at its input through ``reaches``; on whole maps without a part."""

    op: tf.Operation
    part: Part | None = None
    reaches: tuple[SlidingWindow, SlidingWindow] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """The steps from an image to some tensors of the same graph; ``parts`` says what of each tensor is computed."""

    windows: Windows
    image: tf.Tensor
    steps: list[Step]
    parts: dict
    obstacle: str | None

    @property
    def pays(self) -> bool:
        """Whether anything is computed on a part of a map."""
        return self.obstacle is None and any(step.part is not None and step.op.type in SLIDING for step in self.steps)

    def largest(self) -> tuple[int, int]:
        """Return the most values of one map: in what a window is run on, and in a whole clean map."""
        partial, whole = [1], [1]
        for tensor in (self.image, *(tensor for step in self.steps for tensor in step.op.outputs)):
            if is_map(tensor):
                height, width, channels = map_sizes(tensor)
                area = self.parts[tensor.ref()].area if tensor.ref() in self.parts else height * width
                partial.append(area * channels)
                whole.append(height * width * channels)
        return max(partial), max(whole)


def make_plan(image: tf.Tensor, targets: list[tf.Tensor], windows: Windows) -> Plan:
    """Plan how ``targets`` are computed again for each window, from what was computed for the clean ``image``."""
    height, width, _ = map_sizes(image)
    ends = windows.tops + windows.size - 1, windows.lefts + windows.size - 1
    parts = {image.ref(): Part(Span(windows.tops, ends[0], height), Span(windows.lefts, ends[1], width))}
    changed = {image.ref()}

    def depends(tensor):
        return tensor.ref() in changed

    steps, obstacle = [], None
    for op in operations_below(targets):
        if not any(map(depends, op.inputs)):
            continue
        changed |= {tensor.ref() for tensor in op.outputs}
        if is_opaque(op):
            obstacle = f"{op.name} ({op.type}) runs a function of its own"
            break
        step = _step(op, parts, depends)
        steps.append(step)
        if step.part is not None:
            parts[op.outputs[0].ref()] = step.part
    if obstacle is None and not any(step.reaches for step in steps):
        first = next((step.op for step in steps if not _is_pointwise(step.op, depends)), None)
        if first is not None and not _is_sliding(first, depends):
            obstacle = f"{first.name} ({first.type}) mixes all places of the image before any convolution"
    return Plan(windows, image, steps, parts, obstacle)


def _step(op, parts, depends) -> Step:
    known, part, slides = [parts.get(tensor.ref()) for tensor in op.inputs if depends(tensor)], None, None
    if None not in known and is_map(op.outputs[0]):
        if _is_pointwise(op, depends):
            part = functools.reduce(Part.joined, known)
        elif _is_sliding(op, depends):
            slides = sliding_window(op, 1), sliding_window(op, 2)
            part = Part(known[0].y.through(slides[0]), known[0].x.through(slides[1]))
    return Step(op, part, slides) if part is not None and part.share <= _WORTH else Step(op)


def _is_pointwise(op: tf.Operation, depends: Callable[[tf.Tensor], bool]) -> bool:
    """Tell whether each place of the output looks at the same place of the inputs, and at nothing else of the image.

    Inputs that do not depend on the image must be one value a channel, or one value.
    """
    size = op.outputs[0].shape[1:3]
    if not all(is_map(tensor) and tensor.shape[1:3] == size for tensor in op.inputs if depends(tensor)):
        return False
    others = [tensor for tensor in op.inputs if not depends(tensor)]
    if op.type in ("BiasAdd", "FusedBatchNormV3"):
        frozen = op.type == "BiasAdd" or not op.get_attr("is_training")
        return frozen and op.get_attr("data_format") == b"NHWC" and not any(map(depends, list(op.inputs)[1:]))
    if op.type == "ConcatV2":
        axis = tf.get_static_value(op.inputs[-1])
        return len(others) == 1 and axis is not None and int(axis) in (-1, 3)
    sizes = [tensor.shape.as_list()[:-1] if tensor.shape.rank is not None else [None] for tensor in others]
    return op.type in UNARY or (op.type in BROADCASTING and all(size == 1 for one in sizes for size in one))


def _is_sliding(op: tf.Operation, depends: Callable[[tf.Tensor], bool]) -> bool:
    """Tell whether an operation slides a kernel of known geometry over one map of the image."""
    first, *others = op.inputs
    if not (is_map(first) and is_map(op.outputs[0])) or any(map(depends, others)):
        return False
    if op.type in PADDING:
        amounts, value = (tf.get_static_value(tensor) for tensor in (others[0], others[-1]))
        return amounts is not None and not amounts[[0, 3]].any() and (len(others) == 1 or value == 0)
    return op.type in SLIDING and op.get_attr("data_format") == b"NHWC"
