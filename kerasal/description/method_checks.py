"""The checks of the methods on a model: which of them work, and what the trace shows besides."""

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal import attribution, hooks
from kerasal.attribution.method_parts import weighted_maps
from kerasal.hooks import softmax
from kerasal.hooks.held_inputs import first_embedding, hold_others, start_at
from kerasal.hooks.image_shapes import image_shape, input_layout
from kerasal.hooks.layout import channels_last
from kerasal.hooks.model_inputs import conform
from kerasal.hooks.operations import RELUS
from kerasal.hooks.rectifiers import find_rectifiers
from kerasal.hooks.run_errors import missing_device
from kerasal.hooks.target_layers import LayerMap
from kerasal.hooks.trace import cached_trace
from kerasal.hooks.view import Settings, View
from kerasal.localization.localizer import check_takes_images
from kerasal.maximization.canvas import canvas_shape
from kerasal.models.image_model import ImageModel
from kerasal.models.input_sources import check_layout
from kerasal.objectives import class_score
from kerasal.objectives.expression import Objective

import keras
import tensorflow as tf

_LENGTH = 32  # of an axis of any length, in the inputs that a trace is made for


@dataclasses.dataclass
class TraceFacts:
    """What is read from the trace of a model; ``embedding`` is the layer at which a model of tokens was checked."""

    rectifiers: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    layer: str = ""
    grid: tuple[int | None, ...] = ()
    activation: str = ""
    embedding: str = ""


def check_methods(
    model: ImageModel, shapes: dict[str, tuple], facts: TraceFacts, output: str | None = None
) -> dict[str, str]:
    """Return the reason why each method does not work on an output of a model, or "" if it does."""
    keras_model = model.keras_model
    sides = [[side or _LENGTH for side in shape] for shape in shapes.values()]
    if len(sides) == 1 and len(sides[0]) == 3 and None in next(iter(shapes.values())):
        sides = [[side or free for side, free in zip(next(iter(shapes.values())), (224, 224, 3), strict=True)]]
    arrays: list = [np.zeros((1, *side), np.float32) for side in sides]
    try:
        inputs = conform(keras_model, arrays if len(arrays) > 1 else arrays[0], integers=True)
        methods = _check_attribution(keras_model, inputs, facts, output)
    except Exception as error:  # layers of users raise any class
        methods = dict.fromkeys(attribution.list_methods(), first_sentence(error))
    if device := missing_device(keras_model):
        methods = dict.fromkeys(methods, device)
    objective = class_score(0)
    others: dict[str, Callable[[], Any]] = {
        "maximize": lambda: _check_canvas(model, objective),
        "exemplars": lambda: _check_exemplars(model, facts),
        "localize": lambda: (
            check_takes_images(keras_model),
            image_shape(keras_model),
            _check_classes(model),
            model.check_pixels(),
        ),
        "atlas": lambda: (model.input_shape(), model.check_pixels()),
    }
    methods |= {name: _reason(check) for name, check in others.items()}
    for name, needed in (("maximize", "class_saliency"), ("localize", "gradcam"), ("exemplars", "deconvnet")):
        methods[name] = methods[name] or methods[needed]
    if facts.embedding:  # class_saliency works at the layer, but there is no ascent of integers
        methods["maximize"] = methods["gradcam"]
    return methods


def _check_attribution(
    model: keras.Model, inputs: list[np.ndarray], facts: TraceFacts, output: str | None
) -> dict[str, str]:
    """Return the reason why each attribution method does not work, or "". Methods that explain the same share a trace.

    A model whose inputs are all integers is checked at its embedding.
    """
    embedding = first_embedding(model) if all(array.dtype.kind in "iub" for array in inputs) else None
    facts.embedding = embedding or ""
    methods: dict[str, str] = {}
    groups: dict[tuple[int, ...] | None, list[str]] = {}
    for name in attribution.list_methods():
        spec = attribution.method_spec(name)
        try:
            numbers = spec.explained_numbers(model, inputs, {"layer": embedding} if embedding and spec.at_layer else {})
        except ValueError as error:
            methods[name] = first_sentence(error)
        else:
            groups.setdefault(None if numbers is None else tuple(numbers), []).append(name)
    for number, (numbers, names) in enumerate(groups.items()):
        reasons: dict[Callable, str] = {}
        checks = {name: attribution.method_spec(name).check for name in names}
        trace_checks = _trace_checks(list(dict.fromkeys(checks.values())), facts, reasons, reads_graph=number == 0)

        def on_inputs(view, numbers=numbers, trace_checks=trace_checks):
            if numbers is None:
                return trace_checks(start_at(view, facts.embedding))
            return channels_last(trace_checks)(hold_others(view, numbers))

        try:
            cached_trace(on_inputs, model, inputs, settings=Settings(output=output), declared=False)
        except Exception as error:  # layers of users raise any class
            reasons = dict.fromkeys(checks.values(), first_sentence(error))
        methods |= {name: reasons[check] for name, check in checks.items()}
    return {name: methods[name] for name in attribution.list_methods()}


