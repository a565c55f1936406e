"""The options that several commands share, and the functions that parse their values."""

import contextlib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, BadParameter, Option

from kerasal.cli import completion
from kerasal.cli.drawing_options import drawing_options as drawing_options
from kerasal.cli.flags import Formerly, Sets
from kerasal.cli.flags import with_options as with_options
from kerasal.cli.outputs import check_output as check_output
from kerasal.cli.outputs import refuse_inputs as refuse_inputs
from kerasal.names import read_key_values

Output = functools.partial(Option, "--output", "-o")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
FRAME = 256 / 224
"""Scale of the photo, relative to the model's input, for a method that cuts crops itself, as in the paper."""

Picture = Annotated[Path, Output(help="The picture to write.")]
ScoreTable = Annotated[Path, Output(help="The CSV table to write; a .json and a .png are written next to it.")]
Model = Annotated[
    str,
    Argument(
        help="A zoo name, a .keras or .h5 file, the folder of a training run, or a SavedModel folder.",
        show_default=False,
        autocompletion=completion.models,
    ),
]
Image = Annotated[Path, Argument(help="A photo: JPEG, PNG, WebP, TIFF, …", show_default=False)]
Preprocessing = Annotated[
    str | None,
    Option(
        "--preprocessing",
        "-p",
        help="How pixels become the model's input: caffe, tf, torch, unit, none, or for example 'mean=127,std=128'. "
        "Default: that of the zoo model or training run; recognized for models that rescale, and ImageNet classifiers.",
        show_default=False,
        autocompletion=completion.preprocessings,
    ),
]
Labels = Annotated[
    str | None,
    Option(
        help="Class names: a file (one name per line, CSV or JSON), 'imagenet' or 'digits'.",
        show_default=False,
        autocompletion=completion.label_sets,
    ),
]
Weights = Annotated[
    str | None, Option(help="Weights of a zoo model: a name such as 'imagenet', or a file.", show_default=False)
]
ModelOption = Annotated[
    list[str] | None,
    Option(
        "--model-option",
        metavar="KEY=VALUE",
        help="An option of a zoo model; repeatable. `kerasal card MODEL` lists them.",
        show_default=False,
    ),
    Formerly("--net-option"),
    Sets("options", "model_options"),
]
Unsafe = Annotated[
    bool, Option("--unsafe", help="Allow the model file to run code. Use it only for files that you trust.")
]
Fit = Annotated[
    Literal["crop", "stretch"], Option(help="Crop the photo to the proportions of the model's input, or stretch it.")
]
Size = Annotated[
    str | None,
    Option(
        metavar="HEIGHTxWIDTH",
        help="Size of the images for a model that takes any size: HEIGHTxWIDTH such as 240x320, or 224 for 224x224.",
        show_default=False,
    ),
]
Strategy = Annotated[
    Literal["mirrored", "multi-worker"] | None,
    Option(
        help="Split every batch between the GPUs of this machine (mirrored) or between the machines of TF_CONFIG "
        "(multi-worker), which run the same command and share the output folder.",
        show_default=False,
    ),
]
ClassOption = functools.partial(Option, "--class", "-c", show_default=False, autocompletion=completion.class_names)
Images = Annotated[
    list[Path], Argument(metavar="IMAGE", help="Photos (JPEG, PNG, WebP, TIFF, …), or folders.", show_default=False)
]
Inputs = Annotated[
    list[Path],
    Argument(
        metavar="IMAGE",
        help="Photos (JPEG, PNG, WebP, TIFF, …), folders, or files of model inputs (.npy, .npz, .nii.gz, .tif).",
        show_default=False,
    ),
]
Classes = Annotated[
    list[str] | None,
    ClassOption(help="Explain this class, a name or number; repeatable. Default: the class with the highest score."),
]
Class = Annotated[
    str | None, ClassOption(help="Explain this class, a name or number. Default: the class with the highest score.")
]
LayerOption = functools.partial(Option, "--layer", "-l", show_default=False, autocompletion=completion.layers)
LayerArgument = Annotated[
    str | None,
    Argument(metavar="LAYER", help="The same as --layer.", show_default=False, autocompletion=completion.layers),
]
Channel = Annotated[
    str | None,
    Option(
        metavar="LAYER:NUMBER",
        help="Explain this channel of a layer instead of a class.",
        show_default=False,
        autocompletion=completion.layer_channels,
    ),
]
ChannelsOption = functools.partial(Option, "--channels", show_default=False)
Features = functools.partial(
    Option, "--features", metavar="LAYER:NUMBERS", show_default=False, autocompletion=completion.layer_channels
)
Logits = Annotated[bool, Option(help="Explain the score before softmax or sigmoid; with --no-logits, the probability.")]
ModelOutput = Annotated[
    str | None, Option(help="Which output to explain, for a model with several.", show_default=False), Sets("output")
]
Fresh = Annotated[bool, Option("--fresh", help="Start over and replace the run in the folder."), Sets("resume")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Show no progress."), Sets("progress")]
Seed = Annotated[int, Option(help="Seed of all random numbers.")]
_OPENING = {
    "preprocessing": (Preprocessing, None),
    "labels": (Labels, None),
    "weights": (Weights, None),
    "model_option": (ModelOption, None),
    "fit": (Fit, "crop"),
    "unsafe": (Unsafe, False),
}


def model_options(*names: str) -> dict[str, tuple[Any, Any]]:
    """Return the named options of ``open_model``, and --model-option and --unsafe, which every command has."""
    return {name: option for name, option in _OPENING.items() if name in (*names, "model_option", "unsafe")}


def read_numbers(text: str) -> list[int]:
    """Return ``"0-3,8"`` as [0, 1, 2, 3, 8]."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise BadParameter(f"Numbers must look like 5, 0-63 or 1,4,9, got {text!r}.")
        if dash and int(last) < int(first):
            raise BadParameter(f"A range must go from the smaller to the larger number, got {part.strip()}.")
        if dash and int(last) - int(first) > 100_000:
            raise BadParameter(f"A range must have at most 100,001 numbers, got {part.strip()}.")
        numbers += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(numbers))


def read_options(
    texts: list[str] | None, flag: str = "--model-option", example: str = "batch_norm=True"
) -> dict[str, Any]:
    """Return KEY=VALUE texts as a dictionary; a value is a number, True, a tuple or a text."""
    try:
        return read_key_values(texts, flag, example)
    except ValueError as error:
        raise BadParameter(str(error)) from error


def number_or_word(text: str, kind: type = float) -> float | str:
    """Return the number in a text, of the kind float or int, or the text itself if it is not such a number."""
    with contextlib.suppress(ValueError):
        return kind(text)
    return text


def one_or_several(text: str, flag: str, kind: type = int, words: Sequence[str] = ()) -> Any:
    """Return ``"16"`` as 16, and ``"1,8,8"`` as (1, 8, 8): an integer per position axis, or a float per channel.

    A text that is one of the ``words`` is returned as it is.
    """
    if text in words:
        return text
    try:
        numbers = tuple(kind(part) for part in text.split(","))
    except ValueError:
        wanted, example = ("an integer", "one per axis with commas, such as 1,8,8")
        if kind is float:
            wanted, example = ("a number", "one per channel with commas, such as 0.5,0.4,0.4")
        raise BadParameter(f"{flag} must be {', '.join([wanted, *words])}, or {example}, got {text!r}.") from None
    return numbers if "," in text else numbers[0]


def read_size(text: str | None, flag: str = "--size") -> tuple[int, int] | None:
    """Return ``"240x320"`` as (height, width) = (240, 320), ``"224"`` as a square, and None as None."""
    if text is None:
        return None
    height, cross, width = text.lower().partition("x")
    width = width if cross else height
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise BadParameter(
            f"{flag} must be HEIGHTxWIDTH, such as 240x320, or a single number for a square, got {text!r}."
        )
    return int(height), int(width)


def find_class(text: str, model) -> int:
    """Return the number of a class of an ``ImageModel``, from its name or number."""
    from kerasal.labels import find

    return find(text, model.labels)


def choose_layer(option: str | None, argument: str | None) -> str | None:
    """Return the layer from --layer or from the argument LAYER; None if neither is set."""
    if option is not None and argument is not None:
        raise BadParameter(f"The layer must be named once, got --layer {option} and {argument}.")
    return argument if option is None else option


def require_layer(option: str | None, argument: str | None) -> str:
    """Return the layer from --layer or from the argument LAYER; raise an error if neither is set."""
    layer = choose_layer(option, argument)
    if layer is None:
        raise BadParameter("--layer must name a layer of the model. `kerasal field MODEL` lists them.")
    return layer


def read_channel(text: str | None) -> tuple[str, int] | None:
    """Return ``"LAYER:5"`` as the layer and the channel's number, and None as None."""
    if text is None:
        return None
    layer, channels = read_layer_channels(text)
    if channels is None or len(channels) != 1:
        raise BadParameter(f"--channel must be LAYER:NUMBER, got {text!r}.")
    return layer, channels[0]


def read_layer_channels(text: str) -> tuple[str, list[int] | None]:
    """Return ``"block1_conv1:0-63"`` as the layer and its channels; without a colon, None stands for all channels."""
    layer, colon, channels = text.rpartition(":")
    if not colon:
        return text, None
    if not layer:
        raise BadParameter(f"Channels must look like LAYER:0-63, got {text!r}.")
    return layer, read_numbers(channels)
