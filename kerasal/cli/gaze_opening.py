"""From the NET argument of ``kerasal gaze`` to a net with its conventions, and from --data to a data set."""

import dataclasses
import pathlib
from typing import Annotated, Any

import typer

from kerasal.cli.options import NetOption as NetOption
from kerasal.cli.options import options_of as options_of
from kerasal.cli.session import remark
from kerasal.process import load_tensorflow

Net = Annotated[
    str,
    typer.Argument(
        help="A run of `gaze train`, a .keras or .h5 file, or a zoo name (with --weights).", show_default=False
    ),
]
Data = Annotated[
    list[pathlib.Path],
    typer.Option(
        "--data",
        help="Images with fixations or maps: OSIE, SALICON, folders, coursework pickles. Repeated: all together.",
        show_default=False,
    ),
]
Split = Annotated[str | None, typer.Option(help="Which part of the data, or 'all'. Default: test, else val, else all.")]
Weights = Annotated[str | None, typer.Option(help="Weights of a zoo net: a name or a file.", show_default=False)]
Preprocessing = Annotated[
    str | None,
    typer.Option("--preprocessing", "-p", help="How a net from a file wants its pixels. Default: unit (0..1)."),
]
Size = Annotated[
    str | None, typer.Option(help="HEIGHTxWIDTH at which a net that takes any size sees images, such as 240x320.")
]
Unsafe = Annotated[bool, typer.Option("--unsafe", help="Run code inside the model file. Only if you trust it.")]


SHIPPED = "gaze"
"""The zoo's net whose weights ship."""


@dataclasses.dataclass
class OpenedNet:
    """A gaze net with what there is to know of it."""

    net: Any
    preprocessing: str
    size: tuple[int, int] | None
    target_range: str
    how: str

    def predictor(self):
        """Compile it."""
        from kerasal.gaze import Predictor

        return Predictor(self.net, self.preprocessing, size=self.size, target_range=self.target_range)


def open_net(
    text: str,
    *,
    weights: str | None = None,
    net_options: list[str] | None = None,
    preprocessing: str | None = None,
    size: str | None = None,
    unsafe: bool = False,
) -> OpenedNet:
    """Load what NET names.

    Raises:
        ValueError: no such net, or a run that is not finished.
        FileNotFoundError: there is no such file.
    """
    load_tensorflow()
    from kerasal import models

    opened = models.open_model(
        text,
        weights=weights,
        options=options_of(net_options),
        preprocessing=preprocessing,
        size=size_of(size),
        unsafe=unsafe,
    )
    for note in opened.notes:
        remark(note)
    if opened.preprocessing is None:
        remark("Preprocessing: unit (0..1) assumed; --preprocessing sets it.")
    pixels = "unit" if opened.preprocessing is None else opened.preprocessing.name
    return OpenedNet(opened.keras_model, pixels, opened.size, opened.facts.get("target_range", "unit"), opened.name)


def net_and_images(arguments: list[str]) -> tuple[str, list[pathlib.Path]]:
    """Tell a net before the images from the images alone, for which it is the one that ships.

    Raises:
        ValueError: there is a net and no image.
    """
    first = pathlib.Path(arguments[0])
    model_file = first.suffix.lower() in (".keras", ".h5", ".hdf5") or (first / "run.json").is_file()
    zoo_name = not first.suffix and len(first.parts) == 1 and not first.is_file()
    zoo_name = zoo_name and (not first.exists() or (len(arguments) > 1 and _in_zoo(arguments[0])))
    if not (model_file or zoo_name or (first / "saved_model.pb").is_file()):
        return SHIPPED, [pathlib.Path(one) for one in arguments]
    if len(arguments) == 1:
        raise ValueError(f"Expected photographs after the net {arguments[0]}, files or folders.")
    return arguments[0], [pathlib.Path(one) for one in arguments[1:]]


def _in_zoo(name: str) -> bool:
    """Tell whether a folder's name is also that of a net; the registry is slow to load, so only then asked."""
    from kerasal.models.registry import list_models

    return name in list_models()


def create_net(name: str, weights: str | None, net_options: list[str] | None):
    """Build a zoo net.

    Raises:
        ValueError: no such net, option or weights.
        FileNotFoundError: the name is a path at which there is nothing.
    """
    from kerasal.models import registry

    if pathlib.Path(name).suffix or "/" in name:
        registry.load_model(name)  # which says that there is no such file
    return registry.create_model(name, weights, **options_of(net_options))


def open_data(path: pathlib.Path, split: str | None, preferred: tuple[str, ...], missing: str = "error"):
    """Open the part ``split`` of the data, or the first of the ``preferred`` parts that it has, or all of it."""
    from kerasal.datasets import gaze_splits, open_gaze

    if split is None:
        splits = gaze_splits(path)
        split = next((name for name in preferred if name in splits), "all")
        if split != "all":
            remark(f"{path}: the images of its split {split!r}.")
    return open_gaze(path, None if split == "all" else split, missing=missing)


def open_together(paths: list[pathlib.Path], split: str | None, preferred: tuple[str, ...], missing: str = "error"):
    """Open several sets as one; see ``open_data``."""
    first, *others = [open_data(path, split, preferred, missing) for path in paths]
    return first.joined(*others)


def size_of(text: str | None) -> tuple[int, int] | None:
    """Read HEIGHTxWIDTH.

    Raises:
        typer.BadParameter: it cannot be read so.
    """
    if text is None:
        return None
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise typer.BadParameter(f"--size is HEIGHTxWIDTH, such as 240x320; received {text!r}")
    return int(height), int(width)
