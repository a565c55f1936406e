"""What the commands of ``kerasal gaze`` share: their options, the NET argument opened, and the data."""

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, BadParameter, Option

from kerasal.cli import options
from kerasal.cli.opening import open_model
from kerasal.cli.session import remark
from kerasal.zoo_table import read_zoo

Net = Annotated[
    str,
    Argument(help="A run of `gaze train`, a .keras or .h5 file, or a zoo name (with --weights).", show_default=False),
]
Data = Annotated[
    list[Path],
    Option(
        "--data",
        help="Images with fixations or maps: OSIE, SALICON, folders, coursework pickles. Repeated: all together.",
        show_default=False,
    ),
]
Split = Annotated[str | None, Option(help="Which part of the data, or 'all'. Default: test, else val, else all.")]
Weights = Annotated[str | None, Option(help="Weights of a zoo net: a name or a file.", show_default=False)]
Preprocessing = Annotated[
    str | None, Option("--preprocessing", "-p", help="How a net from a file wants its pixels. Default: unit (0..1).")
]
Size = Annotated[
    str | None, Option(help="HEIGHTxWIDTH at which a net that takes any size sees images, such as 240x320.")
]
Sigma = Annotated[float | None, Option(help="Blur of fixations, pixels of the image. Default: 3 % of it.")]
Postprocess = Annotated[
    Literal["examiners", "pan", "none"],
    Option(help="Clip, enlarge and blur by 2 px (the coursework's); blur the small map, then enlarge; enlarge."),
]

HOW = {
    "weights": (Weights, None),
    "net_option": (options.NetOption, None),
    "preprocessing": (Preprocessing, None),
    "unsafe": (options.Unsafe, False),
}
"""The options of ``open_net``, but for the size."""
SHIPPED = "gaze"
"""The zoo's net whose weights ship."""
TESTED = ("test", "val", "validation")
"""The parts of a data set that a net is tried on, the first that there is."""


def open_net(source: str, *, size: str | None = None, **given: Any):
    """Return an ``ImageModel`` of what NET names, and its ``Predictor``; see ``open_model``."""
    model = open_model(source, size=size_of(size), **given)
    from kerasal.gaze import Predictor

    if model.preprocessing is None:
        remark("Preprocessing: unit (0..1) assumed; --preprocessing sets it.")
    return model, Predictor.from_image_model(model)


def net_and_images(arguments: list[str]) -> tuple[str, list[Path]]:
    """Tell a net before the images from the images alone, for which it is the one that ships."""
    first = Path(arguments[0])
    model_file = first.suffix.lower() in (".keras", ".h5", ".hdf5") or (first / "run.json").is_file()
    zoo_name = not first.suffix and len(first.parts) == 1 and not first.is_file()
    zoo_name = zoo_name and bool(not first.exists() or (len(arguments) > 1 and read_zoo(arguments[0])))
    if not (model_file or zoo_name or (first / "saved_model.pb").is_file()):
        return SHIPPED, [Path(one) for one in arguments]
    if len(arguments) == 1:
        raise ValueError(f"Expected photographs after the net {arguments[0]}, files or folders.")
    return arguments[0], [Path(one) for one in arguments[1:]]


def open_data(paths: list[Path], split: str | None, missing: Literal["error", "skip"] = "error"):
    """Open several sets as one; the part ``split`` of each, or the first of ``TESTED`` that it has, or all."""
    from kerasal.datasets import open_gaze_sets

    data, notes = open_gaze_sets(paths, split, TESTED, missing=missing)
    for note in notes:
        remark(note)
    return data


def size_of(text: str | None) -> tuple[int, int] | None:
    """Read HEIGHTxWIDTH."""
    size = None if text is None else options.sides(text)
    if text is not None and size is None:
        raise BadParameter(f"--size is HEIGHTxWIDTH, such as 240x320; received {text!r}")
    return size
