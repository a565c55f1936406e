"""``kerasal filters``: which frequencies a convolution's filters see, what its stride loses, which are dead."""

import pathlib
from typing import Annotated

import typer

from kerasal.cli import options
from kerasal.cli.session import load_tensorflow, remark, results


def filters(
    model: options.Model,
    layer: Annotated[str | None, typer.Argument(help="A convolution. Default: the first one.")] = None,
    images: Annotated[
        list[pathlib.Path] | None,
        typer.Option(help="A folder or file of images to look at too; may be given several times."),
    ] = None,
    output: Annotated[
        pathlib.Path | None,
        typer.Option("--output", "-o", help="A picture of filters that see 1 or 3 channels."),
    ] = None,
    table: Annotated[pathlib.Path | None, typer.Option(help="Write a row a filter, as CSV.")] = None,
    preprocessing: options.Preprocessing = None,
    weights: options.Weights = None,
    fit: options.Fit = "crop",
    size: options.Side = None,
    unsafe: options.Unsafe = False,
) -> None:
    """Tell which frequencies a convolution's filters see, how much its stride aliases, and which filters are dead.

    For example: kerasal filters MODEL.keras --images PHOTOS/ -o filters.png --table filters.csv.
    """
    if output is not None:
        options.check_output(output, (".png", ".jpg", ".jpeg", ".webp"))
    if table is not None:
        options.check_output(table, (".csv",))
    load_tensorflow()
    from kerasal import images as pictures
    from kerasal.cli.opening import open_model

    files = pictures.find_files(images) if images else None
    opened = open_model(model, preprocessing=preprocessing, weights=weights, unsafe=unsafe)
    from kerasal import diagnosis

    found = diagnosis.filter_diagnosis(
        opened.model,
        layer,
        files,
        preprocessing=opened.preprocessing,
        fit=fit,
        size=None if size is None else (size, size),
        progress=True,
    )
    _tell(found)
    if table is not None:
        from kerasal.files import replacing

        with replacing(table) as temporary:
            found.to_csv(temporary, index=False)
        results().print(f"{table}  {len(found)} filters", markup=False)
    if output is not None:
        bgr = opened.preprocessing is not None and opened.preprocessing.bgr
        pictures.write(output, diagnosis.draw_filters(opened.model, layer, table=found, bgr=bgr))
        results().print(str(output), markup=False)


def _tell(found) -> None:
    about, mean = found.attrs, found.mean(numeric_only=True)
    if about["skipped"]:
        remark(f"Could not be read: {', '.join(about['skipped'])}.")
    height, width = about["kernel"]
    step = " × ".join(str(one) for one in dict.fromkeys(about["stride"]))
    lines = [
        f"{about['layer']}: {len(found)} filters of {height} × {width} in steps of {step}",
        f"energy at low, middle and high frequencies: {mean['low']:.2f}, {mean['middle']:.2f}, {mean['high']:.2f} "
        "(random weights: .05, .15, .80)",
        f"energy above what the steps represent: {mean['aliasing']:.2f} "
        f"(random weights: {1 - 1 / (about['stride'][0] * about['stride'][1]):.2f})",
    ]
    if about["images"]:
        lines.append(f"of the responses to {about['images']:,} images: {mean['aliasing_images']:.2f}")
    dead = found.loc[found["dead"], "channel"].tolist()
    shown = ", ".join(map(str, dead[:20])) + (", …" if len(dead) > 20 else "")
    lines.append(f"dead (at most 1 % of the median filter's strength): {len(dead)}" + (f" ({shown})" if dead else ""))
    lines.append(f"doubled (|cosine| to another filter above .9): {int((found['nearest'] > 0.9).sum())}")
    for line in lines:
        results().print(line, markup=False)
