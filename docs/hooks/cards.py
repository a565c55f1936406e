"""Generate the pages of the zoo from the model cards, which are the docstrings of the files in ``zoo/``."""

import ast
import pathlib

from mkdocs.structure.files import File

ZOO = pathlib.Path(__file__).resolve().parents[2] / "zoo"


def on_files(files, config):
    """Add a page for each model of the zoo, and a list of all."""
    for tree, model in _models():
        name, what, rest = _card(tree)
        text = f"# {name}\n\n{_sentence(what)}\n{rest}\n\n{_options(model)}"
        files.append(File.generated(config, f"cards/{model.name}.md", content=text))
    files.append(File.generated(config, "cards/index.md", content=index()))
    return files


def index():
    """Return the list of the models."""
    return _index([_row(model, _card(tree)[1]) for tree, model in _models()])


def _card(tree):
    """Return the name, the sentence and the rest of a card."""
    summary, _, rest = ast.get_docstring(tree).partition("\n")
    name, _, what = summary.partition(": ")
    return name, what, rest


def names():
    """Return the names of the models, sorted."""
    return sorted(model.name for _, model in _models())


def _models():
    """Yield (parsed file, registered function) of each model of the zoo."""
    for path in sorted(ZOO.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if (model := _registered(tree)) is not None:
            yield tree, model


def _registered(tree):
    """Return the function under a decorator ``register(…)``, or None; a file holds one model."""
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    return next((node for node in functions if _facts(node) is not None), None)


def _facts(node):
    """Return the keywords of ``register`` as name -> source text, or None if there is no such decorator."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", None) == "register":
            return {keyword.arg: ast.unparse(keyword.value) for keyword in decorator.keywords}
    return None


def _options(model):
    """Show the call that builds the model, with its options and their defaults."""
    call = f'kerasal.create_model("{model.name}"{_keywords(model)})'
    return f"## Build the model\n\n``` {{ .py }}\n{call}\n```\n\n{_preprocessing(model)}"


def _keywords(model):
    pairs = zip(model.args.kwonlyargs, model.args.kw_defaults, strict=True)
    return "".join(f", {name.arg}={ast.unparse(default)}" for name, default in pairs if default is not None)


def _preprocessing(model):
    facts = _facts(model)
    return f"Preprocessing {facts['preprocessing']}, input {facts['input_shape']}. [All models](index.md)."


def _row(model, what):
    facts = _facts(model)
    source = _source(facts.get("weights"))
    task = ast.literal_eval(facts["task"])
    count = f"{int(facts['parameters'].replace('_', '')):,}"
    return f"| [`{model.name}`]({model.name}.md) | {what.rstrip('.')} | {task} | {count} | {source} |"


def _source(weights):
    """Return where the weights come from: those with a file are installed, those without are downloaded."""
    if weights is None:
        return "your file"
    calls = [node for node in ast.walk(ast.parse(weights)) if isinstance(node, ast.Call)]
    return "installed" if any(len(call.args) + len(call.keywords) > 1 for call in calls) else "downloaded"


def _index(rows):
    table = "\n".join(["| name | description | task | parameters | weights |", "|---|---|---|---|---|", *rows])
    return (
        "# The zoo\n\nEach card is the docstring of the file that builds the model. `kerasal models` lists all, and "
        "`kerasal card NAME` prints a card. Numbers that a card attributes to a paper or source are not ours.\n\n"
        f"{table}\n"
    )


def _sentence(text):
    return text[:1].upper() + text[1:]
