"""The backward rules, as gradients of the graph's own operations.

One engine serves three papers (R is the signal on its way back, X what went into the ReLU):

| rule | ReLU | source |
|---|---|---|
| ``"gradient"`` | R · 1(X > 0) | Simonyan et al. 2013, section 4 |
| ``"deconvnet"`` | R · 1(R > 0) | Zeiler & Fergus 2014, section 2.1; Simonyan et al. 2013, section 4 |
| ``"guided"`` | R · 1(X > 0) · 1(R > 0) | Springenberg et al. 2015, figure 1 |
| ``"biased"`` | max(R - b, 0) · 1(R > 0) | none: the deconvnet's, less the bias b that was added to make X |

Max-pooling's own gradient is the unpooling with switches of Zeiler & Fergus. ``pooling="sum"`` replaces it by that of
sum-pooling: every value is repeated over its window (He & Pugeault 2017, figure 3.2). No forward value changes.
"""

import tensorflow as tf

RULES = ("gradient", "deconvnet", "guided", "biased")
POOLINGS = ("max", "sum")

# The operations that are ReLUs, each with the kernel of its gradient, which is faster than comparing and selecting.
RELUS = {"Relu": tf.raw_ops.ReluGrad, "Relu6": tf.raw_ops.Relu6Grad}
POOLS = ("MaxPool",)
# Functions within the graph: what happens inside has a gradient of its own, which no rule reaches.
CALLS = ("PartitionedCall", "StatefulPartitionedCall", "While", "StatelessWhile", "If", "StatelessIf")


def overrides(rule: str, pooling: str) -> dict[str, str]:
    """Return the map from operation types to registered gradients that puts ``rule`` and ``pooling`` in force.

    Raises:
        ValueError: an unknown rule or pooling.
    """
    if rule not in RULES or pooling not in POOLINGS:
        raise ValueError(f"Expected a rule of {RULES} and a pooling of {POOLINGS}. Received: {rule!r}, {pooling!r}.")
    replaced = {} if rule == "gradient" else dict.fromkeys(RELUS, f"kerasal_{rule}")
    if pooling == "sum":
        replaced |= dict.fromkeys(POOLS, "kerasal_sum_pooling")
    return replaced


@tf.RegisterGradient("kerasal_deconvnet")
def _deconvnet(op, signal):
    return tf.nn.relu(signal)


@tf.RegisterGradient("kerasal_guided")
def _guided(op, signal):
    if op is None:
        return _undefined(signal)
    return RELUS[op.type](gradients=tf.nn.relu(signal), features=op.outputs[0])


@tf.RegisterGradient("kerasal_biased")
def _biased(op, signal):
    if op is None:
        return _undefined(signal)
    return tf.where(signal > 0, tf.nn.relu(signal - tf.cast(_bias(op.inputs[0]), signal.dtype)), tf.zeros_like(signal))


def _bias(tensor):
    """Return the one value a channel that was added last to make a ReLU's input, or 0."""
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    op = tensor.op
    if op.type in ("BiasAdd", "Add", "AddV2"):
        for added in reversed(op.inputs):
            if added.shape.rank is not None and all(size == 1 for size in added.shape.as_list()[:-1]):
                return added
    return tf.zeros([], tensor.dtype)


@tf.RegisterGradient("kerasal_sum_pooling")
def _sum_pooling(op, signal):
    """Repeat each value over its window: the gradient of sum-pooling, whose windows do not look at the values."""
    if op is None:
        return _undefined(signal)
    if op.get_attr("data_format") != b"NHWC":
        raise ValueError("Sum-pooling expects channels-last data (NHWC).")
    window, strides = op.get_attr("ksize"), op.get_attr("strides")
    size = tf.shape(op.inputs[0])
    before, after = _same_padding(size, window, strides) if op.get_attr("padding") == b"SAME" else (0 * size, 0 * size)
    repeated = tf.raw_ops.AvgPoolGrad(
        orig_input_shape=size + before + after, grad=signal, ksize=window, strides=strides, padding="VALID"
    )
    return tf.slice(repeated, before, size) * tf.cast(window[1] * window[2], signal.dtype)


def _undefined(signal):
    """Stand in where TensorFlow saves a model and traces every gradient without its operation.

    The saved map itself has its gradient built in; only a derivative *of the map* would come here, and shows as NaN.
    """
    return tf.fill(tf.shape(signal), tf.constant(float("nan"), signal.dtype))


def _same_padding(size, window, strides):
    """Return how much "same" padding stands before and after each axis."""
    window, strides = tf.constant(window), tf.constant(strides)
    total = tf.maximum((-(-size // strides) - 1) * strides + window - size, 0)
    return total // 2, total - total // 2
