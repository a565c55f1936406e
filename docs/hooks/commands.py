"""Generate the page of commands from the functions behind them, without loading TensorFlow."""

import inspect
import pathlib
import sys
import types
import typing

from mkdocs.structure.files import File

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

_HEAD = """# Commands

The output of `kerasal COMMAND --help` for all commands. MODEL is a `.keras` or `.h5` file, a SavedModel folder, the
folder of a training, or a name that `kerasal models` lists.

"""
_ATTRIBUTE = """## kerasal attribute {: #attribute }

```text
kerasal attribute METHOD MODEL IMAGE
```

Show which pixels of a photo the score of a model depends on. METHOD is one of [the methods](methods.md). Its options
are those of the [function with the same name](api/attribution.md), with `-` for `_`. All methods share these options:

"""


def on_files(files, config):
    """Add the page."""
    files.append(File.generated(config, "commands.md", content=page()))
    return files


def page():
    """Return the page: the list of commands, then each with its arguments and options."""
    from kerasal.cli.app import EXIT_CODES, app
    from kerasal.cli.attribute import METHODS_HELP, _command

    rows, sections = [], []
    for names, function in walk(app):
        rows.append(_row(names, inspect.getdoc(function)))
        sections.append(_section(names, function))
    rows.append(_row(("attribute",), METHODS_HELP))
    shared = _command(types.SimpleNamespace(options={}, summary="", reference=""))
    table = _table([row for row in parameters(shared) if not row[0]])
    head = f"{_HEAD}{EXIT_CODES}\n\n| command | |\n|---|---|\n"
    return head + "\n".join([*rows, "", *sections, _ATTRIBUTE + table])


def walk(app, path=()):
    """Yield (names, function) of every command below a typer application, in the order of its help."""
    for command in app.registered_commands:
        yield (*path, command.name or command.callback.__name__.replace("_", "-")), command.callback
    for group in app.registered_groups:
        yield from walk(group.typer_instance, (*path, group.name))


def parameters(function):
    """Yield (is an argument, names, help, choices, default) of each visible parameter."""
    hints = typing.get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        kind, *notes = typing.get_args(hints[name]) if hasattr(hints[name], "__metadata__") else (hints[name],)
        info = notes[0] if notes else types.SimpleNamespace(param_decls=None, help="", hidden=False)
        if info.hidden:
            continue
        argument = type(info).__name__ == "ArgumentInfo"
        plain = name.strip("_").replace("_", "-")
        names = [info.metavar or plain.upper()] if argument else list(info.param_decls or [f"--{plain}"])
        if kind is bool and parameter.default is True:
            names.append(f"--no-{plain}")
        yield argument, names, info.help or "", _choices(kind), parameter.default


def _choices(kind):
    """Return the words that an option accepts; optional and repeated options are unwrapped."""
    if typing.get_origin(kind) is typing.Literal:
        return [str(word) for word in typing.get_args(kind)]
    return [word for part in typing.get_args(kind) for word in _choices(part)]


def _row(names, text):
    return f"| [`kerasal {' '.join(names)}`](#{'-'.join(names)}) | {_cell(_summary(text))} |"


def _summary(text):
    return text.split("\n\n")[0]


def _section(names, function):
    rows = list(parameters(function))
    places = " ".join(name for argument, (name, *_), *_ in rows if argument)
    usage = f"kerasal {' '.join(names)} {places}".strip()
    head = f"## kerasal {' '.join(names)} {{: #{'-'.join(names)} }}\n\n```text\n{usage}\n```\n\n"
    return f"{head}{inspect.getdoc(function)}\n\n{_table(rows)}"


def _table(rows):
    lines = ["| | | default |", "|---|---|---|"]
    for argument, names, text, choices, default in rows:
        shown = ", ".join(f"`{name}`" for name in names)
        words = f" One of {', '.join(f'`{word}`' for word in choices)}." if choices else ""
        if default is inspect.Parameter.empty:
            usual = "" if argument else "required"
        else:
            usual = "" if default in (None, False, True, ()) else f"`{default}`"
        lines.append(f"| {shown} | {_cell(text)}{words} | {usual} |")
    return ("\n".join(lines) if rows else "") + "\n"


def _cell(text):
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
