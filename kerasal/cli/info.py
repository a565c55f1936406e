"""``kerasal info``: what is known about a model, and which methods work on it."""

from typing import Annotated

import typer
from typer import Option

from kerasal.cli.model_argument import Load, with_model
from kerasal.cli.session import results, say


@with_model("preprocessing", "labels", "weights")
def info(
    load: Load,
    json_: Annotated[bool, Option("--json", help="Print the facts as one JSON document.")] = False,
) -> None:
    """Describe a model: its input, preprocessing and layers, and which methods work on it. Run this first."""
    model = load(quiet=True)
    import json

    from kerasal.description import describe

    description = describe(model)
    if json_:
        typer.echo(json.dumps(description.to_dict(), indent=2))
        return
    for line in str(description).splitlines():
        say(line)
    if not description.preprocessing and any("preprocessing" in reason for reason in description.methods.values()):
        results().print("Pass --preprocessing to use images with this model.", style="dim")
