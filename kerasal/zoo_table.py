"""What the files of the zoo say of their models, read without importing them: Keras takes seconds to load.

The registry (``kerasal.models.registry``) knows all of a model. A list of them needs little, which each file says in
the call of ``@register`` above the model's function, as literals.
"""

import ast
import importlib.util
import pathlib
from fnmatch import fnmatchcase
from typing import Any, NamedTuple


class ZooRow(NamedTuple):
    """One model of the zoo: see ``ModelSpec``; ``weights`` maps their names to whether the file ships."""

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
    """Return the rows of the functions in a file that are registered."""
    rows = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "register":
                rows.append(_row(node.name, {one.arg: one.value for one in call.keywords}, file))
    return rows


def _row(name: str, given: dict[str | None, ast.expr], file: pathlib.Path) -> ZooRow:
    try:
        facts: dict[str, Any] = {
            key: ast.literal_eval(given[key]) for key in ("task", "input_shape", "parameters", "preprocessing")
        }
        weights = given.get("weights", ast.Dict([], []))
        if not isinstance(weights, ast.Dict):
            raise ValueError("weights must be a dictionary display")
        named = zip(filter(None, weights.keys), weights.values, strict=True)
        ships = {ast.literal_eval(key): _ships(value) for key, value in named}
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{file}: @register of {name} must give literals: {error}") from error
    return ZooRow(name, weights=ships, **facts)


def _ships(call: ast.expr) -> bool:
    """Tell whether ``Weights(description, file, …)`` has a file."""
    if not isinstance(call, ast.Call):
        raise ValueError("each of the weights must be a call of Weights")
    return len(call.args) > 1 or any(one.arg == "file" for one in call.keywords)
