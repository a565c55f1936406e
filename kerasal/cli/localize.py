"""``kerasal localize MODEL IMAGE``: where the model's top classes are, as a picture like the paper's figure 3."""

import pathlib
import warnings
from typing import Annotated, Literal

import typer

from kerasal.cli import options

Recipe = Annotated[
    Literal["tuned", "simonyan"],
    typer.Option(help="How: 'tuned' on real photographs, or the paper's literal settings ('simonyan')."),
]
Method = Annotated[
    str | None, typer.Option(help="Another attribution method than the recipe's, such as class_saliency, smoothgrad.")
]
Foreground = Annotated[float | None, typer.Option(help="Quantile of the map above which pixels seed the object.")]
Background = Annotated[float | None, typer.Option(help="Quantile below which pixels seed the background.")]
Blur = Annotated[float | None, typer.Option(help="Blur the map by this share of its side first.")]
Level = Annotated[
    float | None, typer.Option(help="Share of the map's maximum from which it speaks for the object; more is tighter.")
]
Prior = Annotated[float | None, typer.Option(help="Weight of the map itself in the cut; 0 leaves all to colours.")]


def localize(
    model: options.Model,
    image: options.Image,
    output: Annotated[
        pathlib.Path | None, typer.Option("--output", "-o", help="The picture. Default: IMAGE-boxes.png.")
    ] = None,
    class_: Annotated[
        list[str] | None, typer.Option("--class", "-c", help="Look for this class (repeatable), not the top ones.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=20, help="How many of the top classes.")] = 5,
    recipe: Recipe = "tuned",
    method: Method = None,
    foreground: Foreground = None,
    background: Background = None,
    blur: Blur = None,
    prior: Prior = None,
    level: Level = None,
    preprocessing: options.Preprocessing = None,
    labels: options.Labels = None,
    weights: options.Weights = None,
    unsafe: options.Unsafe = False,
) -> None:
    """Find where in a photograph the model's top classes are: map, seeds, mask and box of each."""
    output = output or pathlib.Path(f"{image.stem}-boxes.png")
    options.check_output(output, (".png", ".jpg", ".jpeg", ".webp"))
    from kerasal import images
    from kerasal.cli.opening import open_model
    from kerasal.cli.session import remark, results
    from kerasal.labels import find, short

    photograph = images.read(image)
    opened = open_model(model, preprocessing=preprocessing, labels=labels, weights=weights, unsafe=unsafe)
    opened.show(photograph)  # says what a model without a known preprocessing needs
    from kerasal.localization import draw_localizations, find_objects

    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always", UserWarning)
        found = find_objects(
            opened.model,
            photograph,
            recipe=recipe,
            method=method,
            classes=[find(name, opened.labels) for name in class_] if class_ else None,
            top=top,
            preprocessing=opened.preprocessing,
            **given(foreground=foreground, background=background, blur=blur, prior=prior, level=level),
        )
    for one in remarks:
        remark(str(one.message))
    names = [short(opened.labels, one.number) for one in found]
    images.write(output, draw_localizations(photograph, found, names, f"{recipe} recipe, {opened.how}"))
    results().print(_table(found, names))
    results().print(f"{output}  boxes (x_min, y_min, x_max, y_max) in pixels of {image}", markup=False)


def given(**chosen) -> dict:
    """Return the options that were given."""
    return {name: value for name, value in chosen.items() if value is not None}


def _table(found, names):
    from rich.table import Table

    table = Table("class", "number", "score", "box")
    for one, name in zip(found, names, strict=True):
        table.add_row(name, str(one.number), f"{one.score:.3g}", ", ".join(map(str, one.box)))
    return table
