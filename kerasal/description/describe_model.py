"""``describe``: what a model takes and returns, how its pixels are preprocessed, and which methods work on it."""

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal import attribution, hooks, receptive_field
from kerasal.description.model_description import ModelDescription
from kerasal.hooks import softmax
from kerasal.hooks.layout import channels_last
from kerasal.hooks.model_inputs import conform, declared_image_shape, image_shape
from kerasal.hooks.operations import RELUS
from kerasal.hooks.rectifiers import find_rectifiers
from kerasal.hooks.trace import cached_trace
from kerasal.maximization.canvas import canvas_shape
from kerasal.models.image_model import ImageModel
from kerasal.models.opener import open_model
from kerasal.objectives import class_score
from kerasal.preprocessing import NoPreprocessing

import tensorflow as tf

_FIELDS = 5  # layers whose receptive fields are listed
_LENGTH = 32  # of an axis of any length, in the inputs that a trace is made for
_ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention", "Attention", "AdditiveAttention")


def describe(model: Any, **options: Any) -> ModelDescription:
    """Return what is known about a model: inputs, preprocessing, layers, and what each method can do on it.

    The model is traced once, and nothing is computed. A method counts as working if the checks pass that the method
    itself makes for a model; a score or a layer that you choose may raise further errors.

    Args:
        model: an ``ImageModel``, or what ``kerasal.open_model`` takes: a file, a zoo name or a ``keras.Model``.
        **options: options of ``kerasal.open_model``.

    Raises:
        ValueError: the model cannot be opened; see ``kerasal.open_model``.
    """
    opened = open_model(model, **options)
    keras_model, notes = opened.keras_model, []
    if not getattr(keras_model, "inputs", None):
        notes.append(
            "A subclassed model declares neither its inputs nor their order: shapes are those that it was built with, "
            "and preprocessing inside of it is not recognized."
        )
    elif any(type(layer).__name__ == "TFSMLayer" for _, layer in hooks.layers(keras_model)):
        notes.append("The layers of a SavedModel are not known, so layers cannot be named.")
    shapes = _input_shapes(keras_model)
    facts = _Facts()
    methods = _check_methods(opened, shapes, facts)
    return ModelDescription(
        name=opened.name,
        kind=_kind(keras_model),
        inputs={name: _format(shape) for name, shape in shapes.items()},
        outputs=_outputs(opened, facts.activation),
        parameters=keras_model.count_params(),
        preprocessing=opened.preprocessing.name if opened.preprocessing else "",
        preprocessing_reason=_explain_preprocessing(opened),
        labels=list(opened.labels),
        last_layer=facts.layer,
        last_grid=facts.grid,
        fields=_fields(keras_model),
        rectifiers=dict(facts.rectifiers),
        attention=sum(type(layer).__name__ in _ATTENTION for _, layer in hooks.layers(keras_model)),
        methods=methods,
        notes=[*(note for note in opened.notes if not note.startswith("Preprocessing:")), *notes],
    )


@dataclasses.dataclass
class _Facts:
    """What is read from the trace of a model."""

    rectifiers: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    layer: str = ""
    grid: tuple[int | None, ...] = ()
    activation: str = ""


def _check_methods(model: ImageModel, shapes: dict[str, tuple], facts: _Facts) -> dict[str, str]:
    """Return the reason why each method does not work on a model, or "" if it does."""
    checks = {name: attribution.method_spec(name).check for name in attribution.list_methods()}
    reasons: dict[Callable, str] = {}

    def trace_checks(view):
        _read_graph(view, facts)
        for check in dict.fromkeys(checks.values()):
            reasons[check] = _reason(lambda check=check: check(view))
        return [tf.zeros((1,)) for _ in view.inputs]

    keras_model = model.keras_model
    sides = [[side or _LENGTH for side in shape] for shape in shapes.values()]
    if len(sides) == 1 and len(sides[0]) == 3 and None in next(iter(shapes.values())):
        sides = [[side or free for side, free in zip(next(iter(shapes.values())), (224, 224, 3), strict=True)]]
    arrays: list = [np.zeros((1, *side), np.float32) for side in sides]
    try:
        inputs = conform(keras_model, arrays if len(arrays) > 1 else arrays[0])
        cached_trace(channels_last(trace_checks), keras_model, inputs, declared=False)
    except Exception as error:  # layers of users raise any class
        reasons = dict.fromkeys(checks.values(), _first_sentence(error))
    methods = {name: reasons[check] for name, check in checks.items()}
    objective = class_score(0)
    others: dict[str, Callable[[], Any]] = {
        "maximize": lambda: (canvas_shape(keras_model, [objective], model.size, "input"), model.check_pixels()),
        "exemplars": lambda: (model.input_shape(), model.check_pixels()),
        "localize": lambda: (image_shape(keras_model), _check_classes(model), model.check_pixels()),
        "atlas": lambda: (model.input_shape(), model.check_pixels()),
        "export": lambda: model.input_shape(),
    }
    methods |= {name: _reason(check) for name, check in others.items()}
    for name, needed in (("maximize", "class_saliency"), ("localize", "gradcam")):
        methods[name] = methods[name] or methods[needed]
    return methods


