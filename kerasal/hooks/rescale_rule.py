"""The rescale rule of DeepLIFT: multipliers that distribute a difference of scores over the differences of the inputs.

A model runs on the inputs and on reference inputs, in one graph. Going back from the scores, each operation passes on
its multiplier m, as a backward pass does its gradient (Shrikumar, Greenside & Kundaje 2017, section 3.5). In the second
run, the values x and y of an operation's input and output are x' and y':

| operation | multiplier of its input |
|---|---|
| linear in what depends on the inputs (convolution, dense, mean, sum, inference normalization) | m · derivative |
| a function of each value, also a formula such as x · sigmoid(x) | m · (y - y') / (x - x') |
| maximum over a window, an axis or two tensors: the place of the largest x | m · (max(y, y') - y') / (x - x') |
| and the place of the largest x' | m · (y - max(y, y')) / (x - x') |
| any other: products of tensors that depend on the inputs, softmax, statistics, loops | none: ``NoRescaleRule`` |

Where x and x' are equal, the multiplier is m times the derivative. The sum of multiplier times difference is then the
difference of the scores, exactly up to rounding, in every layer.
"""

from collections.abc import Sequence
from typing import Any

from kerasal.hooks.dependencies import operations_below, reached_inputs
from kerasal.hooks.operations import BROADCASTING, REARRANGING, SHAPES, UNARY, called_graph
from kerasal.hooks.volume_pooling import max_pool_gradient

import tensorflow as tf
from tensorflow.python.framework import ops

_POINTWISE = (UNARY | BROADCASTING | {"ClipByValue", "Select", "Sin", "Cos", "Atan", "Sinh", "Cosh"}) - {
    "LRN", "LogSoftmax", "Softmax", "AddN",
}  # fmt: skip
# Linear in all inputs together, and linear in each input of the first places if the others are constant.
_SUMS = frozenset(("Add", "AddN", "AddV2", "BiasAdd", "ConcatV2", "Pack", "Sub"))
# fmt: off
_LINEAR: Any = dict.fromkeys((
    *(REARRANGING.keys() - {"Cast"}), "AvgPool", "AvgPool3D", "BatchToSpaceND", "Conv2D", "Conv3D", "Cumsum",
    "DepthwiseConv2dNative", "ExtractImagePatches", "Mean", "MirrorPad", "Neg", "Pad", "RealDiv", "ResizeBicubic",
    "ResizeBilinear", "SpaceToBatchND", "Sum",
), (0,)) | dict.fromkeys(("BatchMatMulV2", "MatMul", "Mul"), (0, 1)) | {
    "Conv2DBackpropInput": (2,), "Conv3DBackpropInputV2": (2,), "Einsum": (0, 1, 2, 3), "PadV2": (0, 2), "Split": (1,),
}
# fmt: on
_CHOICES = ("Select", "SelectV2")
_NORMALIZATIONS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_LARGEST = ("MaxPool", "MaxPool3D", "Max", "Maximum")
_SMALLEST = ("Min", "Minimum")
_PRODUCTS = ("Mul", "MatMul", "BatchMatMulV2", "Einsum", "RealDiv", "DivNoNan", "Pow", "SquaredDifference")
_SOFTMAX = "With logits=True, the score before the last softmax is explained."
_REMEDY = "Use integrated_gradients, which works with every operation."
# Differences within so many rounding errors of the values are no differences.
_ROUNDINGS = 4


class NoRescaleRule(ValueError):
    """The score depends on the inputs through an operation for which the rescale rule is not defined."""


def rescale_multipliers(
    scores: tf.Tensor,
    inputs: Sequence[tf.Tensor],
    operations: Sequence[tf.Operation],
    reference_scores: tf.Tensor,
    reference_inputs: Sequence[tf.Tensor],
) -> list[tf.Tensor]:
    """Return the multipliers of ``inputs``, in their shapes: the sum of multiplier × difference is that of the scores.

    Args:
        scores: the scores (N,) of the inputs, which were computed in the current graph.
        inputs: the inputs, a tensor (N, …) each.
        operations: the operations that the run from the inputs to the scores added to the graph, in order.
        reference_scores: the scores of the reference inputs, computed in the same way.
        reference_inputs: a tensor for each input, in its shape.

    Raises:
        NoRescaleRule: an operation has no rule; the error names it.
    """
    return _Rescale(scores, inputs, operations, reference_scores, reference_inputs).multipliers()


