"""The arithmetic on pixels at the start of a model, such as ``Rescaling``, and the range of pixels that it is for.

A model that begins with ``Rescaling(1 / 255)`` takes pixels of 0..255, and one that begins with ``Normalization`` takes
pixels of the range to which mean and variance belong. The operations are not recognized by their class: the first
operations without trained weights run on images of constant color, and those that scale and shift each channel count.
This covers layers, ``preprocess_input`` and other operations of a functional model, and models inside of models.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasal.process import check_process

import keras

RANGES = {"none": (0.0, 255.0), "unit": (0.0, 1.0), "tf": (-1.0, 1.0)}
"""The ranges of pixels that a model may take, by the name of the preprocessing that returns them."""

_TARGETS = ((0, 1), (-1, 1), (-0.5, 0.5))  # the ranges to which models scale pixels
_MEANS = (60.0, 200.0)  # of datasets of images, which are subtracted from pixels of 0..255
_FREE_SIDE = 32  # pixels; of the images that run through a model of any size
_PROBES = 5  # images of constant color: two determine a scale and a shift, the others confirm them
_TOLERANCE = 0.01  # relative to the range of values; half precision has .001


@dataclasses.dataclass(frozen=True)
class PixelArithmetic:
    """What a model computes from its pixels first: ``scale * pixel[source] + shift`` for each channel.

    Attributes:
        scale, shift: float64 (C,), for each channel after the arithmetic.
        source: int (C,), the channel of the input from which each channel is made; (2, 1, 0) for RGB to BGR.
        layers: the names of the layers and operations that change pixels, in their order.
    """

    scale: np.ndarray
    shift: np.ndarray
    source: np.ndarray
    layers: tuple[str, ...]

    @property
    def mean(self) -> np.ndarray:
        """The pixel that becomes 0, for each channel."""
        return -self.shift / self.scale

    @property
    def ranges(self) -> list[str]:
        """The ranges of pixels for which this arithmetic is plausible: names of ``RANGES``, ideally one.

        It is plausible if it scales the range to 0..1, -1..1 or -.5...5, or if its mean and standard deviation can be
        those of images with pixels of the range. For 0..255, subtracting a mean is plausible, too.
        """
        exact = [name for name in RANGES if self._scales(*RANGES[name])]
        return exact or [name for name in RANGES if self._standardizes(name)]

    @property
    def verb(self) -> str:
        """What the arithmetic does to pixels: rescale, normalize or center."""
        if any(self._scales(*bounds) for bounds in RANGES.values()):
            return "rescale"
        return "center" if np.allclose(self.scale, 1) else "normalize"

    def _scales(self, low: float, high: float) -> bool:
        ends = np.sort([self.scale * low + self.shift, self.scale * high + self.shift], axis=0)
        return any(np.allclose(ends.T, target, atol=0.02 * (target[1] - target[0])) for target in _TARGETS)

    def _standardizes(self, name: str) -> bool:
        low, high = RANGES[name]
        if name == "none" and np.allclose(np.abs(self.scale), 1):
            return bool(((self.mean >= _MEANS[0]) & (self.mean <= _MEANS[1])).all())
        if np.allclose(self.shift, 0):
            return False  # a factor without a mean belongs to no range
        place, spread = (self.mean - low) / (high - low), 1 / (np.abs(self.scale) * (high - low))
        # The standard deviation of values in 0..1 with mean m is at most sqrt(m (1 - m)). The least value separates
        # 0..1 from -1..1: real photos have .22 to .3, digits .31.
        inside = (place > 0.02) & (place < 0.98)
        widest = np.sqrt(np.clip(place * (1 - place), 0, None))
        return bool((inside & (spread <= 1.1 * widest) & (spread >= (0.04 if name == "none" else 0.165))).all())

    @property
    def names(self) -> str:
        """The layers as the subject of a sentence, without its verb: ``its layer 'rescaling'``."""
        kind = f"its first layer{'s' * (len(self.layers) != 1)}"
        if len(self.layers) > 2:
            return f"{kind} {self.layers[0]!r} to {self.layers[-1]!r}"
        return f"{kind} {' and '.join(map(repr, self.layers))}"

    def describe(self) -> str:
        """Return the formula, such as ``(x - 0.45) / 0.27``."""
        mean, deviation = ("/".join(f"{v:.3g}" for v in values) for values in map(_merge, (self.mean, 1 / self.scale)))
        return f"(x - {mean}) / {deviation}"


def pixel_arithmetic(model: keras.Model) -> PixelArithmetic | None:
    """Return the arithmetic through which all pixels of a model pass first; None if there is none.

    There is none if some pixels bypass it, if it does not scale and shift each channel, if the model has several inputs
    or not one image input, and if its graph is not known, as for a subclassed model or a SavedModel.
    """
    check_process()
    inputs = getattr(model, "inputs", None) or ()
    if len(inputs) != 1 or not 3 <= len(inputs[0].shape) <= 4 or not str(inputs[0].dtype).startswith("float"):
        return None
    graph = _functional(model)
    if graph is None:
        return None
    shape = [size or _FREE_SIDE for size in inputs[0].shape[1:]]
    if len(shape) == 3 and inputs[0].shape[-1] is None:
        shape[-1] = 3
    for axis in (3, 1) if len(shape) == 3 else (0,):
        if axis and inputs[0].shape[axis] not in (1, 3, 4, None):
            continue
        colors = np.random.default_rng(0).uniform(0, 255, (_PROBES, shape[axis - 1] if axis else 1))
        view = (slice(None), *(slice(None) if number == axis else None for number in range(1, len(shape) + 1)))
        values = np.broadcast_to(colors[view] if axis else colors[..., None], (_PROBES, *shape)).astype(np.float32)
        found = _follow(graph, colors, values)
        if found is not None:
            return found
    return None


def _follow(graph: Any, colors: np.ndarray, values: np.ndarray) -> PixelArithmetic | None:
    """Return the arithmetic before the first operations that do more than scale and shift the channels of images."""
    start = _Affine(np.ones(colors.shape[1]), np.zeros(colors.shape[1]), np.arange(colors.shape[1]))
    ends: list[_Affine] = []
    names: list[str] = []
    with np.errstate(all="ignore"):
        _walk(graph, {id(graph.inputs[0]): (values, start)}, colors, ends, names)
    if not ends or any(not end.equals(ends[0]) for end in ends[1:]) or ends[0].equals(start):
        return None
    return PixelArithmetic(ends[0].scale, ends[0].shift, ends[0].source, tuple(names))


def _walk(graph: Any, known: dict, colors: np.ndarray, ends: list, names: list[str]) -> Any:
    """Run operations on images of constant color as far as they scale and shift; return the value of the output.

    ``known`` maps the identities of tensors to (value, affine). The affines that other operations take go to ``ends``.
    """
    for node in _nodes(graph):
        taken = [known[id(tensor)] for tensor in node.input_tensors if id(tensor) in known]
        if not taken:
            continue
        operation, result = node.operation, None
        inner = _functional(operation)
        if inner is not None and len(taken) == len(node.input_tensors) == len(inner.inputs) == 1:
            result = _walk(inner, {id(inner.inputs[0]): taken[0]}, colors, ends, names)
            if result is None:
                continue  # the inner model ended the arithmetic
        elif len(taken) == len(node.input_tensors) and len(node.outputs) == 1 and _may_be_arithmetic(operation):
            result = _run(node, known, colors)
            if result is not None and not any(result[1].equals(affine) for _, affine in taken):
                names.append(operation.name)
        if result is None:
            ends += [affine for _, affine in taken]
        else:
            known[id(node.outputs[0])] = result
    if len(graph.outputs) == 1 and id(graph.outputs[0]) in known:
        return known[id(graph.outputs[0])]
    ends += [known[id(tensor)][1] for tensor in graph.outputs if id(tensor) in known]
    return None


def _run(node: Any, known: dict, colors: np.ndarray) -> Any:
    """Return the (value, affine) of the output of a node; None if it is not an image of scaled and shifted channels."""
    if len(node.outputs[0].shape) < 3:
        return None
    with contextlib.suppress(Exception):  # an operation that fails on a batch or size of ours is no arithmetic
        arguments, keywords = node.arguments.fill_in({id(t): known[id(t)][0] for t in node.input_tensors})
        if isinstance(node.operation, keras.Layer) and node.operation._call_has_training_arg:
            keywords = {**keywords, "training": False}
        value = np.asarray(node.operation(*arguments, **keywords), np.float64)
        affine = _fit(value, colors)
        return None if affine is None else (value.astype(np.float32), affine)
    return None


@dataclasses.dataclass(frozen=True)
class _Affine:
    scale: np.ndarray
    shift: np.ndarray
    source: np.ndarray

    def equals(self, other: "_Affine") -> bool:
        pairs = ((self.scale, other.scale), (self.shift, other.shift), (self.source, other.source))
        return all(a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in pairs)


def _fit(value: np.ndarray, colors: np.ndarray) -> _Affine | None:
    """Return scale, shift and source of each channel of images (K, …) made from constant colors (K, C); or None."""
    if not np.isfinite(value).all() or len(value) != len(colors):
        return None
    for axis in (value.ndim - 1, 1):
        flat = np.moveaxis(value, axis, -1).reshape(len(value), -1, value.shape[axis])
        if np.ptp(flat, axis=1).max() <= 1e-3 * np.ptp(value):
            break
    else:
        return None
    outputs = flat[:, 0]
    if outputs.shape[1] > 4:  # rows of an image without a channel axis, which are all the same, or patches
        outputs = outputs[:, :1] if np.ptp(outputs, axis=1).max() <= 1e-3 * np.ptp(value) else outputs
    if outputs.shape[1] > 4:
        return None
    rows = []
    for column in outputs.T:
        fits = [(*np.polyfit(color, column, 1), number) for number, color in enumerate(colors.T)]
        errors = [np.abs(a * color + b - column).max() for (a, b, _), color in zip(fits, colors.T, strict=True)]
        best = int(np.argmin(errors))
        if np.ptp(column) == 0 or errors[best] > _TOLERANCE * np.ptp(column):
            return None
        rows.append(fits[best])
    scale, shift, source = np.array(rows).T
    shift[np.abs(shift) < 1e-5 * np.abs(scale) * colors.max()] = 0
    return _Affine(scale, shift, source.astype(int))


def _may_be_arithmetic(operation: Any) -> bool:
    """Return whether an operation is worth running: it has no trained weights and is no whole SavedModel."""
    if isinstance(operation, keras.layers.Normalization):
        return True
    variables = getattr(operation, "variables", None) or ()  # those of random layers are integers, the state of a seed
    trained = any(str(variable.dtype).startswith(("float", "bfloat")) for variable in variables)
    return not trained and not isinstance(operation, keras.layers.TFSMLayer)


def _functional(model: Any) -> Any:
    """Return the functional model with the graph of a model; None if there is none."""
    if isinstance(model, keras.Sequential):
        return getattr(model, "_functional", None)
    return model if isinstance(model, keras.Model) and hasattr(model, "_nodes_by_depth") else None


def _nodes(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a functional model in the order in which they run."""
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from (node for node in graph._nodes_by_depth[depth] if not node.is_input)


def _merge(values: np.ndarray) -> np.ndarray:
    return values[:1] if np.allclose(values, values[0], rtol=1e-3) else values
