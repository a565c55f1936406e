"""From a traced graph to the steps that recompute it: each on the part of a map that a window changes, or on all of it.

An operation that is not known here is run on whole maps, which is correct for any operation.

With kernel k, dilation d, stride t and padding p before the first value, output o reads the inputs
o·t - p, o·t - p + d, …, o·t - p + (k-1)·d. So a change of the inputs [first, last] reaches the outputs
[ceil((first + p - (k-1)·d) / t), floor((last + p) / t)], clipped to the map.
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

# For parts larger than this share of a map, gathering the surroundings costs more than it saves.
_WORTH = 0.75


@dataclasses.dataclass(frozen=True, eq=False)
class Span:
    """The interval that each window changes on an axis of ``length`` values, from ``first`` to ``last`` inclusive.

    ``start`` and ``size`` describe the interval that is computed. It contains the changed interval, lies inside the
    map and has the same size for all windows.
    """

    first: np.ndarray
    last: np.ndarray
    length: int

    @property
    def size(self) -> int:
        """The length of the longest changed interval of any window."""
        return int(max(1, (self.last - self.first).max() + 1))

    @property
    def start(self) -> np.ndarray:
        """The first index of the computed interval for each window."""
        return np.clip(self.first, 0, self.length - self.size)

    def propagate(self, slide: SlidingWindow) -> "Span":
        """Return the span of an operation's output that a change of this span affects."""
        before, length = slide.padding_before(self.length), slide.length(self.length)
        first = -(-(self.first + before - slide.extent + 1) // slide.stride)
        return Span(np.maximum(first, 0), np.minimum((self.last + before) // slide.stride, length - 1), length)

    def union(self, other: "Span") -> "Span":
        """Return the shortest span that contains both."""
        return Span(np.minimum(self.first, other.first), np.maximum(self.last, other.last), self.length)


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """The rectangles of a map that the windows change: ``y`` for each row and ``x`` for each column of windows."""

    y: Span
    x: Span

    @property
    def area(self) -> int:
        """The number of positions in the computed part."""
        return self.y.size * self.x.size

    @property
    def share(self) -> float:
        """The computed part as a share of the whole map."""
        return self.area / (self.y.length * self.x.length)

    def union(self, other: "Part") -> "Part":
        """Return the smallest part that contains both."""
        return Part(self.y.union(other.y), self.x.union(other.x))


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """An operation, the ``part`` of its map to compute and its kernel's geometry; without a part, on whole maps."""

    op: tf.Operation
    part: Part | None = None
    slides: tuple[SlidingWindow, SlidingWindow] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """The steps from an image to some tensors; ``parts`` maps a tensor's ``ref()`` to the part that is recomputed."""

    windows: Windows
    image: tf.Tensor
    steps: list[Step]
    parts: dict
    obstacle: str | None

    @property
    def is_faster(self) -> bool:
        """Whether any convolution or pooling is computed on a part of its map only."""
        return self.obstacle is None and any(step.part is not None and step.op.type in SLIDING for step in self.steps)

    def largest(self) -> tuple[int, int]:
        """Return the size in values of the largest part that is computed, and of the largest whole map."""
        partial, whole = [1], [1]
        for tensor in (self.image, *(tensor for step in self.steps for tensor in step.op.outputs)):
            if is_map(tensor):
                height, width, channels = map_sizes(tensor)
                area = self.parts[tensor.ref()].area if tensor.ref() in self.parts else height * width
                partial.append(area * channels)
                whole.append(height * width * channels)
        return max(partial), max(whole)


def make_plan(image: tf.Tensor, targets: list[tf.Tensor], windows: Windows) -> Plan:
    """Return the plan that recomputes ``targets`` for each window from the activations of the clean ``image``.

    The image is (N, H, W, C): one-dimensional and three-dimensional maps are not recomputed in parts.
    """
    spans = (
        Span(starts, starts + size - 1, side)
        for starts, size, side in zip(windows.starts, windows.sizes, map_sizes(image)[:2], strict=True)
    )
    parts = {image.ref(): Part(*spans)}
    changed = {image.ref()}

    def depends(tensor):
        return tensor.ref() in changed

    steps, obstacle = [], None
    for op in operations_below(targets):
        if not any(map(depends, op.inputs)):
            continue
        changed |= {tensor.ref() for tensor in op.outputs}
        if is_opaque(op):
            obstacle = f"{op.name} ({op.type}) calls another function"
            break
        step = _make_step(op, parts, depends)
        steps.append(step)
        if step.part is not None:
            parts[op.outputs[0].ref()] = step.part
    if obstacle is None and not any(step.slides for step in steps):
        first = next((step.op for step in steps if not _is_pointwise(step.op, depends)), None)
        if first is not None and not _slides_kernel(first, depends):
            obstacle = f"{first.name} ({first.type}) mixes all positions of the image before any convolution"
    return Plan(windows, image, steps, parts, obstacle)


def _make_step(op, parts, depends) -> Step:
    input_parts, part, slides = [parts.get(tensor.ref()) for tensor in op.inputs if depends(tensor)], None, None
    if None not in input_parts and is_map(op.outputs[0]):
        if _is_pointwise(op, depends):
            part = functools.reduce(Part.union, input_parts)
        elif _slides_kernel(op, depends):
            slides = sliding_window(op, 1), sliding_window(op, 2)
            part = Part(input_parts[0].y.propagate(slides[0]), input_parts[0].x.propagate(slides[1]))
    return Step(op, part, slides) if part is not None and part.share <= _WORTH else Step(op)


def _is_pointwise(op: tf.Operation, depends: Callable[[tf.Tensor], bool]) -> bool:
    """Return whether each position of the output depends on the same position of the inputs alone.

    Inputs that do not depend on the image must be a single value, or a value per channel.
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
    return op.type in UNARY or (op.type in BROADCASTING and all(size == 1 for shape in sizes for size in shape))


def _slides_kernel(op: tf.Operation, depends: Callable[[tf.Tensor], bool]) -> bool:
    """Return whether an operation slides a kernel of known geometry over a single map of the image."""
    first, *others = op.inputs
    if not (is_map(first) and is_map(op.outputs[0])) or any(map(depends, others)):
        return False
    if op.type in PADDING:
        amounts, value = (tf.get_static_value(tensor) for tensor in (others[0], others[-1]))
        return amounts is not None and not amounts[[0, 3]].any() and (len(others) == 1 or value == 0)
    return op.type in SLIDING and op.get_attr("data_format") == b"NHWC"