class _Rescale:
    """The two runs of a model, and the multipliers of the tensors of the first."""

    def __init__(self, scores, inputs, operations, reference_scores, reference_inputs):
        self._scores, self._inputs = scores, inputs
        self._varying = reached_inputs(inputs, operations)
        needed = set(operations_below([scores], SHAPES))
        self._operations = [
            op for op in operations if op in needed and any(x.ref() in self._varying for x in op.outputs)
        ]
        self._references = {x.ref(): other for x, other in zip(inputs, reference_inputs, strict=True)}
        self._match(scores, reference_scores)
        self._roots = self._find_roots()

    def multipliers(self) -> list[tf.Tensor]:
        if self._scores.ref() not in self._varying:
            raise NoRescaleRule("The target must depend on the model's input, but its score is constant.")
        found: dict[Any, list[tf.Tensor]] = {self._scores.ref(): [tf.ones_like(self._scores)]}
        for op in reversed(self._operations):
            arriving = [found.get(x.ref()) for x in op.outputs]
            if any(arriving):
                sums = [tf.add_n(parts) if parts else None for parts in arriving]
                for tensor, multiplier in self._pass_on(op, sums):
                    found.setdefault(tensor.ref(), []).append(tf.cast(multiplier, _float_type(tensor)))
        return [tf.add_n(found[x.ref()]) if x.ref() in found else tf.zeros_like(x) for x in self._inputs]

    def _match(self, tensor: tf.Tensor, reference: tf.Tensor) -> None:
        """Find for each tensor of the first run that depends on the inputs the same tensor of the second."""
        pending = [(tensor, reference)]
        while pending:
            tensor, reference = pending.pop()
            if tensor.ref() not in self._varying or tensor.ref() in self._references:
                continue
            first, second = tensor.op, reference.op
            if first.type != second.type or len(first.inputs) != len(second.inputs):
                raise NoRescaleRule(
                    f"The model must run the same operations on the baseline as on the input, but {first.type} "
                    f"({first.name}) is {second.type} ({second.name}) there. {_REMEDY}"
                )
            self._references |= {x.ref(): other for x, other in zip(first.outputs, second.outputs, strict=True)}
            pending += zip(first.inputs, second.inputs, strict=True)

    def _find_roots(self) -> dict:
        """Return for each tensor that is a function, value by value, of an earlier tensor that first one."""
        roots: dict[Any, Any] = {}
        for op in self._operations:
            varying = self._varying_inputs(op)
            sources = [roots.get(op.inputs[place].ref(), op.inputs[place]) for place in varying]
            if op.type in _POINTWISE and all(source is sources[0] for source in sources):
                shapes: Any = (sources[0].shape, op.outputs[0].shape)
                if all(shape.rank is not None for shape in shapes) and shapes[0].as_list() == shapes[1].as_list():
                    roots[op.outputs[0].ref()] = sources[0]
        return roots

    def _varying_inputs(self, op: tf.Operation) -> list[int]:
        return [place for place, x in enumerate(op.inputs) if x.ref() in self._varying]

    def _pass_on(self, op: tf.Operation, arriving: list) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Return the tensors from which an operation is computed, with their multipliers."""
        if op.type == "IdentityN":  # a function with a custom gradient, whose operations are those before it
            return [
                (x, m) for x, m in zip(op.inputs, arriving, strict=True) if m is not None and x.ref() in self._varying
            ]
        varying = self._varying_inputs(op)
        if _is_linear(op, varying):
            gradients = _derive(op, arriving)
            return [(op.inputs[place], gradients[place]) for place in varying]
        root = self._roots.get(op.outputs[0].ref())
        if root is not None:
            source = op.inputs[varying[0]] if len(varying) == 1 else root
            return [(source, self._rescale(op, source, arriving[0]))]
        if op.type in _LARGEST or op.type in _SMALLEST:
            return self._route(op, varying, arriving[0])
        raise NoRescaleRule(self._describe(op, varying))

    def _rescale(self, op: tf.Operation, source: tf.Tensor, arriving: tf.Tensor) -> tf.Tensor:
        """Return the multiplier of a function of each value: the quotient of the differences."""
        step, equal = self._difference(source)
        change, _ = self._difference(op.outputs[0])
        quotient = tf.cast(arriving, tf.float32) * tf.math.divide_no_nan(change, step)
        if not (source.dtype.is_floating and op.outputs[0].dtype.is_floating):
            return quotient
        (gradient,) = tf.gradients(op.outputs[0], [source], [arriving], stop_gradients=[source])
        derivative = tf.zeros_like(quotient) if gradient is None else tf.cast(gradient, tf.float32)
        return tf.where(equal, derivative, quotient)

    def _route(self, op: tf.Operation, varying: list[int], arriving: tf.Tensor) -> list[tuple]:
        """Return the multipliers of a maximum or minimum: its change goes to the extreme values of both runs."""
        value, reference = op.outputs[0], self._references[op.outputs[0].ref()]
        extreme = tf.maximum(value, reference) if op.type in _LARGEST else tf.minimum(value, reference)
        to_own = _derive(op, [arriving * (extreme - reference)])
        to_reference = _derive(reference.op, [arriving * (value - extreme)])
        gradients, results = _derive(op, [arriving]), []
        for place in varying:
            step, equal = self._difference(op.inputs[place])
            routed = tf.cast(to_own[place] + to_reference[place], tf.float32)
            derivative = tf.cast(gradients[place], tf.float32)
            results.append((op.inputs[place], tf.where(equal, derivative, tf.math.divide_no_nan(routed, step))))
        return results

    def _difference(self, tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the difference of a tensor in the two runs, float32, and where it is no more than rounding."""
        value, reference = (tf.cast(x, tf.float32) for x in (tensor, self._references[tensor.ref()]))
        rounding = _ROUNDINGS * tf.experimental.numpy.finfo(_float_type(tensor).as_numpy_dtype).eps
        step = value - reference
        return step, tf.abs(step) <= float(rounding) * (tf.abs(value) + tf.abs(reference))

    def _describe(self, op: tf.Operation, varying: list[int]) -> str:
        what = f"operation {op.type} ({op.name})"
        if op.type in _PRODUCTS and len(varying) > 1:
            what += ", a product of two tensors that both depend on the input"
        softmax = f" {_SOFTMAX}" if op.type in ("Softmax", "LogSoftmax") else ""
        return f"DeepLIFT must have a rule for each operation, but there is none for {what}.{softmax} {_REMEDY}"


