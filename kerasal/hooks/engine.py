"""The engine for everybody's own loops: a model, watched, under an ordinary tape; activations and scores as arrays."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from kerasal.hooks.backward_rules import overrides
from kerasal.hooks.layout import Layout
from kerasal.hooks.model_inputs import conform
from kerasal.hooks.paths import find
from kerasal.hooks.taps import watch
from kerasal.hooks.trace import RetracingFunction, run_batches
from kerasal.hooks.view import Settings, View
from kerasal.objectives import top_class
from kerasal.objectives.targets import resolve

import keras
import tensorflow as tf


def watched(
    model: keras.Model,
    *,
    rule: str = "gradient",
    pooling: str = "max",
    taps: Iterable[str] = (),
    output: str | int | None = None,
    logits: bool = True,
    any_size: bool = False,
) -> Callable[[Any], tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    """Return a callable that runs ``model`` as it is: ``inputs -> (output, {layer: its output})``.

    A ``tf.GradientTape`` around the call differentiates what comes back by the inputs, or the output by the tapped
    layers (Grad-CAM), under the backward rule: eagerly or within a ``tf.function``, a loop or a SavedModel. A second
    tape around that differentiates the map. Nothing is cloned, changed or copied, and the model runs without training
    behavior. A layer that runs several times gives its last output, which has no gradient eagerly or under a rule.

    Args:
        model: any built Keras model.
        rule: ``"gradient"``, ``"deconvnet"`` or ``"guided"``; see ``kerasal.hooks.RULES``.
        pooling: ``"max"`` (switches) or ``"sum"`` (repetition).
        taps: names or paths of layers whose outputs are wanted.
        output: name or position of the output that is meant, for a model with several; without one it gives its tapped
            layers alone, and None.
        logits: return what went into the output's last softmax or sigmoid.
        any_size: take images of another size than the model declares; above the layers it may then fail, and the output
            is None.

    Raises:
        NoReLU: when called: the rule found no ReLU, or would miss another rectifier.
        ValueError: an unknown layer, rule or output.

    Warns:
        NoLogits: the logits cannot be had, and the output itself is returned.
    """
    names = tuple(dict.fromkeys(taps))
    for name in names:
        find(model, name)
    settings, inline = Settings(output, logits, any_size=any_size), not overrides(rule, pooling)
    wanted = not names or output is not None or len(getattr(model, "outputs", None) or [None]) == 1
    order: list[str] = []

    def look(inputs, given, layer) -> Any:
        flat, runs = [tf.cast(tensor, tf.float32) for tensor in keras.tree.flatten(inputs)], {}
        view = View(model, flat, top_class().structure, [], settings.for_inputs(inputs))
        run = view.run(rule=rule, pooling=pooling, taps=names, output=wanted, given=given, runs=runs)
        if not given:
            order[:] = run.layers if all(len({one.ref() for one in outputs}) == 1 for outputs in runs.values()) else []
        return run.layers[layer] if layer else (run.output, run.layers)

    retraced = RetracingFunction(look, None, model)

    def call(inputs: Any) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        eager, inputs = tf.executing_eagerly(), keras.tree.map_structure(tf.convert_to_tensor, inputs)
        function: Any = retraced.current() if eager else look
        if not names or (inline and not eager):  # a tape sees what is added to the graph, the layers too
            return function(inputs, {}, None)
        if eager:
            function.get_concrete_function(inputs, {}, None)  # notes the order
        else:
            look(inputs, {}, None)
        # A function's outputs have no gradient by each other, so the model is cut at the layers, one after the other.
        layers: dict[str, tf.Tensor] = {}
        for name in order:
            layers[name] = function(inputs, dict(layers), name)
        found, rest = function(inputs, layers, None)
        return found, {name: (rest | layers)[name] for name in names}

    return call


def activations(
    model: keras.Model,
    layers: Iterable[str],
    inputs: Any,
    *,
    reduce: Callable[..., tf.Tensor] | None = None,
    batch_size: int | None = None,
    any_size: bool = False,
    **options: Any,
) -> dict[str, np.ndarray]:
    """Return the output of each layer for each image, float32 (N, …, channels), by the names that were asked for.

    Args:
        model: any built Keras model; it is not changed.
        layers: names or paths of layers, at any depth.
        inputs: preprocessed inputs; see the package's conventions.
        reduce: ``(tensor, **options) -> tensor``, applied to each output in the graph, which spares copying large maps.
        batch_size: images run at once; by default as many as run fastest.
        any_size: take images of another size than the model declares; above the layers it may then fail.
        **options: what ``reduce`` is told.

    Raises:
        ValueError: an unknown layer (the closest are listed), or one without a single output tensor.
    """
    names = tuple(dict.fromkeys(layers))
    settings = Settings(any_size=any_size).for_inputs(inputs)
    options = {"layers": names, "reduce": reduce, "more": options}
    arrays = conform(model, inputs, any_size=any_size)
    found, _ = run_batches(
        _tapped, model, arrays, settings=settings, options=options, batch_size=batch_size, declared=not any_size
    )
    return dict(zip(names, found, strict=True))


def read_graph(
    model: keras.Model,
    shape: tuple[int, ...],
    layers: Iterable[str],
    read: Callable[[tf.Tensor, dict[str, tf.Tensor], Layout, Any], Any],
    **watching: Any,
) -> Any:
    """Return ``read(image, layers' outputs, layout, outputs)`` of a trace for one image of ``shape``; nothing is run.

    ``watching`` are further arguments of ``kerasal.hooks.taps.watch``.
    """
    found = []

    def run(image):
        outputs = None
        with watch(model, taps=tuple(layers), **watching) as seen:
            outputs = model(image, training=False)
        layout = Layout()
        layout.note([image], image.graph.get_operations(), seen)
        found.append(read(image, seen, layout, outputs))

    tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec((1, *shape), tf.float32))
    return found[0]


def target_scores(
    model, arrays: list[np.ndarray], target: Any, *, output=None, logits: bool = True, batch_size=None
) -> np.ndarray:
    """Return the (N,) scores of conformed inputs; see ``kerasal.attribution`` for the arguments."""
    objective, settings = resolve(target, len(arrays[0])), Settings(output, logits)
    return run_batches(_scores, model, arrays, objective, settings, batch_size=batch_size)[0][0]


def fixed_target(model, arrays: list[np.ndarray], target: Any, *, output=None, logits=True, batch_size=None) -> Any:
    """Return the target, with "each image's top class" replaced by those classes, (N,) int."""
    if target is not None:
        return target
    found, _ = run_batches(_top, model, arrays, settings=Settings(output, logits), batch_size=batch_size)
    return found[0].astype(int)


def _scores(view):
    return [view.score()]


def _top(view):
    return view.pin().parameters


def _tapped(view: View, *, layers: tuple[str, ...], reduce: Callable | None, more: dict[str, Any]) -> list[tf.Tensor]:
    seen = view.run(taps=layers, output=False).layers
    found: list[Any] = [view.layout.last(name, seen[name]) for name in layers]
    return [reduce(tf.cast(one, tf.float32), **more) for one in found] if reduce else found
