"""Traced functions of a model, cached until the model changes or is freed.

``cached_trace`` returns a trace for a model, method and options, and ``remember`` caches other facts about a model. If
something that a trace read has changed, such as an attribute of a layer or a variable in the closure of a target
function, the function is traced again: see ``kerasal.hooks.snapshot``.
"""

import collections
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.hooks.model_inputs import chunk_size
from kerasal.hooks.run_errors import clear_errors
from kerasal.hooks.snapshot import Snapshot, make_hashable, stateful_objects
from kerasal.hooks.state import check_rows, forget_states, state_rows
from kerasal.hooks.taps import tracing_lock
from kerasal.hooks.view import Settings, View
from kerasal.objectives import top_class
from kerasal.objectives.expression import Objective, functions_of
from kerasal.process import check_process

import keras
import tensorflow as tf
from keras.src.backend.common import global_state

# This bound keeps the memory small if a user makes a new option or function for every call.
_MAX_TRACES = 32


class RetracingFunction:
    """A ``tf.function`` of a model that is built again after a change of something that its trace read."""

    def __init__(self, run: Callable, signature: list | None, *roots: Any, autograph: bool = False):
        self._run, self._options, self._roots = run, {"input_signature": signature, "autograph": autograph}, roots
        self._renew()

    def current(self) -> tf.types.experimental.PolymorphicFunction:
        """Return the function, built again if ``roots`` (the model and options) have changed."""
        with tracing_lock:
            if self._settings != _global_settings() or not self._snapshot.holds():
                self._renew()
            return self._function

    def _renew(self) -> None:
        self._snapshot, self._settings = Snapshot(*self._roots), _global_settings()
        # Changes that the tracing itself makes are no reason to trace again, so they are accepted when it ends.
        settle = tf.autograph.experimental.do_not_convert(self._snapshot.settle)
        run = self._run

        def traced_run(*inputs):
            results = run(*inputs)
            settle()
            return results

        self._function = tf.function(traced_run, **self._options)


class ModelCache:
    """Traces by key and other facts about a model, valid until the model changes."""

    def __init__(self, model: keras.Model):
        self.snapshot = Snapshot(model)
        forget_states(model)
        self.traces: collections.OrderedDict[tuple, Trace] = collections.OrderedDict()
        self.facts: dict[tuple, Any] = {}


class Trace:
    """A method as a concrete function of a model. The model is referenced weakly, so the cache does not keep it."""

    def __init__(self, function: Callable, model, objective: Objective, specs: list, settings: Settings, options: dict):
        reference, structure = weakref.ref(model), objective.structure
        self._targets = functions_of(structure)
        self._snapshot = Snapshot(*(target() for target in self._targets), *stateful_objects(options))
        self.limits: list = []
        self.notes: dict[str, Any] = {}

        def run(inputs, parameters):
            view = View(reference(), list(inputs), structure, list(parameters), settings, self.limits, self.notes)
            return [tf.cast(result, tf.float32) for result in function(view, **options)]

        parameter_specs = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in objective.parameters]
        self.function = tf.function(run, input_signature=[specs, parameter_specs], autograph=False)
        self.run = self.function.get_concrete_function()
        self._snapshot.settle()

    @property
    def is_usable(self) -> bool:
        """Whether the target functions still exist."""
        return all(target() is not None for target in self._targets)

    def holds(self) -> bool:
        """Return whether the target function and the options are unchanged since the tracing."""
        return self._snapshot.holds()

    def check(self, objective: Objective) -> None:
        """Raise an error if an index of the objective is out of range for the model, before anything runs."""
        for number, bound, what in self.limits:
            if bound is None:
                continue
            values, sizes = objective.parameters[number], bound if isinstance(bound, tuple) else (bound,)
            bounds = np.array([np.inf if size is None else size for size in sizes])
            if (values >= bounds).any():
                count = " × ".join("any" if size is None else str(size) for size in sizes)
                worst = values[(values >= bounds).reshape(len(values), -1).any(axis=1)][0]
                if callable(what):
                    raise ValueError(what(np.array(worst).tolist()))
                raise ValueError(
                    f"The target's index must be in range, got {np.array(worst).tolist()}. There are {count} {what}, "
                    "counted from 0."
                )

    def __call__(self, inputs: list[np.ndarray], parameters: list[np.ndarray]) -> list[np.ndarray]:
        """Run on a batch of images."""
        check_process()
        results = self.run([tf.constant(x) for x in inputs], [tf.constant(p) for p in parameters])
        return [result.numpy() for result in results]


