"""Model modifiers: those of tf-keras-vis, which are recognized and need no clone, and all others, which get one.

| modifier | what is done instead |
|---|---|
| ``ExtractIntermediateLayer`` | the output of the layer is tapped |
| ``ReplaceToLinear`` | the activation is left out of the trace, or the input of a softmax or sigmoid is read |
| ``GuidedBackpropagation`` of ReLUs | the backward rule of the trace is ``"guided"`` |
"""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from tf_keras_vis.utils.model_modifiers import (
    ExtractIntermediateLayer,
    ExtractIntermediateLayerForGradcam,
    GuidedBackpropagation,
    ModelModifier,
    ReplaceToLinear,
)

from kerasal.hooks import paths
from kerasal.maximization.user_calls import refuse_classes

import keras

__all__ = [
    "ClonedModel",
    "ExtractIntermediateLayer",
    "ExtractIntermediateLayerForGradcam",
    "GuidedBackpropagation",
    "ModelModifier",
    "ReplaceToLinear",
]

_RELUS = (keras.activations.relu, keras.activations.relu6)


class ClonedModel(UserWarning):
    """A note that a clone of the model is visualized, since a model modifier is a function of the user."""


@dataclasses.dataclass(frozen=True)
class Modification:
    """What recognized modifiers ask of a model: the path of the layer to extract, linear outputs, a backward rule."""

    layer: str | None = None
    linear: bool = False
    guided: bool = False


def apply_modifiers(
    model: keras.Model, modifiers: Sequence[Callable], clone: bool
) -> tuple[keras.Model, Modification, list[Callable]]:
    """Return the model, what the recognized modifiers after the last unknown one ask of it, and these modifiers.

    An unknown modifier, and those before it, are applied to a clone, or to the model itself without ``clone``.

    Raises:
        ValueError: the model cannot be cloned.
        TypeError: a modifier is no function, or returns something else than a model.
    """
    for modifier in modifiers:
        if not callable(modifier):
            raise TypeError(f"model_modifier must be a model modifier, a function or a list of them, got {modifier!r}.")
    refuse_classes("model_modifier", modifiers)
    unknown = [number for number, modifier in enumerate(modifiers) if not is_recognized(modifier)]
    first = unknown[-1] + 1 if unknown else 0
    if first:
        if clone:
            names = ", ".join(_name(modifiers[number]) for number in unknown)
            warnings.warn(
                f"{names} is applied to a clone of {model.name!r}. ReplaceToLinear(), ExtractIntermediateLayer(layer) "
                "and GuidedBackpropagation() need no clone.",
                ClonedModel,
                stacklevel=4,
            )
        model = modify(model, modifiers[:first], clone)
    modification = Modification()
    for modifier in modifiers[first:]:
        modification = _extend(model, modification, modifier)
    return model, modification, list(modifiers[first:])


def modify(model: keras.Model, modifiers: Sequence[Callable], clone: bool) -> keras.Model:
    """Return the model after modifiers that change it, or a changed clone.

    Raises:
        ValueError: the model cannot be cloned.
        TypeError: a modifier returns something else than a model.
    """
    if clone:
        try:
            copy = keras.models.clone_model(model)
            if not copy.built:
                copy.build(model.input_shape)
            copy.set_weights(model.get_weights())
        except (ValueError, TypeError, AttributeError, NotImplementedError) as error:
            raise ValueError(
                f"model must be functional or Sequential to be cloned, got {model.name!r} ({type(model).__name__}). "
                "Pass clone=False, after which the modifier changes the model itself, or one of the modifiers of "
                "tf-keras-vis, which need no clone."
            ) from error
        model = copy
    for modifier in modifiers:
        changed = modifier(model)
        if changed is not None and not isinstance(changed, keras.Model):
            got = f"{type(changed).__name__} from {_name(modifier)}"
            raise TypeError(f"model_modifier must return a keras.Model or None, got {got}.")
        model = model if changed is None else changed
    return model


def is_recognized(modifier: Any) -> bool:
    """Return whether a modifier is served without changing a model."""
    if type(modifier) is GuidedBackpropagation:
        return all(activation in _RELUS for activation in modifier.target_activations)
    return type(modifier) in (ReplaceToLinear, ExtractIntermediateLayer)


def linear_outputs(
    model: keras.Model, modification: Modification
) -> tuple[list[keras.Operation], Callable[[int], bool]]:
    """Return the layers to run without activation, and whether to read the logits of an output, by its number."""
    if not modification.linear:
        return [], lambda number: False
    if modification.layer is not None:
        operations: list[Any] = [_last_operation(paths.find(model, modification.layer)[1], 0)]
    else:
        tensors = keras.tree.flatten(getattr(model, "outputs", None) or [])
        operations = [_producer(tensor) for tensor in tensors]
    if not operations:
        return [], lambda number: True
    activated = [has_activation(operation) for operation in operations]
    layers = [operation for operation, found in zip(operations, activated, strict=True) if found]
    return layers, lambda number: not activated[number]


def has_activation(operation: Any) -> bool:
    """Return whether a layer applies a function to its output that can be left out; that of a recurrent layer not."""
    return callable(vars(operation).get("activation")) and not isinstance(operation, keras.layers.RNN)


def _producer(tensor: Any) -> Any:
    """Return the layer or operation that makes an output of a functional model, at any depth."""
    history = tensor._keras_history
    return _last_operation(history.operation, history.tensor_index)


def _last_operation(operation: Any, index: int) -> Any:
    outputs = keras.tree.flatten(getattr(operation, "outputs", None) or [])
    if isinstance(operation, keras.Model) and index < len(outputs):
        return _producer(outputs[index])
    return operation


def _extend(model: keras.Model, modification: Modification, modifier: Any) -> Modification:
    if isinstance(modifier, ReplaceToLinear):
        return dataclasses.replace(modification, linear=True)
    if isinstance(modifier, GuidedBackpropagation):
        return dataclasses.replace(modification, guided=True)
    path, layer = find_layer(model, modifier.index_or_name)
    was_output = layer in linear_outputs(model, dataclasses.replace(modification, layer=None))[0]
    return dataclasses.replace(modification, layer=path, linear=was_output)


def find_layer(model: keras.Model, index_or_name: int | str) -> tuple[str, Any]:
    """Return (path, layer) for an index into ``model.layers``, or for a name or path at any depth.

    Raises:
        ValueError: the model has no such layer.
    """
    if isinstance(index_or_name, str):
        return paths.find(model, index_or_name)
    layers = model.layers
    if not -len(layers) <= index_or_name < len(layers):
        raise ValueError(
            f"The index of a layer must be below {len(layers)}, the number of layers of {model.name!r}, got "
            f"{index_or_name}. Pass the name of a layer."
        )
    return path_of(model, layers[index_or_name])


def path_of(model: keras.Model, layer: Any) -> tuple[str, Any]:
    """Return (path, layer) of a layer object.

    Raises:
        ValueError: the layer is not one of the model's, or it is an input.
    """
    found = [path for path, other in paths.layers(model) if other is layer]
    if not found:
        raise ValueError(
            f"The layer must be a computing layer of {model.name!r}, got {getattr(layer, 'name', layer)!r}. Pass the "
            "name of a layer that computes something."
        )
    return found[0], layer


def _name(modifier: Any) -> str:
    return getattr(modifier, "__name__", type(modifier).__name__)
