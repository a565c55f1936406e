"""What a signature is: ``[NAME=]KIND[:option=value,…]``, read and checked before anything is traced.

serving_default                              float inputs as the model takes them -> scores
predict_image                                uint8 RGB images of any size -> scores
predict_bytes:top=3                          JPEG or PNG files -> labels, classes, scores of the top three
class_saliency:on=bytes,target=class         files and a class for each -> maps
soft=smoothgrad:samples=20                   under a name of its own
maximize:layer=conv1,preset=olah             channels -> the images that they would like to see
gaze                                         photographs -> where people will look
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

_PREDICTIONS = {"serving_default": "inputs", "predict": "inputs", "predict_image": "image", "predict_bytes": "bytes"}
KINDS = (*_PREDICTIONS, "maximize", "gaze")
"""The kinds of signatures beside the attribution methods."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHARED = {
    "on": (Literal["inputs", "image", "bytes"], "inputs"),
    "fit": (Literal["crop", "stretch"], "crop"),
    "size": (tuple[int, int] | None, None),
}
_TARGETED = {"output": (str | int | None, None), "logits": (bool, True), "target": (str | int, "top")}
_MAXIMIZE = (
    *("preset", "parameterization", "init", "steps", "step_size", "momentum", "clip", "normalize", "display"),
    *("size", "canvas", "output", "logits", "seed"),
)


@dataclasses.dataclass(frozen=True)
class Signature:
    """One endpoint: its name, its kind, and all options of that kind with their values."""

    name: str
    kind: str
    options: Mapping[str, Any]


def kinds() -> list[str]:
    """List everything that a signature can be."""
    return [*KINDS, *attribution.list_methods()]


def make_signatures(given: Iterable["str | Signature"]) -> list[Signature]:
    """Read signatures, each a text or a ``Signature`` whose missing options are filled in.

    Raises:
        ValueError: an unknown kind, option or value (what there is, is listed), or two signatures of one name.
    """
    if isinstance(given, (str, Signature)):
        given = [given]
    found = [parse(one) if isinstance(one, str) else _fill_in(one.name, one.kind, one.options) for one in given]
    if not found:
        raise ValueError(f"Expected at least one signature; there is {', '.join(kinds())}.")
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Two signatures are named {twice[0]!r}. Name one of them: OTHER={twice[0]}:…")
    return found


def parse(text: str) -> Signature:
    """Read one signature.

    Raises:
        ValueError: it cannot be read; see ``make_signatures``.
    """
    head, _, rest = text.partition(":")
    name, named, kind = head.rpartition("=")
    known = _list_options(kind.strip())
    options = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"Signature {text!r}: expected option=value, received {part!r}.")
        if key not in known:
            raise ValueError(unknown_name_message(key, known, "option", f" of the signature {kind}"))
        options[key] = _read(value, *known[key], what=f"Signature {text!r}: {key}")
    return _fill_in(name.strip() if named else kind.strip(), kind.strip(), options)


def _fill_in(name: str, kind: str, options: Mapping[str, Any]) -> Signature:
    known = _list_options(kind)
    if not _NAME.fullmatch(name):
        raise ValueError(f"A signature's name is letters, digits and underscores. Received: {name!r}.")
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(unknown_name_message(unknown[0], known, "option", f" of the signature {kind}"))
    options = {key: options.get(key, default) for key, (_, default) in known.items()}
    if "target" in options:
        options["target"] = _read_target(options["target"])
    if options.get("progress"):
        raise ValueError(f"{name}: a served model shows no progress bar; leave progress out.")
    if kind in _PREDICTIONS and "on" in options and options["on"] != _PREDICTIONS[kind]:
        raise ValueError(f"{kind} is on {_PREDICTIONS[kind]}; leave on= out.")
    if kind == "maximize" and options["target"] != "class":
        raise ValueError("maximize takes a class or channel with each request; leave target= out.")
    # TensorFlow Serving answers requests that name no signature with the one of this name.
    return Signature("serving_default" if (name, kind) == ("predict", "predict") else name, kind, options)


def _list_options(kind: str) -> dict[str, tuple[Any, Any]]:
    """Return each option of a kind with its type and its default."""
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
        own = {key: (hints[key], parameters[key].default) for key in _MAXIMIZE}
        return {**own, "layer": (str | None, None), "target": (str, "class")}
    if kind not in attribution.list_methods():
        raise ValueError(unknown_name_message(kind, kinds(), "signature"))
    own = attribution.method_spec(kind).options
    return {**_SHARED, **_TARGETED, **{key: (one.annotation, one.default) for key, one in own.items()}}


def _read_target(value: Any) -> Any:
    """Read a target: ``"top"``, ``"class"``, or the number of a class."""
    if value in ("top", "class"):
        return value
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"target is top, class (given with each image) or the number of a class. Received: {value!r}.")


def _read(text: str, kind: Any, default: Any, what: str) -> Any:
    """Read a text as the first of an option's types that it fits."""
    if kind is Any:
        kind = type(default) | str
    for one in _list_types(kind):
        try:
            return _convert(text, one)
        except ValueError:
            continue
    raise ValueError(f"{what} is {' or '.join(map(_describe_type, _list_types(kind)))}. Received: {text!r}.")


def _list_types(kind: Any) -> list:
    """List the plain types of a type, texts last, since everything is one."""
    several = isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union
    found = [plain for one in typing.get_args(kind) for plain in _list_types(one)] if several else [kind]
    return sorted(found, key=lambda one: one is str)


def _convert(text: str, kind: Any) -> Any:
    if kind is types.NoneType and text.lower() == "none":
        return None
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if typing.get_origin(kind) is Literal and text in _list_words(kind):
        return typing.get_args(kind)[_list_words(kind).index(text)]
    if typing.get_origin(kind) is tuple and "x" in text:
        first, _, second = text.partition("x")
        return int(first), int(second)
    if kind in (int, float, str):
        return kind(text)
    raise ValueError(text)


def _list_words(kind) -> list[str]:
    return [str(value) for value in typing.get_args(kind)]


def _describe_type(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return ", ".join(_list_words(kind))
    if typing.get_origin(kind) is tuple:
        return "HEIGHTxWIDTH"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a name", types.NoneType: "none"}
    return words.get(kind, "an array (from Python)")
