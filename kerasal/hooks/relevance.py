"""Layer-wise relevance propagation (LRP): the score, passed back through the operations of a traced graph.

From the score down, the relevance of each tensor is divided among the inputs of the operation that computed it:

| operation | relevance of its inputs |
|---|---|
| convolution, matrix product, each with bias and batch normalization | a rule of ``kerasal.hooks.relevance_rules`` |
| sum, mean, average pooling, resizing between pixels | in proportion to their shares of the sum (Bach et al. 2015) |
| maximum, max-pooling, selection | to the value that was taken |
| concatenation, padding, reshape, slice, transposition, repetition | to where the value came from |
| activation, constant factor or shift, local response normalization | unchanged |

Batch normalization that follows no linear operation passes relevance unchanged, as zennit does. Any other operation has
no rule: ``NoRelevanceRule`` names it. Relevance is no gradient, so these rules do not replace gradients: the rule of a
layer needs its output with the bias and the normalization that follow, which are other operations of the graph.
"""

from collections.abc import Iterable, Sequence

from kerasal.hooks.dependencies import operations_below
from kerasal.hooks.linear_maps import LinearMap, find_linear_map
from kerasal.hooks.operation_replay import pull_back, sum_like, widen
from kerasal.hooks.operations import BROADCASTING, SHAPES, UNARY
from kerasal.hooks.rectifiers import find_rectifiers
from kerasal.hooks.relevance_bounds import Bounds, find_bounds
from kerasal.hooks.relevance_operations import (
    ACTIVATIONS,
    SELECTIONS,
    SUMS,
    WITH_CONSTANT,
    no_rule,
    references,
    unique_inputs,
)
from kerasal.hooks.relevance_rules import Composite, stabilize
from kerasal.hooks.volume_pooling import max_pool_gradient

import tensorflow as tf

_ELEMENTWISE = (UNARY - {"LRN", "LogSoftmax", "Softmax"}) | BROADCASTING
_DEPTH = 12  # operations in the formula of an activation


