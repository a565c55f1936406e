"""The options, the MODEL argument and the data sets that the commands of ``kerasal gaze`` share."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from kerasal.cli import completion, options
from kerasal.cli.model_argument import open_model
from kerasal.cli.session import remark
from kerasal.zoo_table import read_zoo

Model = Annotated[
    str,
    Argument(
        help="A run of `gaze train`, a .keras or .h5 file, or a zoo name (with --weights).",
        show_default=False,
        autocompletion=completion.models,
    ),
]
Data = Annotated[
    list[Path],
    Option(
        "--data",
        help="Images with fixations or maps: OSIE, SALICON, folders, coursework pickles; repeat it to join data sets.",
        show_default=False,
    ),
]
Split = Annotated[
    str | None, Option(help="Part of the data, such as test, or 'all'. Default: test, else val, else all.")
]
Sigma = Annotated[
    float | None, Option(help="Blur of the fixations: standard deviation in pixels. Default: 3 % of the image's width.")
]
Postprocess = Annotated[
    Literal["examiners", "pan", "none"] | None,
    Option(
        help="Postprocessing of the maps: clip, enlarge, then blur by 2 px (examiners); blur, then enlarge (pan); "
        "only enlarge (none). Default: examiners; none for the default model and others with log-density maps.",
        show_default=False,
    ),
]

SHIPPED = "gaze"
"""Name of the zoo model whose weights are installed with kerasal."""
TEST_PARTS = ("test", "val", "validation")
"""The parts of a data set to test on; the first that exists is used."""


def model_options(*, size: bool = True) -> dict[str, tuple[Any, Any]]:
    """Return the options of ``open_gaze_model``; ``size=False`` leaves out --size."""
    shared = options.model_options("preprocessing", "weights")
    return shared | ({"size": (options.Size, None)} if size else {})


def open_gaze_model(source: str, *, size: str | None = None, **settings: Any):
    """Return the ``ImageModel`` of the MODEL argument, and its ``Predictor``; see ``open_model``."""
    model = open_model(source, size=options.read_size(size), **settings)
    from kerasal.gaze import Predictor

    if model.preprocessing is not None:
        return model, Predictor.from_image_model(model)
    remark("Preprocessing: unit (0..1) is assumed. Use --preprocessing if that is wrong.")
    return model, Predictor.from_image_model(dataclasses.replace(model, preprocessing="unit"))


def split_model_and_images(arguments: list[str]) -> tuple[str, list[Path]]:
    """Return the model and the images of [MODEL] IMAGE...; the default is the model in ``SHIPPED``."""
    first = Path(arguments[0])
    model_file = first.suffix.lower() in (".keras", ".h5", ".hdf5") or (first / "run.json").is_file()
    zoo_name = not first.suffix and len(first.parts) == 1 and not first.is_file()
    zoo_name = zoo_name and bool(not first.exists() or (len(arguments) > 1 and read_zoo(arguments[0])))
    if not (model_file or zoo_name or (first / "saved_model.pb").is_file()):
        return SHIPPED, list(map(Path, arguments))
    if len(arguments) == 1:
        raise ValueError(f"The model {arguments[0]} must be followed by photos, files or folders.")
    return arguments[0], list(map(Path, arguments[1:]))


def open_data(paths: list[Path], split: str | None, missing: Literal["error", "skip"] = "error"):
    """Return several data sets as one.

    Without ``split``, the first part in ``TEST_PARTS`` that a data set has is opened, or all of it.
    """
    from kerasal.datasets import open_gaze_sets

    data, notes = open_gaze_sets(paths, split, TEST_PARTS, missing=missing)
    for note in notes:
        remark(note)
    return data
