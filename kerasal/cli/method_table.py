"""The attribution methods with their options, read from their source without importing TensorFlow."""

import ast
import functools
import importlib.util
import inspect
import pathlib
import re
import typing
from collections.abc import Callable
from typing import Any, Literal, NamedTuple


class MethodRow(NamedTuple):
    """A method: name, summary, reference, options, a help text for each documented option, family and cost."""

    name: str
    summary: str
    reference: str
    options: dict[str, inspect.Parameter]
    help: dict[str, str]
    family: str = ""
    passes: str = ""

    @property
    def cost(self) -> str:
        """Its cost in passes with its default options, as ``MethodSpec.cost``."""
        return self.passes.format_map({name: option.default for name, option in self.options.items()})


class _Array:
    """Stands for ``np.ndarray`` in annotations."""


class _NumPy:
    ndarray = _Array


_NAMES = {"Any": Any, "Literal": Literal, "Callable": Callable, "np": _NumPy}
_NAMES |= {kind.__name__: kind for kind in (int, float, str, bool)}


def method_names() -> list[str]:
    """Return the names of the built-in attribution methods, sorted."""
    return sorted(function.name for _, function in _functions())


@functools.cache
def families() -> dict[str, str]:
    """Return the families of methods and their titles, in the order in which they are listed."""
    for node in ast.parse((_attribution() / "method_facts.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "FAMILIES":
            return ast.literal_eval(typing.cast(ast.expr, node.value))
    raise AssertionError("method_facts.py must assign FAMILIES.")


def read_method(name: str) -> MethodRow | None:
    """Return the row of a built-in method, or None if there is none of this name."""
    for file, function in _functions():
        if function.name == name:
            return _read_row(function, _read_aliases(file))
    return None


def argument_help(text: str) -> dict[str, str]:
    """Return the entries below ``Args:`` of a docstring, each on a single line."""
    block = re.search(r"^Args:\n((?:[ ]+.*\n|\n)+)", f"{text}\n", re.MULTILINE)
    entries: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \w+: )", f"\n{block[1]}" if block else ""):
        name, colon, sentence = " ".join(entry.replace("``", "").split()).partition(": ")
        if colon:
            entries[name] = sentence[:1].upper() + sentence[1:]
    return entries


@functools.cache
def _functions() -> list[tuple[ast.Module, ast.FunctionDef]]:
    """Return each method's parsed source file and function definition."""
    functions = []
    for path in sorted((_attribution() / "methods").glob("*.py")):
        file = ast.parse(path.read_text(encoding="utf-8"))
        functions += [(file, node) for node in file.body if isinstance(node, ast.FunctionDef) and _decorator(node)]
    return functions


def _attribution() -> pathlib.Path:
    """Return the folder of ``kerasal.attribution``."""
    spec = importlib.util.find_spec("kerasal")
    return pathlib.Path(str(spec and spec.origin)).parent / "attribution"


def _decorator(function: ast.FunctionDef) -> ast.Call | None:
    for call in function.decorator_list:
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "method":
            return call
    return None


def _read_aliases(file: ast.Module) -> dict[str, Any]:
    """Return the type of each alias that the annotations of a file may use: its own and those of ``method_parts``."""
    shared = _attribution() / "method_parts.py"
    names = dict(_NAMES)
    for node in [*ast.parse(shared.read_text(encoding="utf-8")).body, *file.body]:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Subscript)
            and isinstance(node.targets[0], ast.Name)
        ):
            names[node.targets[0].id] = _evaluate(node.value, names)
    return names


def _read_row(function: ast.FunctionDef, names: dict[str, Any]) -> MethodRow:
    text = ast.get_docstring(function) or ""
    call = typing.cast(ast.Call, _decorator(function))
    texts = {
        keyword.arg: ast.literal_eval(keyword.value)
        for keyword in call.keywords
        if keyword.arg in ("reference", "family", "passes")
    }
    options = {}
    for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        options[argument.arg] = inspect.Parameter(
            argument.arg,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=_evaluate(argument.annotation, names),
            default=ast.literal_eval(default) if default is not None else None,
        )
    return MethodRow(function.name, text.partition("\n")[0], options=options, help=argument_help(text), **texts)


def _evaluate(node: ast.expr | None, names: dict[str, Any]) -> Any:
    """Return the type of an annotation; Any if there is none or it uses names that are not in ``names``."""
    if node is None:
        return Any
    try:
        return eval(compile(ast.Expression(node), "annotation", "eval"), {"__builtins__": {"tuple": tuple}}, names)
    except (NameError, TypeError, AttributeError):
        return Any
