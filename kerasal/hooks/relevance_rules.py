"""The rules of layer-wise relevance propagation (LRP): how the relevance of a linear operation's outputs is divided.

R is the relevance of the outputs z = Σ x w + b, which include the bias and a batch normalization. ⁺ and ⁻ are positive
and negative parts; every denominator is kept away from 0 by a small number of its own sign.

| rule | relevance of an input | source |
|---|---|---|
| ε | Σ x w / (z + ε sign z) · R | Bach et al. 2015, equation 58 |
| z⁺ | Σ (x w)⁺ / Σ (x w)⁺ · R | Montavon et al. 2017, z⁺-rule |
| αβ | Σ (α (x w)⁺ / Σ (x w)⁺ - β (x w)⁻ / Σ (x w)⁻) · R | Bach et al. 2015, equation 60 |
| γ | Σ x (w + γ w⁺) / Σ x (w + γ w⁺) · R | Montavon et al. 2019, section 10.2, LRP-γ |
| z^B | Σ (x w - l w⁺ - h w⁻) / Σ (x w - l w⁺ - h w⁻) · R | Montavon et al. 2017, z^B-rule |

In z^B, l and h are the lowest and the highest value that an input can have. For inputs of any sign, (x w)⁺ is
x⁺ w⁺ + x⁻ w⁻, and γ favors the products that have the sign of z (Andéol et al. 2021). The bias takes part in a
denominator like a product whose input is 1, and its share is lost: it has no input to go to.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from kerasal.hooks.linear_maps import LinearMap

import tensorflow as tf

Rule = Callable[[LinearMap, tf.Tensor], tf.Tensor]
STABILIZER = 1e-6
"""What keeps a denominator away from 0 in all rules but ε."""


@dataclasses.dataclass(frozen=True)
class Composite:
    """Which rule each kind of linear operation has.

    ``first`` is that of convolutions that no other linear operation precedes. It receives, besides the map and the
    relevance, the lowest and the highest values of the map's input.
    """

    convolution: Rule
    dense: Rule
    first: Callable[[LinearMap, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor] | None = None


def stabilize(z: tf.Tensor, epsilon: float = STABILIZER) -> tf.Tensor:
    """Return z + ε sign(z), with the sign of 0 taken as positive."""
    number = tf.constant(epsilon, z.dtype)
    return z + tf.where(z < 0, -number, number)


def epsilon_rule(epsilon: float = STABILIZER) -> Rule:
    """Return the rule that divides relevance in proportion to x w, with ε of the relevance scale absorbed."""

    def rule(linear: LinearMap, relevance: tf.Tensor) -> tf.Tensor:
        signal = relevance / stabilize(linear.output, epsilon)
        if linear.factor is not None:  # cheaper than scaling the weights
            signal *= linear.factor
        return _Products(linear, linear.x, linear.kernel).share(signal)

    return rule


def z_plus_rule(linear: LinearMap, relevance: tf.Tensor) -> tf.Tensor:
    """Divide relevance in proportion to the positive products x w."""
    return _share_same(_agreeing(linear, 1), linear.positive_bias, relevance)


def alpha_beta_rule(alpha: float, beta: float) -> Rule:
    """Return the rule that divides α R by the positive and -β R by the negative products."""

    def rule(linear: LinearMap, relevance: tf.Tensor) -> tf.Tensor:
        positive = _share_same(_agreeing(linear, 1), linear.positive_bias, relevance)
        return alpha * positive - beta * _share_same(_agreeing(linear, -1), linear.negative_bias, relevance)

    return rule


def gamma_rule(gamma: float) -> Rule:
    """Return the rule that favors the products with the sign of the output by a factor 1 + γ."""

    def favor(linear: LinearMap, sign: int, relevance: tf.Tensor) -> tf.Tensor:
        weights, bias = linear.weights, linear.bias
        agreeing, other = (weights + gamma * _part(weights, part) for part in (sign, -sign))
        products = [_Products(linear, _positive_input(linear), agreeing)]
        if not linear.has_positive_input:
            products.append(_Products(linear, _part(linear.x, -1), other))
        has_sign = linear.output > 0 if sign > 0 else linear.output < 0
        shown = tf.where(has_sign, relevance, tf.zeros_like(relevance))
        return _share_same(products, None if bias is None else bias + gamma * _part(bias, sign), shown)

    def rule(linear: LinearMap, relevance: tf.Tensor) -> tf.Tensor:
        return favor(linear, 1, relevance) + favor(linear, -1, relevance)

    return rule


def box_rule(linear: LinearMap, relevance: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Divide relevance in proportion to x w - l w⁺ - h w⁻, for inputs between ``low`` and ``high``."""
    weights = linear.weights
    products = _Products(linear, linear.x, weights)
    bounds = [_Products(linear, low, _part(weights, 1)), _Products(linear, high, _part(weights, -1))]
    signal = relevance / stabilize(products.sums - bounds[0].sums - bounds[1].sums)
    return products.share(signal) - bounds[0].share(signal) - bounds[1].share(signal)


class _Products:
    """The products of an input with weights, and their sums, the outputs without bias."""

    def __init__(self, linear: LinearMap, x: tf.Tensor, weights: tf.Tensor):
        self._x = x
        self._tape: Any = tf.GradientTape(watch_accessed_variables=False)
        with self._tape:
            self._tape.watch(x)
            self.sums = linear.run(x, weights)

    def share(self, signal: tf.Tensor) -> tf.Tensor:
        """Return Σ x w · signal for each input."""
        return self._x * self._tape.gradient(self.sums, self._x, output_gradients=signal)


def _share_same(products: Sequence[_Products], bias: tf.Tensor | None, relevance: tf.Tensor) -> tf.Tensor:
    """Return the relevance divided in proportion to all ``products``, with the bias in the denominator."""
    total = tf.add_n([part.sums for part in products])
    signal = relevance / stabilize(total if bias is None else total + bias)
    return tf.add_n([part.share(signal) for part in products])


def _agreeing(linear: LinearMap, sign: int) -> list[_Products]:
    """Return the products that are positive (``sign`` 1) or negative (-1)."""
    products = [_Products(linear, _positive_input(linear), _part(linear.weights, sign))]
    if not linear.has_positive_input:
        products.append(_Products(linear, _part(linear.x, -1), _part(linear.weights, -sign)))
    return products


def _positive_input(linear: LinearMap) -> tf.Tensor:
    return linear.x if linear.has_positive_input else _part(linear.x, 1)


def _part(tensor: tf.Tensor, sign: int) -> tf.Tensor:
    """Return the positive (``sign`` 1) or negative (-1) part of a tensor."""
    zero = tf.zeros([], tensor.dtype)
    return tf.maximum(tensor, zero) if sign > 0 else tf.minimum(tensor, zero)
