"""The arguments of ``ActivationMaximization`` as one entry per input of the model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tf_keras_vis.utils import listify
from tf_keras_vis.utils.regularizers import LegacyRegularizer

from kerasal.compat.tf_keras_vis.visualization import check_shape, to_tensor
from kerasal.maximization.user_calls import refuse_classes

import tensorflow as tf


def input_ranges(ranges: Any, count: int) -> list[tuple]:
    """Return (lowest, highest) for each input, with None for no limit.

    Raises:
        ValueError: a range is no pair, or their number does not fit.
        TypeError: the ends of a range have different types.
    """
    listed = ranges if isinstance(ranges, list) else [ranges]
    listed = listed * count if len(listed) == 1 else listed
    if len(listed) != count:
        raise ValueError(
            f"input_range must be one pair or a list of {count}, one for each input, got {ranges!r}. Write a pair as a "
            "tuple."
        )
    pairs = [(None, None) if pair is None else tuple(pair) if np.ndim(pair) == 1 else pair for pair in listed]
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2 or any(isinstance(end, str) for end in pair):
            raise ValueError(f"input_range must be (lowest, highest) or None, got {pair!r}.")
        if None not in pair and type(pair[0]) is not type(pair[1]):
            raise TypeError(f"The ends of input_range must have the same type, got {pair}.")
        low, high = pair
        if low is not None and high is not None and not low <= high:
            raise ValueError(f"input_range must be (lowest, highest), the second larger, got {pair}.")
    return pairs


def start_inputs(seeds: list | None, ranges: Sequence[tuple], specs: Sequence[tf.TensorSpec]) -> list[tf.Tensor]:
    """Return the inputs to start from, (N, …): those of the caller, or uniform noise for one image.

    Raises:
        ValueError: their number or a shape does not fit, or the model leaves a size open.
    """
    if seeds is None:
        seeds = [_noise(pair, spec) for pair, spec in zip(ranges, specs, strict=True)]
    if len(seeds) != len(specs):
        raise ValueError(f"seed_input must be {len(specs)} arrays, one for each input, got {len(seeds)}.")
    tensors = [
        tf.cast(to_tensor(x, number), spec.dtype) for number, (x, spec) in enumerate(zip(seeds, specs, strict=True))
    ]
    tensors = [x[None] if x.shape.rank == spec.shape.rank - 1 else x for x, spec in zip(tensors, specs, strict=True)]
    for number, (x, spec) in enumerate(zip(tensors, specs, strict=True)):
        check_shape(x, tuple(spec.shape[1:]), number)
        if not bool(tf.reduce_all(tf.math.is_finite(x))):
            raise ValueError(f"seed_input must be finite, got NaN or infinity in input {number}.")
    if len({len(x) for x in tensors}) > 1:
        raise ValueError(f"seed_input must hold equally many images, got {[len(x) for x in tensors]}.")
    return tensors


def per_input(functions: Any, names: Sequence[str], argument: str) -> dict[str, list[Callable]]:
    """Return the functions for each input from a function, a list, a list of lists, or a dictionary.

    Raises:
        ValueError: an input is unknown, or there are more lists than inputs.
        TypeError: something is no function.
    """
    if isinstance(functions, Mapping):
        check_names(functions, names)
        listed = {name: listify(functions.get(name)) for name in names}
    else:
        entries = listify(functions)
        entries = entries if any(type(entry) is list for entry in entries) else [entries]
        if len(entries) > len(names):
            raise ValueError(f"{argument} must be at most {len(names)} lists, one for each input, got {len(entries)}.")
        entries += [[]] * (len(names) - len(entries))
        listed = {name: listify(entry) for name, entry in zip(names, entries, strict=True)}
    for function in (function for entry in listed.values() for function in entry):
        if not callable(function):
            raise TypeError(f"{argument} must be functions, got {function!r}.")
        refuse_classes(argument, [function])
    return listed


def regularizers_per_input(regularizers: Any, names: Sequence[str]) -> Callable[[list], list[tuple[str, tf.Tensor]]]:
    """Return a function from inputs to (name, values) of all regularizers.

    Raises:
        ValueError: as for ``per_input``; or regularizers of the old kind are mixed with others.
        TypeError: something is no function.
    """
    nested = [listify(entry) for entry in (regularizers.values() if isinstance(regularizers, Mapping) else [])]
    nested = nested or [listify(entry) for entry in listify(regularizers)]
    old = [isinstance(item, LegacyRegularizer) for entry in nested for item in entry]
    if any(old):
        flat: list[Any] = listify(regularizers) if not isinstance(regularizers, Mapping) else [regularizers]
        if not all(isinstance(item, LegacyRegularizer) for item in flat):
            raise ValueError(
                "regularizers must be all of tf_keras_vis.activation_maximization.regularizers, or a flat list of "
                f"those of tf_keras_vis.utils.regularizers, got {regularizers!r}."
            )
        return lambda values: [(item.name, _penalty(item(values), item.name)) for item in flat]
    listed = per_input(regularizers, names, "regularizers")

    def evaluate(values: list) -> list[tuple[str, tf.Tensor]]:
        results = []
        for name, value in zip(names, values, strict=True):
            for number, regularizer in enumerate(listed[name]):
                label = getattr(regularizer, "name", f"regularizer-{number}")
                penalty = _penalty(regularizer(value), label)
                results.append((f"{label}({name})" if len(names) > 1 else label, penalty))
        return results

    return evaluate


def _penalty(value: Any, name: str) -> tf.Tensor:
    """Return the value of a regularizer.

    Raises:
        TypeError: it is no tensor, so that it has no gradient.
        ValueError: it is NaN or infinite.
    """
    if not tf.is_tensor(value) or not value.dtype.is_floating:
        what = repr(value) if value is None or isinstance(value, (int, float, str)) else type(value).__name__
        raise TypeError(
            f"regularizers must return tensors, got {what} from {name}. A number or array has no gradient: compute it "
            "with TensorFlow."
        )
    if not bool(tf.reduce_all(tf.math.is_finite(value))):
        raise ValueError(f"regularizers must return finite values, got NaN or infinity from {name}.")
    return value


def check_names(functions: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return a dictionary with names of inputs as keys; a single thing is for the first input.

    Raises:
        ValueError: the model has no input of a name.
    """
    if not isinstance(functions, Mapping):
        return {names[0]: functions}
    unknown = [str(name) for name in functions if name not in names]
    if unknown:
        raise ValueError(f"The keys must be inputs of the model ({', '.join(names)}), got {', '.join(unknown)}.")
    return dict(functions)


