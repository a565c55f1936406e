"""The options that several commands share, and how their texts are read."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, BadParameter, Option

from kerasal.cli.outputs import check_output as check_output
from kerasal.cli.outputs import refuse_inputs as refuse_inputs
from kerasal.names import read_key_values

Output = functools.partial(Option, "--output", "-o")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
FRAME = 256 / 224
"""How much larger a photograph is, of which a method cuts crops itself, as the paper does."""

Picture = Annotated[Path, Output(help="The picture.")]
ScoreTable = Annotated[Path, Output(help="The table; a .json and a .png go beside it.")]
Model = Annotated[str, Argument(help="A zoo name, a .keras or .h5 file, or a SavedModel folder.", show_default=False)]
Image = Annotated[Path, Argument(help="A photograph: JPEG, PNG, WebP, TIFF, …", show_default=False)]
Preprocessing = Annotated[
    str | None,
    Option(
        "--preprocessing",
        "-p",
        help="How the model wants its pixels: caffe, tf, torch, unit, none, or for example 'mean=127,std=128'. "
        "Known for zoo models; found out for ImageNet classifiers.",
        show_default=False,
    ),
]
Labels = Annotated[
    str | None, Option(help="Class names: a file (one a line, CSV, JSON), 'imagenet' or 'digits'.", show_default=False)
]
Weights = Annotated[
    str | None, Option(help="Weights of a zoo model: a name such as 'imagenet', or a file.", show_default=False)
]
NetOption = Annotated[
    list[str] | None,
    Option("--net-option", help="An option of a zoo net as KEY=VALUE; may be repeated. `kerasal card NET`."),
]
Unsafe = Annotated[bool, Option("--unsafe", help="Run code inside the model file. Only if you trust it.")]
Fit = Annotated[Literal["crop", "stretch"], Option(help="Cut the photograph to the model's shape, or stretch it.")]
Side = Annotated[int | None, Option(help="Side of the images, for a model that takes any.", min=1)]
Strategy = Annotated[
    Literal["mirrored", "multi-worker"] | None,
    Option(
        help="Split every batch between the GPUs of this machine (mirrored), or between the machines of TF_CONFIG: "
        "each runs the same command with its own TF_CONFIG, and all see one output folder (multi-worker).",
        show_default=False,
    ),
]
Class = Annotated[
    str | None, Option("--class", "-c", help="Explain this class, a name or number; default: the top one.")
]
Layer = Annotated[str, Argument(help="Name or path of a layer with a map.", show_default=False)]
Logits = Annotated[bool, Option(help="Explain the score before softmax or sigmoid, or the probability.")]
ModelOutput = Annotated[str | None, Option(help="Which output, for a model with several.")]
Fresh = Annotated[bool, Option("--fresh", help="Start over and replace the run in the folder.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Show no progress.")]
Seed = Annotated[int, Option(help="Of everything random.")]
_OPENING = {
    "preprocessing": (Preprocessing, None),
    "labels": (Labels, None),
    "weights": (Weights, None),
    "net_option": (NetOption, None),
    "fit": (Fit, "crop"),
    "unsafe": (Unsafe, False),
}


def opening(*names: str) -> dict[str, tuple[Any, Any]]:
    """Return the options of ``open_model`` that have these names, and --unsafe."""
    return {name: option for name, option in _OPENING.items() if name in (*names, "unsafe")}


def taking(name: str, group: Mapping[str, tuple[Any, Any]] | type, make: Callable[..., Any] = dict) -> Callable:
    """Let a command have the options of a group, after its own, in place of its parameter ``name``.

    That is passed what ``make`` makes of them. The group maps names to (annotation, default), or is a class with such
    attributes.
    """
    if isinstance(group, type):
        options = {key: (kind, getattr(group, key)) for key, kind in inspect.get_annotations(group).items()}
    else:
        options = dict(group)
    empty = inspect.Parameter.empty

    def enter(command: Callable[..., None]) -> Callable[..., None]:
        own = {one.name: (one.annotation, one.default) for one in inspect.signature(command).parameters.values()}
        del own[name]
        parameters = {key: one for key, one in options.items() if one[1] is empty} | own | options  # arguments first

        @functools.wraps(command)
        def flat(**given: Any) -> None:
            made = make(**{key: given.pop(key) for key in options})
            command(**given, **{name: made})

        flat.__annotations__ = {key: kind for key, (kind, _) in parameters.items()}
        vars(flat)["__signature__"] = inspect.Signature(
            [
                inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
                for key, (kind, default) in parameters.items()
            ]
        )
        return flat

    return enter


def numbers(text: str) -> list[int]:
    """Read ``"0-3,8"`` as [0, 1, 2, 3, 8]."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise BadParameter(f"expected numbers such as 5, 0-63 or 1,4,9; received {text!r}")
        if dash and int(last) < int(first):
            raise BadParameter(f"the range {part.strip()} runs backwards")
        if dash and int(last) - int(first) > 100_000:
            raise BadParameter(f"the range {part.strip()} is too long")
        found += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(found))


def options_of(given: list[str] | None, flag: str = "--net-option", example: str = "batch_norm=True") -> dict[str, Any]:
    """Read KEY=VALUE options; a value is a number, True, a tuple, or else a text."""
    try:
        return read_key_values(given, flag, example)
    except ValueError as error:
        raise BadParameter(str(error)) from error


def number_or_word(text: str) -> float | str:
    """Read a text as the number that it may stand for."""
    with contextlib.suppress(ValueError):
        return float(text)
    return text


def sides(text: str) -> tuple[int, int] | None:
    """Read ``"640x480"`` as two positive integers; None if it is something else."""
    first, _, second = text.lower().partition("x")
    right = first.isdecimal() and second.isdecimal() and int(first) and int(second)
    return (int(first), int(second)) if right else None


def pair(side: int | None) -> tuple[int, int] | None:
    """Return a square's (height, width)."""
    return None if side is None else (side, side)


def find_class(text: str, model) -> int:
    """Return the number of the class of an ``ImageModel`` that a person named."""
    from kerasal.labels import find

    return find(text, model.labels)


def one_channel(text: str | None) -> tuple[str, int] | None:
    """Read ``"LAYER:5"`` as the layer and its channel."""
    if text is None:
        return None
    layer, channels = layer_channels(text)
    if channels is None or len(channels) != 1:
        raise BadParameter(f"--channel is LAYER:NUMBER; received {text!r}")
    return layer, channels[0]


def layer_channels(text: str) -> tuple[str, list[int] | None]:
    """Read ``"block1_conv1:0-63"`` as the layer and its channels; no colon means all channels."""
    layer, colon, channels = text.rpartition(":")
    if not colon:
        return text, None
    if not layer:
        raise BadParameter(f"expected LAYER:0-63; received {text!r}")
    return layer, numbers(channels)
