"""The flags of the commands of attribution methods, from the options of the methods, and the values that they take."""

import inspect
import operator
import typing
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from typer import Option

from kerasal.cli import options
from kerasal.cli.flags import Formerly, Sets
from kerasal.cli.method_table import MethodRow

Smooth = Annotated[
    int | None,
    Option(
        "--smooth", help="Explain by the mean of the maps of this many noisy copies of the input, such as 25.", min=1
    ),
]
SmoothNoise = Annotated[
    float,
    Option(
        "--smooth-noise", help="Standard deviation of the noise of --smooth, as a share of the input's range.", min=0
    ),
]


def method_flag(parameter: inspect.Parameter, row: MethodRow) -> inspect.Parameter | None:
    """Return a method's option as a parameter that typer understands; None if no flag can hold its values.

    ``int | None`` stays as it is; ``float | Literal["mean"]`` becomes a text that may be a number, and
    ``int | tuple[int, ...]``, or the same with floats or words, a text that may be several.
    """
    if parameter.name == "progress":  # a library is quiet, a command is not
        quiet = Annotated[
            options.Quiet,
            Formerly("--progress/--no-progress", kind=bool, convert=operator.not_, now="--quiet"),
        ]
        return parameter.replace(name="quiet", annotation=quiet, default=False)
    kind, default, words, note = parameter.annotation, parameter.default, "", ""
    if not _is_plain(kind):
        kinds = [part for part in typing.get_args(kind) if _is_plain(part)]
        if bool in kinds or not kinds:
            return None
        optional = type(None) in typing.get_args(kind)
        if _is_one_or_several(typing.get_args(kind)):
            kind, note = str | None, " One per axis is written as 8,16."
            default = None if default is None else str(default)
            if int not in typing.get_args(parameter.annotation):
                note = " One per channel is written as 0.5,0.4,0.4."
        elif len(kinds) == 1:
            kind = kinds[0] | None if optional else kinds[0]
        else:
            kind, default = str | None if optional else str, None if default is None else str(default)
            words = ", ".join(map(repr, _literals(kinds)))
    usual = f"A number, or {words}." if words else f"Argument {parameter.name} of kerasal.attribution.{row.name}."
    text = row.help.get(parameter.name, usual).replace("[", r"\[") + note
    annotation: Any = Annotated[kind, Option(help=text)]
    if parameter.name == "layer":
        annotation = Annotated[kind, options.LayerOption(help=text)]
    if parameter.name == "channels":  # --channels are the numbers of channels, in all commands
        annotation = Annotated[kind, Option("--max-channels", help=text), Formerly("--channels"), Sets("channels")]
    return parameter.replace(annotation=annotation, default=default)


def read_value(value: Any, parameter: inspect.Parameter) -> Any:
    """Return the value of a method's option from that of its flag, which may be a text of numbers or a word."""
    kinds = typing.get_args(parameter.annotation)
    if not isinstance(value, str) or not (float in kinds or int in kinds):
        return value
    if _is_one_or_several(kinds):
        return options.one_or_several(value, f"--{parameter.name}", int if int in kinds else float, _literals(kinds))
    return options.number_or_word(value, float if float in kinds else int)


def _is_one_or_several(kinds: tuple) -> bool:
    """Return whether a value may be a number or several: integers per axis, or floats per channel."""
    return (int in kinds or float in kinds) and any(typing.get_origin(kind) is tuple for kind in kinds)


def _literals(kinds: Iterable) -> list[str]:
    """Return the words that a value may be."""
    return [word for kind in kinds if typing.get_origin(kind) is Literal for word in typing.get_args(kind)]


def _is_plain(kind: Any) -> bool:
    return kind in (int, float, str, bool) or typing.get_origin(kind) is Literal
