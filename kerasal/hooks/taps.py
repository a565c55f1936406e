"""Contexts that record layer outputs while a model runs under a backward rule, and derivatives of the scores."""

import contextlib
import functools
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from kerasal.hooks import backward_rules, paths, volume_pooling
from kerasal.process import check_process

import keras
import tensorflow as tf

# Held while a model is watched, because attributes of its layers are then replaced.
tracing_lock = threading.RLock()


class NoGradient(ValueError):
    """The scores depend on none of the tensors with respect to which they are differentiated."""


@contextlib.contextmanager
def watch(
    model: keras.Model,
    *,
    taps: Sequence[str] = (),
    rule: str = "gradient",
    pooling: str = "max",
    lenient: bool | Collection[str] = False,
    partial: bool = False,
    any_size: bool = False,
    runs: dict[str, list[tf.Tensor]] | None = None,
    replacements: Mapping[str, tf.Tensor | Callable[[tf.Tensor, int], tf.Tensor]] | None = None,
    spans: dict[str, list[tuple[int, int]]] | None = None,
) -> Iterator[dict[str, tf.Tensor]]:
    """Record the outputs of layers, and apply a backward rule, while ``model`` runs inside this context.

    Use it within a ``tf.function``. Inside the context, the ``call`` of each tapped layer is wrapped so that its
    output is recorded, and the operations that are added to the graph have the gradients of ``rule`` and ``pooling``
    (see ``kerasal.hooks.backward_rules``) and that of ``kerasal.hooks.volume_pooling``. All ends with the context, also
    after an error. Other threads that use the model meanwhile are not affected.

    Args:
        model: any built Keras model.
        taps: names or paths of layers.
        rule: ``"gradient"``, ``"deconvnet"``, ``"guided"`` or ``"biased"``.
        pooling: ``"max"`` (switches) or ``"sum"`` (repetition).
        lenient: skip tapped layers without a single output tensor instead of raising an error: all, or these names.
        partial: end the run silently if it fails after the tapped layers, as a dense layer does for another image size.
        any_size: run models on images of another size than they declare.
        runs: receives the outputs of each tapped layer, by name, in the order of its runs.
        replacements: tensors by layer name that replace the outputs of tapped layers for the rest of the model; or a
            function of the output and the number of the run, from 0, whose result is also what is recorded.
        spans: receives for each tapped layer, by name, the first number and the number after the last of the graph's
            operations that each of its runs added.

    Yields:
        A dictionary from layer names, as in ``taps``, to outputs, in the order in which the layers ran. It is filled at
        the end of the context. The last output counts if a layer runs several times. In a model of several inputs,
        each run may belong to another input, so that such a layer is an error unless ``runs`` is passed.

    Raises:
        NoReLU: the model has no ReLU for the rule, or another rectifier that the rule cannot replace.
        ValueError: an unknown layer or rule; no max-pooling for ``pooling``; a tapped layer that did not run.
        RuntimeError: there is no graph, because TensorFlow runs functions eagerly.
    """
    check_process()
    if tf.executing_eagerly():
        raise RuntimeError(
            "kerasal must trace models as graphs, but TensorFlow is set to run functions eagerly. Call "
            "tf.config.run_functions_eagerly(False)."
        )
    graph = tf.compat.v1.get_default_graph()
    replaced = backward_rules.overrides(rule, pooling)
    with tracing_lock, contextlib.ExitStack() as stack:
        recorded, order, replacements = {}, [], replacements or {}
        for layer in volume_pooling.find_volume_pools(model):
            stack.enter_context(replace_attribute(layer, "call", volume_pooling.call_with_gradient(layer)))
        # Replaced outputs first, so that a second name of the layer records what the rest of the model reads.
        for name in sorted(taps, key=lambda name: not callable(replacements.get(name))):
            layer = paths.find(model, name)[1]
            note_run = functools.partial(_note_run, name, order, spans, graph)
            call, recorded[name] = _recording_call(layer, note_run, replacements.get(name))
            stack.enter_context(replace_attribute(layer, "call", call))
        tapped = {}
        before = len(graph.get_operations())
        for part in _functional_models(model) if any_size else ():
            stack.enter_context(replace_attribute(part, "_manual_input_spec", None))
        try:
            with graph.gradient_override_map(replaced):
                yield tapped
        except Exception:
            if not (partial and all(recorded.values())):
                raise
        backward_rules.check(model, graph.get_operations()[before:], rule, pooling)
        several = len(getattr(model, "inputs", None) or []) > 1
        place = {name: number for number, name in enumerate(order)}
        for name, outputs in sorted(recorded.items(), key=lambda item: place.get(item[0], 0)):
            try:
                tensors = [
                    _single_tensor(name, output, graph) for output in outputs[:-1] if runs is not None or several
                ]
                tapped[name] = _single_tensor(name, outputs[-1] if outputs else None, graph)
            except ValueError:
                if lenient is not True and name not in (lenient or ()):
                    raise
                continue
            if runs is not None:
                runs[name] = [*tensors, tapped[name]]
            elif several:
                check_single_run(name, [*tensors, tapped[name]])


