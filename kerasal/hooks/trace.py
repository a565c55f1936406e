"""One trace per (model, method, options), kept as long as the model and no longer."""

import collections
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal import _keras  # noqa: F401
from kerasal.hooks import paths
from kerasal.hooks.state import check_rows
from kerasal.hooks.view import View
from kerasal.objectives.expression import Objective
from kerasal.process import check_process

import keras  # isort: skip
import tensorflow as tf  # isort: skip

# A bound, so that a user who makes a new option or function for every call does not fill the memory with graphs.
_KEPT_A_MODEL = 32

_traces: "weakref.WeakKeyDictionary[keras.Model, collections.OrderedDict]" = weakref.WeakKeyDictionary()
_lock = threading.RLock()


class Trace:
    """A method as a concrete function of one model, referred to weakly, so that the cache keeps none alive."""

    def __init__(self, function: Callable, model, objective: Objective, *, specs, example, options, **settings):
        reference = weakref.ref(model)
        structure, layers = objective.structure, objective.layers
        self.limits: list = []
        self.notes: dict[str, Any] = {}
        example = keras.tree.map_structure(lambda _: None, example)  # the structure alone, not the user's arrays

        def run(inputs, parameters):
            view = View(
                model=reference(),
                inputs=list(inputs),
                structure=structure,
                layers=layers,
                parameters=list(parameters),
                example=example,
                limits=self.limits,
                notes=self.notes,
                **settings,
            )
            return [tf.cast(one, tf.float32) for one in function(view, **options)]

        parameter_specs = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in objective.parameters]
        self.function = tf.function(run, input_signature=[specs, parameter_specs], autograph=False)
        self.run = self.function.get_concrete_function()

    def check(self, objective: Objective) -> None:
        """Refuse an index that the model has not, before anything runs."""
        for number, bound, what in self.limits:
            if bound is None:
                continue
            values, bounds = objective.parameters[number], np.atleast_1d(bound)
            if (values >= bounds).any():
                count = bound if np.ndim(bound) == 0 else f"{bounds[0]} × {bounds[1]}"
                worst = values[(values >= bounds).reshape(len(values), -1).any(axis=1)][0]
                raise ValueError(f"There are {count} {what}, counted from 0. Received: {np.array(worst).tolist()}.")

    def __call__(self, inputs: list[np.ndarray], parameters: list[np.ndarray]) -> list[np.ndarray]:
        """Run on one chunk of images."""
        check_process()
        results = self.run([tf.constant(x) for x in inputs], [tf.constant(p) for p in parameters])
        return [result.numpy() for result in results]


def traced(
    function: Callable, model, objective: Objective, inputs: list[np.ndarray], *, declared: bool = True, **settings: Any
) -> Trace:
    """Return the trace for these settings, made on first use.

    ``declared`` says that ``inputs`` are those that the model declares, whose open sizes stay open.
    """
    check_process()
    check_rows(model, len(inputs[0]))
    shapes = [tuple(tensor.shape[1:]) for tensor in getattr(model, "inputs", None) or []] if declared else []
    rows = len(inputs[0]) if objective.loops_over_batch else None
    specs = [tf.TensorSpec((rows, *(shapes[i] if shapes else x.shape[1:])), tf.float32) for i, x in enumerate(inputs)]
    # Images of any number, and of any size where the model leaves it open, share one trace. Only tf-keras-vis' scores
    # need the number of images, since they loop over them in Python.
    key = (
        function,
        objective.structure,
        tuple((spec.shape, spec.dtype) for spec in specs),
        tuple(parameter.shape[1:] for parameter in objective.parameters),
        frozen(settings),
        paths.fingerprint(model),
    )
    with _lock:
        kept = _traces.setdefault(model, collections.OrderedDict())
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
        trace = Trace(function, model, objective, specs=specs, **settings)
        kept[key] = trace
        while len(kept) > _KEPT_A_MODEL:
            kept.popitem(last=False)
        return trace


def frozen(value: Any) -> Any:
    """Turn settings into something hashable; arrays go by their content, inputs by their structure alone."""
    if isinstance(value, dict):
        return tuple((key, _structure(one) if key == "example" else frozen(one)) for key, one in sorted(value.items()))
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value


def _structure(example) -> tuple:
    return (type(example).__name__, *example) if isinstance(example, dict) else (type(example).__name__,)
