"""Generate the pages of commands from the command line itself, without loading TensorFlow."""

import inspect
import pathlib
import sys
import typing

from mkdocs.structure.files import File

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

_INDEX = """# Commands

`kerasal COMMAND --help` prints what these pages contain. MODEL is a `.keras` or `.h5` file, a SavedModel folder, the
folder of a training, or a name that `kerasal models` lists.

"""
GROUPS = {
    "Explain": "What in a photo does the score depend on, and where is the object?",
    "Features": "What do channels, layers and the whole model respond to?",
    "Train": "Train a classifier on folders of images.",
    "Gaze": "Where do people look, and how well is that predicted?",
    "Deploy": "Explanations on a server, and over thousands of images.",
    "Models": "The models by name, and the demo.",
}
_METHODS = """
### Methods

The options above belong to every method. These are the methods and their own options; each is a
[function with the same name](../api/attribution.md), and [the guide](../methods.md) helps to choose.

| method | what its map shows | own options |
|---|---|---|
"""


def on_files(files, config):
    """Add a page for each group of commands, and one with all of them."""
    for uri, text in pages().items():
        files.append(File.generated(config, uri, content=text))
    return files


def pages():
    """Return the Markdown of each page by its file name."""
    groups = {title: [] for title in GROUPS}
    for names, command, group in walk():
        groups[group].append((names, command))
    return {
        "commands/index.md": _index(groups),
        **{f"commands/{title.lower()}.md": _page(title, commands) for title, commands in groups.items()},
    }


def walk():
    """Yield (names, click command, group) of every command in the order of the help; ``attribute`` counts as one."""
    import typer

    from kerasal.cli.app import app

    main = typer.main.get_command(app)
    context = main.make_context("kerasal", [], resilient_parsing=True)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        if name == "attribute" or not hasattr(command, "list_commands"):
            yield (name,), command, command.rich_help_panel
        else:
            inside = command.make_context(name, [], parent=context, resilient_parsing=True)
            for second in command.list_commands(inside):
                yield (name, second), command.get_command(inside, second), command.rich_help_panel


def parameters(command):
    """Return the arguments and options of a command that its help shows."""
    return [one for one in command.params if not getattr(one, "hidden", False) and one.name != "help"]


def methods(attribute):
    """Return the click command of each attribution method by name."""
    context = attribute.make_context("attribute", [], resilient_parsing=True)
    return {name: attribute.get_command(context, name) for name in attribute.list_commands(context)}


def spellings(parameter):
    """Return how an argument or option is written: the metavar, or all flags, long ones first."""
    if parameter.param_type_name == "argument":
        return [parameter.metavar or parameter.name.upper()]
    return sorted([*parameter.opts, *parameter.secondary_opts], key=lambda flag: not flag.startswith("--"))


def choices(parameter):
    """Return the words that an argument or option accepts; none if it takes other values."""
    if hasattr(parameter, "type"):  # Typer before 0.29, on Click's types
        return list(getattr(parameter.type, "choices", ()))
    return _literal(parameter.type_descriptor.annotation)


def _literal(kind):
    """Return the words of a Literal; optional and repeated ones are unwrapped."""
    if typing.get_origin(kind) is typing.Literal:
        return [str(word) for word in typing.get_args(kind)]
    return [word for part in typing.get_args(kind) for word in _literal(part)]


def _index(groups):
    from kerasal.cli.app import EXIT_CODES

    parts = [_INDEX]
    for title, commands in groups.items():
        page = f"{title.lower()}.md"
        rows = [f"| {_link(names, page)} | {_cell(_summary(names, command))} |" for names, command in commands]
        parts.append(f"## [{title}]({page})\n\n{GROUPS[title]}\n\n| command | what it does |\n|---|---|\n")
        parts.append("\n".join(rows) + "\n\n")
    codes = "".join(f"* {code.strip()}\n" for code in EXIT_CODES.partition(":")[2].rstrip(".").split(";"))
    return (
        "".join(parts)
        + f"## Exit codes\n\n{codes}\n`--traceback`, anywhere on the line, shows where an error came from.\n"
    )


def _page(title, commands):
    return f"# {title}\n\n{GROUPS[title]}\n\n" + "\n".join(_section(names, command) for names, command in commands)


def _link(names, page):
    return f"[`kerasal {' '.join(names)}`]({page}#{'-'.join(names)})"


def _summary(names, command):
    return inspect.cleandoc(command.help or "").split("\n\n")[0]


def _section(names, command):
    if names == ("attribute",):
        return _attribute(command)
    shown = parameters(command)
    places = [_place(one) for one in shown if one.param_type_name == "argument"]
    usage = " ".join(["kerasal", *names, *places])
    return f"{_head(names, usage)}{_prose(command.help or '')}\n\n{_table(shown)}"


def _attribute(command):
    every = methods(command)
    shared = set.intersection(*({one.name for one in parameters(method)} for method in every.values()))
    first = next(iter(every.values()))
    rows = []
    for name, method in every.items():
        own = [one for one in parameters(method) if one.name not in shared]
        flags = " · ".join(f"{_flags(one)}{_default(one, ' ')}" for one in own)
        rows.append(f"| [`{name}`](../methods.md#{name}) | {_cell(_summary((name,), method))} | {flags} |")
    table = _table([one for one in parameters(first) if one.name in shared])
    return (
        f"{_head(('attribute',), 'kerasal attribute METHOD MODEL IMAGE')}"
        f"Show which pixels of a photo the score of a model depends on.\n\n{table}{_METHODS}" + "\n".join(rows) + "\n"
    )


def _head(names, usage):
    return f"## kerasal {' '.join(names)} {{: #{'-'.join(names)} }}\n\n```text\n{usage}\n```\n\n"


def _place(argument):
    name = spellings(argument)[0]
    if " " in name:  # several arguments in one, which says itself what is optional
        return name
    several = "…" if argument.nargs == -1 else ""
    return f"{name}{several}" if argument.required else f"[{name}{several}]"


def _table(shown):
    rows = []
    for one in shown:
        words = choices(one)
        listed = f" One of {', '.join(f'`{word}`' for word in words)}." if words else ""
        rows.append(f"| {_flags(one)} | {_cell(one.help or '')}{listed} | {_default(one)} |")
    head = "| argument or option | meaning | default |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n" if rows else ""


def _flags(parameter):
    value = f" {parameter.metavar}" if parameter.param_type_name == "option" and parameter.metavar else ""
    first, *others = spellings(parameter)
    return ", ".join([f"`{first}{value}`", *(f"`{name}`" for name in others)])


def _default(parameter, before=""):
    """Return the default in backquotes; nothing for switches and what is unset, "required" for required options."""
    default = parameter.default
    if parameter.required:
        return "" if parameter.param_type_name == "argument" else "required"
    if default is None or isinstance(default, bool) or default == () or default == [] or callable(default):
        return ""
    return f"{before}`{getattr(default, 'value', default)}`"


def _prose(text):
    return inspect.cleandoc(text).replace(r"\[", "[").replace("\b\n", "")  # marks for the terminal


def _cell(text):
    return (
        " ".join(_prose(text).split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("[", "\\[")
    )
