"""``smooth``: SmoothGrad around any attribution method, the mean of its maps over noisy copies of the inputs."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal.attribution.map_notes import ZeroMap, attach_notes
from kerasal.attribution.method import list_methods, method_function, method_spec
from kerasal.attribution.method_parts import normal_noise, value_range
from kerasal.checks import check_int, check_number
from kerasal.hooks.engine import fixed_target
from kerasal.hooks.model_inputs import conform, unpack
from kerasal.progress import progress_bar

import keras
import tensorflow as tf


def smooth(
    method: str | Callable,
    *,
    samples: int = 25,
    noise: float = 0.15,
    squared: bool = False,
    variance: bool = False,
    seed: int = 0,
    progress: bool = False,
) -> Callable:
    """Return a method whose maps are the mean of another method's maps over noisy inputs (Smilkov et al. 2017).

    The new method is called as the other one, ``smooth("deeplift", samples=10)(model, inputs, target, baseline=0.5)``,
    and returns the same kinds of maps. Without a target, it explains the top class of the inputs without noise. The
    cost is ``samples`` times that of the method. For the gradient, ``smoothgrad`` does the same in fewer passes.

    Args:
        method: name of an attribution method, or a function with the arguments of one.
        samples: number of noisy copies of each input, a positive integer.
        noise: standard deviation of the Gaussian noise, as a share of each input's range (its largest minus its
            smallest value). Integer inputs, such as token indices, get no noise.
        squared: average the squared maps, in squared units.
        variance: return the variance of the maps in place of their mean, in squared units.
        seed: seed of the noise, which is the same for every input of a batch.
        progress: show a progress bar.

    Returns:
        A function ``(model, inputs, target=None, *, output=None, logits=True, batch_size=None, **options)``, which
        returns maps as the method does; further results, such as a completeness gap, are averaged likewise.

    Raises:
        ValueError: an unknown method; ``samples`` is not a positive integer; ``noise`` is negative; both ``squared``
            and ``variance`` are set; or, when the function is called, all inputs of the model are integers, or the
            maps are class indices, which have no mean.
        TypeError: ``method`` is neither a name nor a function.
    """
    if not callable(method) and not isinstance(method, str):
        raise TypeError(f"method must be the name of an attribution method or a function, got {method!r}.")
    run = method if callable(method) else method_function(method)
    name = getattr(run, "__name__", type(run).__name__)
    check_int("samples", samples)
    check_number("noise", noise, minimum=0, remedy="It is a share of each input's range.")
    if squared and variance:
        raise ValueError(
            "squared and variance must not both be True, since each selects a different statistic of the samples."
        )
    any_size = name in list_methods() and run is method_function(name) and method_spec(name).any_size

    def explain(
        model: keras.Model,
        inputs: Any,
        target: Any = None,
        *,
        output: str | int | None = None,
        logits: bool = True,
        batch_size: int | None = None,
        **options: Any,
    ) -> Any:
        arrays = conform(model, inputs, any_size=any_size, integers=True)
        if not any(array.dtype == np.float32 for array in arrays):
            raise ValueError(
                f"inputs of {model.name!r} must hold floating-point values to get noise, but all are integers. Build a "
                "model that starts at the embedding."
            )
        shared = {"output": output, "logits": logits, "batch_size": batch_size}
        target = fixed_target(model, arrays, target, **shared)
        moments: list[_Moments] = []
        result: Any = None
        with progress_bar(f"Smoothing {name}", samples, progress) as advance, warnings.catch_warnings():
            warnings.simplefilter("ignore", ZeroMap)  # of a single noisy copy
            for number in range(samples):
                noisy = [_add_noise(array, noise, seed + place, number) for place, array in enumerate(arrays)]
                result = run(model, unpack(model, noisy, inputs), target, **shared, **options)
                parts = keras.tree.flatten(result)
                if any(part is not None and part.dtype.kind == "i" for part in parts):
                    raise ValueError(f"{name} must return numbers that have a mean, got a map of class indices.")
                moments = moments or [_Moments(part) for part in parts]
                for moment, part in zip(moments, parts, strict=True):
                    moment.add(part, squared)
                advance(1)
        smoothed = [moment.result(variance) for moment in moments]
        if not variance:
            _warn_of_zero_maps(name, smoothed)
        return keras.tree.pack_sequence_as(result, smoothed)

    explain.__name__ = explain.__qualname__ = f"smooth({name})"
    return explain


class _Moments:
    """The running mean and sum of squared deviations of arrays (Welford 1962), float64; None stays None."""

    def __init__(self, example):
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.is_none, self.notes = example is None, getattr(example, "notes", {})

    def add(self, array, squared: bool) -> None:
        if self.is_none:
            return
        values = np.asarray(array, np.float64)
        values = np.square(values) if squared else values
        self.count += 1
        shift = values - self.mean
        self.mean = self.mean + shift / self.count
        self.squares = self.squares + shift * (values - self.mean)

    def result(self, variance: bool) -> np.ndarray | None:
        if self.is_none:
            return None
        values = self.squares / self.count if variance else self.mean
        return attach_notes(np.asarray(values, np.float32), self.notes)


def _warn_of_zero_maps(name: str, results: list) -> None:
    for values in results:
        if values is not None and values.ndim > 1:  # not a completeness gap
            images = np.flatnonzero(~values.reshape(len(values), -1).any(axis=1)).tolist()
            if images:
                cause = f"the map of every noisy copy is 0; {name} itself warns of the cause"
                warnings.warn(ZeroMap(f"smooth({name})", images, len(values), cause), stacklevel=3)


def _add_noise(array: np.ndarray, noise: float, seed: int, number: int) -> np.ndarray:
    if array.dtype != np.float32:
        return array
    x = tf.constant(array)
    return (x + noise * value_range(x) * normal_noise(x, tf.constant([number]), seed)[0]).numpy()