def check_single_run(name: str, outputs: Sequence[tf.Tensor]) -> None:
    """Raise an error if a layer ran several times, since each run may belong to another input of the model."""
    count = len({tensor.ref() for tensor in outputs})
    if count > 1:
        raise ValueError(
            f"Layer {name!r} must run once in a model of several inputs, but it ran {count} times. Choose a later "
            "layer that joins its outputs, or explain a class."
        )


def run_in_function(function: Callable, inputs: Sequence[tf.Tensor]) -> Any:
    """Return ``function(*inputs)``, run as a separate graph function so that an outer tape follows the backward rule.

    A ``GradientTape`` ignores ``gradient_override_map`` for operations that the tape itself records. It does follow the
    map inside a function, because the gradient of a function is built from the operations of the function.
    """
    specs = [tf.TensorSpec(x.shape, x.dtype) for x in inputs]
    # A concrete function runs as a graph even under tf.config.run_functions_eagerly.
    return tf.function(function, autograph=False).get_concrete_function(*specs)(*inputs)


def differentiate(tape: tf.GradientTape, scores: tf.Tensor, sources: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return d(sum of scores) / d(source) for each source, with zeros for a source that the scores do not depend on.

    Args:
        tape: a persistent or unused tape that watched the sources while the model ran.
        scores: a tensor of any shape.
        sources: tensors that the tape watched.

    Raises:
        NoGradient: the scores depend on none of the sources.
    """
    gradients = tape.gradient(scores, list(sources))
    if all(gradient is None for gradient in gradients):
        raise NoGradient(
            "The target must be a differentiable function of the model's input, but it has no gradient. Compute the "
            "score from the model's output or layers without argmax, rounding or stop_gradient."
        )
    return [
        tf.zeros_like(x) if gradient is None else tf.convert_to_tensor(gradient)
        for gradient, x in zip(gradients, sources, strict=True)
    ]


@contextlib.contextmanager
def replace_attribute(thing: Any, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute of an object inside this context, without setattr because Keras would track the value."""
    missing = object()
    previous = vars(thing).get(name, missing)
    vars(thing)[name] = value
    try:
        yield
    finally:
        if previous is missing:
            vars(thing).pop(name, None)
        else:
            vars(thing)[name] = previous


def _recording_call(layer: keras.Operation, note_run: Callable, replacement: Any) -> tuple[Callable, list]:
    """Return a ``call`` for ``layer`` and the list to which it appends the outputs of this thread.

    It calls ``note_run(start)`` after each run, where ``start`` is the graph's number of operations before the run, and
    returns ``replacement``, unless it is None, instead of the output. If that is a function of the output and the
    number of the run, its result is returned and recorded.
    """
    outputs = []
    original, this_thread = layer.call, threading.get_ident()

    @functools.wraps(original)
    def call(*args, **kwargs):
        start = _count_operations()
        result = original(*args, **kwargs)
        if threading.get_ident() == this_thread:
            if callable(replacement):
                listed = isinstance(result, list)
                changed = replacement(result[0] if listed else result, len(outputs))
                result = [changed] if listed else changed
            outputs.append(result)
            note_run(start)
            if replacement is not None and not callable(replacement):
                return [replacement] if isinstance(result, list) else replacement
        return result

    return call, outputs


def _note_run(name: str, order: list[str], spans: dict | None, graph, start: int) -> None:
    order.append(name)
    if spans is not None and tf.compat.v1.get_default_graph() is graph:
        spans.setdefault(name, []).append((start, _count_operations()))


def _count_operations() -> int:
    return tf.compat.v1.get_default_graph().num_operations()


def _functional_models(model: keras.Model) -> list[keras.Model]:
    """Return the functional models inside ``model``, which check the sizes of their images."""
    parts = [model, *(layer for _, layer in paths.layers(model))]
    parts += [part._functional for part in parts if isinstance(part, keras.Sequential) and part._functional]
    return [part for part in dict.fromkeys(parts) if isinstance(part, keras.Model) and "_nodes" in vars(part)]


def _single_tensor(name: str, output: Any, graph) -> tf.Tensor:
    if output is None:
        raise ValueError(f"Layer {name!r} must run when the model is called, but it did not run.")
    tensor: Any = output[0] if isinstance(output, (list, tuple)) and len(output) == 1 else output
    if not tf.is_tensor(tensor):
        raise ValueError(
            f"Layer {name!r} must return one tensor, but it returns {type(output).__name__}. Choose a layer inside it."
        )
    if tensor.graph is not graph:
        raise ValueError(
            f"Layer {name!r} must not run inside a tf.function or loop of the model, where its output is not available."
        )
    return tensor