def _is_linear(op: tf.Operation, varying: list[int]) -> bool:
    """Return whether an operation is linear in its inputs with these numbers while the others are constant."""
    if op.type in _NORMALIZATIONS:
        return varying == [0] and not op.get_attr("is_training")
    if op.type == "Cast":
        return op.inputs[0].dtype.is_floating and op.outputs[0].dtype.is_floating
    if op.type in _CHOICES:
        return 0 not in varying
    inner = called_graph(op)
    if inner is not None:  # Keras compiles some convolutions
        reached = reached_inputs([inner.inputs[place] for place in varying], inner.get_operations())
        steps = (
            (step, [n for n, x in enumerate(step.inputs) if x.ref() in reached]) for step in inner.get_operations()
        )
        return all(_is_linear(step, numbers) for step, numbers in steps if numbers and step.type not in SHAPES)
    return op.type in _SUMS or (len(varying) == 1 and varying[0] in _LINEAR.get(op.type, ()))


def _derive(op: tf.Operation, arriving: list) -> list:
    """Return the gradients by the inputs of an operation, for those by its outputs, of which some may be None."""
    if op.type == "MaxPool3D":
        first = op.get_attr("data_format") == b"NCDHW"
        window, strides = (tuple(op.get_attr(name))[2 if first else 1 :][:3] for name in ("ksize", "strides"))
        padding = op.get_attr("padding").decode()
        return [max_pool_gradient(op.inputs[0], arriving[0], window, strides, padding, channels_first=first)]
    if called_graph(op) is not None:
        return list(tf.gradients(op.outputs, list(op.inputs), arriving, stop_gradients=list(op.inputs)))
    function: Any = ops.get_gradient_function(op)
    complete = [
        tf.zeros_like(x) if m is None and x.dtype.is_floating else m for x, m in zip(op.outputs, arriving, strict=True)
    ]
    results = function(op, *complete)
    results = list(results) if isinstance(results, (list, tuple)) else [results]
    return [tf.convert_to_tensor(result) if result is not None else None for result in results]


def _float_type(tensor: tf.Tensor) -> tf.DType:
    return tensor.dtype if tensor.dtype.is_floating else tf.float32
