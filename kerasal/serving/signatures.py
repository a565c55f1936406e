"""Signatures of an export, written ``[NAME=]KIND[:option=value,…]``; they are parsed and checked before tracing.

serving_default                              preprocessed float inputs -> scores
predict_image                                uint8 RGB images of any size -> scores
predict_bytes:top=3                          JPEG or PNG files -> labels, classes and scores of the top three classes
class_saliency:on=bytes,target=class         files and a class index per file -> attribution maps
gradcam:target=region                        float inputs, a mask and a class index -> maps of a segmentation model
soft=smoothgrad:samples=20                   float inputs -> attribution maps, as a signature named soft
maximize:layer=conv1,preset=olah             channel indices -> images that maximize these channels
gaze                                         images -> maps of where people are predicted to look
"""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from kerasal import attribution
from kerasal.maximization import maximize
from kerasal.names import unknown_name_message
from kerasal.objectives import Objective
from kerasal.serving.target_inputs import TARGET_WORDS

_PREDICTIONS = {"serving_default": "inputs", "predict": "inputs", "predict_image": "image", "predict_bytes": "bytes"}
KINDS = (*_PREDICTIONS, "maximize", "gaze")
"""The kinds of signatures that are not attribution methods."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHARED = {
    "on": (Literal["inputs", "image", "bytes"], "inputs"),
    "fit": (Literal["crop", "stretch"], "crop"),
    "size": (tuple[int, int] | None, None),
}
_TARGETED = {
    "output": (str | int | None, None),
    "logits": (bool, True),
    "target": (str | int, "top"),
    "parameters": (Literal["fixed", "request"], "fixed"),
}
_MAXIMIZE = (
    *("preset", "parameterization", "init", "steps", "step_size", "momentum", "clip", "normalize", "display"),
    *("size", "canvas", "output", "logits", "seed"),
)


@dataclasses.dataclass(frozen=True)
class Signature:
    """A signature: its name, its kind (one of ``kinds()``), and the options of that kind.

    Options that are missing get their defaults when the model is exported.
    """

    name: str
    kind: str
    options: Mapping[str, Any]


def kinds() -> list[str]:
    """Return all kinds of signatures: predictions, ``maximize``, ``gaze`` and every attribution method."""
    return [*KINDS, *attribution.list_methods()]


def make_signatures(signatures: Iterable["str | Signature"]) -> list[Signature]:
    """Return the signatures, each a string or a ``Signature``, with all options of their kind.

    Raises:
        ValueError: a kind, option or value is unknown (the error lists the known ones), or two names are equal.
    """
    if isinstance(signatures, (str, Signature)):
        signatures = [signatures]
    complete = [
        parse(item) if isinstance(item, str) else _complete_signature(item.name, item.kind, item.options)
        for item in signatures
    ]
    if not complete:
        raise ValueError(f"signatures must hold at least one signature, got none. The kinds are {', '.join(kinds())}.")
    names = [signature.name for signature in complete]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise ValueError(
            f"The names of signatures must differ, got {duplicates[0]!r} twice. Rename one: OTHER={duplicates[0]}:…"
        )
    return complete


def parse(text: str) -> Signature:
    """Return the signature that a string ``[NAME=]KIND[:option=value,…]`` describes.

    Raises:
        ValueError: the string is malformed; see ``make_signatures``.
    """
    head, _, rest = text.partition(":")
    name, has_name, kind = head.rpartition("=")
    known = _list_options(kind.strip())
    options = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"Signature {text!r}: an option must be written option=value, got {part!r}.")
        if key not in known:
            raise ValueError(unknown_name_message(key, known, "option", f" of the signature {kind}"))
        options[key] = _parse_value(value, *known[key], what=f"Signature {text!r}: {key}")
    return _complete_signature(name.strip() if has_name else kind.strip(), kind.strip(), options)


def _complete_signature(name: str, kind: str, options: Mapping[str, Any]) -> Signature:
    """Return a signature with the defaults of the options that are missing; check names and values."""
    known = _list_options(kind)
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"The name of a signature must be letters, digits and underscores, no digit first, got {name!r}."
        )
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(unknown_name_message(unknown[0], known, "option", f" of the signature {kind}"))
    options = {key: options.get(key, default) for key, (_, default) in known.items()}
    if "target" in options:
        options["target"] = _parse_target(options["target"])
        if options.get("parameters") == "request" and not is_objective(options["target"]):
            raise ValueError(
                f"parameters must be fixed for target={options['target']}, got request. Use target=class to send a "
                "class index with each image, or an objective."
            )
    if options.get("progress"):
        raise ValueError(f"Signature {name!r}: progress must be false, since a served model shows no progress bar.")
    if kind in _PREDICTIONS and "on" in options and options["on"] != _PREDICTIONS[kind]:
        raise ValueError(f"on must be {_PREDICTIONS[kind]} for {kind}, got {options['on']!r}.")
    if kind == "maximize" and options["target"] != "class":
        raise ValueError(
            f"target must be class for maximize, got {options['target']!r}. The indices are part of each request."
        )
    # TensorFlow Serving uses serving_default for requests without the name of a signature.
    return Signature("serving_default" if (name, kind) == ("predict", "predict") else name, kind, options)


def _list_options(kind: str) -> dict[str, tuple[Any, Any]]:
    """Return the options of a kind as {name: (type, default)}."""
    if kind in _PREDICTIONS:
        top = 5 if kind == "predict_bytes" else 0
        return {**_SHARED, "on": (str, _PREDICTIONS[kind]), "output": (str | int | None, None), "top": (int, top)}
    if kind == "gaze":
        return {
            **_SHARED,
            "on": (_SHARED["on"][0], "image"),
            "fit": (_SHARED["fit"][0], "stretch"),
            "target_range": (Literal["unit", "pm1"], "unit"),
        }
    if kind == "maximize":
        hints = typing.get_type_hints(maximize)
        parameters = inspect.signature(maximize).parameters
        options = {key: (hints[key], parameters[key].default) for key in _MAXIMIZE}
        return {**options, "layer": (str | None, None), "target": (str, "class")}
    if kind not in attribution.list_methods():
        raise ValueError(unknown_name_message(kind, kinds(), "signature"))
    parameters = attribution.method_spec(kind).options
    return {
        **_SHARED,
        **_TARGETED,
        **{key: (parameter.annotation, parameter.default) for key, parameter in parameters.items()},
    }


def is_objective(target: Any) -> bool:
    """Return whether the target of a signature is an objective, or a word for one."""
    return isinstance(target, Objective) or target in TARGET_WORDS


def _parse_target(value: Any) -> Any:
    """Return a target: ``"top"``, ``"class"``, another word, a class index or an objective."""
    if isinstance(value, Objective) or value in ("top", "class", *TARGET_WORDS):
        return value
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(
        "target must be top, class (sent with each image), a class index, region or similarity (with a mask or vector "
        f"sent with each image), negative, or in Python an objective, got {value!r}."
    )


def _parse_value(text: str, annotation: Any, default: Any, what: str) -> Any:
    """Return a string as the first type of an option's annotation to which it can be converted."""
    if annotation is Any:
        annotation = type(default) | str
    for kind in _list_types(annotation):
        try:
            return _convert(text, kind)
        except ValueError:
            continue
    wanted = dict.fromkeys(map(_describe_type, _list_types(annotation)))  # arrays and functions are described alike
    raise ValueError(f"{what} must be {' or '.join(wanted)}, got {text!r}.")


