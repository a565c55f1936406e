"""A table of the zoo's models, read from their source files without importing Keras, which takes seconds.

The registry (``kerasal.models.registry``) has the whole ``ModelSpec`` of a model. The table has the columns of a list
of models; each file contains them as literals in the call of ``@register`` above the model's function.
"""

import ast
import importlib.util
import pathlib
from fnmatch import fnmatchcase
from typing import Any, NamedTuple


class ZooRow(NamedTuple):
    """A model of the zoo, with the fields of ``ModelSpec``; ``weights`` maps names to whether the file is bundled."""

    name: str
    task: str
    input_shape: tuple[int | None, ...]
    parameters: int
    preprocessing: str
    weights: dict[str, bool]

    @classmethod
    def of(cls, spec: Any) -> "ZooRow":
        """Return the row of a ``ModelSpec``."""
        ships = {name: origin.file is not None for name, origin in spec.weights.items()}
        return cls(spec.name, spec.task, spec.input_shape, spec.parameters, spec.preprocessing, ships)


def read_zoo(pattern: str = "*") -> list[ZooRow]:
    """Return a row for each model of the zoo whose name matches a shell pattern, sorted by name."""
    spec = importlib.util.find_spec("kerasal.zoo")
    folders = [pathlib.Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    rows = [row for folder in folders for file in sorted(folder.glob("*.py")) for row in _rows(file)]
    return sorted(row for row in rows if fnmatchcase(row.name, pattern))


def _rows(file: pathlib.Path) -> list[ZooRow]:
    """Return a row for each registered function of a file."""
    rows = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "register":
                rows.append(_row(node.name, {keyword.arg: keyword.value for keyword in call.keywords}, file))
    return rows


def _row(name: str, keywords: dict[str | None, ast.expr], file: pathlib.Path) -> ZooRow:
    try:
        facts: dict[str, Any] = {
            key: ast.literal_eval(keywords[key]) for key in ("task", "input_shape", "parameters", "preprocessing")
        }
        weights = keywords.get("weights", ast.Dict([], []))
        if not isinstance(weights, ast.Dict):
            raise ValueError("weights must be a dictionary of names and calls of Weights")
        entries = zip(filter(None, weights.keys), weights.values, strict=True)
        ships = {ast.literal_eval(key): _ships(value) for key, value in entries}
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{file}: the arguments of @register of {name} must be literals: {error}.") from error
    return ZooRow(name, weights=ships, **facts)


def _ships(call: ast.expr) -> bool:
    """Return whether a call ``Weights(description, file, …)`` passes a file, which is then bundled with kerasal."""
    if not isinstance(call, ast.Call):
        raise ValueError("weights must be a dictionary of names and calls of Weights")
    return len(call.args) > 1 or any(keyword.arg == "file" for keyword in call.keywords)
