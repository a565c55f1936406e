"""The zoo's pages: each card is the docstring of the model's own file, read without running it."""

import ast
import pathlib

from mkdocs.structure.files import File

ZOO = pathlib.Path(__file__).resolve().parents[2] / "zoo"


def on_files(files, config):
    """Add a page for every file of the zoo that registers models, and one that lists them all."""
    rows = []
    for path in sorted(ZOO.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        models = list(_registered(tree))
        if not models:
            continue
        summary, _, rest = ast.get_docstring(tree).partition("\n")
        names, _, what = summary.partition(": ")
        page = "vgg" if len(models) > 1 else models[0].name
        text = f"# {names}\n\n{_sentence(what)}\n{rest}\n\n{_options(models)}"
        files.append(File.generated(config, f"cards/{page}.md", content=text))
        rows += [_row(model, page, what) for model in models]
    files.append(File.generated(config, "cards/index.md", content=_index(rows)))
    return files


def _registered(tree):
    """Yield the functions under a decorator ``register(…)``."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and _facts(node) is not None:
            yield node


def _facts(node):
    """Return the keywords of ``register`` as name -> source text, or None if there is no such decorator."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", None) == "register":
            return {keyword.arg: ast.unparse(keyword.value) for keyword in decorator.keywords}
    return None


def _options(models):
    """Show the call that builds each model, with its options and their defaults."""
    calls = "\n".join(f'kerasal.create_model("{model.name}"{_keywords(model)})' for model in models)
    return f"## Building it\n\n``` {{ .py }}\n{calls}\n```\n\n{_preprocessing(models)}"


def _keywords(model):
    pairs = zip(model.args.kwonlyargs, model.args.kw_defaults, strict=True)
    return "".join(f", {name.arg}={ast.unparse(default)}" for name, default in pairs if default is not None)


def _preprocessing(models):
    facts = _facts(models[0])
    return f"Preprocessing {facts['preprocessing']}, input {facts['input_shape']}. [All models](index.md)."


def _row(model, page, what):
    facts = _facts(model)
    ships = "yes" if "Weights" in facts.get("weights", "") and "file" not in facts else ""
    weights = facts.get("weights", "")
    ships = (
        "ship" if "_WEIGHTS" in weights else "a name downloads them" if "Weights(" in weights else "yours, by a path"
    )
    count = f"{int(facts['parameters'].replace('_', '')):,}"
    return f"| [`{model.name}`]({page}.md) | {what.rstrip('.')} | {facts['task']} | {count} | {ships} |"


def _index(rows):
    table = "\n".join(["| name | what | task | parameters | weights |", "|---|---|---|---|---|", *rows])
    return (
        "# The zoo\n\nEach card is the docstring of the file that builds the model; `kerasal models` lists the same, "
        "and `kerasal card NAME` prints a card. Numbers that a card calls the source's or the paper's are not ours.\n\n"
        f"{table}\n"
    )


def _sentence(text):
    return text[:1].upper() + text[1:]