class Propagation:
    """The backward pass of relevance through the graph between the inputs and certain tensors.

    Args:
        leaves: tensors at which relevance starts.
        inputs: tensors at which it ends.
        held: further inputs of the model, which receive none.
        composite: the rules.
        bounds: the lowest and the highest values of each of ``inputs``, if a rule of the composite needs them.

    Raises:
        NoRelevanceRule: there is no convolution for the first rule of the composite, or an operation before it has no
            bounds.
    """

    def __init__(
        self,
        leaves: Sequence[tf.Tensor],
        inputs: Sequence[tf.Tensor],
        held: Sequence[tf.Tensor],
        composite: Composite,
        bounds: Sequence[Bounds] = (),
    ):
        self._inputs, self._composite = inputs, composite
        below = operations_below(leaves, SHAPES)
        self._varying = _reached([*inputs, *held], below)
        self._active = _reached(inputs, below)
        starts = references(inputs)
        self._flow = {
            op: place
            for place, op in enumerate(below)
            if any(tensor.ref() in self._active and tensor.ref() not in starts for tensor in op.outputs)
        }
        self._activations = {rectifier.operation for rectifier in find_rectifiers(list(self._flow))}
        self._maps: dict[tf.Operation, LinearMap] = {}  # by their last operation
        self._inside: set[tf.Operation] = set()
        ends = references(leaves) | starts
        for op in self._flow:
            linear = None if op in self._inside else find_linear_map(op, self._varying, self._flow, ends)
            if linear is not None:
                self._inside |= set(linear.members)
                self._maps[linear.members[-1]] = linear
        self._bounds = {}
        if composite.first:
            known = {x.ref(): pair for x, pair in zip(inputs, bounds, strict=True)}
            self._bounds = find_bounds(self._flow, self._maps.values(), self._varying, known)
        self._relevance: dict = {}

    def is_reached(self, tensor: tf.Tensor) -> bool:
        """Return whether a tensor depends on the inputs at which relevance ends."""
        return tensor.ref() in self._active

    def run(self, starts: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> list[tf.Tensor]:
        """Return the relevance of each input, given pairs of a leaf and its relevance.

        Raises:
            NoRelevanceRule: an operation has no rule.
        """
        self._relevance = {}
        for leaf, relevance in starts:
            self._add(leaf, relevance)
        for op in reversed(self._flow):
            received = [self._relevance.get(tensor.ref()) for tensor in op.outputs]
            if op in self._maps:
                self._pass_through_map(self._maps[op], received[0])
            elif op not in self._inside and any(relevance is not None for relevance in received):
                self._pass_on(op, received)
        return [self._relevance.get(x.ref(), tf.zeros_like(x)) for x in self._inputs]

    def _pass_on(self, op: tf.Operation, received: list) -> None:
        """Divide the relevance of the outputs of an operation that is no linear map among its inputs."""
        varying = self._varying_inputs(op)
        sources = [tensor for tensor in varying if tensor.ref() in self._active]
        divides = op.type == "RealDiv" and op.inputs[0].ref() not in self._varying
        if op.type == "IdentityN":
            for source, relevance in zip(op.inputs, received, strict=True):
                if relevance is not None:
                    self._add(source, relevance)
        elif op in self._activations and (root := next(iter(self._ancestors(op)), None)) is not None:
            self._add(root, received[0])
        elif len(varying) == 1 and op.type in ACTIVATIONS | WITH_CONSTANT and not divides:
            self._add(varying[0], received[0])
        elif op.type in SUMS:
            signal = received[0] / stabilize(widen(op.outputs[0]))
            for source, share in zip(sources, pull_back(op, op.inputs, sources, [signal]), strict=True):
                self._add(source, widen(source) * share)
        elif op.type == "MaxPool3D":
            self._add(op.inputs[0], _unpool_volume(op, received[0]))
        elif op.type in SELECTIONS:
            for source, share in zip(sources, pull_back(op, op.inputs, sources, received), strict=True):
                self._add(source, share)
        else:
            raise no_rule(op, len(varying))

    def _pass_through_map(self, linear: LinearMap, relevance: tf.Tensor | None) -> None:
        if relevance is None:
            return
        (source,) = self._varying_inputs(linear.operation)
        relevance = tf.cast(relevance, linear.output.dtype)
        if linear in self._bounds and self._composite.first:
            self._add(source, self._composite.first(linear, relevance, *self._bounds[linear]))
        else:
            rule = self._composite.convolution if linear.is_convolution else self._composite.dense
            self._add(source, rule(linear, relevance))

    def _add(self, tensor: tf.Tensor, relevance: tf.Tensor) -> None:
        if tensor.ref() in self._active:
            relevance = sum_like(relevance, tensor)
            known = self._relevance.get(tensor.ref())
            self._relevance[tensor.ref()] = relevance if known is None else known + relevance

    def _varying_inputs(self, op: tf.Operation) -> list[tf.Tensor]:
        """Return the inputs of an operation that depend on inputs of the model, each once."""
        return unique_inputs(op, self._varying)

    def _ancestors(self, op: tf.Operation, depth: int = _DEPTH) -> list[tf.Tensor]:
        """Return the tensors of which the output of ``op`` is a function, value by value, the last first."""
        chains = []
        for tensor in self._varying_inputs(op):
            follows = depth and tensor.op.type in _ELEMENTWISE and tensor.op in self._flow
            chains.append([tensor, *(self._ancestors(tensor.op, depth - 1) if follows else [])])
        first, *others = chains or [[]]
        return [tensor for tensor in first if all(tensor.ref() in references(chain) for chain in others)]


def _reached(inputs: Iterable[tf.Tensor], operations: Iterable[tf.Operation]) -> set:
    """Return references of the tensors that depend on the inputs, other than through comparisons and rounding."""
    reached = references(inputs)
    for op in operations:
        sources = [tensor for tensor in op.inputs if tensor.ref() in reached]
        for tensor in op.outputs if sources else ():
            floats = any(source.dtype.is_floating for source in sources)
            if tensor.dtype != tf.bool and not (floats and tensor.dtype.is_integer):
                reached.add(tensor.ref())
    return reached


def _unpool_volume(op: tf.Operation, relevance: tf.Tensor) -> tf.Tensor:
    """Return the relevance of the input of max-pooling in three dimensions."""
    first = op.get_attr("data_format") == b"NCDHW"
    places = slice(2, 5) if first else slice(1, 4)
    window, strides = (tuple(op.get_attr(name)[places]) for name in ("ksize", "strides"))
    padding = op.get_attr("padding").decode()
    x = widen(op.inputs[0])
    return max_pool_gradient(x, tf.cast(relevance, x.dtype), window, strides, padding, channels_first=first)