def endings_per_input(functions: Any, names: Sequence[str]) -> dict[str, Callable | None]:
    """Return the function that changes the result of each input, or None.

    Raises:
        ValueError: the model has no input of a name.
        TypeError: something is no function.
    """
    endings = check_names(functions, names)
    for function in endings.values():
        if function is not None and not callable(function):
            raise TypeError(f"activation_modifiers must be functions or None, got {function!r}.")
    return endings


def finish(value: tf.Tensor, ends: tuple, dtype: tf.DType, function: Callable | None) -> tf.Tensor:
    """Return an input, clipped to its range, after a function of the caller.

    Raises:
        TypeError: the function returns no array.
    """
    lowest, highest = (limit if end is None else end for end, limit in zip(ends, (dtype.min, dtype.max), strict=True))
    clipped = tf.cast(tf.clip_by_value(value, lowest, highest), dtype)
    if function is None:
        return clipped
    result = function(clipped)
    if not tf.is_tensor(result) and getattr(result, "dtype", np.dtype(object)).kind not in "fiub":
        raise TypeError(f"activation_modifiers must return arrays, got {type(result).__name__}.")
    return result


def _noise(ends: tuple, spec: tf.TensorSpec) -> tf.Tensor:
    """Return uniform noise in a range; half of its end or 1 replaces an open end."""
    if None in spec.shape[1:]:
        raise ValueError(f"seed_input must be passed for a model that takes any size, {tuple(spec.shape)}.")
    low, high = ends
    shape: Any = spec.shape.as_list()[1:]
    if low is None and high is None:
        low, high = 0.0, 1.0
    elif low is None:
        low = high - np.abs(high / 2.0)
    elif high is None:
        high = low + np.abs(low * 2.0)
    return tf.random.uniform(shape, low, high)