def _trace_checks(checks: list[Callable], facts: TraceFacts, reasons: dict[Callable, str], reads_graph: bool):
    """Return a graph function that notes for each check why it fails, or "", and what the graph shows besides."""

    def trace_checks(view):
        view = _RunOnce(**{field.name: getattr(view, field.name) for field in dataclasses.fields(view)})
        if reads_graph:
            _read_graph(view, facts)
        for check in checks:
            try:
                result = check(view)
            except Exception as error:  # layers of users raise any class
                reasons[check] = first_sentence(error)
            else:
                reasons[check] = ""
                if check is weighted_maps:
                    _note_map(result[1][0], facts)
        if not facts.layer and all(x.shape.rank == 4 for x in view.inputs):
            _note_last_map(view, facts)
        return [tf.zeros((1,)) for _ in view.inputs]

    return trace_checks


def _check_canvas(model: ImageModel, objective: Objective) -> None:
    """Raise an error if ``maximize`` does not work; other inputs than images get their range from the user."""
    if input_layout(model.keras_model).is_image:
        canvas_shape(model.keras_model, [objective], model.size, "input")
        model.check_pixels()
    else:
        canvas_shape(model.keras_model, [objective], None, "input")


def _check_exemplars(model: ImageModel, facts: TraceFacts) -> None:
    layout = input_layout(model.keras_model)
    if layout.is_image:
        image_shape(model.keras_model)
    else:
        check_layout(model.keras_model, layout)
    _check_maps(model, facts)
    if layout.is_image:
        model.check_pixels()


def _check_maps(model: ImageModel, facts: TraceFacts) -> None:
    if not facts.layer:
        raise ValueError(f"{model.name!r} must have a layer with feature maps (N, h, w, channels).")


def _check_classes(model: ImageModel) -> None:
    if not model.class_count:
        raise ValueError(f"{model.name!r} must be a classifier with the output (N, classes).")


def _read_graph(view, facts: TraceFacts) -> None:
    """Note the rectifiers of a run, and the activation of its output."""
    graph = tf.compat.v1.get_default_graph()
    before = len(graph.get_operations())
    run = view.run(output=True)
    logits = softmax.find_logits(run.raw_output) if tf.is_tensor(run.raw_output) else None
    facts.activation = logits.kind.lower() if logits is not None else ""
    operations = graph.get_operations()[before:]
    names = {"Relu": "ReLU", "Relu6": "ReLU6"}
    facts.rectifiers.update(names[operation.type] for operation in operations if operation.type in RELUS)
    facts.rectifiers.update(found.description.split(" ", 1)[-1].strip(" ,") for found in find_rectifiers(operations))


def _note_map(layer_map: LayerMap, facts: TraceFacts) -> None:
    facts.layer = layer_map.path
    facts.grid = layer_map.grid


def _note_last_map(view, facts: TraceFacts) -> None:
    """Note the last map of a model without one that a class activation map may weight, for example before attention."""
    try:
        path = hooks.default_layer(view)
        tensor = view.run(taps=[path], output=False).layers[path]
        facts.layer, facts.grid = path, tuple(view.layout.last(path, tensor).shape[1:3])
    except Exception:  # a model without convolutions has no map
        facts.layer, facts.grid = "", ()


class _RunOnce(View):
    """A view that runs the model and its gradient only once for all checks."""

    def run(self, inputs=None, **options):
        """Return the run of the view's inputs, the same for the same options."""
        if inputs is not None or set(options) - {"output", "rule"}:
            return super().run(inputs, **options)
        return self._once(f"run once: {options.get('rule', 'gradient')}", lambda: super(_RunOnce, self).run(**options))

    def gradient(self, inputs=None, **options):
        """Return the gradient at the view's inputs."""
        if inputs is not None or options:
            return super().gradient(inputs, **options)
        return self._once("gradient once", super().gradient)

    def _once(self, key: str, compute: Callable[[], Any]) -> Any:
        if key not in self.notes:
            self.notes[key] = compute()
        return self.notes[key]


def _reason(check: Callable[[], Any]) -> str:
    """Return the first sentence of the error that a check raises, or "" if it passes."""
    try:
        check()
    except Exception as error:  # layers of users raise any class
        return first_sentence(error)
    return ""


def first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(". ")[0].rstrip(".") + "."
