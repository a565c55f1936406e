"""Layer-wise relevance propagation: the score, divided among the inputs of each layer back to the pixels."""

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, reduce_channels, sums_channels
from kerasal.checks import check_number
from kerasal.hooks.held_inputs import explained_numbers, refuse_independent
from kerasal.hooks.relevance import Propagation
from kerasal.hooks.relevance_rules import (
    Composite,
    alpha_beta_rule,
    box_rule,
    epsilon_rule,
    gamma_rule,
    z_plus_rule,
)
from kerasal.hooks.taps import NoGradient

import tensorflow as tf

_BOX = "epsilon_gamma_box"


@contextlib.contextmanager
def _check_box(options: dict[str, Any], model, arrays: list[np.ndarray]) -> Iterator[None]:
    """Raise an error if an input is outside the range that the caller states."""
    box = _box(options["composite"], options["low"], options["high"])
    if box is not None and options["layer"] is None:
        low, high = (float(edge) for edge in (box[0].min(), box[1].max()))
        slack = 1e-5 * (high - low)
        for number in explained_numbers(model, arrays):
            smallest, largest = arrays[number].min(), arrays[number].max()
            if smallest < low - slack or largest > high + slack:
                raise ValueError(
                    f"inputs must be between low and high ({low:g} to {high:g}), got {smallest:g} to {largest:g}. "
                    "Pass the lowest and highest values that the model's inputs can have."
                )
    yield


def _check_rules(view) -> list[tf.Tensor]:
    return _propagate(view, _composite("epsilon", 1e-6, 0.25))


@method(
    reference="Bach et al. 2015, section 2; Montavon et al. 2019",
    family="relevance",
    passes="1 to 4 passes",
    compared=False,
    signed=True,
    has_sign=sums_channels,
    check=_check_rules,
    run_context=_check_box,
    if_zero="all inputs are 0, or the values of the layers are far below the 1e-6 that the rules add to denominators",
    question="contribution",
    trust="Trust what several composites agree on: the rules are chosen, and each divides the score in its own way.",
    at_layer=True,
)
def lrp(
    view,
    *,
    composite: Literal["epsilon_plus", "epsilon_gamma_box", "epsilon", "epsilon_alpha2_beta1"] = "epsilon_plus",
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    low: float | tuple[float, ...] | None = None,
    high: float | tuple[float, ...] | None = None,
    channel_reduction: Reduction = "sum",
    layer: str | None = None,
):
    """Share of each pixel in the score, divided layer by layer back to the input (Bach et al. 2015).

    The score is the relevance of the output. Each layer divides the relevance of its outputs among its inputs by a
    rule, so that their sum stays the same except for what the biases take. A composite tells which rule each kind of
    layer has, as in Montavon et al. 2019; these are those of zennit 1.0. Dense layers always have rule ε.

    Batch normalization after a convolution or dense layer is folded into it. Sums, as in residual blocks, and average
    pooling divide relevance in proportion to the summands, maximum pooling passes it to the maximum, and activations
    pass it unchanged. A target that is no linear function of the output starts with its first-order contributions.

    LRP is covered by patents in some countries (for example EP 3271863 B1, US 12061966 B2), which concern its
    commercial use; ask their holders before you sell what uses it.

    Args:
        view: the model and its inputs in the graph.
        composite: rules of convolutions: "epsilon_plus" (z⁺: only positive products count), "epsilon_gamma_box" (γ,
            and z^B for the first one), "epsilon" (ε) or "epsilon_alpha2_beta1" (αβ with α = 2 and β = 1).
        epsilon: number above 0 that rule ε adds to the size of every denominator; larger values absorb weak and
            contradictory relevance.
        gamma: number of at least 0 by which rule γ favors weights that agree with the output.
        low: lowest value that an input of the model can have, a number or one per channel; "epsilon_gamma_box" needs
            it, and it is never taken from the image.
        high: highest value that an input of the model can have, as ``low``.
        channel_reduction: reduction of the relevance over the channels of a pixel: "sum" (signed, so that the values
            still add up), "max_abs" (the largest absolute value), "mean_abs" (the mean absolute value) or "norm" (the
            Euclidean norm).
        layer: name or path of a layer to attribute to in place of the inputs, such as the embedding of tokens; the map
            then has the positions of the layer's output, one value per token. By default the inputs are explained.

    Returns:
        float32 (N, H, W), signed with ``channel_reduction="sum"``, in units of the score.

    Raises:
        NoRelevanceRule: the model has an operation without a rule, such as an attention, a gate, layer normalization
            or a recurrent layer; the error names it.
        ValueError: ``low`` and ``high`` are missing, not needed, or do not contain the inputs.
    """
    box = _box(composite, low, high)
    rules = _composite(composite, check_number("epsilon", epsilon, above=0), check_number("gamma", gamma, minimum=0))
    return [reduce_channels(shares, channel_reduction) for shares in _propagate(view, rules, box)]