def cached_trace(
    function: Callable,
    model: keras.Model,
    inputs: list[np.ndarray],
    objective: Objective | None = None,
    settings: Settings | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    declared: bool = True,
) -> Trace:
    """Return the trace of ``function(view, **options)`` for a model and these settings, made on the first call.

    The objective is by default each image's top class. With ``declared``, the input shapes are those that the model
    declares, so that sizes may vary where the model allows it; otherwise they are the shapes of ``inputs``.
    """
    check_process()
    objective, settings, options = objective or top_class(), settings or Settings(), dict(options or {})
    shapes = [tuple(tensor.shape[1:]) for tensor in getattr(model, "inputs", None) or []] if declared else []
    rows = len(inputs[0]) if objective.loops_over_batch else None
    specs = [tf.TensorSpec((rows, *(shapes[i] if shapes else x.shape[1:])), x.dtype) for i, x in enumerate(inputs)]
    # Batches of any number of images, and of any size that the model allows, share a trace. Only the scores of
    # tf-keras-vis need the number of images, since they loop over images in Python.
    key = (
        function,
        objective.structure,
        tuple((spec.shape, spec.dtype) for spec in specs),
        tuple(parameter.shape[1:] for parameter in objective.parameters),
        settings,
        make_hashable(options),
        _global_settings(),
    )
    with tracing_lock:
        cache = _model_cache(model)
        check_rows(model, len(inputs[0]))
        trace = cache.traces.get(key)
        if trace is None or not trace.holds():
            trace = cache.traces[key] = Trace(function, model, objective, specs, settings, options)
            cache.snapshot.settle()
            for unusable in [key for key, trace in cache.traces.items() if not trace.is_usable]:
                del cache.traces[unusable]
            while len(cache.traces) > _MAX_TRACES:
                cache.traces.popitem(last=False)
        cache.traces.move_to_end(key)
        return trace


def run_batches(
    function: Callable,
    model: keras.Model,
    inputs: list[np.ndarray],
    objective: Objective | None = None,
    settings: Settings | None = None,
    options: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    *,
    batch_size: int | None = None,
    declared: bool = True,
) -> tuple[list[np.ndarray], Trace]:
    """Return the results of ``function(view, **options)`` for all images, in batches, and the trace.

    ``batch_size`` is by default the fastest number of images. A sequence of options holds those of each image, and
    images are run one at a time; see ``cached_trace`` for the other arguments.

    Raises:
        ValueError: an index of the objective is out of range for the model, or a layer runs only on a GPU.
        MemoryError: a batch needs more memory than there is.
    """
    objective, images = objective or top_class(), len(inputs[0])
    each = None if options is None or isinstance(options, Mapping) else options
    size = batch_rows(model, inputs, objective, batch_size) if each is None else 1
    parts = []
    for start in range(0, images, size):
        chunk = [array[start : start + size] for array in inputs]
        chosen: Any = options if each is None else each[start]
        trace = cached_trace(function, model, chunk, objective, settings, chosen, declared=declared)
        trace.check(objective)
        with clear_errors(model, chunk):
            parts.append(trace(chunk, objective.rows(start, start + size)))
    return [np.concatenate(pieces) if len(parts) > 1 else pieces[0] for pieces in zip(*parts, strict=True)], trace


def batch_rows(model: keras.Model, inputs: list[np.ndarray], objective: Objective, batch_size: int | None) -> int:
    """Return the number of images per batch: by default the fastest, or the number that the model or target needs."""
    if objective.loops_over_batch:
        return len(inputs[0])
    return batch_size or state_rows(model) or chunk_size(inputs)


def remember(model: keras.Model, key: tuple, make: Callable[[], Any], *, settle: bool = False) -> Any:
    """Return ``make()``, computed once per model and ``key`` and again after the model changes.

    With ``settle``, changes that ``make`` itself makes by tracing the model do not count.
    """
    with tracing_lock:
        cache = _model_cache(model)
        key = (*key, _global_settings())
        if key not in cache.facts:
            cache.facts[key] = make()
            if settle:
                cache.snapshot.settle()
        return cache.facts[key]


def traces(model: keras.Model) -> "collections.OrderedDict[tuple, Trace]":
    """Return the cached traces of a model, the oldest first."""
    return _model_cache(model).traces


def _model_cache(model: keras.Model) -> ModelCache:
    """Return the cache of a model, empty if the model has changed.

    The cache references layers of the model, so it has to be freed with the model. It is therefore stored in the object
    in which Keras tracks the model's variables, and not in a dictionary of this module or an attribute of the model.
    """
    holder = vars(vars(model).get("_tracker", model))
    cache = holder.get("_kerasal_cache")
    if cache is None or not cache.snapshot.holds():
        cache = holder["_kerasal_cache"] = ModelCache(model)
    return cache


def _global_settings() -> tuple:
    """Return the global settings of Keras that layers read when they are called."""
    config = keras.config
    seeds = global_state.get_global_attribute("global_seed_generator")  # for random layers without a seed
    return config.floatx(), config.epsilon(), config.image_data_format(), config.is_flash_attention_enabled(), seeds
