"""Flags of the commands: their old spellings, their panel in the help, and the Python arguments that they set.

An option is written as ``Annotated[kind, Option(...)]``; ``Formerly`` and ``Sets`` may follow the ``Option``.
"""

import contextvars
import copy
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from typer.models import ArgumentInfo, OptionInfo

from kerasal.cli.session import remark

_PANELS = {
    "Model": ("preprocessing", "labels", "weights", "model_option", "fit", "unsafe", "size", "variant", "batch_norm"),
    "Output": (
        *("output", "table", "history", "picture", "cache", "evolution", "features", "format", "name", "model_version"),
        *("quiet", "fresh", "tensorboard", "shard_size", "retry", "title"),
        *("json_", "on", "tile", "colormap", "strength", "dpi"),
    ),
}
"""Options in each panel of a long help; the others are in the panel of the command."""
_MANY = 8

Flags = Mapping[str, tuple[str, str]]
"""For each Python argument the flag that sets it, and the flag that sets it to False, or an empty text."""

running_flags: contextvars.ContextVar[Flags | None] = contextvars.ContextVar("running_flags", default=None)
"""The flags of the command that was started last."""


class Formerly:
    """An old spelling of an option, which works until the next release, prints a notice and is not in the help.

    Args:
        flag: the old flag, such as ``"--rate"``; ``"--x/--no-x"`` for a pair.
        kind: type of the old value, where it differs from the new type.
        convert: function from the old value to the new value.
        now: the new spelling in the notice; by default the option's long flag.
    """

    def __init__(self, flag: str, *, kind: Any = None, convert: Callable[[Any], Any] | None = None, now: str = ""):
        self.flag, self.kind, self.convert, self.now = flag, kind, convert, now


class Sets:
    """The Python arguments of the library that an option sets, if their names differ from that of its parameter."""

    def __init__(self, *arguments: str):
        self.arguments = arguments


