"""The operations through which relevance is passed without a linear map, and the error for all others."""

from collections.abc import Collection, Iterable

from kerasal.hooks.operations import REARRANGING, is_opaque

import tensorflow as tf

# Functions of each value, and arithmetic with a constant.
ACTIVATIONS = frozenset((
    "Cast", "CheckNumerics", "ClipByValue", "Elu", "EnsureShape", "Identity", "LRN", "LeakyRelu", "PreventGradient",
    "Relu", "Relu6", "Selu", "Sigmoid", "Snapshot", "Softplus", "Softsign", "Tanh",
))  # fmt: skip
WITH_CONSTANT = frozenset((
    "Add", "AddV2", "BiasAdd", "FusedBatchNormV3", "Maximum", "Minimum", "Mul", "Neg", "RealDiv", "Sub",
))  # fmt: skip
SUMS = frozenset(("Add", "AddN", "AddV2", "AvgPool", "AvgPool3D", "Mean", "Sub", "Sum"))
SUMS |= {"ResizeArea", "ResizeBicubic", "ResizeBilinear"}
SELECTIONS = frozenset((
    "BatchToSpaceND", "ConcatV2", "Max", "MaxPool", "MaxPool3D", "Maximum", "Min", "Minimum", "MirrorPad", "Pack",
    "Pad", "PadV2", "Select", "SelectV2", "SpaceToBatchND", *REARRANGING,
))  # fmt: skip
_PRODUCTS = ("BatchMatMulV2", "BatchMatMulV3", "Einsum", "MatMul", "Mul", "RealDiv")
_REMEDY = "gradient_x_input and integrated_gradients work with every operation that has a gradient."


class NoRelevanceRule(ValueError):
    """The model has an operation through which relevance cannot be passed."""


def no_rule(op: tf.Operation, count: int) -> NoRelevanceRule:
    """Return the error that ``op``, with ``count`` inputs that depend on the model's inputs, has no rule."""
    if op.type in ("Softmax", "LogSoftmax"):
        why = "a softmax, as in an attention or in a score that is a probability"
    elif count > 1 and op.type in _PRODUCTS:
        why = "a product of two tensors that both depend on the input, as in an attention, a gate or a normalization"
    elif is_opaque(op) or op.type.startswith("TensorList"):
        why = "a part of a loop, as in a recurrent layer, or of a compiled function"
    else:
        why = "which divides its output among its inputs in no known way"
    return NoRelevanceRule(
        "The model must have a relevance rule for every operation, but there is none "
        f"for {op.name!r} ({op.type}), {why}. {_REMEDY}"
    )


def references(tensors: Iterable[tf.Tensor]) -> set:
    """Return the references of tensors, which can be compared and hashed."""
    return {tensor.ref() for tensor in tensors}


def unique_inputs(op: tf.Operation, varying: Collection) -> list[tf.Tensor]:
    """Return the inputs of an operation whose references are in ``varying``, each once."""
    return list({tensor.ref(): tensor for tensor in op.inputs if tensor.ref() in varying}.values())