def _composite(name: str, epsilon: float, gamma: float) -> Composite:
    dense = epsilon_rule(epsilon)
    if name == _BOX:
        return Composite(gamma_rule(gamma), dense, box_rule)
    convolution = {"epsilon": dense, "epsilon_plus": z_plus_rule}.get(name) or alpha_beta_rule(2, 1)
    return Composite(convolution, dense)


def _box(composite: str, low: Any, high: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the lowest and highest values as arrays, numbers or one per channel; None if the composite needs none."""
    if composite != _BOX:
        if low is not None or high is not None:
            raise ValueError(
                f'low and high must be None with composite="{composite}", got {low!r} and {high!r}. Only "{_BOX}" '
                "uses them."
            )
        return None
    if low is None or high is None:
        raise ValueError(
            f'composite="{_BOX}" needs low and high, the lowest and highest values that inputs of the model can have, '
            f"got {low!r} and {high!r}. They are what preprocessing makes of black and of white pixels, such as -1 and "
            "1, or a number per channel."
        )
    edges = np.asarray(low, np.float32), np.asarray(high, np.float32)
    if not all(np.isfinite(edge).all() for edge in edges) or not (edges[0] < edges[1]).all():
        raise ValueError(f"low must be below high, both finite, got {low!r} and {high!r}.")
    return edges


def _propagate(view, rules: Composite, box: tuple[np.ndarray, np.ndarray] | None = None) -> list[tf.Tensor]:
    """Return the relevance of each input in its shape."""
    run = view.run()
    scores = view.score(run)
    named = [*run.layers.values(), *run.outputs.values.values(), *run.outputs.returned.values()]
    tensors = [tensor for tensor in (run.output, *named) if tf.is_tensor(tensor) and tensor.dtype.is_floating]
    leaves = list({tensor.ref(): tensor for tensor in tensors}.values())
    gradients = tf.gradients(scores, leaves, stop_gradients=leaves)
    starts = [(leaf, slope) for leaf, slope in zip(leaves, gradients, strict=True) if slope is not None]
    held = list(view.held.tensors.values())
    bounds = [] if box is None else [_spread(view, box, number) for number in range(len(view.inputs))]
    propagation = Propagation([leaf for leaf, _ in starts], view.inputs, held, rules, bounds)
    if not any(propagation.is_reached(leaf) for leaf, _ in starts):
        error = NoGradient("The target must depend on the model's input, but it does not. Choose another target.")
        refuse_independent(view, scores, view.inputs, error)
        raise error
    return propagation.run((leaf, tf.cast(leaf, tf.float32) * tf.cast(slope, tf.float32)) for leaf, slope in starts)


def _spread(view, box: tuple[np.ndarray, np.ndarray], number: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the lowest and highest values of an input in its shape."""
    x = view.inputs[number]
    channels = x.shape[-1] if view.layout.has_channels(number) else 1
    for name, edge in zip(("low", "high"), box, strict=True):
        if edge.size not in (1, channels):
            raise ValueError(f"{name} must be a number or one per channel, {channels}, got {edge.size}.")
    return tuple(tf.broadcast_to(tf.constant(edge, x.dtype), tf.shape(x)) for edge in box)
