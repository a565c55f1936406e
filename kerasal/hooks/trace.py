"""One trace per (model, method, options), kept as long as the model, and as what it read when it was traced.

``cached_trace`` returns it; ``remember`` keeps other facts about a model. When anything that a trace depends on changes, an
attribute of a layer or the closure of a target function, it is made anew: see ``kerasal.hooks.snapshot``.
"""

import collections
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasal.hooks.model_inputs import chunk_size
from kerasal.hooks.snapshot import Snapshot, frozen, open_objects
from kerasal.hooks.state import check_rows, note_states, state_rows
from kerasal.hooks.taps import one_at_a_time
from kerasal.hooks.view import Settings, View
from kerasal.objectives import top_class
from kerasal.objectives.expression import Objective, walk
from kerasal.process import check_process

import keras
import tensorflow as tf
from keras.src.backend.common import global_state

# A bound, so that a user who makes a new option or function for every call does not fill the memory with graphs.
_MAX_TRACES = 32


class RetracingFunction:
    """A ``tf.function`` of a model, made anew when anything changes that its trace has read."""

    def __init__(self, run: Callable, signature: list | None, *roots: Any, autograph: bool = False):
        self._run, self._options, self._roots = run, {"input_signature": signature, "autograph": autograph}, roots
        self._renew()

    def current(self) -> tf.types.experimental.PolymorphicFunction:
        """Return the function, whose traces are of ``roots`` (the model and options) as they are now."""
        with one_at_a_time:
            if self._settings != _global_settings() or not self._snapshot.holds():
                self._renew()
            return self._function

    def _renew(self) -> None:
        self._snapshot, self._settings = Snapshot(*self._roots), _global_settings()
        # What tracing itself sets is no reason to trace again, so it is settled when the trace ends.
        settle = tf.autograph.experimental.do_not_convert(self._snapshot.settle)
        run = self._run

        def traced_run(*inputs):
            results = run(*inputs)
            settle()
            return results

        self._function = tf.function(traced_run, **self._options)


class Kept:
    """What is kept about one model while it stays as it is: traces by key, and facts."""

    def __init__(self, model: keras.Model):
        self.snapshot = Snapshot(model)
        note_states(model)
        self.traces: collections.OrderedDict[tuple, Trace] = collections.OrderedDict()
        self.facts: dict[tuple, Any] = {}


class Trace:
    """A method as a concrete function of one model, referred to weakly, so that the cache keeps none alive."""

    def __init__(self, function: Callable, model, objective: Objective, specs: list, settings: Settings, options: dict):
        reference, structure = weakref.ref(model), objective.structure
        self._targets = [node[1] for node in walk(structure) if node[0] == "callable"]
        self._snapshot = Snapshot(*(target() for target in self._targets), *open_objects(options))
        self.limits: list = []
        self.notes: dict[str, Any] = {}

        def run(inputs, parameters):
            view = View(reference(), list(inputs), structure, list(parameters), settings, self.limits, self.notes)
            return [tf.cast(one, tf.float32) for one in function(view, **options)]

        parameter_specs = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in objective.parameters]
        self.function = tf.function(run, input_signature=[specs, parameter_specs], autograph=False)
        self.run = self.function.get_concrete_function()
        self._snapshot.settle()

    @property
    def is_usable(self) -> bool:
        """Whether the target functions still exist."""
        return all(target() is not None for target in self._targets)

    def holds(self) -> bool:
        """Tell whether the target function and the options are as they were when this was traced."""
        return self._snapshot.holds()

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
    """Return the trace of ``function(view, **options)`` for a model and these settings, made on first use.

    The objective is by default each image's top class. ``declared`` says that ``inputs`` are those that the model
    declares, whose open sizes stay open.
    """
    check_process()
    objective, settings, options = objective or top_class(), settings or Settings(), dict(options or {})
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
        settings,
        frozen(options),
        _global_settings(),
    )
    with one_at_a_time:
        kept = _kept(model)
        check_rows(model, len(inputs[0]))
        trace = kept.traces.get(key)
        if trace is None or not trace.holds():
            trace = kept.traces[key] = Trace(function, model, objective, specs, settings, options)
            kept.snapshot.settle()
            for dead in [key for key, trace in kept.traces.items() if not trace.is_usable]:
                del kept.traces[dead]
            while len(kept.traces) > _MAX_TRACES:
                kept.traces.popitem(last=False)
        kept.traces.move_to_end(key)
        return trace


def run_batches(
    function: Callable,
    model: keras.Model,
    inputs: list[np.ndarray],
    objective: Objective | None = None,
    settings: Settings | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    batch_size: int | None = None,
    declared: bool = True,
) -> tuple[list[np.ndarray], Trace]:
    """Return what ``function(view, **options)`` gives for all images, some at a time, and the trace; see ``cached_trace``.

    ``batch_size`` is by default as many as run fastest.

    Raises:
        ValueError: the objective's index is one that the model has not.
    """
    objective, images = objective or top_class(), len(inputs[0])
    size = batch_rows(model, inputs, objective, batch_size)
    parts = []
    for start in range(0, images, size):
        chunk = [array[start : start + size] for array in inputs]
        trace = cached_trace(function, model, chunk, objective, settings, options, declared=declared)
        trace.check(objective)
        parts.append(trace(chunk, objective.rows(start, start + size)))
    return [np.concatenate(pieces) if len(parts) > 1 else pieces[0] for pieces in zip(*parts, strict=True)], trace


def batch_rows(model: keras.Model, inputs: list[np.ndarray], objective: Objective, batch_size: int | None) -> int:
    """Return how many images are run at once: by default as many as run fastest, or as the model or target needs."""
    if objective.loops_over_batch:
        return len(inputs[0])
    return batch_size or state_rows(model) or chunk_size(inputs)


def remember(model: keras.Model, key: tuple, make: Callable[[], Any]) -> Any:
    """Return ``make()``, computed once for a model and ``key`` while the model stays as it is."""
    with one_at_a_time:
        facts = _kept(model).facts
        key = (*key, _global_settings())
        if key not in facts:
            facts[key] = make()
        return facts[key]


def traces(model: keras.Model) -> "collections.OrderedDict[tuple, Trace]":
    """Return the traces that are kept for a model, the oldest first."""
    return _kept(model).traces


def _kept(model: keras.Model) -> Kept:
    """Return what is kept for a model as it is now.

    It refers to the model's layers, so it must die with the model: it is held by the object in which Keras keeps track
    of the model's variables, not by a dictionary of this module, and not by an attribute of the model.
    """
    holder = vars(vars(model).get("_tracker", model))
    kept = holder.get("_kerasal_kept")
    if kept is None or not kept.snapshot.holds():
        kept = holder["_kerasal_kept"] = Kept(model)
    return kept


def _global_settings() -> tuple:
    """Return the settings of Keras that its layers read when they are called."""
    config = keras.config
    seeds = global_state.get_global_attribute("global_seed_generator")  # of layers with noise and without a seed
    return config.floatx(), config.epsilon(), config.image_data_format(), config.is_flash_attention_enabled(), seeds
