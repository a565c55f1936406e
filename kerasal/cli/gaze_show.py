"""``kerasal gaze predict``, ``panel`` and ``filters``: pictures."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kerasal.cli import gaze_opening as opening
from kerasal.cli import options
from kerasal.cli.session import results

Postprocess = Annotated[
    Literal["examiners", "pan", "none"],
    typer.Option(help="Clip, enlarge and blur by 2 px (the coursework's); blur the small map, then enlarge; enlarge."),
]
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def predict(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[NET] IMAGE...",
            help="Photographs, or folders of them; before them a run of `gaze train`, a .keras or .h5 file, or a zoo "
            "name, if not the net that ships.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the maps.")] = Path("gaze-maps"),
    postprocess: Annotated[
        Literal["examiners", "pan", "none"] | None,
        typer.Option(
            help="Clip, enlarge and blur by 2 px (the coursework's); blur the small map, then enlarge; enlarge. "
            "Default: examiners, and none for a net of log-densities, such as the one that ships.",
            show_default=False,
        ),
    ] = None,
    weights: opening.Weights = None,
    net_option: opening.NetOption = None,
    preprocessing: opening.Preprocessing = None,
    size: opening.Size = None,
    unsafe: opening.Unsafe = False,
) -> None:
    """Predict where people will look: for each image a 16-bit map, NAME.png, and the map on it, NAME-overlay.jpg.

    What cannot be read is named and left out, and makes the exit code 1.
    """
    net, photographs = opening.net_and_images(arguments)
    files = _files(photographs, output)
    from kerasal import images as pictures
    from kerasal.cli.session import remark
    from kerasal.progress import progress_bar

    opened = opening.open_net(
        net, weights=weights, net_options=net_option, preprocessing=preprocessing, size=size, unsafe=unsafe
    )
    from kerasal import gaze

    predictor, failed = opened.predictor(), 0
    postprocess = postprocess or predictor.postprocess
    with progress_bar("Predicting", len(files)) as advance:
        for name, file in files.items():
            try:
                photograph = pictures.read(file)
            except (ValueError, OSError) as error:
                remark(f"Left out: {error}")
                failed += 1
                advance(1)
                continue
            if (frames := pictures.frames(file)) > 1:
                remark(f"{file} holds {frames} pictures; this is the first.")
            values = gaze.predict(photograph, predictor, postprocess=postprocess).map
            _write_map(output / f"{name}.png", values, scaled=postprocess != "examiners")
            pictures.write(output / f"{name}-overlay.jpg", gaze.overlay(photograph, values))
            advance(1)
    if failed == len(files):
        raise ValueError("None of the images could be read; the remarks above say why.")
    how = "0..1" if postprocess == "examiners" else "each from its lowest to its highest value"
    results().print(f"{output}  {len(files) - failed} maps (16 bits: {how}) and overlays", markup=False)
    if failed:
        raise typer.Exit(1)


def panel(
    net: opening.Net,
    data: opening.Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture.")] = Path("panel.png"),
    image: Annotated[
        list[str] | None, typer.Option(help="Show these images (repeat the option) instead of best, median and worst.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Images of each kind.")] = 1,
    split: opening.Split = None,
    postprocess: Postprocess = "examiners",
    weights: opening.Weights = None,
    net_option: opening.NetOption = None,
    preprocessing: opening.Preprocessing = None,
    size: opening.Size = None,
    unsafe: opening.Unsafe = False,
) -> None:
    """Draw image, truth and prediction: the best, the median and the worst image by CC."""
    options.check_output(output, _PICTURES)
    opened_data = opening.open_together(data, split, ("test", "val", "validation"))
    opened = opening.open_net(
        net, weights=weights, net_options=net_option, preprocessing=preprocessing, size=size, unsafe=unsafe
    )
    from kerasal import gaze
    from kerasal import images as pictures

    sheet = gaze.panel(opened.predictor(), opened_data, image, postprocess=postprocess, count=count, progress=True)
    pictures.write(output, sheet)
    results().print(f"{output}  image | truth | prediction", markup=False)


def filters(
    net: opening.Net,
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture.")] = Path("filters.png"),
    weights: opening.Weights = None,
    net_option: opening.NetOption = None,
    preprocessing: opening.Preprocessing = None,
    unsafe: opening.Unsafe = False,
) -> None:
    """Draw the kernels of a net's first convolution, all on one scale."""
    options.check_output(output, _PICTURES)
    opened = opening.open_net(net, weights=weights, net_options=net_option, preprocessing=preprocessing, unsafe=unsafe)
    from kerasal import gaze
    from kerasal import images as pictures
    from kerasal import preprocessing as conventions

    pictures.write(output, gaze.filters(opened.net, bgr=conventions.get(opened.preprocessing).bgr))
    results().print(f"{output}  first-layer filters", markup=False)


def _files(given: list[Path], output: Path) -> dict[str, Path]:
    """Return name -> file of the photographs in files and folders; the names are those of the results."""
    known = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
    files = []
    for path in given:
        if not path.exists():
            raise FileNotFoundError(f"There is no image or folder {path}.")
        inside = sorted(one for one in path.iterdir() if one.suffix.lower() in known) if path.is_dir() else [path]
        if not inside:
            raise ValueError(f"{path} has no images; expected files that end in {', '.join(known)}.")
        files += inside
    found = {name: file for file, name in _names(files).items()}
    written = [output / f"{name}{suffix}" for name in found for suffix in (".png", "-overlay.jpg")]
    options.refuse_inputs(written, read=files, folders=False)
    return found


def _names(files: list[Path]) -> dict[Path, str]:
    """Name each file's results by its stem; where others have it too, by its ending and its folder as well."""
    ways = (
        lambda file: file.stem,
        lambda file: f"{file.stem}-{file.suffix[1:].lower()}",
        lambda file: f"{file.absolute().parent.name}-{file.stem}-{file.suffix[1:].lower()}",
    )
    files, found = list(dict.fromkeys(files)), {}
    for way in ways:
        left = [file for file in files if file not in found]
        names = [way(file) for file in left]
        found |= {
            file: name
            for file, name in zip(left, names, strict=True)
            if names.count(name) == 1 and name not in found.values()
        }
    if unnamed := [file for file in files if file not in found]:
        raise ValueError(f"The results of {unnamed[0]} and {unnamed[-1]} would have one name. Take one at a time.")
    return found


def _write_map(path: Path, values, scaled: bool) -> None:
    import numpy as np
    from PIL import Image

    from kerasal.files import replacing

    low, high = (float(values.min()), float(values.max())) if scaled else (0.0, 1.0)
    shares = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    with replacing(path) as temporary:
        Image.fromarray(np.round(65535 * shares).astype(np.uint16)).save(temporary)
