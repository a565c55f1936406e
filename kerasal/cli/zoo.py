"""``kerasal models`` and ``kerasal card``: what the zoo holds."""

from typing import Annotated

import typer

from kerasal.cli.session import load_tensorflow, results


def models(pattern: Annotated[str, typer.Argument(help="A shell pattern, such as 'vgg*'.")] = "*") -> None:
    """List the models of the zoo."""
    load_tensorflow()
    from rich.table import Column, Table

    from kerasal.models import registry

    names = registry.list_models(pattern)
    if not names:
        raise ValueError(f"No model matches {pattern!r}. There are {', '.join(registry.list_models())}.")
    table = Table(Column("name", no_wrap=True), "task", "input", "parameters", "pixels", "weights")
    for name in names:
        spec = registry.model_spec(name)
        shape = " × ".join("any" if size is None else str(size) for size in spec.input_shape)
        kinds = [key if origin.file else f"{key} (download)" for key, origin in spec.weights.items()]
        table.add_row(
            name, spec.task, shape, f"{spec.parameters:,}", spec.preprocessing, ", ".join(kinds) or "random only"
        )
    results().print(table)
    results().print("kerasal card NAME says more.", style="dim")


def card(name: Annotated[str, typer.Argument(help="The name of a zoo model.")]) -> None:
    """Show a model's card: what it is, where it is from, what was measured."""
    load_tensorflow()
    from kerasal.models import registry

    spec = registry.model_spec(name)
    console = results()
    console.print(spec.card, markup=False, soft_wrap=True)  # its lines, tables and commands are made
    console.print()
    console.print(f"name           {spec.name}", markup=False)
    console.print(f"parameters     {spec.parameters:,}", markup=False)
    console.print(f"preprocessing  {spec.preprocessing}", markup=False)
    options = ", ".join(f"{key}={value!r}" for key, value in spec.options.items())
    console.print(f"options        {options or 'none'}", markup=False)
    for key, origin in spec.weights.items():
        console.print(f"weights        {key!r}: {origin.description}", markup=False)
        if origin.sha256:
            console.print(f"               SHA-256 {origin.sha256}", markup=False)
    console.print(f"reference      {spec.reference}", markup=False)
