"""A model that runs to be looked into: layers are tapped, a backward rule is in force, and a tape differentiates."""

import contextlib
import functools
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from kerasal.hooks import backward_rules, paths
from kerasal.process import check_process

import keras
import tensorflow as tf

# Held while a model is watched: its layers then have attributes that are not theirs.
one_at_a_time = threading.RLock()


class NoGradient(ValueError):
    """The scores depend on nothing that they are to be differentiated by."""


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
    given: Mapping[str, tf.Tensor] | None = None,
) -> Iterator[dict[str, tf.Tensor]]:
    """Run ``model`` inside this context, within a ``tf.function``, to look into it.

    While it is open, the ``call`` of each tapped layer is wrapped so that its output is kept, and ``rule`` and
    ``pooling`` (see ``kerasal.hooks.backward_rules``) are the gradients of what is added to the graph. Both end with
    the context, also after an error. Another thread that uses the model meanwhile sees nothing of it.

    Args:
        model: any built Keras model.
        taps: names or paths of layers.
        rule: ``"gradient"``, ``"deconvnet"``, ``"guided"`` or ``"biased"``.
        pooling: ``"max"`` (switches) or ``"sum"`` (repetition).
        lenient: leave out tapped layers that give no single tensor here, instead of refusing them: all, or these.
        partial: end the run silently if it fails above the tapped layers: a dense layer, on an image of another size.
        any_size: let models whose images have a declared size be run on images of another.
        runs: receives every output of each tapped layer, in the order in which it ran.
        given: what tapped layers give instead of their own outputs to the rest of the model.

    Yields:
        A dictionary that holds, once the model has run, the output of each tapped layer under the name that was asked
        for, in the order in which they ran. A layer that runs several times leaves its last output, unless the model
        has several inputs, each of which may have caused a run: then it is refused.

    Raises:
        NoReLU: the rule found no ReLU, or would miss another rectifier.
        ValueError: an unknown layer or rule; no max-pooling to act on; a tapped layer that did not run.
        RuntimeError: there is no graph, because TensorFlow runs functions eagerly.
    """
    check_process()
    if tf.executing_eagerly():
        raise RuntimeError(
            "kerasal traces models as graphs, but TensorFlow runs functions eagerly here. Call "
            "tf.config.run_functions_eagerly(False)."
        )
    graph = tf.compat.v1.get_default_graph()
    replaced = backward_rules.overrides(rule, pooling)
    with one_at_a_time, contextlib.ExitStack() as stack:
        seen, order, given = {}, [], given or {}
        for name in taps:
            layer = paths.find(model, name)[1]
            call, seen[name] = _tapped(layer, functools.partial(order.append, name), given.get(name))
            stack.enter_context(_shadowed(layer, "call", call))
        tapped = {}
        before = len(graph.get_operations())
        for part in _with_sizes(model) if any_size else ():
            stack.enter_context(_shadowed(part, "_manual_input_spec", None))
        try:
            with graph.gradient_override_map(replaced):
                yield tapped
        except Exception:
            if not (partial and all(seen.values())):
                raise
        backward_rules.check(model, graph.get_operations()[before:], rule, pooling)
        several = len(getattr(model, "inputs", None) or []) > 1
        place = {name: number for number, name in enumerate(order)}
        for name, outputs in sorted(seen.items(), key=lambda item: place.get(item[0], 0)):
            try:
                tensors = [_only_tensor(name, output, graph) for output in outputs[:-1] if runs is not None or several]
                tapped[name] = _only_tensor(name, outputs[-1] if outputs else None, graph)
            except ValueError:
                if lenient is not True and name not in (lenient or ()):
                    raise
                continue
            if runs is not None:
                runs[name] = [*tensors, tapped[name]]
            elif several:
                check_one_run(name, [*tensors, tapped[name]])


def check_one_run(name: str, outputs: Sequence[tf.Tensor]) -> None:
    """Refuse a layer that ran several times, where each input of the model may have caused another run."""
    count = len({tensor.ref() for tensor in outputs})
    if count > 1:
        raise ValueError(
            f"Layer {name!r} must run once in a model of several inputs, but it ran {count} times. Choose a layer "
            "after its outputs are joined, or explain a class."
        )


def run_in_function(function: Callable, inputs: Sequence[tf.Tensor]) -> Any:
    """Return ``function(*inputs)``, run as a graph of its own, so that a tape outside it honors the rules within.

    A ``GradientTape`` does not see ``gradient_override_map`` around operations that it records itself. The backward
    graph of a function is made from its operations, whose gradients are the overriding ones.
    """
    specs = [tf.TensorSpec(x.shape, x.dtype) for x in inputs]
    # Traced also where tf.config.run_functions_eagerly would have it run without a graph.
    return tf.function(function, autograph=False).get_concrete_function(*specs)(*inputs)


def differentiate(tape: tf.GradientTape, scores: tf.Tensor, sources: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return d(sum of scores) / d(each source) by a tape that watched the model run: zeros for unrelated sources.

    Raises:
        NoGradient: the scores depend on none of the sources.
    """
    found = tape.gradient(scores, list(sources))
    if all(gradient is None for gradient in found):
        raise NoGradient(
            "The target does not depend on the model's input through anything differentiable, so there is no gradient. "
            "Expected a score computed from the model's output or layers without argmax, rounding or stop_gradient."
        )
    return [
        tf.zeros_like(x) if gradient is None else tf.convert_to_tensor(gradient)
        for gradient, x in zip(found, sources, strict=True)
    ]


@contextlib.contextmanager
def _shadowed(thing: Any, name: str, value: Any) -> Iterator[None]:
    """Let an attribute of an object's own shadow that of its class; not by setattr, since Keras would track it."""
    missing = object()
    before = vars(thing).get(name, missing)
    vars(thing)[name] = value
    try:
        yield
    finally:
        if before is missing:
            vars(thing).pop(name, None)
        else:
            vars(thing)[name] = before


def _tapped(layer: keras.Operation, ran: Callable, given: tf.Tensor | None) -> tuple[Callable, list]:
    """Return a ``call`` for ``layer`` that keeps its outputs, of this thread, and the list in which it does.

    ``ran()`` is called after each run, and ``given`` is passed on instead of the output.
    """
    outputs = []
    original, mine = layer.call, threading.get_ident()

    @functools.wraps(original)
    def call(*args, **kwargs):
        result = original(*args, **kwargs)
        if threading.get_ident() == mine:
            outputs.append(result)
            ran()
            if given is not None:
                return [given] if isinstance(result, list) else given
        return result

    return call, outputs


def _with_sizes(model: keras.Model) -> list[keras.Model]:
    """Return the functional models in ``model``, which check the sizes of their images."""
    parts = [model, *(layer for _, layer in paths.layers(model))]
    parts += [part._functional for part in parts if isinstance(part, keras.Sequential) and part._functional]
    return [part for part in dict.fromkeys(parts) if isinstance(part, keras.Model) and "_nodes" in vars(part)]


def _only_tensor(name: str, output: Any, graph) -> tf.Tensor:
    if output is None:
        raise ValueError(f"Layer {name!r} did not run when the model was called, so it has no output to look at.")
    tensor: Any = output[0] if isinstance(output, (list, tuple)) and len(output) == 1 else output
    if not tf.is_tensor(tensor):
        raise ValueError(
            f"Layer {name!r} returns {type(output).__name__}; expected one tensor. Choose a layer inside it."
        )
    if tensor.graph is not graph:
        raise ValueError(
            f"Layer {name!r} runs inside a tf.function or loop of the model, where it cannot be looked at."
        )
    return tensor
