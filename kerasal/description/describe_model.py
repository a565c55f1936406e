"""``describe``: what a model takes and returns, how its pixels are preprocessed, and which methods work on it."""

from typing import Any

import numpy as np

from kerasal import hooks, receptive_field
from kerasal.description.method_checks import TraceFacts, check_methods, first_sentence
from kerasal.description.model_description import ModelDescription
from kerasal.hooks.image_shapes import declared_image_shape
from kerasal.models.image_model import ImageModel
from kerasal.models.opener import open_model
from kerasal.preprocessing import NoPreprocessing

_FIELDS = 5  # layers whose receptive fields are listed
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
    facts = TraceFacts()
    names = list(getattr(keras_model, "output_names", None) or [])
    methods = check_methods(opened, shapes, facts, names[0] if len(names) > 1 else None)
    if len(names) > 1:
        notes.append(
            f"The methods were checked for the output {names[0]!r}. The model has {len(names)} outputs, so every call "
            "needs the name of one (output)."
        )
    if facts.embedding:
        notes.append(
            f"All inputs are integers, which have no gradient: methods work with layer={facts.embedding!r}, the layer "
            "that embeds them."
        )
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
        return f"the model takes no photos, because {first_sentence(error)}"
    return ""


def _kind(model: Any) -> str:
    name = type(model).__name__
    return name if name in ("Sequential", "Functional") or not getattr(model, "inputs", None) else f"{name}, functional"


def _format(shape: Any) -> str:
    return "(" + ", ".join(["N", *("any" if side is None else str(side) for side in shape)]) + ")"
