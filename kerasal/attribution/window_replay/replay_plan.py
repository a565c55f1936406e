"""From a traced graph to the steps that run it again: each on the part of a map that a window changes, or on it all."""

import dataclasses

from kerasal.attribution.window_replay import operation_rules
from kerasal.attribution.window_replay.operation_rules import Part, Reach, Span
from kerasal.attribution.window_replay.windows import Windows
from kerasal.hooks.cuts import operations_below

import tensorflow as tf

# Beyond this share of a map, gathering the surroundings costs more than it saves.
_WORTH = 0.75
_KERNELS = ("Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool")


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """One operation: on ``part`` of its map, looking at its input through ``reaches``; on whole maps without a part."""

    op: tf.Operation
    part: Part | None = None
    reaches: tuple[Reach, Reach] | None = None


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
        return self.obstacle is None and any(step.part is not None and step.op.type in _KERNELS for step in self.steps)

    def largest(self) -> tuple[int, int]:
        """Return the most values of one map: in what a window is run on, and in a whole clean map."""
        partial, whole = [], []
        for tensor in (self.image, *(tensor for step in self.steps for tensor in step.op.outputs)):
            if operation_rules.is_map(tensor):
                height, width, channels = tensor.shape[1:]
                area = self.parts[tensor.ref()].area if tensor.ref() in self.parts else height * width
                partial.append(area * channels)
                whole.append(height * width * channels)
        return max(partial, default=1), max(whole, default=1)


def make_plan(image: tf.Tensor, targets: list[tf.Tensor], windows: Windows) -> Plan:
    """Plan how ``targets`` are computed again for each window, from what was computed for the clean ``image``."""
    operations = _between(image, targets)
    changed = {image.ref()} | {tensor.ref() for op in operations for tensor in op.outputs}
    parts = {image.ref(): _window_part(image, windows)}

    def depends(tensor):
        return tensor.ref() in changed

    steps, obstacle = [], None
    for op in operations:
        if operation_rules.is_opaque(op):
            obstacle = f"{op.name} ({op.type}) runs a function of its own"
            break
        step = _step(op, parts, depends)
        steps.append(step)
        if step.part is not None:
            parts[op.outputs[0].ref()] = step.part
    if obstacle is None and not any(step.reaches for step in steps):
        first = next((step.op for step in steps if not operation_rules.is_pointwise(step.op, depends)), None)
        if first is not None and not operation_rules.is_sliding(first, depends):
            obstacle = f"{first.name} ({first.type}) mixes all places of the image before any convolution"
    return Plan(windows, image, steps, parts, obstacle)


def _step(op, parts, depends) -> Step:
    own = [tensor for tensor in op.inputs if depends(tensor)]
    known = [parts.get(tensor.ref()) for tensor in own]
    if None in known or not operation_rules.is_map(op.outputs[0]):
        return Step(op)
    if operation_rules.is_pointwise(op, depends):
        part = known[0]
        for other in known[1:]:
            part = part.joined(other)
        return Step(op, part) if part.share <= _WORTH else Step(op)
    if operation_rules.is_sliding(op, depends):
        reaches = operation_rules.reaches(op)
        part = known[0].through(reaches)
        return Step(op, part, reaches) if part.share <= _WORTH else Step(op)
    return Step(op)


def _window_part(image, windows) -> Part:
    height, width = image.shape[1:3]
    end = windows.size - 1
    return Part(
        Span(windows.tops, windows.tops + end, height),
        Span(windows.lefts, windows.lefts + end, width),
    )


def _between(image, targets) -> list[tf.Operation]:
    """List the operations that depend on ``image`` and that ``targets`` depend on, in the order of the graph."""
    found, reached = [], {image.ref()}
    for op in operations_below(targets):
        if any(tensor.ref() in reached for tensor in op.inputs):
            reached |= {tensor.ref() for tensor in op.outputs}
            found.append(op)
    return found
