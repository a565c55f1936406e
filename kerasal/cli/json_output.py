"""``--json``: the results of a command as one JSON document on the output stream, and all texts on the error stream."""

import contextlib
import contextvars
import functools
import inspect
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

Json = Annotated[
    bool,
    typer.Option("--json", help="Print the results as one JSON document; all texts go to the error stream."),
]

_document: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("_document", default=None)


def with_json(command: Callable[..., None]) -> Callable[..., None]:
    """Return a decorator's result: the command with --json, which prints what the command passes to ``record``.

    The document is also printed if some of the work failed (exit code 1); an error leaves the output stream empty.
    """
    signature = inspect.signature(command)

    @functools.wraps(command)
    def reporting(*, json_: bool = False, **values: Any) -> None:
        if not json_:
            command(**values)
            return
        token, stopped = _document.set({}), None
        try:
            with contextlib.redirect_stdout(sys.stderr):
                try:
                    command(**values)
                except typer.Exit as stop:  # some of the images failed
                    stopped = stop
            document = _document.get() or {}
        finally:
            _document.reset(token)
        typer.echo(json.dumps(to_plain(document), indent=2, allow_nan=False))
        if stopped is not None:
            raise stopped

    added = inspect.Parameter("json_", inspect.Parameter.KEYWORD_ONLY, annotation=Json, default=False)
    reporting.__annotations__ = {**command.__annotations__, "json_": Json}
    vars(reporting)["__signature__"] = signature.replace(parameters=[*signature.parameters.values(), added])
    return reporting


def record(**facts: Any) -> None:
    """Add results to the document of --json; without --json nothing happens."""
    document = _document.get()
    if document is not None:
        document |= facts


def to_plain(value: Any) -> Any:
    """Return a value of a result as JSON has it: tables as lists of rows, paths as texts, and null for NaN."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a table; its index is a column unless it only counts
        table = value if value.index.name is None and value.index.dtype.kind in "iu" else value.reset_index()
        return [to_plain(row) for row in table.to_dict("records")]
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if hasattr(value, "tolist"):  # numbers and arrays of NumPy
        return to_plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else os.fspath(value)
