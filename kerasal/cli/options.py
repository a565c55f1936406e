"""The options that several commands share, and how their texts are read."""

import pathlib
from typing import Annotated, Any, Literal

import typer

from kerasal.cli.outputs import check_output as check_output
from kerasal.cli.outputs import refuse_inputs as refuse_inputs
from kerasal.names import read_key_values

Model = Annotated[
    str, typer.Argument(help="A zoo name, a .keras or .h5 file, or a SavedModel folder.", show_default=False)
]
Image = Annotated[pathlib.Path, typer.Argument(help="A photograph: JPEG, PNG, WebP, TIFF, …", show_default=False)]
Preprocessing = Annotated[
    str | None,
    typer.Option(
        "--preprocessing",
        "-p",
        help="How the model wants its pixels: caffe, tf, torch, unit, none, or for example 'mean=127,std=128'. "
        "Known for zoo models; found out for ImageNet classifiers.",
        show_default=False,
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(help="Class names: a file (one a line, CSV, JSON), 'imagenet' or 'digits'.", show_default=False),
]
Weights = Annotated[
    str | None, typer.Option(help="Weights of a zoo model: a name such as 'imagenet', or a file.", show_default=False)
]
NetOption = Annotated[
    list[str] | None,
    typer.Option("--net-option", help="An option of a zoo net as KEY=VALUE; may be repeated. `kerasal card NET`."),
]
Unsafe = Annotated[bool, typer.Option("--unsafe", help="Run code inside the model file. Only if you trust it.")]
Fit = Annotated[
    Literal["crop", "stretch"], typer.Option(help="Cut the photograph to the model's shape, or stretch it.")
]
Side = Annotated[int | None, typer.Option(help="Side of the images, for a model that takes any.", min=1)]
Strategy = Annotated[
    Literal["mirrored", "multi-worker"] | None,
    typer.Option(
        help="Split every batch between the GPUs of this machine (mirrored), or between the machines of TF_CONFIG: "
        "each runs the same command with its own TF_CONFIG, and all see one output folder (multi-worker).",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(help="Of everything random.")]


def numbers(text: str, limit: int | None = None) -> list[int]:
    """Read ``"0-3,8"`` as [0, 1, 2, 3, 8]; ``limit`` bounds how many are meant.

    Raises:
        typer.BadParameter: it cannot be read so.
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise typer.BadParameter(f"expected numbers such as 5, 0-63 or 1,4,9; received {text!r}")
        if dash and int(last) < int(first):
            raise typer.BadParameter(f"the range {part.strip()} runs backwards")
        if dash and int(last) - int(first) > 100_000:
            raise typer.BadParameter(f"the range {part.strip()} is too long")
        found += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(found))


def options_of(given: list[str] | None, flag: str = "--net-option", example: str = "batch_norm=True") -> dict[str, Any]:
    """Read KEY=VALUE options; a value is a number, True, a tuple, or else a text.

    Raises:
        typer.BadParameter: no ``=``.
    """
    try:
        return read_key_values(given, flag, example)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def has_weights(given: dict[str, Any]) -> bool:
    """Tell whether the options of a zoo net bring trained weights."""
    return any(given.get(name) is not None for name in ("weights", "backbone_weights"))


def layer_channels(text: str) -> tuple[str, list[int] | None]:
    """Read ``"block1_conv1:0-63"`` as the layer and its channels; no colon means all channels."""
    layer, colon, channels = text.rpartition(":")
    if not colon:
        return text, None
    if not layer:
        raise typer.BadParameter(f"expected LAYER:0-63; received {text!r}")
    return layer, numbers(channels)
