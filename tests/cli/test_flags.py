"""Every flag has one meaning over all commands, a help text, and an old spelling that works where it was renamed."""

import collections
import inspect
import typing
import warnings
from types import UnionType

import pytest
import typer
from typer.models import OptionInfo
from typer.testing import CliRunner

from kerasal import attribution
from kerasal.cli import flags
from kerasal.cli.app import app
from kerasal.cli.attribute import _command
from kerasal.cli.flags import Command
from kerasal.cli.gaze import app as gaze
from kerasal.cli.method_table import method_names, read_method
from kerasal.cli.outputs import App


def walk(command, path=()):
    """Yield the words and the click command of every command of the program."""
    if not hasattr(command, "list_commands"):
        yield " ".join(path), command
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = typer.Context(command) if isinstance(typer.Context, type) else None
    for name in command.list_commands(context):
        yield from walk(command.get_command(context, name), (*path, name))


COMMANDS = dict(walk(typer.main.get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text(name):
    for parameter in COMMANDS[name].params:
        assert parameter.help and parameter.help.strip(), f"{name}: {parameter.opts} has no help"
    assert COMMANDS[name].help


@pytest.mark.parametrize("name", method_names())
def test_the_docstring_of_a_method_has_an_entry_for_each_option(name):
    row = read_method(name)
    assert set(row.options) <= set(row.help), "Args: of the docstring are the help of the flags"
    assert all(text.endswith(".") and "``" not in text for text in row.help.values())


def test_every_command_is_in_a_panel_of_the_help(cli):
    _, out, _ = cli("--help")
    panels = [line.strip("╭─╮ ") for line in out.splitlines() if line.startswith("╭")]
    assert panels == ["Options", "Explain", "Features", "Train", "Gaze", "Deploy", "Models"]
    assert {name.split()[0] for name in COMMANDS} == {
        line.split()[1] for line in out.splitlines() if line.startswith("│ ") and line[2:3].isalpha()
    }


def test_long_helps_have_panels(cli):
    _, out, _ = cli("maximize", "--help")
    assert [line.strip("╭─╮ ") for line in out.splitlines() if line.startswith("╭")] == [
        *("Arguments", "Options", "Settings", "Output", "Model")
    ]


def options():
    """Yield (command, flag, kind of value, parameter) for every visible flag of the command functions."""
    functions = {info.callback.__name__: info.callback for group in (app, gaze) for info in group.registered_commands}
    parameters = {name: inspect.signature(function).parameters.values() for name, function in functions.items()}
    parameters |= {f"attribute {name}": Command(_command(read_method(name)), "").parameters for name in method_names()}
    for name, listed in parameters.items():
        for key, parameter in ((one.name, one) for one in listed):
            kind, *notes = typing.get_args(parameter.annotation) or (None,)
            info = next((note for note in notes if isinstance(note, OptionInfo)), None)
            if info is not None and not info.hidden:
                for flag in info.param_decls or (f"--{key.strip('_').replace('_', '-')}",):
                    yield name, flag.partition("/")[0], _kind(kind), key


def _kind(kind):
    """Return the name of a type, the same for one value and several, and for values and None."""
    if isinstance(kind, UnionType) or typing.get_origin(kind) is typing.Union:
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    if typing.get_origin(kind) is list:
        kind = typing.get_args(kind)[0]
    return "choice" if typing.get_origin(kind) is typing.Literal else kind.__name__


SAME_MEANING = {
    "-c": {"class_"},
    "-f": {"format"},
    "-k": {"count"},
    "-l": {"layer", "layers"},  # a layer, or a list of layers
    "--layer": {"layer"},
    "--learning-rate": {"learning_rate", "rate"},  # the recipe of a gaze training calls it rate
    "--max-channels": {"max_channels", "channels"},  # scorecam calls it channels
}
TWO_KINDS = {
    "--sigma": {"str", "float"},  # kerasal score also takes the names of two benchmarks
}


def test_a_flag_has_one_kind_and_one_parameter_over_all_commands():
    kinds, parameters = collections.defaultdict(set), collections.defaultdict(set)
    for _, flag, kind, parameter in options():
        kinds[flag].add(kind)
        parameters[flag].add(parameter)
    for flag, found in kinds.items():
        assert len(found) == 1 or found == TWO_KINDS.get(flag), (flag, found)
    for flag, found in parameters.items():
        assert len(found) == 1 or found == SAME_MEANING.get(flag), (flag, found)


TOPICS = {
    "--size": "Size of the",
    "--class": "class",  # which, by name or number
    "--channels": "Numbers of channels",
    "--channel": "channel",
    "--layer": "",
    "--layers": "layers",
    "--output": "",
    "--model-option": "zoo model",
    "--recipe": "Settings of the",
    "--preset": "Settings of the ascent",
    "--learning-rate": "Learning rate",
    "--seed": "seed",
    "--batch-size": "Number of images per step",
    "--epochs": "Number of epochs",
    "--workers": "worker processes",
    "--count": "Number of images",
    "--top": "Number of classes",
    "--weights": "Weights of a zoo model",
    "--sigma": "Blur of the fixations",
    "--name": "Name of the exported model",
    "--definition": "Benchmark whose definitions",
}


@pytest.mark.parametrize("flag", TOPICS)
def test_a_flag_has_one_topic_in_all_helps(flag):
    helps = {
        parameter.help
        for command in COMMANDS.values()
        for parameter in command.params
        if flag in parameter.opts and not parameter.hidden
    }
    assert helps and all(TOPICS[flag].lower() in text.lower() for text in helps), helps


def test_every_command_that_opens_a_model_takes_its_options():
    with_model = {name for name, command in COMMANDS.items() if any("--unsafe" in p.opts for p in command.params)}
    takes = {name for name, command in COMMANDS.items() if any("--model-option" in p.opts for p in command.params)}
    reports = {"report", "gaze report"}  # they open the model of a training, not one that is named
    assert with_model - reports == takes and len(takes) > 25


OLD = [
    ("atlas", "--net-option", "--model-option"),
    ("atlas", "--channels", "--max-channels"),
    ("atlas", "--classes", "--class"),
    ("batch", "--net-option", "--model-option"),
    ("evolution", "-f", "--features"),
    ("exemplars", "-c", "--channels"),
    ("export", "--version", "--model-version"),
    ("gaze train", "--rate", "--learning-rate"),
    ("gaze train", "--preset", "--model-option preset=NAME"),
    ("localize-score", "--classes", "--class-map"),
    ("patterns", "-c", "--channels"),
    ("probe", "-c", "--cost"),
    ("score", "--processes", "--workers"),
    ("score", "--size", "--coordinate-size HEIGHTxWIDTH"),
    ("train", "--classes", "--class"),
    ("train", "--scale", "--zoom"),
    ("attribute scorecam", "--channels", "--max-channels"),
    ("attribute occlusion", "--no-progress", "--quiet"),
]
REQUIRED = {
    "atlas": ["none.keras"],
    "batch": ["predict", "none.keras", "photos", "out"],
    "evolution": ["none"],
    "exemplars": ["none.keras", "conv", "photos"],
    "export": ["none.keras", "out"],
    "gaze train": ["none.keras", "--data", "none"],
    "localize-score": ["none.keras", "photos", "boxes"],
    "patterns": ["none.keras", "conv"],
    "probe": ["none.keras", "classes", "--layers", "conv"],
    "score": ["maps", "fixations"],
    "train": ["none.keras", "--data", "none"],
    "attribute scorecam": ["none.keras", "none.png"],
    "attribute occlusion": ["none.keras", "none.png"],
}
VALUES = {"--net-option": ["a=1"], "--no-progress": [], "--classes": ["x"], "--preset": ["small"], "--size": ["64x48"]}


@pytest.mark.parametrize(("command", "old", "new"), OLD)
def test_an_old_spelling_works_with_a_notice_and_is_not_in_the_help(cli, command, old, new):
    code, _, err = cli(*command.split(), *REQUIRED[command], old, *VALUES.get(old, ["1"]))
    assert code == 2  # there is no such model or data; the option was accepted
    assert err.splitlines()[0] == f"{old} is called {new} now."
    assert "No such option" not in err
    visible = [flag for p in COMMANDS[command].params if not p.hidden for flag in (*p.opts, *p.secondary_opts)]
    assert old not in visible and new.split()[0] in visible


def test_values_of_old_spellings_are_those_of_the_new(capsys):
    group, seen = App(), {}

    @group.command()
    def work(
        sides: typing.Annotated[list[str] | None, typer.Option(help="x"), flags.Formerly("--edges")] = None,
        quiet: typing.Annotated[
            bool, typer.Option("--quiet", help="x"), flags.Formerly("--show/--hide", kind=bool, convert=lambda x: not x)
        ] = False,
    ) -> None:
        seen.update(sides=sides, quiet=quiet)

    CliRunner().invoke(group, ["--edges", "1", "--sides", "2", "--hide"])
    assert seen == {"sides": ["2", "1"], "quiet": True}


FLAGS = {"batch_size": ("--batch-size", ""), "resume": ("--fresh", ""), "logits": ("--logits", "--no-logits")}


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("batch_size must be positive, got 0.", "batch_size (--batch-size) must be positive, got 0."),
        ("Start over with resume=False.", "Start over with resume=False (--fresh)."),
        ("Set batch_size=8 or less.", "Set batch_size=8 (--batch-size) or less."),
        ("Pass logits=False for it.", "Pass logits=False (--no-logits) for it."),
        ("Pass logits=True for it.", "Pass logits=True (--logits) for it."),
        ("Got batch_size={'a': 2} here.", "Got batch_size={'a': 2} (--batch-size) here."),
        ("Got batch_size=[1, 2].", "Got batch_size=[1, 2] (--batch-size)."),
        ("Use batch_size=None.", "Use batch_size=None."),
        ("my_batch_size=3, the file must be one", "my_batch_size=3, the file must be one"),
        ("The batch_size must fit.", "The batch_size must fit."),
    ],
)
def test_library_messages_get_the_flags_of_the_command(message, shown):
    assert flags.name_flags(message, FLAGS) == shown