class Command:
    """The parameters of a command function: with old spellings, panels for the help, and the flag of each argument."""

    def __init__(self, function: Callable[..., Any], panel: str):
        signature = inspect.signature(function)
        self.parameters: list[inspect.Parameter] = []
        self.flags: dict[str, tuple[str, str]] = {}
        self._former: dict[str, tuple[Formerly, str, str]] = {}
        former, set_elsewhere = [], {}
        options = sum(_option(parameter.annotation) is not None for parameter in signature.parameters.values())
        for name, parameter in signature.parameters.items():
            hint = parameter.annotation
            info = _option(hint)
            if argument := next((note for note in _notes(hint) if isinstance(note, ArgumentInfo)), None):
                argument = copy.copy(argument)
                argument.metavar = argument.metavar or name.upper()
                hint = Annotated[typing.get_args(hint)[0], argument]
            elif info is not None:
                kind, *notes = typing.get_args(hint)
                info = copy.copy(info)
                if isinstance(info.default, str):  # typer stores the first flag here
                    info.param_decls, info.default = (info.default, *(info.param_decls or ())), ...
                pair = _flag_pair(name, info, kind, parameter.default)
                self.flags |= dict.fromkeys((name, name.strip("_")), pair)
                for note in notes:
                    if isinstance(note, Sets):
                        set_elsewhere |= dict.fromkeys(note.arguments, pair)
                    if isinstance(note, Formerly):
                        former.append(self._add_former(note, name, kind, pair[0]))
                if options > _MANY and info.rich_help_panel is None:
                    info.rich_help_panel = next((title for title, names in _PANELS.items() if name in names), panel)
                hint = Annotated[kind, info]
            self.parameters.append(parameter.replace(annotation=hint, kind=inspect.Parameter.KEYWORD_ONLY))
        self.flags |= set_elsewhere  # if names collide, an error means the library's argument
        self.parameters += former

    def _add_former(self, former: Formerly, name: str, kind: Any, flag: str) -> inspect.Parameter:
        """Return the hidden parameter of an old spelling."""
        hidden = f"former_{name.strip('_')}_{len(self._former)}"
        self._former[hidden] = former, name, former.now or flag
        optional: Any = Annotated[
            (former.kind or kind) | None, typer.Option(former.flag, hidden=True, help="Old name.")
        ]
        return inspect.Parameter(hidden, inspect.Parameter.KEYWORD_ONLY, annotation=optional, default=None)

    def take_former(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the parameters; those of old spellings go to the new ones, with a notice."""
        values = dict(values)
        for hidden, (former, name, now) in self._former.items():
            value = values.pop(hidden, None)
            if value is None or value == []:
                continue
            old, is_default = former.flag.split("/")[0 if value else -1], False
            if former.convert:
                value = former.convert(value)
                is_default = "/" in former.flag and value is False
            remark(f"{old} is the default now." if is_default else f"{old} is called {now} now.")
            values[name] = [*(values[name] or ()), *value] if isinstance(value, list) else value
        return values


def with_options(name: str, group: Mapping[str, tuple[Any, Any]] | type, make: Callable[..., Any] = dict) -> Callable:
    """Return a decorator that replaces a parameter of a command by a group of options.

    Args:
        name: the parameter; the command is called with ``make(**values of the options)`` for it.
        group: names with (annotation, default), or a class with such attributes.
        make: function of the options' values.
    """
    if isinstance(group, type):
        options = {key: (kind, getattr(group, key)) for key, kind in inspect.get_annotations(group).items()}
    else:
        options = dict(group)
    empty = inspect.Parameter.empty

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        kept = {key: (item.annotation, item.default) for key, item in inspect.signature(command).parameters.items()}
        del kept[name]
        # Arguments come first: those of the group without a default, then the command's own.
        parameters = {key: item for key, item in options.items() if item[1] is empty} | kept | options

        @functools.wraps(command)
        def flat(**values: Any) -> None:
            made = make(**{key: values.pop(key) for key in options})
            command(**values, **{name: made})

        flat.__annotations__ = {key: kind for key, (kind, _) in parameters.items()}
        vars(flat)["__signature__"] = inspect.Signature(
            [
                inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
                for key, (kind, default) in parameters.items()
            ]
        )
        return flat

    return decorate


def name_flags(text: str, flags: Flags) -> str:
    """Return an error message of the library with the flag after each Python argument of the running command.

    An argument is recognized where it is set, as in ``resume=False``, and at the start, as in ``steps must be …``.
    """
    for argument, (flag, negative) in flags.items():
        name = re.escape(argument)
        value = r"'[^']*'|\"[^\"]*\"|\([^)]*\)|\[[^]]*\]|\{[^}]*\}|-?\w+(?:\.\w+)*|\.\.\.|…"
        setting = rf"(?<![\w.\-:,]){name}=(?!None)(?:{value})?"
        match = re.search(setting, text)
        if match and not _is_in_call(text[: match.start()]):
            chosen = negative if negative and match[0].endswith("=False") else flag
            text = f"{text[: match.end()]} ({chosen}){text[match.end() :]}"
        text = re.sub(rf"\A{name}(?= must )", f"{argument} ({flag})", text)
    return text


def _is_in_call(text: str) -> bool:
    """Return whether a text ends inside the parentheses of a call, such as ``open_model(model, ``."""
    opened = text.rfind("(")
    return opened > 0 and ")" not in text[opened:] and (text[opened - 1].isalnum() or text[opened - 1] == "_")


def _notes(hint: Any) -> tuple[Any, ...]:
    """Return the metadata of an ``Annotated`` type; empty for other types."""
    return getattr(hint, "__metadata__", ())


def _option(hint: Any) -> OptionInfo | None:
    """Return the ``Option`` of an annotation, or None."""
    return next((note for note in _notes(hint) if isinstance(note, OptionInfo)), None)


def _flag_pair(name: str, info: OptionInfo, kind: Any, default: Any) -> tuple[str, str]:
    """Return the long flag of an option, and the flag that sets it to False (empty if there is none)."""
    plain = f"--{name.strip('_').replace('_', '-')}"
    declared = [flag.partition("/") for flag in info.param_decls or () if flag.startswith("--")]
    if declared:
        return declared[0][0], declared[0][2]
    is_switch = kind is bool or (isinstance(kind, types.UnionType) and bool in typing.get_args(kind))
    return plain, f"--no-{plain[2:]}" if is_switch and not info.param_decls and default is not None else ""