def _list_types(annotation: Any) -> list:
    """Return the types of a union, ``str`` last, since every text is a valid string."""
    is_union = isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union
    members = [kind for part in typing.get_args(annotation) for kind in _list_types(part)] if is_union else [annotation]
    return sorted(members, key=lambda kind: kind is str)


def _convert(text: str, kind: Any) -> Any:
    if kind is types.NoneType and text.lower() == "none":
        return None
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if typing.get_origin(kind) is Literal and text in _list_choices(kind):
        return typing.get_args(kind)[_list_choices(kind).index(text)]
    if typing.get_origin(kind) is tuple and "x" in text:
        kinds = typing.get_args(kind)
        numbers = tuple(map(kinds[0], text.split("x")))
        if kinds[-1] is ... or len(kinds) == len(numbers):
            return numbers
    if kind in (int, float, str):
        return kind(text)
    raise ValueError(text)


def _list_choices(kind) -> list[str]:
    return [str(value) for value in typing.get_args(kind)]


def _describe_type(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return ", ".join(_list_choices(kind))
    if typing.get_origin(kind) is tuple:
        part, *rest = typing.get_args(kind)
        several = "one per channel, such as 0.5x0.4x0.4" if part is float else "one per axis, such as 4x8"
        return several if rest[-1] is ... else "HEIGHTxWIDTH"
    words = {int: "an integer", float: "a number", bool: "true or false", str: "a name", types.NoneType: "none"}
    return words.get(kind, "an array (in Python only)")
