"""``kerasal models`` and ``kerasal card``: the models of the zoo, and the card of a model."""

from typing import Annotated

from typer import Argument

from kerasal.cli import completion
from kerasal.cli.json_output import record, with_json
from kerasal.cli.session import load_tensorflow, results
from kerasal.zoo_table import ZooRow, read_zoo


@with_json
def models(
    pattern: Annotated[
        str, Argument(help="A shell pattern, such as 'vgg*'.", autocompletion=completion.zoo_models)
    ] = "*",
) -> None:
    """List the models of the zoo."""
    from rich.table import Column, Table

    rows = _rows(pattern)
    if not rows:
        names = ", ".join(row.name for row in _rows("*"))
        raise ValueError(f"pattern must match the name of a zoo model, got {pattern!r}. The models are {names}.")
    columns = [Column(text, no_wrap=True) for text in ("name", "task", "input", "parameters")]
    table = Table(*columns, "weights")
    for row in rows:
        shape = "×".join("any" if side is None else str(side) for side in row.input_shape)
        kinds = [name if ships else f"{name} (download)" for name, ships in row.weights.items()]
        count = f"{row.parameters:,}" if row.parameters < 1_000_000 else f"{row.parameters / 1e6:.2f} M"
        table.add_row(row.name, row.task, shape, count, ", ".join(kinds) or "random only")
    record(models=[row._asdict() for row in rows])
    results().print(table)
    results().print("kerasal card NAME describes a model.", style="dim")


def _rows(pattern: str) -> list[ZooRow]:
    """Return the zoo's models and those of other packages; TensorFlow is loaded only for the latter."""
    import importlib.metadata

    rows = read_zoo(pattern)
    if importlib.metadata.entry_points(group="kerasal.models"):
        load_tensorflow()
        from kerasal.models import registry

        known = {row.name for row in rows}
        specs = [registry.model_spec(name) for name in registry.list_models(pattern) if name not in known]
        rows += map(ZooRow.of, specs)
    return sorted(rows)


@with_json
def card(
    name: Annotated[str, Argument(help="The name of a zoo model.", autocompletion=completion.zoo_models)],
) -> None:
    """Print the card of a zoo model: description, source, measurements and options."""
    load_tensorflow()
    from kerasal.models import registry

    spec = registry.model_spec(name)
    origins = {key: {"description": item.description, "sha256": item.sha256} for key, item in spec.weights.items()}
    facts = {"parameters": spec.parameters, "preprocessing": str(spec.preprocessing), "reference": spec.reference}
    texts = {key: repr(value) for key, value in spec.options.items()}
    record(name=spec.name, card=spec.card, **facts, options=texts, weights=origins)
    console = results()
    console.print(spec.card, markup=False, soft_wrap=True)  # the card is already formatted
    console.print()
    options = ", ".join(f"{key}={value!r}" for key, value in spec.options.items())
    lines = [
        ("name", spec.name),
        ("parameters", f"{spec.parameters:,}"),
        ("preprocessing", spec.preprocessing),
        ("options", options or "none"),
    ]
    for key, origin in spec.weights.items():
        lines.append(("weights", f"{key!r}: {origin.description}"))
        lines += [("", f"SHA-256 {origin.sha256}")] if origin.sha256 else []
    for key, text in [*lines, ("reference", spec.reference)]:
        console.print(f"{key:13}  {text}", markup=False)