def test_a_message_of_a_command_has_its_flag(cli, tmp_path):
    code, _, err = cli("train", "mnist_cnn", "--epochs", 0, "--data", tmp_path)
    assert code == 2
    assert "(--epochs) must be" in err or "MNIST" in err


def test_the_table_of_methods_is_what_the_registry_knows():
    assert method_names() == attribution.list_methods()
    for name in method_names():
        row, spec = read_method(name), attribution.method_spec(name)
        assert (row.summary, row.reference, list(row.options)) == (spec.summary, spec.reference, list(spec.options))
        assert (row.family, row.cost) == (spec.family, spec.cost({}))
        for key, parameter in row.options.items():
            expected = spec.options[key]
            assert parameter.default == expected.default
            assert "Array" in str(parameter.annotation) or parameter.annotation == expected.annotation


def test_a_flag_is_named_after_its_argument_but_not_within_code():
    known = {"steps": ("--steps", ""), "logits": ("--logits", "--no-logits")}
    assert flags.name_flags("steps must be 1, got 0.", known) == "steps (--steps) must be 1, got 0."
    assert flags.name_flags("Pass logits=False.", known) == "Pass logits=False (--no-logits)."
    code = "Pass it as in explain(model, logits=False)."
    assert flags.name_flags(code, known) == code