def _check_classes(model: ImageModel) -> None:
    if not model.class_count:
        raise ValueError(f"{model.name!r} must be a classifier with the output (N, classes).")


def _read_graph(view, facts: _Facts) -> None:
    """Note the rectifiers of a run, and the layer with the last positions."""
    graph = tf.compat.v1.get_default_graph()
    before = len(graph.get_operations())
    run = view.run(output=True)
    logits = softmax.find_logits(run.raw_output) if tf.is_tensor(run.raw_output) else None
    facts.activation = logits.kind.lower() if logits is not None else ""
    operations = graph.get_operations()[before:]
    names = {"Relu": "ReLU", "Relu6": "ReLU6"}
    facts.rectifiers.update(names[operation.type] for operation in operations if operation.type in RELUS)
    facts.rectifiers.update(found.description.split(" ", 1)[-1].strip(" ,") for found in find_rectifiers(operations))
    try:
        _, targets = hooks.target_maps(view)
        facts.layer, facts.grid = targets[0].path, tuple(targets[0].to_input_axes(targets[0].tensor).shape[1:3])
    except Exception:  # without a map that a method may weight, the last map of all
        if all(x.shape.rank == 4 for x in view.inputs):
            _note_last_map(view, facts)


def _note_last_map(view, facts: _Facts) -> None:
    try:
        path = hooks.last_map(view)
        tensor = view.run(taps=[path], output=False).layers[path]
        facts.layer, facts.grid = path, tuple(view.layout.last(path, tensor).shape[1:3])
    except Exception:  # a model without convolutions has no map
        facts.layer, facts.grid = "", ()


def _fields(model: Any) -> list[dict[str, Any]]:
    """Return the receptive fields of some layers, from the first to the last, whose units do not see everything."""
    try:
        declared_image_shape(model)
        found = receptive_field.fields(model)
    except Exception:  # a model of something else than images, or one that cannot be traced
        return []
    convolutions = {path for path, layer in hooks.layers(model) if "conv" in type(layer).__name__.lower()}
    rows = [(path, field) for path, field in found.items() if path in convolutions] or list(found.items())
    chosen = sorted({round(i) for i in np.linspace(0, len(rows) - 1, _FIELDS)}) if rows else []
    return [
        {
            "layer": rows[i][0],
            "map_size": list(rows[i][1].map_size),
            "channels": rows[i][1].channels,
            "size": "the whole image" if rows[i][1].whole else list(rows[i][1].size),
            "stride": list(rows[i][1].stride),
        }
        for i in chosen
    ]


def _input_shapes(model: Any) -> dict[str, tuple]:
    """Return the shapes of the inputs by name, without the batch axis; those of the building if none are declared."""
    if tensors := getattr(model, "inputs", None):
        return {tensor.name: tuple(tensor.shape[1:]) for tensor in tensors}
    built = (getattr(model, "_build_shapes_dict", None) or {}).values()
    return {f"input {number}": tuple(shape[1:]) for number, shape in enumerate(built) if shape}


def _outputs(model: ImageModel, activation: str) -> dict[str, str]:
    """Return the shapes of the outputs by name, and the activation of a single output."""
    outputs = getattr(model.keras_model, "outputs", None)
    try:
        shapes = [tensor.shape[1:] for tensor in outputs] if outputs else list(model.output_shapes.values())
    except Exception:  # a subclassed model that does not take images
        return {}
    if len(shapes) == 1:
        return {"scores": _format(shapes[0]) + (f", {activation}" if activation else "")}
    names = getattr(model.keras_model, "output_names", None) or list(map(str, range(len(shapes))))
    return {name: _format(shape) for name, shape in zip(names, shapes, strict=True)}


def _explain_preprocessing(model: ImageModel) -> str:
    """Return which values the model takes and how they are known, or why they are not."""
    if model.preprocessing is not None:
        low, high = model.preprocessing.value_range()
        note = next((note for note in model.notes if note.startswith("Preprocessing:")), "")
        reason = note.partition(": ")[2].partition(", ")[2]
        return f"the model takes {low.min():.3g}..{high.max():.3g}{f', {reason}' if reason else '.'}"
    try:
        model.check_pixels()
    except NoPreprocessing:
        return model.unclear or (
            "the model does not show it. Pass preprocessing: 'unit' for 0..1, 'tf' for -1..1, 'none' for 0..255, …"
        )
    except ValueError as error:
        return f"the model takes no photos, because {_first_sentence(error)}"
    return ""


def _kind(model: Any) -> str:
    name = type(model).__name__
    return name if name in ("Sequential", "Functional") or not getattr(model, "inputs", None) else f"{name}, functional"


def _reason(check: Callable[[], Any]) -> str:
    """Return the first sentence of the error that a check raises, or "" if it passes."""
    try:
        check()
    except Exception as error:  # layers of users raise any class
        return _first_sentence(error)
    return ""


def _first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(". ")[0].rstrip(".") + "."


def _format(shape: Any) -> str:
    return "(" + ", ".join(["N", *("any" if side is None else str(side) for side in shape)]) + ")"
