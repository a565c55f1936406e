"""A model as a function that a ``GradientTape`` differentiates up to any layer; activations and scores as arrays."""

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
    """Return a function ``inputs -> (output, {layer: its output})`` that runs ``model`` unchanged.

    A ``tf.GradientTape`` around the call differentiates the output and the layers with respect to the inputs, and the
    output with respect to the tapped layers (as in Grad-CAM), under the backward rule. This works eagerly, in a
    ``tf.function``, in a loop and in a SavedModel. A second tape around the first differentiates the map. The model is
    not cloned or changed, and runs in inference mode. For a layer that runs several times, the last output is returned;
    eagerly or under a rule, the model's output has no gradient with respect to that layer.

    Args:
        model: any built Keras model.
        rule: ``"gradient"``, ``"deconvnet"``, ``"guided"`` or ``"biased"``; see ``kerasal.hooks.RULES``.
        pooling: ``"max"`` (switches) or ``"sum"`` (repetition).
        taps: names or paths of the layers to return.
        output: name or index of the output to return. A model of several outputs returns None as output without it,
            and needs ``taps``.
        logits: return the input of the output's softmax or sigmoid instead of the probabilities.
        any_size: accept images of another size than the model declares. If layers after the tapped ones fail for that
            size, the output is None.

    Raises:
        NoReLU: when called: the model has no ReLU for the rule, or another rectifier that the rule cannot replace.
        ValueError: an unknown layer, rule or output.

    Warns:
        NoLogits: the logits are not available, and the output itself is returned.
    """
    names = tuple(dict.fromkeys(taps))
    for name in names:
        find(model, name)
    settings, inline = Settings(output, logits, any_size=any_size), not overrides(rule, pooling)
    wanted = not names or output is not None or len(getattr(model, "outputs", None) or [None]) == 1
    order: list[str] = []

    def run_model(inputs, replacements, layer) -> Any:
        flat, runs = [tf.cast(tensor, tf.float32) for tensor in keras.tree.flatten(inputs)], {}
        view = View(model, flat, top_class().structure, [], settings.for_inputs(inputs))
        run = view.run(rule=rule, pooling=pooling, taps=names, output=wanted, replacements=replacements, runs=runs)
        if not replacements:
            run_once = all(len({tensor.ref() for tensor in outputs}) == 1 for outputs in runs.values())
            order[:] = run.layers if run_once else []
        return run.layers[layer] if layer else (run.output, run.layers)

    graph_function = RetracingFunction(run_model, None, model)

    def call(inputs: Any) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        eager, inputs = tf.executing_eagerly(), keras.tree.map_structure(tf.convert_to_tensor, inputs)
        function: Any = graph_function.current() if eager else run_model
        if not names or (inline and not eager):  # an outer tape sees the operations of the layers in this graph
            return function(inputs, {}, None)
        if eager:
            function.get_concrete_function(inputs, {}, None)  # fills order
        else:
            run_model(inputs, {}, None)
        # Outputs of one function have no gradients with respect to each other, so a function per layer runs up to it.
        layers: dict[str, tf.Tensor] = {}
        for name in order:
            layers[name] = function(inputs, dict(layers), name)
        result, rest = function(inputs, layers, None)
        return result, {name: (rest | layers)[name] for name in names}

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
    """Return the outputs of layers, float32 (N, …, channels), as a dictionary with the names in ``layers`` as keys.

    Args:
        model: any built Keras model; it is not changed.
        layers: names or paths of layers, at any depth.
        inputs: preprocessed inputs; see the package's conventions.
        reduce: ``(tensor, **options) -> tensor``, applied to each output in the graph, which saves copying large maps.
        batch_size: number of images per batch; by default the fastest number.
        any_size: accept images of another size than the model declares; layers that need that size may then fail.
        **options: passed to ``reduce``.

    Raises:
        ValueError: an unknown layer (the error lists the closest names), or a layer without a single output tensor.
    """
    names = tuple(dict.fromkeys(layers))
    settings = Settings(any_size=any_size).for_inputs(inputs)
    options = {"layers": names, "reduce": reduce, "reduce_options": options}
    arrays = conform(model, inputs, any_size=any_size)
    outputs, _ = run_batches(
        _layer_outputs, model, arrays, settings=settings, options=options, batch_size=batch_size, declared=not any_size
    )
    return dict(zip(names, outputs, strict=True))


def read_graph(
    model: keras.Model,
    shape: tuple[int, ...],
    layers: Iterable[str],
    read: Callable[[tf.Tensor, dict[str, tf.Tensor], Layout, Any], Any],
    **watch_options: Any,
) -> Any:
    """Return ``read(image, layer outputs, layout, model output)`` for the graph of an image of ``shape``.

    The model is only traced, so the tensors have no values. ``watch_options`` are arguments of
    ``kerasal.hooks.taps.watch``.
    """
    results = []

    def run(image):
        outputs = None
        with watch(model, taps=tuple(layers), **watch_options) as tapped:
            outputs = model(image, training=False)
        layout = Layout()
        layout.note([image], image.graph.get_operations(), tapped)
        results.append(read(image, tapped, layout, outputs))

    tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec((1, *shape), tf.float32))
    return results[0]


def target_scores(
    model, arrays: list[np.ndarray], target: Any, *, output=None, logits: bool = True, batch_size=None
) -> np.ndarray:
    """Return the scores (N,) of inputs that ``conform`` returned; see ``kerasal.attribution`` for the arguments."""
    objective, settings = resolve(target, len(arrays[0])), Settings(output, logits)
    return run_batches(_scores, model, arrays, objective, settings, batch_size=batch_size)[0][0]


def output_values(model, arrays: list[np.ndarray], *, output=None, logits=True, batch_size=None) -> np.ndarray:
    """Return the output that targets read, channels last: logits where they are explained and known."""
    settings = Settings(output, logits)
    values, _ = run_batches(_output_values, model, arrays, settings=settings, batch_size=batch_size)
    return values[0]


def fixed_target(model, arrays: list[np.ndarray], target: Any, *, output=None, logits=True, batch_size=None) -> Any:
    """Return the target; if it is None, the index of each image's top class, int (N,)."""
    if target is not None:
        return target
    classes, _ = run_batches(_top_classes, model, arrays, settings=Settings(output, logits), batch_size=batch_size)
    return classes[0].astype(int)


def _scores(view):
    return [view.score()]


def _output_values(view):
    return [view.layout.last(None, view.run(output=True).output)]


def _top_classes(view):
    return view.pin().parameters


def _layer_outputs(
    view: View, *, layers: tuple[str, ...], reduce: Callable | None, reduce_options: dict[str, Any]
) -> list[tf.Tensor]:
    tapped = view.run(taps=layers, output=False).layers
    outputs: list[Any] = [view.layout.last(name, tapped[name]) for name in layers]
    return [reduce(tf.cast(output, tf.float32), **reduce_options) for output in outputs] if reduce else outputs
